"""From prices as traded to total returns, and back from the adjusted prices that providers publish.

Facts are splits and dividends (`actions`); everything adjusted is computed from them when it is needed.
The dividend convention is Yahoo's (and CRSP's): the day before the ex-date is scaled by 1 - D / C_prev.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from model import Floats, Ints

ACTION_COLUMNS = ["symbol", "ex_date", "kind", "value"]
PRICE_COLUMNS = ["open", "high", "low", "close"]

# Two ratios of numbers with six significant digits differ by at most 4 roundings of 5e-6 each.
RATIO_TOLERANCE = 2.5e-5
_ROWS_AHEAD = 96  # how far to look for the next step at once: a quarter of sessions and a margin


def actions_from_adjusted_close(bars: pd.DataFrame, tolerance: float = RATIO_TOLERANCE) -> pd.DataFrame:
    """Read dividends off the steps of adj_close / close, for sources that publish no actions.

    The first ratio of a segment is its level; a later ratio above the level by more than `tolerance` starts the
    next segment and is a dividend. Comparing with the level, not with the day before, keeps small steps from
    accumulating: the rebuilt series stays within `tolerance` of the source. The scan runs forward, so later rows
    never change an earlier action. A ratio below the level is no dividend and is passed over.

    Args:
        bars: symbol, session, close, adj_close, sorted by symbol and session; both prices on one split basis.
        tolerance: smallest step of the log ratio taken for a dividend.

    Returns:
        Actions: symbol, ex_date, kind ("dividend"), value (cash per share on the basis of `close`).

    Raises:
        ValueError: if the bars are not sorted by symbol and session, or a session is there twice.
    """
    codes, symbols = symbol_codes(bars)
    close, adjusted = bars["close"].to_numpy(np.float64), bars["adj_close"].to_numpy(np.float64)
    usable = np.flatnonzero((close > 0) & (adjusted > 0))
    codes, close = codes[usable], close[usable]
    log_ratio = np.log(adjusted[usable] / close)
    bounds = np.searchsorted(codes, np.arange(len(symbols) + 1))
    steps = [(row, step) for a, b in pairwise(bounds) for row, step in _steps(log_ratio, a, b, tolerance)]
    rows = np.array([row for row, _ in steps], dtype=np.int64)
    sizes = np.array([step for _, step in steps], dtype=np.float64)
    return pd.DataFrame(
        {
            "symbol": bars["symbol"].to_numpy()[usable[rows]],
            "ex_date": bars["session"].to_numpy()[usable[rows]],
            "kind": "dividend",
            "value": -close[rows - 1] * np.expm1(-sizes),
        },
        columns=ACTION_COLUMNS,
    )


def _steps(log_ratio: Floats, start: int, stop: int, tolerance: float) -> Iterator[tuple[int, float]]:
    """Rows of [start, stop) where the log ratio rises above the running level, with the size of the rise."""
    if start == stop:
        return
    level, row = log_ratio[start], start + 1
    while row < stop:
        risen = log_ratio[row : min(row + _ROWS_AHEAD, stop)] > level + tolerance
        first = int(risen.argmax())
        if not risen[first]:
            row += len(risen)
            continue
        row += first
        yield row, float(log_ratio[row] - level)
        level, row = log_ratio[row], row + 1


def undo_splits(bars: pd.DataFrame, actions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Turn a provider's split-adjusted bars and dividends into bars and dividends as traded.

    Args:
        bars: prices divided, and volume multiplied, by every split in `actions` with a later ex-date.
        actions: splits as they were; dividends adjusted like the prices.

    Returns:
        Bars as traded, and actions with dividends in the shares of their ex-date; both new frames, same row order.
    """
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
    """Daily natural log total return, dividends reinvested.

    With s new shares for an old one and a dividend D per new share, the old share's price C_{t-1} becomes
    C_{t-1}/s - D on the ex-date, hence r_t = log(s C_t / (C_{t-1} - s D)). A session without a close has no return;
    the next one spans it, with the actions in between.

    Args:
        bars: as traded, sorted by symbol and session.
        actions: splits and dividends as they were.

    Returns:
        One value a bar, same index; NaN for a symbol's first close, a missing close, or a dividend that is no
        smaller than the price it came out of.

    Raises:
        ValueError: if the bars are not sorted by symbol and session, or a session is there twice.
    """
    split, dividend = facts_per_bar(bars, actions)
    codes, _ = symbol_codes(bars)
    close = bars["close"].to_numpy(np.float64)
    with_close = np.flatnonzero(close > 0)
    now, before = with_close[1:], with_close[:-1]
    ex_price = close[before] - split[now] * dividend[now]
    known = (codes[now] == codes[before]) & (ex_price > 0)
    returns = np.full(len(bars), np.nan)
    returns[now[known]] = np.log(split[now] * close[now] / np.where(known, ex_price, 1.0))[known]
    return pd.Series(returns, index=bars.index, name="log_return")


