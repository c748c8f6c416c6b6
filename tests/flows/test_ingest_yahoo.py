"""From Yahoo's HTTP to the tables: the real client, a loopback server with every fault, a real Postgres."""

import contextlib
import csv
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tasks.month.fetch
from flows.ingest import ingest_prices
from tasks.calendars import last_closed_session, sessions_between
from tasks.errors import PricesIncompleteError
from tasks.sources.yahoo.pace import Limits
from tasks.sources.yahoo.source import YahooSource
from tests.support.rows import query
from tests.support.yahoo_server import Fault, YahooServer, make_result

SYMBOLS = [f"S{number:03}" for number in range(200)]
NEWEST = pd.Timestamp(last_closed_session("XNYS", datetime.now(UTC)))
_LAST = (NEWEST - pd.Timedelta(days=10)).date()
SESSIONS = [f"{day:%Y-%m-%d}" for day in sessions_between("XNYS", _LAST - timedelta(days=120), _LAST)[0][-60:]]
LIMITS = Limits(timeout_seconds=0.5)
NO_SUCH_DATA = (Fault.NOT_FOUND, Fault.NO_DATA_FOR_DATES, Fault.NULL_RESULT, Fault.EMPTY_CHART)
NO_ANSWER = tuple(fault for fault in Fault if fault not in NO_SUCH_DATA)


@pytest.fixture
def yahoo(machine: pytest.MonkeyPatch, yahoo_server: YahooServer, tmp_path: Path) -> YahooServer:
    """Every source that a run opens is the real one, requests the loopback server, and does not really wait."""

    def open_source(*_: object) -> YahooSource:
        return YahooSource(
            tmp_path / "cache",
            base_url=yahoo_server.url,
            max_workers=4,
            limits=LIMITS,
            sleep=lambda seconds: None,
            rng=np.random.default_rng(1),
        )

    machine.setattr(tasks.month.fetch, "open_request_source", open_source)
    machine.setattr("tasks.plans.prices.open_request_source", open_source)
    return yahoo_server


def write_universe(path: Path, symbols: list[str]) -> str:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["symbol"], *([symbol] for symbol in symbols)])
    return str(path)


def closes_of(number: int) -> dict[str, float]:
    """Closes in six significant digits, a separate level for each symbol."""
    steps = np.random.default_rng(number).normal(0, 0.01, len(SESSIONS))
    return dict(zip(SESSIONS, np.round((10 + number) * np.exp(steps.cumsum()), 4).tolist(), strict=True))


def stored_closes(url: str) -> dict[tuple[str, str], float]:
    rows = query(url, "select symbol, session::text, close from market.daily_bar")
    return {(symbol, session): close for symbol, session, close in rows}


