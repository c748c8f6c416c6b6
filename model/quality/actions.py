"""Rules on dividends: repeated ones, and those that the price did not follow."""

import numpy as np
import pandas as pd

from model import Floats, Ints
from model.bars.adjustment import actions_per_bar, symbol_codes
from model.quality.findings import Finding, Treatment

SIGMA_SESSIONS, FEWEST_RETURNS, SIGMA_FLOOR = 60, 20, 0.005
ROBUST = 1.4826  # standard deviation of a Gaussian per unit of its median absolute value

REPEAT_DAYS, REPEAT_TOLERANCE = 4, 0.10  # weekly payers are seven days apart
DOUBTFUL_YIELD, LARGE_YIELD = 0.05, 0.5
# Of the recorded dividends above 5 % and six sigmas, the price fell by at most 0.35 of the false ones (old dividends
# not adjusted for later splits), and by at least 0.67 of the true ones.
FOLLOWED_SHARE = 0.5
DIVIDEND_SIGMAS, SPLIT_DAY_SIGMAS = 6.0, 3.0
ORDINARY_YIELD = 3.0  # largest ratio to the symbol's median yield, in either direction
PENCE = 100.0


def usual_move(returns: Floats, row: int, start: int, stop: int) -> float:
    """Estimate the standard deviation of a symbol's daily returns before a row, from their median absolute value.

    With few returns before the row, the returns after it count as well.

    Args:
        returns: Daily log returns, NaN = unknown.
        row: The row; its own return does not count.
        start: First row of the symbol.
        stop: End of the symbol's rows.

    Returns:
        Standard deviation, at least the floor.
    """
    moves = np.abs(returns[max(start, row - SIGMA_SESSIONS) : row])
    if np.isfinite(moves).sum() < FEWEST_RETURNS:
        moves = np.append(moves, np.abs(returns[row + 1 : min(stop, row + 1 + SIGMA_SESSIONS)]))
    moves = moves[np.isfinite(moves)]
    return max(SIGMA_FLOOR, ROBUST * float(np.median(moves))) if len(moves) else SIGMA_FLOOR


def drop_repeated_dividends(actions: pd.DataFrame) -> tuple[pd.DataFrame, list[Finding]]:
    """Drop each dividend that repeats one of up to REPEAT_DAYS days earlier."""
    paid = actions[(actions["kind"] == "dividend").to_numpy()]
    paid = paid.sort_values(["symbol", "ex_date"], kind="stable")
    days = np.diff(paid["ex_date"].to_numpy().astype("datetime64[D]").astype(np.int64))
    value = paid["value"].to_numpy(np.float64)
    is_same = paid["symbol"].to_numpy()[1:] == paid["symbol"].to_numpy()[:-1]
    is_close = np.abs(np.log(value[1:] / value[:-1])) < REPEAT_TOLERANCE
    repeated = paid[np.append(False, is_same & (days > 0) & (days <= REPEAT_DAYS) & is_close)[: len(paid)]]
    reason = f"within {REPEAT_TOLERANCE:.0%} of another dividend up to {REPEAT_DAYS} days earlier: dropped"
    findings = [
        Finding(symbol, day, "repeated_dividend", float(amount), Treatment.REPAIRED, reason)
        for symbol, day, amount in zip(repeated["symbol"], repeated["ex_date"], repeated["value"], strict=True)
    ]
    return actions.drop(index=repeated.index) if findings else actions, findings


def repair_dividends(bars: pd.DataFrame, actions: pd.DataFrame) -> tuple[pd.DataFrame, list[Finding]]:
    """Divide or drop dividends that the price did not follow; report large ones that it followed."""
    if not len(bars) or not (actions["kind"] == "dividend").any():
        return actions, []
    codes, symbols = symbol_codes(bars)
    bounds = np.searchsorted(codes, np.arange(len(symbols) + 1))
    split, dividend = actions_per_bar(bars, actions)
    close = bars["close"].to_numpy(np.float64)
    before = np.append(np.nan, close[:-1])[: len(close)] / split
    before[bounds[:-1]] = np.nan
    moves = np.log(close / before)
    yields = dividend / before

    values = actions["value"].to_numpy(np.float64).copy()
    findings = []
    for row in np.flatnonzero((yields >= DOUBTFUL_YIELD) | ((dividend > 0) & (split > 1))).tolist():
        size, (start, stop) = yields[row], bounds[codes[row] : codes[row] + 2].tolist()
        place = (bars["symbol"].iloc[row], bars["session"].iloc[row], "implausible_dividend", float(size))
        expected = np.log1p(-size) if size < 1 else -np.inf
        if moves[row] <= FOLLOWED_SHARE * expected:
            if size >= LARGE_YIELD:
                findings.append(Finding(*place, Treatment.KEPT, f"{size:.0%} of the price; the price fell accordingly"))
            continue
        divisor, sigmas = _divisor(yields, split, row, start, stop)
        is_flat = moves[row] < min(-FOLLOWED_SHARE * expected, LARGE_YIELD)
        if not is_flat or -expected < sigmas * usual_move(moves, row, start, stop):
            continue
        if size < DOUBTFUL_YIELD and divisor == np.inf:
            continue
        effective = _actions_at(bars, actions, row, start)
        values[effective] = values[effective] / divisor
        repair = "dropped" if divisor == np.inf else f"divided by {divisor:g}, which is usual for the symbol"
        reason = f"{size:.1%} of the price, but the price moved by {np.expm1(moves[row]):.1%}: {repair}"
        findings.append(Finding(*place, Treatment.REPAIRED, reason))
    repaired = actions.assign(value=values)[values > 0] if findings else actions
    return repaired, findings


def _divisor(yields: Floats, split: Floats, row: int, start: int, stop: int) -> tuple[float, float]:
    """Return the divisor of a false dividend (infinity = drop), and the standard deviations that it must exceed."""
    others = np.delete(yields[start:stop], row - start)
    others = others[others > 0]
    if len(others):
        usual = float(np.median(others))
        for divisor, sigmas in ((float(split[row]), SPLIT_DAY_SIGMAS), (PENCE, DIVIDEND_SIGMAS)):
            is_usual = usual / ORDINARY_YIELD < yields[row] / divisor < usual * ORDINARY_YIELD
            if divisor > 1 and is_usual and yields[row] > usual * ORDINARY_YIELD:
                return divisor, sigmas
    return np.inf, DIVIDEND_SIGMAS


def _actions_at(bars: pd.DataFrame, actions: pd.DataFrame, row: int, start: int) -> Ints:
    """Return the positions of the dividends that take effect at a bar: those since the symbol's previous bar."""
    session = bars["session"]
    is_effective = (actions["symbol"] == bars["symbol"].iloc[row]) & (actions["kind"] == "dividend")
    is_effective &= actions["ex_date"] <= session.iloc[row]
    if row > start:
        is_effective &= actions["ex_date"] > session.iloc[row - 1]
    return np.flatnonzero(is_effective.to_numpy())
