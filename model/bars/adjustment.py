"""Total returns and adjusted closes from bars and actions, and the way back from a provider's adjusted prices.

Bars are stored as traded. Adjusted series are computed from the splits and dividends (`actions`) when they are needed.
Dividends follow the convention of Yahoo and CRSP: earlier prices are scaled by 1 - D / C, with D the dividend and C
the close before the ex-date.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from model import Floats, Ints
from model.frames import ACTION_TYPES, ADJUSTED_BAR_TYPES, BAR_TYPES, PRICE_COLUMNS, check_frame

# Two ratios of numbers with six significant digits differ by at most 4 roundings of 5e-6 each.
RATIO_TOLERANCE = 2.5e-5
SMALLEST_FALL = 0.03
"""Log fall of adj_close / close that is more than rounding."""
FALL_BARS = 3
"""Bars that a fall lasts at least; a shorter one is an error of single bars."""
_ROWS_AHEAD = 96  # rows searched at once for the next step: a quarter of sessions and a margin


@dataclass(frozen=True)
class AdjustedSteps:
    """Steps of adj_close / close."""

    actions: pd.DataFrame
    """Frame of ACTION_TYPES: the rises, which are dividends."""
    falls: pd.DataFrame
    """symbol, session, size (log, below 0): lasting falls, which no dividend explains."""


def read_adjusted_steps(bars: pd.DataFrame, tolerance: float = RATIO_TOLERANCE) -> AdjustedSteps:
    """Find the steps of adj_close / close: dividends, and falls that no dividend explains.

    The first ratio of a segment is its level. A later ratio that exceeds the level by more than `tolerance` is a
    dividend and starts the next segment. The comparison is with the level, not with the previous day, so that small
    steps do not accumulate: the rebuilt series stays within `tolerance` of the source. The scan runs forward. Smaller
    ratios are ignored, unless they are below the level by `SMALLEST_FALL` or more for `FALL_BARS` bars: a reverse split
    of raw closes beside adjusted ones. Such a fall starts the next segment, so that later dividends are found.

    Args:
        bars: Frame of ADJUSTED_BAR_TYPES.
        tolerance: Smallest step of the log ratio that counts as a dividend.

    Returns:
        Dividends, in cash per share on the basis of `close`, and falls.

    Raises:
        ValueError: If a column is missing, the rows are not sorted by symbol and session, or a session is repeated.
    """
    check_frame(bars, ADJUSTED_BAR_TYPES, "bars")
    codes, symbols = symbol_codes(bars)
    close, adjusted = bars["close"].to_numpy(np.float64), bars["adj_close"].to_numpy(np.float64)
    usable = np.flatnonzero((close > 0) & (adjusted > 0))
    codes, close = codes[usable], close[usable]
    log_ratio = np.log(adjusted[usable] / close)
    bounds = np.searchsorted(codes, np.arange(len(symbols) + 1))
    steps = [(row, step) for a, b in pairwise(bounds) for row, step in _steps(log_ratio, a, b, tolerance)]
    rows = np.array([row for row, _ in steps], dtype=np.int64)
    sizes = np.array([step for _, step in steps], dtype=np.float64)
    is_paid = sizes > 0
    paid, fallen = rows[is_paid], rows[~is_paid]
    symbol, session = bars["symbol"].to_numpy(), bars["session"].to_numpy()
    actions = pd.DataFrame(
        {
            "symbol": symbol[usable[paid]],
            "ex_date": session[usable[paid]],
            "kind": "dividend",
            "value": -close[paid - 1] * np.expm1(-sizes[is_paid]),
        },
        columns=list(ACTION_TYPES),
    )
    falls = {"symbol": symbol[usable[fallen]], "session": session[usable[fallen]], "size": sizes[~is_paid]}
    return AdjustedSteps(actions, pd.DataFrame(falls))


def _steps(log_ratio: Floats, start: int, stop: int, tolerance: float) -> Iterator[tuple[int, float]]:
    """Yield the rows of [start, stop) where a new segment of the log ratio begins, and the size of each step."""
    if start == stop:
        return
    level, row = log_ratio[start], start + 1
    while row < stop:
        ahead = min(row + _ROWS_AHEAD, stop)
        block = log_ratio[row:ahead]
        begins = np.array(block > level + tolerance, dtype=np.bool_)
        if block.min() <= level - SMALLEST_FALL:
            low = log_ratio[row : min(ahead + FALL_BARS - 1, stop)] <= level - SMALLEST_FALL
            if low.size >= FALL_BARS:
                lasting = np.lib.stride_tricks.sliding_window_view(low, FALL_BARS).all(axis=1)
                begins[: lasting.size] |= lasting
        first = int(begins.argmax())
        if not begins[first]:
            row += len(block)
            continue
        row += first
        yield row, float(log_ratio[row] - level)
        level, row = log_ratio[row], row + 1


def undo_splits(bars: pd.DataFrame, actions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Convert a provider's split-adjusted bars and dividends to bars and dividends as traded.

    Args:
        bars: Frame of BAR_TYPES, its prices divided and its volume multiplied by every split with a later ex-date.
        actions: Frame of ACTION_TYPES, its dividends adjusted like the prices.

    Returns:
        Bars as traded, and actions with dividends per share of their ex-date; new frames in the same row order.

    Raises:
        ValueError: If a column is missing or has another type.
    """
    check_frame(bars, BAR_TYPES, "bars")
    check_frame(actions, ACTION_TYPES, "actions")
    later_at_bar = _later_splits(bars["symbol"], bars["session"], actions)
    traded = bars.copy()
    for column in PRICE_COLUMNS:
        traded[column] = bars[column].to_numpy(np.float64) * later_at_bar
    traded["volume"] = bars["volume"].to_numpy(np.float64) / later_at_bar
    later_at_action = _later_splits(actions["symbol"], actions["ex_date"], actions)
    is_dividend = (actions["kind"] == "dividend").to_numpy()
    value = actions["value"].to_numpy(np.float64)
    return traded, actions.assign(value=np.where(is_dividend, value * later_at_action, value))