def test_ingest_prices_of_200_symbols_of_which_40_fail_in_every_way(
    yahoo: YahooServer, database_url: str, tmp_path: Path
) -> None:
    """Right outcomes, nothing wrong stored, a second run that completes what recovered, requests within the budget."""
    truth = {symbol: closes_of(number) for number, symbol in enumerate(SYMBOLS)}
    for symbol, closes in truth.items():
        yahoo.results[symbol] = make_result(closes)
    failing = SYMBOLS[2::5]
    recovering, lost = failing[0::2], failing[1::2]
    # Of each kind of fault one symbol that recovers between the runs, and one that does not.
    faults = [fault for fault in Fault for _ in range(2)][: len(recovering)]
    for symbol, fault in zip(recovering, faults, strict=False):
        yahoo.fail(symbol, fault)
    for symbol, fault in zip(lost, [*Fault, *Fault], strict=False):
        yahoo.fail(symbol, fault)
    fault_of = dict(zip(recovering, faults, strict=False)) | dict(zip(lost, [*Fault, *Fault], strict=False))
    assert set(fault_of) == set(failing)
    assert set(fault_of.values()) == set(Fault)

    def expected_outcome(symbol: str) -> str:
        fault = fault_of.get(symbol)
        if fault is None:
            return "ok"
        if fault in NO_SUCH_DATA:
            return "missing"
        return "rate_limited" if fault is Fault.RATE_LIMITED else "source_error"

    universe = write_universe(tmp_path / "two_hundred.csv", SYMBOLS)
    summary = ingest_prices("yahoo", universe=universe)

    assert summary.outcomes.set_index("symbol")["outcome"].to_dict() == {
        each: expected_outcome(each) for each in SYMBOLS
    }
    assert dict(query(database_url, "select symbol, outcome from ops.download")) == {
        each: expected_outcome(each) for each in SYMBOLS
    }
    healthy = [symbol for symbol in SYMBOLS if symbol not in fault_of]
    expected = {(symbol, session): close for symbol in healthy for session, close in truth[symbol].items()}
    assert stored_closes(database_url) == pytest.approx(expected, rel=1e-12)
    assert yahoo.chart_requests <= LIMITS.requests_budget(len(SYMBOLS))
    assert yahoo.most_at_once <= 4

    for symbol in recovering:
        yahoo.fail(symbol, Fault.NOT_FOUND, times=0)
    before, known_before = yahoo.chart_requests, dict(query(database_url, "select symbol, known_at from ops.download"))
    summary = ingest_prices("yahoo", universe=universe)

    come = {*healthy, *recovering}
    assert summary.outcomes.set_index("symbol")["outcome"].to_dict() == {
        each: "ok" if each in come else expected_outcome(each) for each in SYMBOLS
    }
    expected = {(symbol, session): close for symbol in come for session, close in truth[symbol].items()}
    assert stored_closes(database_url) == pytest.approx(expected, rel=1e-12)
    assert yahoo.chart_requests - before <= LIMITS.requests_budget(len(SYMBOLS))
    assert query(database_url, "select count(*) from market.bar_revision") == [(0,)]
    # A failure implies nothing about a symbol: only those that Yahoo reports as missing may be suspected, later.
    assert query(database_url, "select distinct status from market.instrument") == [("active",)]
    assert set(known_before) == set(SYMBOLS)


def test_ingest_prices_requests_missing_bars_only(yahoo: YahooServer, database_url: str, tmp_path: Path) -> None:
    """The overlap for stored symbols, everything for what is new, nothing for what can have no newer bar."""
    old = closes_of(1)
    today = {**old, f"{NEWEST:%Y-%m-%d}": 11.0}
    yahoo.results |= {"OLD": make_result(old), "DONE": make_result(today)}
    ingest_prices("yahoo", symbols=["OLD", "DONE"])
    query(
        database_url,
        "update ops.download set known_at = known_at + interval '1 day' where symbol = 'DONE' returning symbol",
    )
    yahoo.queries.clear()
    yahoo.results["NEW"] = make_result(today)
    summary = ingest_prices("yahoo", symbols=["OLD", "DONE", "NEW"])
    assert summary.outcomes["outcome"].tolist() == ["ok", "ok", "ok"]
    assert set(yahoo.queries) == {"OLD", "NEW"}
    firsts = {
        symbol: datetime.fromtimestamp(int(queries[-1]["period1"]), UTC).date()
        for symbol, queries in yahoo.queries.items()
    }
    assert firsts["OLD"] == date.fromisoformat(SESSIONS[-1]) - pd.Timedelta(days=30)
    assert firsts["NEW"] < date(1980, 1, 1)


