"""Sessions and months, compared with published holidays and with recorded bars."""

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest

from tasks.calendars import due_days, has_calendar, last_closed_session, month_table
from tasks.errors import BadRequestError

NEW_YORK_WINTER = timezone(timedelta(hours=-5))


@pytest.mark.parametrize(
    ("mic", "now", "expected"),
    [
        ("XNYS", datetime(2026, 11, 24, 20, 59, 59, tzinfo=UTC), date(2026, 11, 23)),
        ("XNYS", datetime(2026, 11, 24, 21, 0, tzinfo=UTC), date(2026, 11, 24)),  # 16:00 in New York
        ("XNYS", datetime(2026, 11, 24, 16, 0, tzinfo=NEW_YORK_WINTER), date(2026, 11, 24)),
        ("XNYS", datetime(2026, 11, 26, 23, 0, tzinfo=UTC), date(2026, 11, 25)),  # Thanksgiving
        ("XNYS", datetime(2026, 11, 27, 17, 59, tzinfo=UTC), date(2026, 11, 25)),
        ("XNYS", datetime(2026, 11, 27, 18, 0, tzinfo=UTC), date(2026, 11, 27)),  # half day, 13:00 in New York
        ("XNYS", datetime(2026, 11, 29, 12, 0, tzinfo=UTC), date(2026, 11, 27)),  # Sunday
        ("XNAS", datetime(2018, 12, 5, 23, 0, tzinfo=UTC), date(2018, 12, 4)),  # day of mourning
        ("XTKS", datetime(2026, 11, 24, 15, 0, tzinfo=UTC), date(2026, 11, 24)),  # midnight in Tokyo
        ("XLON", datetime(2024, 8, 26, 23, 0, tzinfo=UTC), date(2024, 8, 23)),  # summer bank holiday
    ],
)
def test_last_closed_session_respects_closes_and_holidays(mic: str, now: datetime, expected: date) -> None:
    assert last_closed_session(mic, now) == expected


def test_last_closed_session_refuses_a_naive_moment() -> None:
    with pytest.raises(ValueError, match=r"`now` must carry a timezone; received the naive 2026-11-24T15:00:00"):
        last_closed_session("XNYS", datetime(2026, 11, 24, 15))  # noqa: DTZ001 - the fault under test


@pytest.mark.parametrize(
    ("mic", "year"),
    [("XNYS", 1969), ("XTKS", 1996), ("XSHG", 1990)],
)
def test_last_closed_session_refuses_a_date_outside_the_calendar(mic: str, year: int) -> None:
    with pytest.raises(BadRequestError, match=f"The calendar of {mic} covers .* lies outside it"):
        last_closed_session(mic, datetime(year, 6, 1, tzinfo=UTC))


def test_unknown_exchange_is_refused_by_name() -> None:
    with pytest.raises(BadRequestError, match="'NOPE' has no calendar; expected an ISO 10383 code"):
        last_closed_session("NOPE", datetime(2026, 1, 1, tzinfo=UTC))
    assert [has_calendar(mic) for mic in ("XNYS", "XNAS", "ARCX", "XTKS", "NOPE", "")] == [True] * 4 + [False] * 2


