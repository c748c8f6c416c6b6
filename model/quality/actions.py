"""Rules on dividends: repeated ones, and those that the price did not follow."""

import numpy as np
import pandas as pd

from model import Floats, Ints
from model.bars.adjustment import actions_per_bar, symbol_codes
from model.config import QualityConfig
from model.quality.findings import Finding, Treatment

ROBUST = 1.4826  # standard deviation of a Gaussian per unit of its median absolute value
PENCE = 100.0


def usual_move(returns: Floats, row: int, start: int, stop: int, config: QualityConfig) -> float:
    """Estimate the standard deviation of a symbol's daily returns before a row, from their median absolute value.

    With few returns before the row, the returns after it count as well.

    Args:
        returns: Daily log returns, NaN = unknown.
        row: The row; its own return does not count.
        start: First row of the symbol.
        stop: End of the symbol's rows.
        config: Sessions before the row, fewest returns and floor.

    Returns:
        Standard deviation, at least the floor.
    """
    moves = np.abs(returns[max(start, row - config.sigma_sessions) : row])
    if np.isfinite(moves).sum() < config.fewest_returns:
        moves = np.append(moves, np.abs(returns[row + 1 : min(stop, row + 1 + config.sigma_sessions)]))
    moves = moves[np.isfinite(moves)]
    return max(config.sigma_floor, ROBUST * float(np.median(moves))) if len(moves) else config.sigma_floor


def drop_repeated_dividends(actions: pd.DataFrame, config: QualityConfig) -> tuple[pd.DataFrame, list[Finding]]:
    """Drop each dividend that repeats one of a few days earlier."""
    paid = actions[(actions["kind"] == "dividend").to_numpy()]
    paid = paid.sort_values(["symbol", "ex_date"], kind="stable")
    days = np.diff(paid["ex_date"].to_numpy().astype("datetime64[D]").astype(np.int64))
    value = paid["value"].to_numpy(np.float64)
    is_same = paid["symbol"].to_numpy()[1:] == paid["symbol"].to_numpy()[:-1]
    is_close = np.abs(np.log(value[1:] / value[:-1])) < config.repeat_tolerance
    repeated = paid[np.append(False, is_same & (days > 0) & (days <= config.repeat_days) & is_close)[: len(paid)]]
    reason = (
        f"within {config.repeat_tolerance:.0%} of another dividend up to {config.repeat_days} days earlier: dropped"
    )
    findings = [
        Finding(symbol, day, "repeated_dividend", float(amount), Treatment.REPAIRED, reason)
        for symbol, day, amount in zip(repeated["symbol"], repeated["ex_date"], repeated["value"], strict=True)
    ]
    return actions.drop(index=repeated.index) if findings else actions, findings