def total_log_returns(bars: pd.DataFrame, actions: pd.DataFrame) -> pd.Series:
    """Compute daily natural log total returns with dividends reinvested.

    With s new shares per old share and a dividend D per new share, the price C_{t-1} of an old share becomes
    C_{t-1}/s - D on the ex-date, hence r_t = log(s C_t / (C_{t-1} - s D)). A session without a close has no return;
    the next return spans it and includes the actions in between.

    Args:
        bars: Bars as traded, sorted by symbol and session; symbol, session and close are used.
        actions: Frame of ACTION_TYPES.

    Returns:
        One value per bar, same index. NaN for the first close of a symbol, for a missing close, and where the
        dividend is as large as the price or larger.

    Raises:
        ValueError: If the bars are not sorted by symbol and session, or a session is repeated.
    """
    split, dividend = actions_per_bar(bars, actions)
    codes, _ = symbol_codes(bars)
    close = bars["close"].to_numpy(np.float64)
    with_close = np.flatnonzero(close > 0)
    now, before = with_close[1:], with_close[:-1]
    ex_price = close[before] - split[now] * dividend[now]
    is_known = (codes[now] == codes[before]) & (ex_price > 0)
    returns = np.full(len(bars), np.nan)
    returns[now[is_known]] = np.log(split[now] * close[now] / np.where(is_known, ex_price, 1.0))[is_known]
    return pd.Series(returns, index=bars.index, name="log_return")


