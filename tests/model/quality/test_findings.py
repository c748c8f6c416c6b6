"""Tests of model.quality.findings."""

import pandas as pd

from model.quality.findings import Finding, Treatment, findings_frame


def test_findings_frame_joins_findings_of_one_rule_and_session() -> None:
    day = pd.Timestamp("2020-01-01")
    frame = findings_frame(
        [
            Finding("A", day, "unit_jump", 0.01, Treatment.REPAIRED, "high"),
            Finding("A", day, "unit_jump", 100.0, Treatment.REJECTED, "newest"),
        ]
    )
    assert frame[["value", "treatment", "reason"]].to_numpy().tolist() == [[100.0, "rejected", "high; newest"]]
