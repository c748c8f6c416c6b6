"""What the quality gate says about a bar, an action or a symbol: one row a finding."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import pandas as pd


class Treatment(StrEnum):
    """What a rule did about what it found."""

    REPAIRED = "repaired"
    """The bar, or an action, was changed; the reason says how."""
    EXCLUDED = "excluded"
    """The bar is not used."""
    REJECTED = "rejected"
    """The symbol is not used in this run."""
    KEPT = "kept"
    """Nothing was changed: odd, and possible."""


FINDING_TYPES = {
    "symbol": "str",
    "session": "datetime64[ns]",
    "rule": "str",
    "value": "float64",
    "treatment": "str",
    "reason": "str",
}


class Finding(NamedTuple):
    """A row of FINDING_TYPES."""

    symbol: str
    session: pd.Timestamp
    rule: str
    value: float
    treatment: Treatment
    reason: str


def findings_frame(findings: Iterable[Finding]) -> pd.DataFrame:
    """The findings as a frame of FINDING_TYPES, sorted by symbol, session, rule, and unique by these.

    What one rule found twice at one session is one row: the graver treatment and its value, and both reasons.
    """
    gravity = [Treatment.KEPT, Treatment.REPAIRED, Treatment.EXCLUDED, Treatment.REJECTED]
    rows: dict[tuple[str, pd.Timestamp, str], Finding] = {}
    for found in findings:
        known = rows.setdefault(found[:3], found)
        if known is not found:
            graver = max(known, found, key=lambda each: gravity.index(each.treatment))
            rows[found[:3]] = graver._replace(reason=f"{known.reason}; {found.reason}")
    frame = pd.DataFrame(list(rows.values()), columns=list(FINDING_TYPES))
    frame["treatment"] = [str(treatment) for treatment in frame["treatment"]]
    return frame.astype(FINDING_TYPES).sort_values(["symbol", "session", "rule"], kind="stable", ignore_index=True)
