"""Rules of the fetch step: which bars are requested, and when a download fails."""

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest

from tasks.errors import PricesIncompleteError, SourceUnavailableError
from tasks.month.fetch import _first_to_fetch, _is_complete, require_any
from tasks.plans.prices import PricesPlan
from tasks.plans.universe import Instrument

NOW = datetime(2026, 11, 3, 11, 0, tzinfo=UTC)  # a Tuesday, before New York opens


def prices_plan(symbols: int = 10, first: date | None = None) -> PricesPlan:
    instruments = tuple(Instrument(symbol=f"S{number}") for number in range(symbols))
    return PricesPlan(source_spec="yahoo", universe="test", instruments=instruments, requested_at=NOW, first=first)


def make_fetched(outcomes: list[str]) -> pd.DataFrame:
    rows = [(f"S{number}", outcome, "a reason") for number, outcome in enumerate(outcomes)]
    return pd.DataFrame(rows, columns=["symbol", "outcome", "reason"])


@pytest.mark.parametrize(
    ("outcomes", "error"),
    [
        (["rate_limited", "source_error"], SourceUnavailableError),
        (["rate_limited", "missing"], PricesIncompleteError),
        (["rejected"], PricesIncompleteError),
    ],
)
def test_require_any_distinguishes_no_response_from_no_bars(outcomes: list[str], error: type[Exception]) -> None:
    with pytest.raises(
        error, match=rf"None of the {len(outcomes)} symbols could be fetched \(first: S0, {outcomes[0]}: "
    ):
        require_any(make_fetched(outcomes))
    require_any(make_fetched([*outcomes, "ok"]))


def stored(**changes: Any) -> dict[Any, Any]:
    row = {
        "source": "yahoo",
        "other_source_until": pd.NaT,
        "first_trade": pd.NaT,
        "whole_downloads": 1,
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
        # A history that was cut short is requested again three times.
        (stored(first_trade=pd.Timestamp("1980-01-02")), None, None, None),
        (stored(first_trade=pd.Timestamp("1980-01-02"), whole_downloads=3), None, None, None),
        (stored(first_trade=pd.Timestamp("1980-01-02"), whole_downloads=4), None, None, date(2026, 10, 3)),
        (stored(first_trade=pd.Timestamp("1989-12-28")), None, None, date(2026, 10, 3)),
        # Bars of another source are never requested again, not even once a year or by the user.
        (stored(source="file", whole_at=pd.NaT), None, None, date(2026, 10, 3)),
        (stored(source="file"), None, date(2020, 1, 1), date(2026, 10, 3)),
        (stored(other_source_until=pd.Timestamp("2026-10-20"), whole_at=pd.NaT), None, None, date(2026, 10, 21)),
        (stored(other_source_until=pd.Timestamp("2020-10-20"), whole_at=pd.NaT), None, None, date(2026, 10, 3)),
    ],
)
def test_first_to_fetch_is_the_last_session_minus_an_overlap(
    row: dict[Any, Any] | None, source_begins: pd.Timestamp | None, first: date | None, expected: date | None
) -> None:
    assert _first_to_fetch("yahoo", row, source_begins, prices_plan(first=first)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"last_session": pd.Timestamp("2026-10-30")}, False),
        # Requested on the evening of the last session: its bar may still change.
        ({"requested_at": datetime(2026, 11, 2, 22, 0, tzinfo=UTC)}, False),
        ({"requested_at": pd.NaT}, False),
        ({"source": "file"}, False),
        ({"first_trade": pd.Timestamp("1980-01-02")}, False),
        ({"first_trade": pd.Timestamp("1980-01-02"), "whole_downloads": 4}, True),
    ],
)
def test_is_complete_when_no_newer_bar_is_possible(changes: dict[str, Any], expected: bool) -> None:
    assert _is_complete("yahoo", stored(**changes), prices_plan()) is expected
    assert not _is_complete("yahoo", stored(**changes), prices_plan(first=date(2020, 1, 1)))
