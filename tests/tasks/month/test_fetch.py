"""The rules of ingestion that need no flow: what is asked for, and when a month has enough symbols."""

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest

from sql.store import MonthKey
from tasks.errors import PricesIncompleteError, SourceUnavailableError
from tasks.month.check import OUTCOME_COLUMNS, Checked, require_coverage
from tasks.month.fetch import _first_to_fetch, _is_complete, require_any
from tasks.plans.month import MonthPlan
from tasks.plans.prices import PricesPlan
from tasks.plans.universe import Instrument

NOW = datetime(2026, 11, 3, 11, 0, tzinfo=UTC)  # a Tuesday, before New York opens


def prices_plan(symbols: int = 10, first: date | None = None) -> PricesPlan:
    instruments = tuple(Instrument(symbol=f"S{number}") for number in range(symbols))
    return PricesPlan(source_spec="yahoo", universe="test", instruments=instruments, requested_at=NOW, first=first)


def month_plan(symbols: int = 10) -> MonthPlan:
    return MonthPlan(
        key=MonthKey(source="yahoo", universe="test", origin_month=date(2026, 10, 1)),
        as_of=date(2026, 11, 2),
        known_at=NOW,
        prices=prices_plan(symbols),
        mode="auto",
        correction=0,
        min_coverage=0.9,
        published_run_id=None,
    )


def checked(outcomes: list[str], delisted: tuple[str, ...] = ()) -> Checked:
    rows = [(f"S{number}", outcome, "as said", pd.NaT, 0) for number, outcome in enumerate(outcomes)]
    return Checked(pd.DataFrame(), pd.DataFrame(rows, columns=OUTCOME_COLUMNS), delisted)


@pytest.mark.parametrize(
    ("outcomes", "delisted"),
    [
        (["ok"] * 10, ()),
        (["ok"] * 9 + ["stale"], ()),
        (["ok"] * 5 + ["missing"] * 5, ("S5", "S6", "S7", "S8", "S9")),
        (["ok"] * 9 + ["rejected", "missing", "missing"], ("S10", "S11")),
        (["ok"] * 10, ("S3",)),  # believed delisted, and yet it came
    ],
)
def test_require_coverage_goes_on_at_nine_of_ten(outcomes: list[str], delisted: tuple[str, ...]) -> None:
    require_coverage(month_plan(len(outcomes)), checked(outcomes, delisted))


@pytest.mark.parametrize(
    ("outcomes", "delisted", "words"),
    [
        (["ok"] * 8 + ["stale", "rejected"], (), "8 of 10 symbols do .1 stale, 1 rejected; S8: as said.\\.$"),
        (["ok"] * 8 + ["stale", "missing"], ("S9",), "8 of 9 symbols do .*; 1 more are believed delisted"),
        (["missing"] * 3, ("S0", "S1", "S2"), "0 of 0 symbols do"),
        (["rate_limited"] * 10, (), "0 of 10 symbols do"),
    ],
)
def test_require_coverage_stops_below(outcomes: list[str], delisted: tuple[str, ...], words: str) -> None:
    with pytest.raises(PricesIncompleteError, match=words):
        require_coverage(month_plan(len(outcomes)), checked(outcomes, delisted))


@pytest.mark.parametrize(
    ("outcomes", "error"),
    [
        (["rate_limited", "source_error"], SourceUnavailableError),
        (["rate_limited", "missing"], PricesIncompleteError),
        (["rejected"], PricesIncompleteError),
    ],
)
def test_require_any_tells_a_source_that_is_down_from_one_that_has_nothing(
    outcomes: list[str], error: type[Exception]
) -> None:
    frame = checked(outcomes).outcomes
    with pytest.raises(error, match="S0"):
        require_any(frame)
    require_any(checked([*outcomes, "ok"]).outcomes)


def stored(**changes: Any) -> dict[Any, Any]:
    row = {
        "exchange_mic": "XNYS",
        "bar_interval": "daily",
        "first_session": pd.Timestamp("1990-01-02"),
        "last_session": pd.Timestamp("2026-11-02"),
        "whole_at": datetime(2026, 2, 1, tzinfo=UTC),
        "requested_at": datetime(2026, 11, 3, 6, 0, tzinfo=UTC),
    }
    return row | changes


@pytest.mark.parametrize(
    ("row", "source_begins", "first", "expected"),
    [
        (None, None, None, None),
        (stored(), None, None, date(2026, 10, 3)),
        (stored(bar_interval="monthly"), None, None, date(2026, 8, 4)),
        (stored(), pd.Timestamp("1990-01-02"), None, date(2026, 10, 3)),
        (stored(), pd.Timestamp("1980-01-02"), None, None),
        (stored(whole_at=datetime(2025, 11, 1, tzinfo=UTC)), None, None, None),
        (stored(whole_at=pd.NaT), None, None, None),
        (stored(), None, date(2020, 1, 1), date(2020, 1, 1)),
        (None, None, date(2020, 1, 1), date(2020, 1, 1)),
    ],
)
def test_first_to_ask_is_what_is_missing_and_an_overlap(
    row: dict[Any, Any] | None, source_begins: pd.Timestamp | None, first: date | None, expected: date | None
) -> None:
    assert _first_to_fetch(row, source_begins, prices_plan(first=first)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"last_session": pd.Timestamp("2026-10-30")}, False),
        # Asked on the evening of the last session: its bar may still change.
        ({"requested_at": datetime(2026, 11, 2, 22, 0, tzinfo=UTC)}, False),
        ({"requested_at": pd.NaT}, False),
    ],
)
def test_is_complete_when_nothing_newer_can_have_come(changes: dict[str, Any], expected: bool) -> None:
    assert _is_complete(stored(**changes), prices_plan()) is expected
    assert not _is_complete(stored(**changes), prices_plan(first=date(2020, 1, 1)))
