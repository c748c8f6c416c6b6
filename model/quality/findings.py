"""Findings of the quality rules on bars, actions and symbols."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import pandas as pd

from model.frames import FINDING_TYPES


class Treatment(StrEnum):
    """Treatment of the data behind a finding."""

    REPAIRED = "repaired"
    """The bar or an action was changed; the reason gives the change."""
    EXCLUDED = "excluded"
    """The bar is not used."""
    REJECTED = "rejected"
    """The symbol is not used in this run."""
    KEPT = "kept"
    """Nothing was changed: unusual, but possible."""


class Finding(NamedTuple):
    """One row of a frame of FINDING_TYPES."""

    symbol: str
    session: pd.Timestamp
    rule: str
    value: float
    treatment: Treatment
    reason: str


def findings_frame(findings: Iterable[Finding]) -> pd.DataFrame:
    """Convert findings to a frame of FINDING_TYPES, sorted by symbol, session and rule and unique by these.

    Two findings of the same rule, symbol and session become one row with the graver treatment, its value and both
    reasons.
    """
    gravity = [Treatment.KEPT, Treatment.REPAIRED, Treatment.EXCLUDED, Treatment.REJECTED]
    rows: dict[tuple[str, pd.Timestamp, str], Finding] = {}
    for finding in findings:
        previous = rows.setdefault(finding[:3], finding)
        if previous is not finding:
            graver = max(previous, finding, key=lambda row: gravity.index(row.treatment))
            rows[finding[:3]] = graver._replace(reason=f"{previous.reason}; {finding.reason}")
    frame = pd.DataFrame(list(rows.values()), columns=list(FINDING_TYPES))
    frame["treatment"] = [str(treatment) for treatment in frame["treatment"]]
    return frame.astype(FINDING_TYPES).sort_values(["symbol", "session", "rule"], kind="stable", ignore_index=True)