def test_month_table_has_complete_months_on_both_ends() -> None:
    """Good Friday 2024 was 29 March, so March ended a day early; New Year's Day was closed."""
    table = month_table("XNYS", date(2024, 1, 20), date(2024, 4, 2))
    assert table.to_numpy().tolist() == [
        [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-31"), 21],
        [pd.Timestamp("2024-02-01"), pd.Timestamp("2024-02-29"), 20],
        [pd.Timestamp("2024-03-01"), pd.Timestamp("2024-03-28"), 20],
        [pd.Timestamp("2024-04-01"), pd.Timestamp("2024-04-30"), 22],
    ]
    assert table.dtypes.astype(str).tolist() == ["datetime64[ns]", "datetime64[ns]", "int64"]


@pytest.mark.parametrize(
    ("month", "sessions"),
    [
        (date(2001, 9, 1), 15),  # 20 weekdays, Labor Day, and 11 to 14 September
        (date(2012, 10, 1), 21),  # 23 weekdays, two of them in the hurricane
        (date(2018, 12, 1), 19),  # 21 weekdays, Christmas, and the day of mourning
    ],
)
def test_month_table_respects_extraordinary_closures(month: date, sessions: int) -> None:
    assert month_table("XNYS", month, month)["sessions_expected"].tolist() == [sessions]


def test_month_table_omits_months_outside_the_calendar() -> None:
    assert month_table("XNYS", date(1928, 1, 1), date(1970, 2, 1))["month"].tolist() == [
        pd.Timestamp("1970-01-01"),
        pd.Timestamp("1970-02-01"),
    ]
    assert month_table("XTKS", date(1996, 11, 1), date(1997, 1, 31))["month"].tolist() == [pd.Timestamp("1997-01-01")]
    assert month_table("XNYS", date(1928, 1, 1), date(1950, 1, 1)).empty


def test_month_table_agrees_with_fifty_years_of_recorded_bars(shared_data: Path) -> None:
    table = pa.csv.read_csv(
        shared_data / "daily.csv.gz",
        convert_options=pa.csv.ConvertOptions(include_columns=["date"], column_types={"date": pa.date32()}),
    )
    days = pd.DatetimeIndex(np.unique(table["date"].to_numpy()))
    days = days[(days >= "1970-01-01") & (days < "2018-12-01")]
    by_month = days.to_series().groupby(days.to_period("M"))
    expected = pd.DataFrame({"last_session": by_month.max(), "sessions_expected": by_month.count()})

    months = month_table("XNYS", date(1970, 1, 1), date(2018, 11, 1))

    assert len(months) == 587
    assert months["last_session"].tolist() == expected["last_session"].tolist()
    assert months["sessions_expected"].tolist() == expected["sessions_expected"].tolist()


@pytest.mark.parametrize(
    ("mics", "month", "sessions", "expected"),
    [
        (["XNYS"], date(2026, 10, 1), 1, date(2026, 11, 2)),  # the 1st is a Sunday
        (["XNYS"], date(2026, 10, 31), 5, date(2026, 11, 6)),
        (["XNYS"], date(2026, 12, 1), 3, date(2027, 1, 6)),  # New Year is a Friday
        (["XNYS"], date(2025, 12, 1), 1, date(2026, 1, 2)),
        (["XNYS", "XTKS"], date(2025, 12, 1), 1, date(2026, 1, 5)),  # Tokyo opens on the 5th
        (["XNYS"], date(2026, 10, 1), 15, date(2026, 11, 20)),
        (["XNYS"], date(2026, 10, 1), 19, date(2026, 11, 27)),  # Thanksgiving is no session
        # Beyond the published calendar of Shanghai: the first weekday, a Thursday, plus one week.
        (["XSHG"], date(2035, 10, 1), 1, date(2035, 11, 8)),
    ],
)
def test_due_days_counts_sessions_of_the_latest_exchange(
    mics: list[str], month: date, sessions: int, expected: date
) -> None:
    assert due_days(mics, [month], sessions) == [(month.replace(day=1), expected)]


def test_due_days_returns_one_day_a_month_in_order() -> None:
    due = due_days(["XLON"], [date(2026, month, 1) for month in (3, 1, 2)], 1)
    # Easter Monday 2026 is the 6th of April; the 1st of February and of March are Sundays.
    assert due == [
        (date(2026, 3, 1), date(2026, 4, 1)),
        (date(2026, 1, 1), date(2026, 2, 2)),
        (date(2026, 2, 1), date(2026, 3, 2)),
    ]


def test_due_days_refuses_an_exchange_without_a_calendar() -> None:
    with pytest.raises(BadRequestError, match="NONE"):
        due_days(["NONE"], [date(2026, 1, 1)], 1)