def adjusted_close(bars: pd.DataFrame, actions: pd.DataFrame, as_of: pd.Timestamp) -> pd.Series:
    """Close adjusted for the splits and dividends up to `as_of`, equal to the close as traded at its last session.

    Args:
        bars: as traded, sorted by symbol and session.
        actions: splits and dividends as they were.
        as_of: last date that counts.

    Returns:
        One value a bar, same index; NaN after `as_of` or where there is no close.
    """
    past = bars[bars["session"] <= as_of]
    with_close = past[past["close"] > 0]
    returns = total_log_returns(with_close, actions[actions["ex_date"] <= as_of]).fillna(0.0)
    by_symbol = returns.groupby(with_close["symbol"], sort=False)
    still_to_come = by_symbol.transform("sum") - by_symbol.cumsum()
    last = with_close.groupby("symbol", sort=False)["close"].transform("last")
    return (last * np.exp(-still_to_come)).reindex(bars.index).rename("adjusted_close")


def facts_per_bar(bars: pd.DataFrame, actions: pd.DataFrame) -> tuple[Floats, Floats]:
    """Split factor (1 where none) and dividend (0 where none, in that session's shares) that take effect at each bar.

    An action whose ex-date has no close takes effect at the symbol's next bar that has one.
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
    # Splits first, so that a dividend of the same day counts as paid on the new shares.
    effective = effective.sort_values(["row", "ex_date", "kind"], ascending=[True, True, False], kind="stable")
    is_split = (effective["kind"] == "split").to_numpy()
    row, value = effective["row"].to_numpy(), effective["value"].to_numpy(np.float64)
    np.multiply.at(split, row[is_split], value[is_split])
    so_far = pd.Series(np.where(is_split, value, 1.0)).groupby(row).cumprod().to_numpy()
    np.add.at(dividend, row[~is_split], (value * so_far / split[row])[~is_split])
    return split, dividend


def symbol_codes(bars: pd.DataFrame) -> tuple[Ints, pd.Index]:
    """Number the symbols in order of appearance, having checked that the bars are sorted and unique."""
    codes, symbols = pd.factorize(bars["symbol"])
    if (np.diff(_keys(codes, bars["session"])) <= 0).any():
        raise ValueError("`bars` must be sorted by symbol and session, each session once: received rows out of order.")
    return codes.astype(np.int64), pd.Index(symbols)


def _later_splits(symbols: pd.Series, dates: pd.Series, actions: pd.DataFrame) -> Floats:
    """Product of the splits of each row's symbol whose ex-date is after the row's date."""
    splits = actions[actions["kind"] == "split"].sort_values(["symbol", "ex_date"], kind="stable")
    codes, known = pd.factorize(splits["symbol"])
    from_here_on = splits["value"].iloc[::-1].groupby(codes[::-1]).cumprod().iloc[::-1]
    row_codes = pd.Index(known).get_indexer(pd.Index(symbols))
    following = np.searchsorted(_keys(codes, splits["ex_date"]), _keys(row_codes, dates), side="right")
    is_own = np.append(codes, -1)[following] == row_codes
    return np.where(is_own & (row_codes >= 0), np.append(from_here_on, 1.0)[following], 1.0)


_DATE_BITS = 24


def _keys(codes: npt.NDArray[np.integer], dates: pd.Series) -> Ints:
    """One sortable integer for a symbol and a date."""
    days = dates.to_numpy().astype("datetime64[D]").astype(np.int64)
    return (codes.astype(np.int64) << _DATE_BITS) + days + (1 << _DATE_BITS - 1)
