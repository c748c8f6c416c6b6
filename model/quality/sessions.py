"""Rules on sessions: bars on other days, whole series off by a day, and bars before the first trade."""

import numpy as np
import pandas as pd

from model import Flags, Ints
from model.bars.adjustment import symbol_codes
from model.config import QualityConfig
from model.frames import PRICE_COLUMNS
from model.quality.findings import Finding, Treatment

_DAY = np.timedelta64(1, "D")


def exclude_other_days(
    bars: pd.DataFrame, sessions: pd.DatetimeIndex, config: QualityConfig
) -> tuple[pd.DataFrame, list[Finding]]:
    """Exclude bars on days without a session, and reject series whose dates are off by a day.

    Bars before the first and after the last known session are not checked.

    Args:
        bars: Frame of BAR_TYPES, sorted by symbol and session.
        sessions: Sessions of the exchange, ascending.
        config: Thresholds.

    Returns:
        The bars on sessions, and the findings.
    """
    if not len(bars) or not len(sessions):
        return bars, []
    known = sessions.to_numpy().astype("datetime64[D]")
    days = bars["session"].to_numpy().astype("datetime64[D]")
    is_other = _is_other_day(days, known)
    if not is_other.any():
        return bars, []
    codes, _ = symbol_codes(bars)
    findings = []
    for code in np.unique(codes[is_other]):
        rows = np.flatnonzero(codes == code)
        others = rows[is_other[rows]]
        if (shift := _find_shift(days[rows], known, config)) is not None:
            reason = f"{len(others)} of {len(rows)} bars are on days without a session, and none are if all dates are "
            reason += f"{shift}: the dates are off by a day; correct them in the source"
            findings.append(_finding(bars, rows[0], "shifted_sessions", len(others), Treatment.REJECTED, reason))
            continue
        findings += [_other_day(bars, row, codes) for row in others.tolist()]
    return bars[~is_other].reset_index(drop=True), findings


def exclude_before_first_trade(bars: pd.DataFrame, config: QualityConfig) -> tuple[pd.DataFrame, list[Finding]]:
    """Exclude a flat stretch without volume at the start of a history.

    Such a stretch is a listing without trades. It would give a symbol age and training rows without information.
    """
    if not len(bars):
        return bars, []
    codes, symbols = symbol_codes(bars)
    close = bars["close"].to_numpy(np.float64)
    volume = bars["volume"].to_numpy(np.float64)
    starts = np.searchsorted(codes, np.arange(len(symbols)))
    first = starts[codes]
    # A bar is dead as long as no bar so far has had volume or another close.
    is_alive = (np.nan_to_num(volume) > 0) | (close != close[first])
    position = np.arange(len(bars))
    first_alive = np.full(len(symbols), len(bars), dtype=np.int64)
    np.minimum.at(first_alive, codes[is_alive], position[is_alive])
    length = np.minimum(first_alive, np.append(starts[1:], len(bars))) - starts
    has_trade = np.append(np.nan_to_num(volume), 0.0)[np.minimum(first_alive, len(bars))] > 0
    is_long = (length >= config.stale_sessions) & has_trade & (first_alive < np.append(starts[1:], len(bars)))
    if not is_long.any():
        return bars, []
    is_dead = (position < (starts + length)[codes]) & is_long[codes]
    findings = [
        _finding(
            bars,
            int(starts[code]),
            "before_first_trade",
            int(length[code]),
            Treatment.EXCLUDED,
            f"{length[code]} sessions of one price without volume before the first trade",
        )
        for code in np.flatnonzero(is_long).tolist()
    ]
    return bars[~is_dead].reset_index(drop=True), findings


def _is_other_day(days: np.ndarray, known: np.ndarray) -> Flags:
    """Return whether each day lies between the first and the last known session and is none."""
    place = np.minimum(np.searchsorted(known, days), len(known) - 1)
    is_other: Flags = (known[place] != days) & (days >= known[0]) & (days <= known[-1])
    return is_other


def _find_shift(days: np.ndarray, known: np.ndarray, config: QualityConfig) -> str | None:
    """Return the correction of a series whose dates are off by a day, None for any other series."""
    share = float(_is_other_day(days, known).mean())
    if len(days) < config.fewest_shifted or share < config.shifted_share:
        return None
    candidates = {
        "one day later": days + _DAY,
        "one day earlier": days - _DAY,
        "one weekday later": np.busday_offset(days, 1, roll="backward"),
        "one weekday earlier": np.busday_offset(days, -1, roll="forward"),
    }
    for correction, moved in candidates.items():
        inside = moved[(moved >= known[0]) & (moved <= known[-1])]
        is_unique = len(np.unique(inside)) == len(inside)
        if len(inside) and is_unique and float(_is_other_day(inside, known).mean()) <= config.shifted_rest * share:
            return correction
    return None


def _other_day(bars: pd.DataFrame, row: int, codes: Ints) -> Finding:
    prices = bars[PRICE_COLUMNS].to_numpy(np.float64)
    reason = "the exchange has no session on this day"
    for beside, name in ((row - 1, "previous"), (row + 1, "next")):
        is_same_symbol = 0 <= beside < len(bars) and codes[beside] == codes[row]
        if is_same_symbol and np.array_equal(prices[beside], prices[row], equal_nan=True):
            reason += f"; a copy of the {name} bar"
            break
    return _finding(bars, row, "not_a_session", float(prices[row, 3]), Treatment.EXCLUDED, reason)


def _finding(bars: pd.DataFrame, row: int, rule: str, value: float, treatment: Treatment, reason: str) -> Finding:
    return Finding(bars["symbol"].iloc[row], bars["session"].iloc[row], rule, float(value), treatment, reason)
