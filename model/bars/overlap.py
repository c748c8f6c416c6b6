"""Evidence of whether the bars of two sources are the same series: their closes on common sessions."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from model.bars.rebase import RebasedHistory, rebase_history
from model.frames import BAR_TYPES, check_frame

SAME_CLOSE = 0.005
"""Largest log difference of two closes that agree: vendors round, and take different last trades."""
FEWEST_COMMON = {"daily": 10, "monthly": 3}
"""Common sessions needed, by bar interval."""
AGREEING_SHARE = 0.9
"""Share of the common sessions that must agree."""


@dataclass(frozen=True)
class Overlap:
    """Comparison of the closes of two sources on their common sessions."""

    common: int
    agreeing: int
    interval: str
    """Bar interval, daily or monthly."""
    first_difference: tuple[pd.Timestamp, float, float] | None
    """Session, stored close and downloaded close of the first that differ."""

    @property
    def is_same_series(self) -> bool:
        """Whether enough common sessions agree."""
        return self.common >= FEWEST_COMMON[self.interval] and self.agreeing >= AGREEING_SHARE * self.common

    def describe(self) -> str:
        """Describe the comparison in one clause."""
        if not self.common:
            return "they have no common session"
        text = f"{self.agreeing} of {self.common} common sessions have the same close within {SAME_CLOSE:.1%}"
        if self.first_difference is not None:
            day, stored, downloaded = self.first_difference
            text += f"; the first that differs is {day:%Y-%m-%d}, {stored:.6g} stored and {downloaded:.6g} downloaded"
        return text


def compare_closes(bars: pd.DataFrame, stored: pd.DataFrame, interval: str = "daily") -> Overlap:
    """Compare the closes of a download with the stored closes of one symbol.

    Args:
        bars: Frame of BAR_TYPES as traded, of one symbol, sorted by session.
        stored: Stored bars of the symbol; session and close are used.
        interval: Bar interval of both, daily or monthly.

    Raises:
        ValueError: If a column is missing or has another type.
    """
    check_frame(bars, BAR_TYPES, "bars", ["session", "close"])
    check_frame(stored, BAR_TYPES, "stored", ["session", "close"])
    both = bars[["session", "close"]].merge(stored[["session", "close"]], on="session", suffixes=("", "_stored"))
    both = both[(both["close"] > 0) & (both["close_stored"] > 0)].sort_values("session", ignore_index=True)
    differs = np.abs(np.log((both["close"] / both["close_stored"]).to_numpy(np.float64))) > SAME_CLOSE
    first = None
    if differs.any():
        row = both.iloc[int(differs.argmax())]
        first = (row["session"], float(row["close_stored"]), float(row["close"]))
    return Overlap(len(both), int((~differs).sum()), interval, first)


def join_history(
    bars: pd.DataFrame, actions: pd.DataFrame, stored: pd.DataFrame, interval: str = "daily"
) -> tuple[RebasedHistory | None, Overlap]:
    """Bring another source's download to the basis of the stored bars, if both are the same series.

    Args:
        bars: Frame of BAR_TYPES as traded, of one symbol, sorted by session.
        actions: Frame of ACTION_TYPES of the download.
        stored: Stored bars of the symbol, sorted by session.
        interval: Bar interval of both, daily or monthly.

    Returns:
        The download, rebased if a factor of splits explains its difference from the stored bars; None if it is another
        series, or if there is too little to compare. The comparison of the closes as downloaded.

    Raises:
        ValueError: If a column is missing or has another type.
    """
    overlap = compare_closes(bars, stored, interval)
    if overlap.is_same_series:
        return RebasedHistory(bars, actions), overlap
    if overlap.common < FEWEST_COMMON[interval]:
        return None, overlap
    rebased = rebase_history(bars, actions, stored)
    if rebased is None or not compare_closes(rebased.bars, stored, interval).is_same_series:
        return None, overlap
    return rebased, overlap
