"""Trading calendars of the exchanges: sessions, the last closed session, and months.

The calendars are those of `exchange_calendars`, with these quirks:

- Without `start` a calendar covers only the last 20 years.
- Holidays are complete from 1970-01-01. Before, every weekday counts as a session, so no calendar starts earlier.
- Some calendars have a first date (Tokyo 1997) or a last one (Shanghai and Bombay: the end of the last published year).
- `24/7` is the calendar of a market that trades every day, by days in UTC.
- The calendar of Tel Aviv (XTAE, 4.13) is inconsistent and is refused.

A date outside a calendar is refused or omitted, never extrapolated.
"""

import functools
import threading
import warnings
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import exchange_calendars as xc
import pandas as pd
from exchange_calendars.errors import InvalidCalendarName

from model.frames import CALENDAR_TYPES
from tasks.errors import BadRequestError

FIRST_KNOWN = pd.Timestamp("1970-01-01")

_building = threading.Lock()


def last_closed_session(mic: str, now: datetime) -> date:
    """Find the newest session of the exchange that is closed at `now`; at the moment of its close it counts as closed.

    Args:
        mic: ISO 10383 code of the exchange, such as XNYS. Early closes are respected.
        now: Timezone-aware moment within the calendar.

    Raises:
        BadRequestError: if the exchange has no calendar, or `now` lies outside it.
        ValueError: if `now` is naive.
    """
    moment = _utc(now)
    calendar = _calendar(mic, moment.year)
    closed = int(calendar.closes.searchsorted(moment, side="right"))
    if closed == 0 or moment.normalize().tz_localize(None) > _last_covered(mic, moment.year):
        raise BadRequestError(
            f"The calendar of {mic} covers {calendar.first_session:%Y-%m-%d} to {calendar.last_session:%Y-%m-%d}; "
            f"{now:%Y-%m-%d %H:%M %Z} lies outside it."
        )
    session: date = calendar.sessions[closed - 1].date()
    return session


def month_table(mic: str, first: date, last: date) -> pd.DataFrame:
    """List the months of an exchange from that of `first` to that of `last`, both included.

    A month that the calendar does not cover completely is omitted.

    Args:
        mic: ISO 10383 code of the exchange.
        first: Any day of the first month.
        last: Any day of the last month.

    Returns:
        month (datetime64[ns], first of month), last_session (datetime64[ns]), sessions_expected (int64), oldest first.

    Raises:
        BadRequestError: if the exchange has no calendar.
    """
    sessions = _calendar(mic, last.year).sessions
    start = max(pd.Timestamp(first).replace(day=1), _first_full_month(sessions[0]))
    sessions = sessions[(sessions >= start) & (sessions <= pd.Timestamp(last) + pd.offsets.MonthEnd(0))]
    by_month = pd.Series(sessions).groupby(sessions.to_period("M"))
    table = pd.DataFrame({"last_session": by_month.max(), "sessions_expected": by_month.count()})
    table = table.rename_axis("month").reset_index()
    table["month"] = table["month"].dt.to_timestamp()
    # If a calendar ends within the month, the last session of the month is unknown.
    is_whole = table["month"] + pd.offsets.MonthEnd(0) <= _last_covered(mic, last.year)
    return table.loc[is_whole, list(CALENDAR_TYPES)].astype(CALENDAR_TYPES).reset_index(drop=True)


def sessions_between(mic: str, first: date, last: date) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    """List the sessions from `first` to `last`, both included, and those of them with an early close.

    Sessions that the calendar does not cover are omitted.

    Raises:
        BadRequestError: if the exchange has no calendar.
    """
    calendar = _calendar(mic, last.year)
    sessions, early_closes = (
        days[(days >= pd.Timestamp(first)) & (days <= pd.Timestamp(last))].astype("datetime64[ns]")
        for days in (calendar.sessions, calendar.early_closes)
    )
    return sessions, early_closes


def due_days(mics: Sequence[str], months: Sequence[date], sessions: int) -> list[tuple[date, date]]:
    """Find the day on which each month is due: the day of the `sessions`-th session after it, on the latest exchange.

    Where a calendar does not cover that day, weekdays plus one week stand in for sessions.

    Args:
        mics: ISO 10383 codes of the exchanges.
        months: Any day of each month.
        sessions: Number of sessions, at least 1.

    Returns:
        First day of each month and its due day, in the order of `months`.

    Raises:
        BadRequestError: if an exchange has no calendar.
    """
    due = []
    for month in (pd.Timestamp(day).replace(day=1) for day in months):
        following = month + pd.DateOffset(months=1)
        latest = following + pd.Timedelta(days=30 + 2 * sessions)
        days = []
        for mic in mics:
            open_days, _ = sessions_between(mic, following.date(), latest.date())
            fallback = pd.bdate_range(following, periods=sessions)[-1] + pd.Timedelta(days=7)
            days.append(open_days[sessions - 1] if len(open_days) >= sessions else fallback)
        due.append((month.date(), max(days).date()))
    return due


def has_calendar(mic: str) -> bool:
    """Check that the exchange has a calendar."""
    try:
        _bounds(mic)
    except BadRequestError:
        return False
    return True


def _utc(now: datetime) -> pd.Timestamp:
    if now.tzinfo is None or now.utcoffset() is None:
        raise ValueError(f"`now` must carry a timezone; received the naive {now.isoformat()}.")
    return pd.Timestamp(now).tz_convert("UTC")


def _first_full_month(first_session: pd.Timestamp) -> pd.Timestamp:
    """Find the first complete month: that of the first session if it opened within the first week, else the next."""
    month = first_session.replace(day=1)
    return month if first_session.day <= 7 else month + pd.offsets.MonthBegin(1)


def _calendar(mic: str, year: int) -> Any:
    """Return the calendar of the exchange, from 1970 to the year after `year`, as far as it covers them."""
    earliest, _ = _bounds(mic)
    start = FIRST_KNOWN if earliest is None else max(FIRST_KNOWN, earliest)
    return _build(mic, start=start, end=max(_last_covered(mic, year), start + pd.DateOffset(years=1)))


def _last_covered(mic: str, year: int) -> pd.Timestamp:
    """Find the last day of the calendar for `year`; the years of a decade share one calendar."""
    _, latest = _bounds(mic)
    end = pd.Timestamp(year=(year + 1) // 10 * 10 + 9, month=12, day=31)
    return end if latest is None else min(end, latest)


@functools.cache
def _bounds(mic: str) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """Find the first and last possible day of the exchange's calendar; None if unbounded."""
    try:
        calendar = _build(mic)
    except InvalidCalendarName as error:
        raise BadRequestError(f"Exchange {mic!r} has no calendar; expected an ISO 10383 code such as XNYS.") from error
    except ValueError as error:
        raise BadRequestError(
            f"The calendar of exchange {mic} is unusable in this version of exchange_calendars."
        ) from error
    return calendar.bound_min(), calendar.bound_max()


@functools.lru_cache(maxsize=128)
def _build(mic: str, **span: pd.Timestamp) -> Any:
    # exchange_calendars 4.13 triggers warnings of pandas 3; the lock guards the global filters.
    with _building, warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.Pandas4Warning)
        return xc.get_calendar(mic, **span)
