"""Prices alone, from the source to the tables, against a real Postgres and a real Prefect."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tasks.month.fetch
from flows.ingest import ingest_prices
from tasks.database import get_store
from tasks.errors import PricesIncompleteError
from tests.support.database import write_prices
from tests.support.rows import query


def counts(url: str) -> dict[str, int]:
    tables = "market.daily_bar", "market.bar_revision", "market.corporate_action", "market.finding"
    return {table: query(url, f"select count(*) from {table}")[0][0] for table in tables}


def test_ingest_prices_stores_and_checks_bars(
    machine: None, database_url: str, index_bars: pd.DataFrame, tmp_path: Path
) -> None:
    faulty = index_bars.copy()
    faulty.loc[100, ["high", "close"]] = [1.0, faulty.loc[100, "close"]]  # a high below the low
    summary = ingest_prices(write_prices(tmp_path / "p.csv", faulty))
    assert summary.universe == "p"
    assert summary.outcomes["outcome"].tolist() == ["ok", "ok"]
    assert summary.outcomes["first_session"].tolist() == [pd.Timestamp("1999-01-04")] * 2
    assert counts(database_url)["market.daily_bar"] == len(index_bars)
    assert set(query(database_url, "select symbol, outcome from ops.download")) == {("COMP", "ok"), ("SPX", "ok")}
    ((symbol, session, treatment),) = query(
        database_url, "select symbol, session, treatment from report.finding where rule = 'impossible_bar'"
    )
    shown = summary.findings.set_index(["rule", "treatment"]).loc[("impossible_bar", "excluded")]
    assert (shown["findings"], shown["example"]) == (1, f"{symbol} {session}")
    assert (symbol, pd.Timestamp(session), treatment) == (*faulty.loc[100, ["ticker", "date"]], "excluded")


def test_ingest_prices_again_writes_no_price(
    machine: None, database_url: str, index_bars: pd.DataFrame, tmp_path: Path
) -> None:
    source = write_prices(tmp_path / "p.csv", index_bars)
    ingest_prices(source)
    tables = "market.daily_bar", "market.bar_revision", "market.corporate_action", "market.instrument", "market.finding"

    def versions() -> list[object]:
        return [query(database_url, f"select ctid::text, xmin::text from {table} order by 1") for table in tables]

    before = versions()
    ingest_prices(source)
    ingest_prices(source, first=date(1999, 1, 1))
    assert versions() == before


def test_ingest_prices_goes_on_where_it_was_killed(
    machine: pytest.MonkeyPatch, database_url: str, index_bars: pd.DataFrame, tmp_path: Path
) -> None:
    """What was stored before stays, and the next run completes the rest."""
    source, store_fetched, calls = write_prices(tmp_path / "p.csv", index_bars), tasks.month.fetch._store_fetched, []

    def store_one(*arguments: object) -> pd.DataFrame:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return store_fetched(*arguments)  # type: ignore[arg-type]

    with machine.context() as broken:
        broken.setattr(tasks.month.fetch, "_store_fetched", store_one)
        with pytest.raises(KeyboardInterrupt):
            ingest_prices(source, chunk_symbols=1)
    assert query(database_url, "select distinct symbol from market.daily_bar") == [("COMP",)]
    first_versions = query(database_url, "select xmin::text, ctid::text from market.daily_bar order by 2")
    summary = ingest_prices(source, chunk_symbols=1)
    assert summary.outcomes["outcome"].tolist() == ["ok", "ok"]
    assert counts(database_url)["market.daily_bar"] == len(index_bars)
    kept = query(
        database_url, "select xmin::text, ctid::text from market.daily_bar where symbol = 'COMP' order by ctid::text"
    )
    assert kept == first_versions


def test_ingest_prices_without_bars_gives_the_reason(
    machine: None, database_url: str, index_bars: pd.DataFrame, tmp_path: Path
) -> None:
    """Another company's prices under a known symbol: nothing is overwritten."""
    index = index_bars[index_bars["ticker"] == "SPX"]
    ingest_prices(write_prices(tmp_path / "p.csv", index))
    before = counts(database_url)
    other = index_bars[index_bars["ticker"] == "COMP"].assign(ticker="SPX")
    with pytest.raises(PricesIncompleteError, match="SPX: rejected, its prices contradict most of those stored"):
        ingest_prices(write_prices(tmp_path / "p.csv", other))
    assert counts(database_url) == before
    assert query(database_url, "select outcome from ops.download order by known_at") == [("ok",), ("rejected",)]


def test_ingest_prices_of_six_downloads_of_the_same_bars(
    machine: None, database_url: str, shared_data: Path, tmp_path: Path
) -> None:
    """Downloads of 2014-2016 as made in 2017, 2018, 2021, 2023, 2024 and 2025: restated for every later split.

    What was traded stays; what was corrected meanwhile is kept beside it; prices adjusted for dividends are refused.
    """
    vintages = pd.read_csv(shared_data / "messy" / "vintages_2014_2016.csv.gz")
    vintages.columns = ["vintage", "ticker", "date", "open", "high", "low", "close", "adj_close", "volume"]
    moments = []
    for name, download in vintages.groupby("vintage", sort=True):
        # Six significant digits, and no step of adj_close, which is of another basis in each of them.
        file = download.drop(columns="vintage").assign(adj_close=download["close"])
        summary = ingest_prices(write_prices(tmp_path / "vintage.csv", file), first=date(2014, 1, 1))
        moments.append((str(name), summary, datetime.now(UTC)))
    raw = vintages[vintages["vintage"] == "2017-03_raw_close"].set_index(["ticker", "date"])["close"]
    names = sorted(raw.index.levels[0].intersection(raw.index.get_level_values(0)))
    for _, _, moment in moments:
        stored = get_store().read_bars(names, as_of=date(2017, 1, 1), known_at=moment)
        traded = stored.set_index([stored["symbol"], stored["session"].dt.strftime("%Y-%m-%d")])["close"]
        np.testing.assert_allclose(traded, raw.loc[traded.index], rtol=1e-4)
    splits = query(
        database_url, "select symbol, ex_date, value from market.corporate_action where kind = 'split' order by 1"
    )
    assert [(symbol, str(day), value) for symbol, day, value in splits] == [
        ("AAPL", "2014-06-09", 7.0),
        ("NFLX", "2015-07-15", 7.0),
    ]
    last = moments[-1][1].outcomes.set_index("symbol")["outcome"]
    assert last.to_dict() == {
        "AAPL": "rejected",
        "AMZN": "ok",
        "DIS": "rejected",
        "GE": "rejected",
        "NFLX": "ok",
        "TSLA": "ok",
        "XOM": "rejected",
    }
    # Volumes were restated by more than 0.5 % in places; each such bar is kept as it was known before.
    revised = query(database_url, "select count(*), max(abs(new_close / old_close - 1)) from market.bar_revision")
    assert revised[0][0] > 0
    assert revised[0][1] < 1e-4
