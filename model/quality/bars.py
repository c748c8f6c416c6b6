"""Rules on single bars, gaps, stale prices and partial sessions.

Every function takes bars as `model.quality.screening.screen` does, and changes none of them in place.
"""

import numpy as np
import pandas as pd

from model import Flags, Floats, Ints
from model.bars.adjustment import symbol_codes
from model.config import QualityConfig
from model.frames import PRICE_COLUMNS
from model.quality.findings import Finding, Treatment

ROUNDING = 2.5e-5  # prices have six significant digits
UNIT_POWERS = (2, 3)  # pence for pounds, fils for dinars


def repair_field_units(bars: pd.DataFrame, config: QualityConfig) -> tuple[pd.DataFrame, list[Finding]]:
    """Scale single prices that are off by a factor of 100 or 1000 from their bar and the neighbouring closes."""
    opened, high, low, close = (bars[name].to_numpy(np.float64) for name in PRICE_COLUMNS)
    highest, lowest = _extremes(opened, high, low, close)
    rows = np.flatnonzero(highest > config.suspect_range * lowest)
    if not len(rows):
        return bars, []
    codes, _ = symbol_codes(bars)
    price = bars[PRICE_COLUMNS].to_numpy(np.float64).copy()
    findings = []
    for row in rows.tolist():
        adjacent = [near for near in (row - 1, row + 1) if 0 <= near < len(bars) and codes[near] == codes[row]]
        usual = np.nanmedian(np.append(price[row], price[adjacent, 3]))
        powers = np.nan_to_num(power_of_ten(price[row] / usual, config))
        if not powers.any():
            continue
        price[row] /= 10.0**powers
        names = ", ".join(name for name, power in zip(PRICE_COLUMNS, powers, strict=True) if power)
        factor = float(10.0 ** -powers[powers != 0][0])
        reason = f"{names} multiplied by {factor:g}: off by this factor from the bar and the neighbouring closes"
        findings.append(_finding(bars, row, "unit_jump", factor, Treatment.REPAIRED, reason))
    return bars.assign(**dict(zip(PRICE_COLUMNS, price.T, strict=True))), findings


def power_of_ten(ratio: Floats, config: QualityConfig) -> Floats:
    """Return the power of ten of each ratio that is a change of unit, 0 for the others."""
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = np.log10(ratio)
        power = np.round(exact)
        is_unit = np.isin(np.abs(power), UNIT_POWERS) & (np.abs(exact - power) < config.unit_tolerance)
    return np.where(is_unit, power, 0.0)


def repair_impossible_bars(bars: pd.DataFrame, config: QualityConfig) -> tuple[pd.DataFrame, list[Finding]]:
    """Widen high and low to remove small contradictions; blank the open or drop the bar where they are large."""
    opened, high, low, close = (bars[name].to_numpy(np.float64) for name in PRICE_COLUMNS)
    is_zero = np.fmin(np.fmin(opened, high), low) <= 0
    if is_zero.any():
        opened, high, low = (np.where(price > 0, price, np.nan) for price in (opened, high, low))
    open_outside = _outside(opened, high, low)
    outside = np.fmax(_outside(close, high, low), np.nan_to_num(np.log(low / high)))
    is_far = outside > config.small_contradiction
    is_open_far = (open_outside > config.small_contradiction) & ~is_far
    opened = np.where(is_open_far, np.nan, opened)
    excess = np.where(is_open_far, outside, np.fmax(outside, open_outside))
    is_near = (excess > ROUNDING) & ~is_far
    if not (is_zero | is_far | is_open_far | is_near).any():
        return bars, []
    top, bottom = _extremes(opened, high, low, close)
    high, low = np.where(is_near & ~np.isnan(high), top, high), np.where(is_near & ~np.isnan(low), bottom, low)
    size = np.expm1(np.fmax(outside, open_outside))
    largest = f"{np.expm1(config.small_contradiction):.0%}"
    findings = [
        _finding(bars, row, "impossible_bar", size[row], treatment, reason)
        for flags, treatment, reason in (
            (is_far, Treatment.EXCLUDED, f"close outside of high and low, or high below low, by more than {largest}"),
            (is_open_far, Treatment.REPAIRED, f"open outside of high and low by more than {largest}: blanked"),
            (is_near, Treatment.REPAIRED, "high and low widened to include open and close"),
            (is_zero, Treatment.REPAIRED, "prices of zero or less blanked"),
        )
        for row in np.flatnonzero(flags).tolist()
    ]
    findings = _reject_misread(bars, is_far | is_open_far | is_near, findings, config)
    repaired = bars.assign(open=opened, high=high, low=low)
    return (repaired[~is_far].reset_index(drop=True) if is_far.any() else repaired), findings


