"""Faulty price files from the field: from the file to the tables."""

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pandas as pd
import pytest

from flows.ingest import ingest_prices
from tasks.errors import BadRequestError
from tasks.month.check import read_months
from tasks.plans.month import MonthPlan
from tests.support.rows import query


def stored(url: str, symbol: str) -> pd.DataFrame:
    rows = query(
        url,
        "select session, open, high, low, close, volume from market.daily_bar "
        f"where symbol = '{symbol}' order by session",
    )
    return pd.DataFrame(rows, columns=["session", "open", "high", "low", "close", "volume"]).set_index("session")


def findings(url: str, symbol: str) -> dict[str, str]:
    return dict(query(url, f"select rule, min(treatment) from report.finding where symbol = '{symbol}' group by rule"))


@pytest.fixture
def field(shared_data: Path) -> Path:
    return shared_data / "field"


def test_three_header_lines_are_read_by_name(machine: None, database_url: str, field: Path) -> None:
    ingest_prices(source=f"file:{field / 'd01_yf_multiheader'}")
    yfa, yfc = stored(database_url, "YFA"), stored(database_url, "YFC")
    assert yfa.loc[date(2018, 3, 1), ["open", "high", "low", "close"]].round(2).tolist() == [50.75, 50.76, 49.59, 49.95]
    pd.testing.assert_frame_equal(yfa, yfc, rtol=1e-4)
    dividends = query(
        database_url, "select symbol, round(value::numeric, 2) from market.corporate_action where symbol <> 'YFB'"
    )
    assert sorted((symbol, float(value)) for symbol, value in dividends) == [("YFA", 0.4)] * 3 + [("YFC", 0.4)] * 3


def test_second_header_changes_the_order_of_columns(machine: None, database_url: str, field: Path) -> None:
    ingest_prices(source=f"file:{field / 'd16_second_header'}")
    row = stored(database_url, "APND").loc[date(2018, 10, 1)]
    assert row[["high", "low", "close"]].round(2).tolist() == [74.09, 72.79, 73.16]
    assert stored(database_url, "TWOT").empty


def test_hours_are_aggregated_to_days(machine: None, database_url: str, field: Path) -> None:
    ingest_prices(source=f"file:{field / 'd11_hourly'}")
    row = stored(database_url, "HOUR").loc[date(2018, 9, 4)]
    assert (round(row["open"], 2), round(row["low"], 2), row["volume"]) == (80.00, 79.53, 1_435_486)


def test_oversized_volumes_are_missing_values(machine: None, database_url: str, field: Path) -> None:
    ingest_prices(source=f"file:{field / 'd09_volume_beyond_bigint.csv.gz'}")
    assert len(stored(database_url, "FINE")) == 242
    assert stored(database_url, "BIGV")["volume"].isna().all()
    assert findings(database_url, "BIGV")["oversized_volume"] == "repaired"


def test_other_separators_are_no_delisting(machine: None, database_url: str, field: Path) -> None:
    ingest_prices(source=f"file:{field / 'd15b_format_changes'}")
    pd.testing.assert_frame_equal(stored(database_url, "FINE"), stored(database_url, "FIN2"))


def test_copies_on_sundays_are_excluded(machine: None, database_url: str, field: Path) -> None:
    ingest_prices(source=f"file:{field / 'd13_sunday_copies'}")
    assert findings(database_url, "SUNC") == {"not_a_session": "excluded"}
    assert findings(database_url, "SUNX") == {}


def months(symbols: list[str]) -> pd.DataFrame:
    """Build the months that a run uses today."""
    now = datetime.now(UTC)
    key = SimpleNamespace(origin_month=now.date().replace(day=1))
    plan = cast(MonthPlan, SimpleNamespace(as_of=now.date(), known_at=now, key=key))
    return read_months(plan, symbols)[0].set_index(["symbol", "month"])


def test_copies_on_sundays_enter_no_month(machine: None, field: Path) -> None:
    """2016-07-31 was a Sunday: its bar is Monday's, of the next month."""
    ingest_prices(source=f"file:{field / 'd13_sunday_copies'}")
    built = months(["SUNC", "SUNX"])
    assert built.loc[("SUNC", pd.Timestamp("2016-07-01")), "close"] == pytest.approx(44.62, abs=0.005)
    pd.testing.assert_frame_equal(built.loc["SUNC"], built.loc["SUNX"])


