"""When an exchange was open: its sessions, its last closed one, and the months they make.

Over `exchange_calendars`, whose quirks are met here:

- Without `start` a calendar reaches only 20 years back.
- Holidays are known from 1970-01-01 on. Before that every weekday passes for a session, so no calendar starts earlier.
- Some calendars have a first (Tokyo 1997) or a last date (Shanghai and Bombay: the end of the last published year).
- Tel Aviv's (XTAE, 4.13) contradicts itself and is refused.

A date outside a calendar is refused or left out, never guessed.
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

from tasks.errors import BadRequestError

FIRST_KNOWN = pd.Timestamp("1970-01-01")
CALENDAR_COLUMNS = ["month", "last_session", "sessions_expected"]

_building = threading.Lock()


def last_closed_session(mic: str, now: datetime) -> date:
    """The newest session of the exchange that had closed at `now`; at the closing moment itself it has.

    Args:
        mic: ISO 10383 code of the exchange, such as XNYS; half days close early here too.
        now: any timezone-aware moment within the calendar.

    Raises:
        BadRequestError: if the exchange has no calendar, or `now` lies outside of it.
        ValueError: if `now` is naive.
    """
    moment = _utc(now)
    calendar = _calendar(mic, moment.year)
    closed = int(calendar.closes.searchsorted(moment, side="right"))
    if closed == 0 or moment.normalize().tz_localize(None) > _last_covered(mic, moment.year):
        raise BadRequestError(
            f"The calendar of {mic} covers {calendar.first_session:%Y-%m-%d} to {calendar.last_session:%Y-%m-%d}; "
            f"{now:%Y-%m-%d %H:%M %Z} lies outside of it."
        )
    session: date = calendar.sessions[closed - 1].date()
    return session


def month_table(mic: str, first: date, last: date) -> pd.DataFrame:
    """The months from that of `first` to that of `last`, both included, as the exchange's calendar has them.

    Months that the calendar does not cover from first to last day are left out.

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
    # A calendar that ends within the month cannot say which session is its last.
    is_whole = table["month"] + pd.offsets.MonthEnd(0) <= _last_covered(mic, last.year)
    types = {"month": "datetime64[ns]", "last_session": "datetime64[ns]", "sessions_expected": "int64"}
    return table.loc[is_whole, CALENDAR_COLUMNS].astype(types).reset_index(drop=True)


def sessions_between(mic: str, first: date, last: date) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    """The sessions from `first` to `last`, both included, and those of them that close early.

    Sessions that the calendar does not cover are left out.

    Raises:
        BadRequestError: if the exchange has no calendar.
    """
    calendar = _calendar(mic, last.year)
    found: list[pd.DatetimeIndex] = []
    for days in (calendar.sessions, calendar.early_closes):
        found.append(days[(days >= pd.Timestamp(first)) & (days <= pd.Timestamp(last))].astype("datetime64[ns]"))
    return found[0], found[1]


def due_days(mics: Sequence[str], months: Sequence[date], sessions: int) -> list[tuple[date, date]]:
    """When each month is due: the day of the `sessions`-th session after it, on the exchange that comes last.

    Where a calendar does not reach that far, weekdays and a week more stand in for sessions.

    Args:
        mics: ISO 10383 codes of the exchanges.
        months: Days of the months, of which the first of the month is taken.
        sessions: How many sessions, from 1.

    Returns:
        First day of the month, and the day it is due on, in the order given.

    Raises:
        BadRequestError: if an exchange has no calendar.
    """
    due = []
    for month in (pd.Timestamp(each).replace(day=1) for each in months):
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
    """Whether the exchange is one whose sessions are known here."""
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
    """The month of the first session if that month was open from its start, allowing for New Year's holidays."""
    month = first_session.replace(day=1)
    return month if first_session.day <= 7 else month + pd.offsets.MonthBegin(1)


def _calendar(mic: str, year: int) -> Any:
    """The calendar from 1970, or the earliest it allows, through the year after `year`, or the last it allows."""
    earliest, _ = _bounds(mic)
    start = FIRST_KNOWN if earliest is None else max(FIRST_KNOWN, earliest)
    return _build(mic, start=start, end=max(_last_covered(mic, year), start + pd.DateOffset(years=1)))


def _last_covered(mic: str, year: int) -> pd.Timestamp:
    """The last day that the calendar made for `year` knows about; years share the calendar of their decade."""
    _, latest = _bounds(mic)
    end = pd.Timestamp(year=(year + 1) // 10 * 10 + 9, month=12, day=31)
    return end if latest is None else min(end, latest)


@functools.cache
def _bounds(mic: str) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """First and last day the exchange's calendar can be made for; None where there is no bound."""
    try:
        calendar = _build(mic)
    except InvalidCalendarName as error:
        raise BadRequestError(f"Exchange {mic!r} has no calendar; expected an ISO 10383 code such as XNYS.") from error
    except ValueError as error:
        raise BadRequestError(f"The calendar of exchange {mic} cannot be made by this exchange_calendars.") from error
    return calendar.bound_min(), calendar.bound_max()


@functools.lru_cache(maxsize=128)
def _build(mic: str, **span: pd.Timestamp) -> Any:
    # exchange_calendars 4.13 makes pandas 3 warn about its own code; the filters are the process's, hence the lock.
    with _building, warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.Pandas4Warning)
        return xc.get_calendar(mic, **span)