def _reject_misread(
    bars: pd.DataFrame, is_contradictory: Flags, findings: list[Finding], config: QualityConfig
) -> list[Finding]:
    """Replace the findings of a symbol by one rejection if most of its bars are contradictory."""
    codes, symbols = symbol_codes(bars)
    counts, totals = np.bincount(codes[is_contradictory], minlength=len(symbols)), np.bincount(codes)
    is_misread = (counts >= config.fewest_misread) & (counts > config.misread_share * totals)
    if not is_misread.any():
        return findings
    misread = {str(symbols[code]): code for code in np.flatnonzero(is_misread).tolist()}
    kept = [finding for finding in findings if finding.symbol not in misread]
    for code in misread.values():
        reason = f"{counts[code]} of {totals[code]} bars contradict themselves: the columns were misread"
        row = int(np.searchsorted(codes, code))
        kept.append(_finding(bars, row, "impossible_bar", float(counts[code]), Treatment.REJECTED, reason))
    return kept


def _extremes(opened: Floats, high: Floats, low: Floats, close: Floats) -> tuple[Floats, Floats]:
    """Return the highest and the lowest of the four prices of each bar; missing prices are ignored."""
    highest = np.fmax(np.fmax(high, low), np.fmax(opened, close))
    return highest, np.fmin(np.fmin(high, low), np.fmin(opened, close))


def _outside(price: Floats, high: Floats, low: Floats) -> Floats:
    """Return the log distance of a price above the high or below the low: negative within, 0 if unknown."""
    return np.nan_to_num(np.fmax(np.log(price / high), np.log(low / price)))


def exclude_partial_session(
    bars: pd.DataFrame, early_closes: pd.DatetimeIndex, config: QualityConfig
) -> tuple[pd.DataFrame, list[Finding]]:
    """Drop the newest session of the frame if its volume is too small for a complete session."""
    newest = bars["session"].max()  # NaT when there are no bars
    if not len(bars) or newest in early_closes:
        return bars, []
    codes, _ = symbol_codes(bars)
    # The larger of shares and turnover, so that neither a split nor a price jump looks like a partial session.
    shares = _volume(bars)
    turnover = shares * bars["close"].to_numpy(np.float64)
    last = np.flatnonzero((bars["session"] == newest).to_numpy())
    share = np.full(len(last), np.nan)
    for number, row in enumerate(last.tolist()):
        before = np.arange(max(0, row - config.usual_sessions), row)
        before = before[(codes[before] == codes[row]) & ~np.isnan(shares[before])]
        if len(before) >= config.usual_sessions // 2:
            share[number] = max(amount[row] / np.median(amount[before]) for amount in (shares, turnover))
    symbols = int((~np.isnan(share)).sum())
    bound = next((bound for fewest, bound in config.partial_volume if symbols >= fewest), 0.0)
    if not symbols or np.nanmedian(share) >= bound:
        return bars, []
    median = float(np.nanmedian(share))
    reason = f"{median:.0%} of the usual volume (median of {symbols} symbols): downloaded during trading"
    findings = [
        _finding(bars, row, "partial_session", value, Treatment.EXCLUDED, reason)
        for row, value in zip(last.tolist(), np.where(np.isnan(share), median, share), strict=True)
    ]
    return bars[(bars["session"] != newest).to_numpy()].reset_index(drop=True), findings