def test_ingest_prices_never_overwrites_a_history_that_yahoo_restated_in_silence(
    yahoo: YahooServer, database_url: str
) -> None:
    """A 4:1 split without an event: the factor is undone, the split is stored, no bar is revised."""
    old = closes_of(1)
    yahoo.results["A"] = make_result(old)
    ingest_prices("yahoo", symbols=["A"])
    newest = f"{NEWEST:%Y-%m-%d}"
    last = old[SESSIONS[-1]]
    restated = {session: close / 4 for session, close in old.items()} | {newest: last / 4 * 1.01}
    yahoo.results["A"] = make_result(restated, volume=4_000)
    summary = ingest_prices("yahoo", symbols=["A"])
    assert "splits: 4 on" in summary.outcomes["reason"].iloc[0]
    assert stored_closes(database_url) == pytest.approx(
        {("A", session): close for session, close in {**old, newest: last / 4 * 1.01}.items()}
    )
    assert query(database_url, "select count(*) from market.bar_revision") == [(0,)]
    assert query(database_url, "select ex_date::text, kind, value from market.corporate_action") == [
        (newest, "split", 4.0)
    ]


FIELD_OUTCOMES = {
    "ASKED": "source_error",
    "GOOD.L": "ok",
    "FUNDX": "ok",
    "BIGA.L": "ok",
    "SMALL.L": "ok",
    "WI#": "rejected",
}


def load_field(yahoo: YahooServer, directory: Path) -> None:
    for path in sorted(directory.glob("*.json")):
        yahoo.results[path.stem] = json.loads(path.read_text())


def outcomes_of(url: str) -> dict[str, str]:
    rows = query(url, "select distinct on (symbol) symbol, outcome from ops.download order by symbol, known_at desc")
    return dict(rows)


def test_field_responses_have_the_right_outcomes(
    yahoo: YahooServer, database_url: str, shared_data: Path, tmp_path: Path
) -> None:
    """The response for another symbol is not stored, an invalid symbol is not requested, capital gains are cash."""
    load_field(yahoo, shared_data / "field" / "yahoo" / "p1")
    ingest_prices(source="yahoo", universe=write_universe(tmp_path / "u.csv", [*FIELD_OUTCOMES]))
    assert outcomes_of(database_url) == FIELD_OUTCOMES
    assert not {"WI", "WI#"} & set(yahoo.queries)
    stored = query(database_url, "select distinct symbol from market.daily_bar order by 1")
    assert [symbol for (symbol,) in stored] == ["BIGA.L", "FUNDX", "GOOD.L", "SMALL.L"]
    assert query(database_url, "select value from market.corporate_action where symbol = 'FUNDX'") == [(2.4,)]


def test_field_dividend_in_another_currency_is_a_finding(
    yahoo: YahooServer, database_url: str, shared_data: Path, tmp_path: Path
) -> None:
    load_field(yahoo, shared_data / "field" / "yahoo" / "p3")
    ingest_prices(source="yahoo", universe=write_universe(tmp_path / "u.csv", ["DOLL.L", "SUND"]))
    assert query(database_url, "select count(*) from market.corporate_action where symbol = 'DOLL.L'") == [(0,)]
    found = query(database_url, "select distinct symbol, rule from report.finding order by 1")
    assert ("DOLL.L", "dividend_currency") in found
    assert ("SUND", "day_without_session") in found
    days = query(database_url, "select count(*) from market.daily_bar where extract(isodow from session) > 5")
    assert days == [(0,)]


@pytest.mark.parametrize("symbol", ["LABL.L", "RECY"])
def test_field_second_download_of_another_unit_or_company_is_rejected(
    yahoo: YahooServer, database_url: str, shared_data: Path, tmp_path: Path, symbol: str
) -> None:
    universe = write_universe(tmp_path / "u.csv", [symbol])
    load_field(yahoo, shared_data / "field" / "yahoo" / "p1")
    ingest_prices(source="yahoo", universe=universe)
    before = query(database_url, "select session, close, volume from market.daily_bar order by session")
    load_field(yahoo, shared_data / "field" / "yahoo" / "p2")
    with contextlib.suppress(PricesIncompleteError):
        ingest_prices(source="yahoo", universe=universe)
    assert query(database_url, "select session, close, volume from market.daily_bar order by session") == before
    assert query(database_url, "select count(*) from market.corporate_action where kind = 'split'") == [(0,)]
    assert outcomes_of(database_url) == {symbol: "rejected"}
