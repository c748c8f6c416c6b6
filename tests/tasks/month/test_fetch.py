"""Rules of the fetch step: which bars are requested, and when a download fails."""

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.frames import ACTION_TYPES, BAR_TYPES, FINDING_TYPES
from tasks.errors import PricesIncompleteError, SourceUnavailableError
from tasks.month.fetch import (
    RECYCLED_DAYS,
    _apply_stated,
    _first_to_fetch,
    _is_complete,
    _reject_recycled,
    require_any,
)
from tasks.plans.prices import PricesPlan
from tasks.plans.universe import Instrument
from tasks.sources.base import INSTRUMENT_TYPES, Fetched, Outcome, SourceOutcome, stack

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


def make_download(mic: str, first: pd.Timestamp) -> Fetched:
    """A download of one symbol with two bars."""
    days = [first, first + pd.Timedelta(days=1)]
    bars = pd.DataFrame({"symbol": "S0", "session": days, **dict.fromkeys(["open", "high", "low", "close"], 10.0)})
    described = pd.DataFrame([("S0", mic, "USD", "daily", days[0], days[1], pd.NaT)], columns=list(INSTRUMENT_TYPES))
    return Fetched(
        bars.assign(volume=1.0).astype(BAR_TYPES),
        stack([], ACTION_TYPES),
        (SourceOutcome("S0", Outcome.OK),),
        stack([described], INSTRUMENT_TYPES),
        stack([], FINDING_TYPES),
    )


mics = st.sampled_from(["XNYS", "XNAS", "XLON", "XTKS", "24/7"])


@given(mic=mics, other=mics, gap=st.integers(-400, 4000))
def test_reject_recycled_needs_another_exchange_and_a_long_gap(mic: str, other: str, gap: int) -> None:
    known = stored(exchange_mic=mic)
    first = known["last_session"] + pd.Timedelta(days=gap)
    checked = _reject_recycled(make_download(other, first), {"S0": known})
    (outcome,) = checked.outcomes
    is_recycled = mic != other and gap > RECYCLED_DAYS
    assert (outcome.outcome is Outcome.REJECTED) is is_recycled
    assert len(checked.bars) == (0 if is_recycled else 2)
    command = f"`bellwether prices accept S0 --session {first:%Y-%m-%d} --as history`"
    assert (command in outcome.reason) is is_recycled


@given(mic=mics, currency=st.sampled_from(["USD", "GBP", "JPY"]))
def test_stated_exchange_and_currency_replace_the_defaults_of_a_file(mic: str, currency: str) -> None:
    instruments = (Instrument(symbol="S0", exchange_mic=mic, currency_code=currency),)
    plan = PricesPlan(source_spec="file:x", universe="x", instruments=instruments, requested_at=NOW)
    described = _apply_stated(make_download("XNYS", pd.Timestamp("2020-01-02")), plan).instruments
    assert described[["exchange_mic", "currency_code"]].to_numpy().tolist() == [[mic, currency]]