def find_stale_runs(bars: pd.DataFrame, config: QualityConfig) -> list[Finding]:
    """Find runs of the same open-to-close price with missing or constant volume."""
    codes, _ = symbol_codes(bars)
    high, low, close = (bars[name].to_numpy(np.float64) for name in ("high", "low", "close"))
    volume = _volume(bars)
    is_flat = ~(high > low) & ~(high > close) & ~(low < close)
    is_same = np.append(False, (np.diff(codes) == 0) & (np.diff(close) == 0) & is_flat[1:] & is_flat[:-1])[: len(bars)]
    is_traded = np.append(False, np.diff(volume) != 0)[: len(bars)] & ~np.isnan(volume)
    findings = []
    for start, stop in _runs(is_same & ~is_traded):
        length = stop - start + 1  # the bar before the first repeat belongs to the run
        if length < config.stale_sessions:
            continue
        is_newest = stop == len(bars) or codes[stop] != codes[start]
        treatment = Treatment.REJECTED if is_newest else Treatment.KEPT
        reason = "the feed repeats its last price" if is_newest else f"{length} sessions of the same price"
        findings.append(_finding(bars, start - 1, "stale_run", length, treatment, reason))
    return findings


def find_zero_volume(bars: pd.DataFrame, config: QualityConfig) -> list[Finding]:
    """Find runs of sessions without volume between sessions of the same symbol with volume."""
    codes, _ = symbol_codes(bars)
    findings = []
    for start, stop in _runs(np.isnan(_volume(bars))):
        is_between = start > 0 and stop < len(bars) and codes[start - 1] == codes[stop]
        if is_between and stop - start >= config.silent_sessions:
            reason = f"{stop - start} sessions without volume"
            findings.append(_finding(bars, start, "zero_volume", stop - start, Treatment.KEPT, reason))
    return findings


def find_gaps(bars: pd.DataFrame, sessions: pd.DatetimeIndex, config: QualityConfig) -> list[Finding]:
    """Find the sessions missing between two bars of a symbol, one finding per gap."""
    if not len(bars) or not len(sessions):
        return []
    codes, symbols = symbol_codes(bars)
    days = bars["session"].to_numpy()
    kept = _held_sessions(codes, days, sessions.to_numpy().astype(days.dtype), len(symbols), config)
    after = np.searchsorted(kept, days, side="right")
    missing = np.searchsorted(kept, days[1:]) - after[:-1]
    findings = []
    for row in np.flatnonzero((missing > 0) & (np.diff(codes) == 0)):
        count = int(missing[row])
        size = "long gap" if count >= config.long_gap_sessions else "gap"
        reason = f"{size} of {count} sessions before {pd.Timestamp(days[row + 1]):%Y-%m-%d}; the next return spans it"
        first = pd.Timestamp(kept[after[row]])
        findings.append(Finding(bars["symbol"].iloc[row], first, "gap", float(count), Treatment.KEPT, reason))
    return findings


def _held_sessions(
    codes: Ints, days: np.ndarray, sessions: np.ndarray, symbols: int, config: QualityConfig
) -> np.ndarray:
    """Return the sessions that took place: those missing from most symbols did not."""
    starts = np.searchsorted(codes, np.arange(symbols))
    stops = np.append(starts[1:], len(codes)) - 1
    opened = np.sort(days[starts]).searchsorted(sessions, side="right")
    ended = np.sort(days[stops]).searchsorted(sessions, side="left")
    position = np.searchsorted(sessions, days)
    is_session = np.append(sessions, days[:1])[position] == days
    is_session &= position < len(sessions)
    present = np.bincount(position[is_session], minlength=len(sessions))
    expected = opened - ended
    return sessions[~((expected >= config.unscheduled_symbols) & (2 * present < expected))]


def _volume(bars: pd.DataFrame) -> Floats:
    volume = bars["volume"].to_numpy(np.float64)
    return np.where(volume > 0, volume, np.nan)


def _runs(flags: Flags) -> list[tuple[int, int]]:
    """Return [start, stop) of each run of true flags."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def _finding(bars: pd.DataFrame, row: int, rule: str, value: float, treatment: Treatment, reason: str) -> Finding:
    place = bars.iloc[row]
    return Finding(place["symbol"], place["session"], rule, float(value), treatment, reason)