def repair_dividends(
    bars: pd.DataFrame, actions: pd.DataFrame, config: QualityConfig, *, has_hundredths: bool = False
) -> tuple[pd.DataFrame, list[Finding]]:
    """Divide or drop dividends that the price did not follow; report large ones that it followed.

    Args:
        bars: Frame of BAR_TYPES, sorted by symbol and session.
        actions: Frame of ACTION_TYPES.
        config: Thresholds.
        has_hundredths: Whether the exchange quotes in hundredths of its currency: then most dividends of a symbol may
            be 100 times too large.

    Returns:
        The actions, and the findings.
    """
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
    for row in _hundredfold_rows(yields, moves, bounds, config) if has_hundredths else ():
        start, size = int(bounds[codes[row]]), float(yields[row])
        effective = _actions_at(bars, actions, row, start)
        values[effective] /= PENCE
        yields[row] /= PENCE
        reason = f"{size:.1%} of the price, like most dividends of the symbol, and the price followed none: "
        reason += f"divided by {PENCE:g}"
        place = (bars["symbol"].iloc[row], bars["session"].iloc[row], "implausible_dividend", size)
        findings.append(Finding(*place, Treatment.REPAIRED, reason))
    for row in np.flatnonzero((yields >= config.doubtful_yield) | ((dividend > 0) & (split > 1))).tolist():
        size, (start, stop) = yields[row], bounds[codes[row] : codes[row] + 2].tolist()
        place = (bars["symbol"].iloc[row], bars["session"].iloc[row], "implausible_dividend", float(size))
        expected = np.log1p(-size) if size < 1 else -np.inf
        if moves[row] <= config.followed_share * expected:
            if size >= config.large_yield:
                findings.append(Finding(*place, Treatment.KEPT, f"{size:.0%} of the price; the price fell accordingly"))
            continue
        divisor, sigmas = _divisor(yields, split, row, start, stop, config)
        is_flat = moves[row] < min(-config.followed_share * expected, config.large_yield)
        if not is_flat or -expected < sigmas * usual_move(moves, row, start, stop, config):
            continue
        if size < config.doubtful_yield and divisor == np.inf:
            continue
        effective = _actions_at(bars, actions, row, start)
        values[effective] = values[effective] / divisor
        repair = "dropped" if divisor == np.inf else f"divided by {divisor:g}, which is usual for the symbol"
        reason = f"{size:.1%} of the price, but the price moved by {np.expm1(moves[row]):.1%}: {repair}"
        findings.append(Finding(*place, Treatment.REPAIRED, reason))
    repaired = actions.assign(value=values)[values > 0] if findings else actions
    return repaired, findings


def _hundredfold_rows(yields: Floats, moves: Floats, bounds: Ints, config: QualityConfig) -> list[int]:
    """Return the rows of dividends in hundredths beside prices in units: most of a symbol are, and no price followed.

    The dividends must be alike and usual when divided by 100, and their expected falls together beyond the noise of
    the symbol's returns on these days.
    """
    found = list[int]()
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        paid = start + np.flatnonzero(yields[start:stop] > 0)
        if len(paid) < config.fewest_hundredfold or np.median(yields[paid]) < config.doubtful_yield:
            continue
        usual = float(np.median(yields[paid]))
        alike = paid[np.abs(np.log(yields[paid] / usual)) <= np.log(config.ordinary_yield)]
        lowest, highest = config.usual_dividend
        if 2 * len(alike) <= len(paid) or len(alike) < config.fewest_hundredfold:
            continue
        if not lowest <= usual / PENCE <= highest:
            continue
        expected = float(np.log1p(-np.minimum(yields[alike], config.large_yield)).sum())
        moved = float(np.nansum(moves[alike]))
        noise = np.sqrt(len(alike)) * usual_move(moves, int(alike[-1]), start, stop, config)
        if moved > config.followed_share * expected and -expected >= config.dividend_sigmas * noise:
            found += alike.tolist()
    return found


def _divisor(
    yields: Floats, split: Floats, row: int, start: int, stop: int, config: QualityConfig
) -> tuple[float, float]:
    """Return the divisor of a false dividend (infinity = drop), and the standard deviations that it must exceed."""
    others = np.delete(yields[start:stop], row - start)
    others = others[others > 0]
    if len(others):
        usual = float(np.median(others))
        for divisor, sigmas in ((float(split[row]), config.split_day_sigmas), (PENCE, config.dividend_sigmas)):
            is_usual = usual / config.ordinary_yield < yields[row] / divisor < usual * config.ordinary_yield
            if divisor > 1 and is_usual and yields[row] > usual * config.ordinary_yield:
                return divisor, sigmas
    return np.inf, config.dividend_sigmas


def _actions_at(bars: pd.DataFrame, actions: pd.DataFrame, row: int, start: int) -> Ints:
    """Return the positions of the dividends that take effect at a bar: those since the symbol's previous bar."""
    session = bars["session"]
    is_effective = (actions["symbol"] == bars["symbol"].iloc[row]) & (actions["kind"] == "dividend")
    is_effective &= actions["ex_date"] <= session.iloc[row]
    if row > start:
        is_effective &= actions["ex_date"] > session.iloc[row - 1]
    return np.flatnonzero(is_effective.to_numpy())
