"""Faults of Yahoo from the field: from its HTTP to the tables."""

import contextlib
import itertools
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from flows.ingest import ingest_prices
from tasks.errors import PricesIncompleteError
from tasks.month.check import _read_screened_bars
from tests.support.commands import Bellwether
from tests.support.rows import query
from tests.support.yahoo_server import YahooServer


@pytest.fixture
def responses(shared_data: Path) -> Path:
    return shared_data / "field" / "yahoo"


def load(yahoo: YahooServer, directory: Path, *symbols: str) -> None:
    for symbol in symbols:
        yahoo.results[symbol] = json.loads((directory / f"{symbol}.json").read_text())


def first_request(yahoo: YahooServer, symbol: str) -> date:
    """Return the first day of the newest request; 1970 for the whole history."""
    request = yahoo.queries[symbol][-1]
    return datetime.fromtimestamp(max(0, int(request.get("period1", 0))), UTC).date()


def findings(url: str, symbol: str) -> dict[str, str]:
    return dict(query(url, f"select rule, reason from report.finding where symbol = '{symbol}'"))


def test_history_cut_short_is_requested_again(yahoo: YahooServer, database_url: str, responses: Path) -> None:
    """Three more times, then once a year: Yahoo may really lack the data."""
    load(yahoo, responses / "p4a", "CUTS")
    ingest_prices(source="yahoo", symbols=["CUTS"])
    reason = findings(database_url, "CUTS")["history_cut"]
    assert "begin on 2026-08-10, and the source reports the first trade on 2023-01-03: the next 3 downloads" in reason

    load(yahoo, responses / "p4b", "CUTS")
    ingest_prices(source="yahoo", symbols=["CUTS"])
    assert first_request(yahoo, "CUTS").year < 1990
    assert query(database_url, "select min(session)::text, count(*) from market.daily_bar") == [("2025-12-01", 249)]
    requests = [len(yahoo.queries["CUTS"])]
    for _ in range(4):
        ingest_prices(source="yahoo", symbols=["CUTS"])
        requests.append(len(yahoo.queries["CUTS"]))
    assert first_request(yahoo, "CUTS").year < 1990
    assert [after > before for before, after in itertools.pairwise(requests)] == [True, True, True, False]
    assert "the whole history is requested once a year" in findings(database_url, "CUTS")["history_cut"]

    # A history that reaches the first trade clears the finding.
    yahoo.results["CUTS"]["meta"]["firstTradeDate"] = yahoo.results["CUTS"]["timestamp"][0]
    query(database_url, "update ops.download set known_at = known_at - interval '2 years'")
    ingest_prices(source="yahoo", symbols=["CUTS"])
    assert "history_cut" not in findings(database_url, "CUTS")


def test_recycled_symbol_is_accepted_without_the_old_company(
    yahoo: YahooServer, bellwether: Bellwether, database_url: str, responses: Path
) -> None:
    load(yahoo, responses / "p1", "RECY")
    ingest_prices(source="yahoo", symbols=["RECY"])
    load(yahoo, responses / "p2", "RECY")
    with contextlib.suppress(PricesIncompleteError):
        ingest_prices(source="yahoo", symbols=["RECY"])
    (reason,) = query(database_url, "select reason from ops.download where outcome = 'rejected'")[0]
    command = "bellwether prices accept RECY --session 2026-03-02 --as history"
    assert f"`{command}`" in reason
    assert bellwether(*command.split()[1:])[0] == 0
    ingest_prices(source="yahoo", symbols=["RECY"])
    rows = query(database_url, "select treatment, value from report.finding where rule = 'other_history'")
    assert rows == [("excluded", 282.0)]
    assert query(database_url, "select count(*) from market.corporate_action where kind = 'split'") == [(0,)]
    assert not {"unexplained_move", "missed_split", "unit_jump"} & set(findings(database_url, "RECY"))
    assert query(database_url, "select count(*) from market.daily_bar") == [(282 + 188,)]


def test_dividends_in_another_unit_are_findings_or_repaired(
    yahoo: YahooServer, database_url: str, responses: Path
) -> None:
    """SMALL.L is 100 times too small, BIGA.L 100 times too large, GOOD.L is right."""
    symbols = ["SMALL.L", "BIGA.L", "GOOD.L"]
    load(yahoo, responses / "p1", *symbols)
    ingest_prices(source="yahoo", symbols=symbols)
    rows = query(
        database_url, "select symbol, rule, treatment, count(*) from report.finding group by 1, 2, 3 order by 1, 2"
    )
    assert rows == [("BIGA.L", "implausible_dividend", "repaired", 4), ("SMALL.L", "dividend_unit", "kept", 4)]
    now = datetime.now(UTC)
    screened = _read_screened_bars(symbols, as_of=now.date(), known_at=now).actions
    values = screened.groupby("symbol")["value"].apply(list).to_dict()
    assert values["BIGA.L"] == pytest.approx([0.032] * 4)  # GBP: 3.2 pence
    assert values["GOOD.L"] == pytest.approx([0.08] * 4)


def test_newest_days_in_another_unit_are_rejected(yahoo: YahooServer, database_url: str, responses: Path) -> None:
    load(yahoo, responses / "p1", "LAST.L")
    ingest_prices(source="yahoo", symbols=["LAST.L"])
    load(yahoo, responses / "p2", "LAST.L")
    ingest_prices(source="yahoo", symbols=["LAST.L"])
    rows = query(database_url, "select treatment, reason from report.finding where rule = 'unit_jump'")
    assert [treatment for treatment, _ in rows] == ["rejected"]
    assert "bellwether prices accept LAST.L --session" in rows[0][1]
    assert query(database_url, "select count(*) from market.corporate_action where kind = 'split'") == [(0,)]


def test_change_of_label_alone_names_the_command(yahoo: YahooServer, database_url: str, responses: Path) -> None:
    load(yahoo, responses / "p1", "LABL.L")
    ingest_prices(source="yahoo", symbols=["LABL.L"])
    load(yahoo, responses / "p2", "LABL.L")
    with contextlib.suppress(PricesIncompleteError):
        ingest_prices(source="yahoo", symbols=["LABL.L"])
    (reason,) = query(database_url, "select reason from ops.download where outcome = 'rejected'")[0]
    assert "`bellwether prices accept LABL.L --as history`" in reason
    assert query(database_url, "select count(*) from market.bar_revision") == [(0,)]


def test_stated_exchange_wins_and_another_currency_is_rejected(
    yahoo: YahooServer, database_url: str, responses: Path, tmp_path: Path
) -> None:
    load(yahoo, responses / "p3", "SUND", "DOLL.L")
    yahoo.results["OTHER"] = json.loads(json.dumps(yahoo.results["SUND"]).replace('"SUND"', '"OTHER"'))
    universe = tmp_path / "stated.csv"
    universe.write_text("symbol,exchange_mic,currency_code\nSUND,XASE,USD\nOTHER,,EUR\nDOLL.L,,GBp\n")
    ingest_prices(source="yahoo", universe=str(universe))
    rows = query(database_url, "select symbol, exchange_mic, currency_code from market.instrument order by 1")
    assert rows == [("DOLL.L", "XLON", "GBP"), ("SUND", "XASE", "USD")]
    (reason,) = query(database_url, "select reason from ops.download where symbol = 'OTHER'")[0]
    assert "states the currency EUR, and the source reports USD" in reason
