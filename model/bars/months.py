"""Months built from sessions.

A provider's monthly interval is never used: it has mid-month rows, repeated last rows and wrongly adjusted dividends.
"""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pandas as pd

from model import Flags, Floats, Ints
from model.bars.adjustment import actions_per_bar, symbol_codes, total_log_returns
from model.frames import ACTION_TYPES, BAR_TYPES, CALENDAR_TYPES, MONTH_TYPES, PRICE_COLUMNS, check_frame


def build_months(
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    month_table: pd.DataFrame,
    as_of: pd.Timestamp,
    monthly_symbols: Collection[str] = (),
) -> pd.DataFrame:
    """Aggregate the sessions up to `as_of` to months.

    The log return runs from the last close of the previous month to the last close of the month, dividends
    reinvested. The realised variance of a symbol with one bar a month is its squared monthly return.

    Args:
        bars: Frame of BAR_TYPES as traded, sorted by symbol and session. A session without a close is not present.
        actions: Frame of ACTION_TYPES.
        month_table: Frame of CALENDAR_TYPES of the exchange. A month that is not in it expects the sessions of any
            symbol, and is over when its last day is `as_of` or earlier.
        as_of: Last session and ex-date that count.
        monthly_symbols: Symbols with one bar a month. Their months expect one session on any date, and are final
            when the month is over.

    Returns:
        Frame of MONTH_TYPES, sorted by symbol and month. `log_return` is NaN in the first month of a symbol, after a
        gap of a month or more, and where a daily return is unknown. `is_final` requires that the last session of the
        calendar is present and not later than `as_of`.

    Raises:
        ValueError: If a column is missing, the bars are not sorted by symbol and session, or a session is repeated.
    """
    check_frame(bars, BAR_TYPES, "bars")
    check_frame(actions, ACTION_TYPES, "actions")
    check_frame(month_table, CALENDAR_TYPES, "month_table")
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

    in_last_shares = _shares_of_month_end(actions_per_bar(bars, actions)[0], starts, ends)
    price = {column: bars[column].to_numpy(np.float64) / in_last_shares for column in PRICE_COLUMNS}
    volume = np.nan_to_num(bars["volume"].to_numpy(np.float64)) * in_last_shares

    calendar = _calendar_months(days, month_table, as_of).loc[
        months[starts].astype("datetime64[M]").astype("datetime64[ns]")
    ]
    has_last = days[ends] >= calendar["last_session"].to_numpy().astype("datetime64[D]")
    is_monthly = symbols.isin(list(monthly_symbols))[codes[starts]]
    frame = {
        "symbol": bars["symbol"].array[starts],
        "month": calendar.index,
        "open": _first_positive(price["open"], starts, ends),
        "high": np.fmax.reduceat(price["high"], starts),
        "low": np.fmin.reduceat(price["low"], starts),
        "close": price["close"][ends],
        "volume": np.add.reduceat(volume, starts),
        "log_return": np.where(follows, np.add.reduceat(returns, starts), np.nan),
        "realised_variance": np.add.reduceat(returns**2, starts),
        "last_session": days[ends].astype("datetime64[ns]"),
        "sessions_present": ends - starts + 1,
        "sessions_expected": np.where(is_monthly, 1, calendar["sessions_expected"].to_numpy(np.int64)),
        "is_final": calendar["is_over"].to_numpy(np.bool_) & (has_last | is_monthly),
    }
    return pd.DataFrame(frame, columns=list(MONTH_TYPES))


def _calendar_months(days: npt.NDArray[np.datetime64], month_table: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Return last session, number of sessions and `is_over` by month, from the calendar or else from the bars."""
    sessions = pd.Series(np.unique(days).astype("datetime64[ns]"))
    by_month = sessions.groupby(sessions.to_numpy().astype("datetime64[M]").astype("datetime64[ns]"))
    fallback = pd.DataFrame({"last_session": by_month.max(), "sessions_expected": by_month.size()})
    fallback["is_over"] = pd.DatetimeIndex(fallback.index) + pd.offsets.MonthEnd(0) <= as_of
    table = month_table.set_index("month")[["last_session", "sessions_expected"]]
    table = table.assign(is_over=table["last_session"] <= as_of)
    return pd.concat([table, fallback[~fallback.index.isin(table.index)]])


def _shares_of_month_end(split: Floats, starts: Ints, ends: Ints) -> Floats:
    """Return the shares at the month's last session per share at each session: the product of the later splits."""
    month = np.repeat(np.arange(len(starts)), ends - starts + 1)
    remaining = pd.Series(split[::-1]).groupby(month[::-1]).cumprod().to_numpy()[::-1]
    return np.asarray(remaining / split, dtype=np.float64)


def _first_positive(price: Floats, starts: Ints, ends: Ints) -> Floats:
    """Return the first price above zero of each month, NaN if the month has none."""
    row = np.where(price > 0, np.arange(len(price)), len(price))
    first = np.minimum.reduceat(row, starts)
    opening: Floats = np.where(first <= ends, np.append(price, np.nan)[np.minimum(first, len(price))], np.nan)
    return opening


def _changes(values: Ints) -> Flags:
    """Flag the values that differ from the previous one; the first is always flagged."""
    return np.append(True, np.diff(values) != 0)[: len(values)]