def test_dates_off_by_a_day_are_rejected(machine: None, database_url: str, field: Path) -> None:
    ingest_prices(source=f"file:{field / 'd04_utc_midnight'}")
    for symbol in ("PARA", "PARB", "PARC"):
        assert findings(database_url, symbol)["shifted_sessions"] == "rejected"


def test_days_without_a_session_are_findings(machine: None, database_url: str, field: Path) -> None:
    ingest_prices(source=f"file:{field / 'd06_seven_days.csv.gz'}")
    assert findings(database_url, "COIN-USD")["not_a_session"] == "excluded"


def test_market_of_every_day_has_its_calendar(machine: None, database_url: str, field: Path, tmp_path: Path) -> None:
    universe = tmp_path / "coins.csv"
    universe.write_text("symbol,exchange_mic\nCOIN-USD,24/7\n")
    ingest_prices(source=f"file:{field / 'd06_seven_days.csv.gz'}", universe=str(universe))
    assert query(database_url, "select exchange_mic from market.instrument") == [("24/7",)]
    assert not {"not_a_session", "gap", "shifted_sessions"} & set(findings(database_url, "COIN-USD"))
    universe.write_text("symbol,exchange_mic\nCOIN-USD,XNOWHERE\n")
    with pytest.raises(BadRequestError, match="gives COIN-USD the exchange 'XNOWHERE', which has no calendar"):
        ingest_prices(source=f"file:{field / 'd06_seven_days.csv.gz'}", universe=str(universe))


@pytest.mark.parametrize(("symbol", "ratio"), [("RV18", 18), ("RV75", 75), ("RV1000", 1000)])
def test_odd_reverse_splits_are_exact_or_rejected(
    machine: None, database_url: str, field: Path, symbol: str, ratio: int
) -> None:
    ingest_prices(source=f"file:{field / 'd08_odd_reverse_splits'}")
    rows = query(
        database_url, f"select rule, value, treatment from report.finding where symbol = '{symbol}' order by rule"
    )
    splits = [1 / value for rule, value, _ in rows if rule == "missed_split"]
    is_rejected = any(treatment == "rejected" for *_, treatment in rows)
    assert is_rejected or splits == pytest.approx([ratio])


def test_change_of_unit_is_rejected(machine: None, database_url: str, field: Path) -> None:
    ingest_prices(source=f"file:{field / 'y3b_units' / 'first' / 'units.csv.gz'}")
    before = query(database_url, "select * from market.daily_bar order by symbol, session")
    ingest_prices(source=f"file:{field / 'y3b_units' / 'second' / 'units.csv.gz'}")
    after = query(database_url, "select * from market.daily_bar order by symbol, session")
    changed = {row[0] for row in set(after) ^ set(before)}
    splits = query(database_url, "select symbol from market.corporate_action where kind = 'split'")
    rejected = query(database_url, "select symbol from ops.download where outcome = 'rejected'")
    assert splits == []
    assert rejected
    assert not changed & {symbol for (symbol,) in rejected}


def test_exchange_and_currency_of_the_universe_file_apply(machine: None, database_url: str, field: Path) -> None:
    ingest_prices(source=f"file:{field / 'd05_tokyo.csv.gz'}", universe=str(field / "d05_tokyo_universe.csv"))
    instruments = query(database_url, "select symbol, exchange_mic, currency_code from market.instrument order by 1")
    assert instruments == [("TK0.T", "XTKS", "JPY"), ("TK1.T", "XTKS", "JPY")]
    assert query(database_url, "select count(*) from report.finding where rule in ('gap', 'not_a_session')") == [(0,)]
    built = months(["TK0.T", "TK1.T"])
    assert built["is_final"].groupby("month").all()[pd.Timestamp("2018-04-01")]


def test_reverse_split_of_raw_closes_loses_no_dividend(machine: None, database_url: str, field: Path) -> None:
    """The split of 1:8, and all ten dividends, five on each side."""
    ingest_prices(source=f"file:{field / 'd02_raw_reverse_split.csv.gz'}")
    paid = query(database_url, "select ex_date, value from market.corporate_action where kind = 'dividend' order by 1")
    assert len(paid) == 10
    assert [day < date(2017, 6, 1) for day, _ in paid] == [True] * 5 + [False] * 5
    assert [value for _, value in paid] == pytest.approx([0.1] * 5 + [0.8] * 5, rel=0.01)
    split = query(database_url, "select session, value from report.finding where rule = 'missed_split'")
    assert split == [(date(2017, 6, 1), 0.125)]
    assert findings(database_url, "RSPL") == {"adjusted_fall": "kept", "missed_split": "repaired"}
