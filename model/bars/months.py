"""Months built from sessions, never taken from a provider's monthly interval."""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pandas as pd

from model import Flags, Floats, Ints
from model.bars.adjustment import facts_per_bar, symbol_codes, total_log_returns

MONTH_COLUMNS = [
    "symbol",
    "month",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "log_return",
    "realised_variance",
    "last_session",
    "sessions_present",
    "sessions_expected",
    "is_final",
]


def build_months(
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    month_table: pd.DataFrame,
    as_of: pd.Timestamp,
    monthly_symbols: Collection[str] = (),
) -> pd.DataFrame:
    """Aggregate the sessions up to `as_of` to months.

    Prices and volume are in the shares of the month's last session. The log return runs from the last close of the
    month before to the last close of this one, dividends reinvested; the realised variance is the sum of the squared
    daily log returns, so that a symbol with one bar a month gets its squared monthly return. `last_session` is the
    last session that is present.

    Args:
        bars: as traded, sorted by symbol and session; a session without a close does not count as present.
        actions: splits and dividends as they were.
        month_table: month, last_session and sessions_expected of the exchange's calendar. A month that it lacks is
            measured against the sessions seen in any symbol, and is over when its last day is no later than `as_of`.
        as_of: last date that counts, for sessions and ex-dates.
        monthly_symbols: symbols whose source has one bar a month; their months expect one session, whatever its
            date, and are final when the month is over.

    Returns:
        One row a symbol and month, sorted, with MONTH_COLUMNS. `log_return` is NaN in a symbol's first month, after
        a gap of a month or more, and where a daily return is unknown. `is_final` only when the last session that the
        calendar expects is no later than `as_of` and present.

    Raises:
        ValueError: if the bars are not sorted by symbol and session, or a session is there twice.
    """
    bars = bars[((bars["session"] <= as_of) & (bars["close"] > 0)).to_numpy()]
    actions = actions[(actions["ex_date"] <= as_of).to_numpy()]
    codes, symbols = symbol_codes(bars)
    days = bars["session"].to_numpy().astype("datetime64[D]")
    months = days.astype("datetime64[M]").astype(np.int64)  # since 1970
    starts = np.flatnonzero(_changes(codes) | _changes(months))
    ends = np.append(starts[1:], len(bars))[: len(starts)] - 1

    returns = total_log_returns(bars, actions).to_numpy()
    is_unknown = np.isnan(returns) & ~_changes(codes)
    follows = (
        ~_changes(codes[starts])
        & (np.diff(months[starts], prepend=0) == 1)
        & ~np.logical_or.reduceat(is_unknown, starts)
    )
    returns = np.nan_to_num(returns)

    in_last_shares = _shares_of_month_end(facts_per_bar(bars, actions)[0], starts, ends)
    price = {column: bars[column].to_numpy(np.float64) / in_last_shares for column in ("open", "high", "low", "close")}
    volume = np.nan_to_num(bars["volume"].to_numpy(np.float64)) * in_last_shares

    expected = _expectations(days, month_table, as_of).loc[
        months[starts].astype("datetime64[M]").astype("datetime64[ns]")
    ]
    has_last = days[ends] >= expected["last_session"].to_numpy().astype("datetime64[D]")
    is_monthly = symbols.isin(list(monthly_symbols))[codes[starts]]
    frame = {
        "symbol": bars["symbol"].array[starts],
        "month": expected.index,
        "open": _first_positive(price["open"], starts, ends),
        "high": np.fmax.reduceat(price["high"], starts),
        "low": np.fmin.reduceat(price["low"], starts),
        "close": price["close"][ends],
        "volume": np.add.reduceat(volume, starts),
        "log_return": np.where(follows, np.add.reduceat(returns, starts), np.nan),
        "realised_variance": np.add.reduceat(returns**2, starts),
        "last_session": days[ends].astype("datetime64[ns]"),
        "sessions_present": ends - starts + 1,
        "sessions_expected": np.where(is_monthly, 1, expected["sessions_expected"].to_numpy(np.int64)),
        "is_final": expected["is_over"].to_numpy(np.bool_) & (has_last | is_monthly),
    }
    return pd.DataFrame(frame, columns=MONTH_COLUMNS)


def _expectations(days: npt.NDArray[np.datetime64], month_table: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Last session, number of sessions and whether it is over, for every month: the calendar's, else as seen."""
    seen = pd.Series(np.unique(days).astype("datetime64[ns]"))
    by_month = seen.groupby(seen.to_numpy().astype("datetime64[M]").astype("datetime64[ns]"))
    fallback = pd.DataFrame({"last_session": by_month.max(), "sessions_expected": by_month.size()})
    fallback["is_over"] = pd.DatetimeIndex(fallback.index) + pd.offsets.MonthEnd(0) <= as_of
    known = month_table.set_index("month")[["last_session", "sessions_expected"]]
    known = known.assign(is_over=known["last_session"] <= as_of)
    return pd.concat([known, fallback[~fallback.index.isin(known.index)]])


def _shares_of_month_end(split: Floats, starts: Ints, ends: Ints) -> Floats:
    """Shares at the month's last session for one share at each session: the product of the month's later splits."""
    month = np.repeat(np.arange(len(starts)), ends - starts + 1)
    from_here_on = pd.Series(split[::-1]).groupby(month[::-1]).cumprod().to_numpy()[::-1]
    return np.asarray(from_here_on / split, dtype=np.float64)


def _first_positive(price: Floats, starts: Ints, ends: Ints) -> Floats:
    """First price of each month that is there and above zero, else NaN."""
    row = np.where(price > 0, np.arange(len(price)), len(price))
    first = np.minimum.reduceat(row, starts)
    found: Floats = np.where(first <= ends, np.append(price, np.nan)[np.minimum(first, len(price))], np.nan)
    return found


def _changes(values: Ints) -> Flags:
    """Where a value differs from the one before; the first always does."""
    return np.append(True, np.diff(values) != 0)[: len(values)]