def adjusted_close(bars: pd.DataFrame, actions: pd.DataFrame, as_of: pd.Timestamp) -> pd.Series:
    """Adjust closes for the splits and dividends up to `as_of`.

    The adjusted close equals the close as traded at the last session up to `as_of`.

    Args:
        bars: Bars as traded, sorted by symbol and session; symbol, session and close are used.
        actions: Frame of ACTION_TYPES.
        as_of: Last session and ex-date that count.

    Returns:
        One value per bar, same index; NaN after `as_of` and for a missing close.
    """
    past = bars[bars["session"] <= as_of]
    with_close = past[past["close"] > 0]
    returns = total_log_returns(with_close, actions[actions["ex_date"] <= as_of]).fillna(0.0)
    by_symbol = returns.groupby(with_close["symbol"], sort=False)
    later_returns = by_symbol.transform("sum") - by_symbol.cumsum()
    last = with_close.groupby("symbol", sort=False)["close"].transform("last")
    return (last * np.exp(-later_returns)).reindex(bars.index).rename("adjusted_close")


def actions_per_bar(bars: pd.DataFrame, actions: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return the split factor and the dividend that take effect at each bar.

    An action whose ex-date has no close takes effect at the next bar of its symbol with a close.

    Returns:
        Split factors (1 = none) and dividends (cash per share of that session, 0 = none), one each per bar.
    """
    split, dividend = np.ones(len(bars)), np.zeros(len(bars))
    codes, symbols = symbol_codes(bars)
    with_close = np.flatnonzero(bars["close"].to_numpy(np.float64) > 0)
    keys = _keys(codes, bars["session"])[with_close]
    action_codes = symbols.get_indexer(pd.Index(actions["symbol"]))
    position = np.searchsorted(keys, _keys(action_codes, actions["ex_date"]))
    placed = (action_codes >= 0) & (position < len(keys))
    placed[placed] = codes[with_close[position[placed]]] == action_codes[placed]
    effective = actions[placed].assign(row=with_close[position[placed]])
    # Splits first: a dividend of the same day is paid on the new shares.
    effective = effective.sort_values(["row", "ex_date", "kind"], ascending=[True, True, False], kind="stable")
    is_split = (effective["kind"] == "split").to_numpy()
    row, value = effective["row"].to_numpy(), effective["value"].to_numpy(np.float64)
    np.multiply.at(split, row[is_split], value[is_split])
    so_far = pd.Series(np.where(is_split, value, 1.0)).groupby(row).cumprod().to_numpy()
    np.add.at(dividend, row[~is_split], (value * so_far / split[row])[~is_split])
    return split, dividend


def symbol_codes(bars: pd.DataFrame) -> tuple[Ints, pd.Index]:
    """Number the symbols in order of appearance.

    Returns:
        The number of each bar's symbol, and the symbols.

    Raises:
        ValueError: If the bars are not sorted by symbol and session, or a session is repeated.
    """
    codes, symbols = pd.factorize(bars["symbol"])
    if (np.diff(_keys(codes, bars["session"])) <= 0).any():
        raise ValueError("`bars` must be sorted by symbol and session, each session once; received rows out of order.")
    return codes.astype(np.int64), pd.Index(symbols)


def _later_splits(symbols: pd.Series, dates: pd.Series, actions: pd.DataFrame) -> Floats:
    """Return the product of the splits of each row's symbol with an ex-date after the row's date."""
    splits = actions[actions["kind"] == "split"].sort_values(["symbol", "ex_date"], kind="stable")
    codes, split_symbols = pd.factorize(splits["symbol"])
    remaining = splits["value"].iloc[::-1].groupby(codes[::-1]).cumprod().iloc[::-1]
    row_codes = pd.Index(split_symbols).get_indexer(pd.Index(symbols))
    following = np.searchsorted(_keys(codes, splits["ex_date"]), _keys(row_codes, dates), side="right")
    is_same_symbol = np.append(codes, -1)[following] == row_codes
    return np.where(is_same_symbol & (row_codes >= 0), np.append(remaining, 1.0)[following], 1.0)


_DATE_BITS = 24


def _keys(codes: npt.NDArray[np.integer], dates: pd.Series) -> Ints:
    """Encode symbol and date as one sortable integer."""
    days = dates.to_numpy().astype("datetime64[D]").astype(np.int64)
    return (codes.astype(np.int64) << _DATE_BITS) + days + (1 << _DATE_BITS - 1)
