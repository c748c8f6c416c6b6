"""Backtests through the door, and what an analyst reads of them, against numbers worked by hand."""

from datetime import UTC, date, datetime
from math import sqrt
from typing import Any

import pandas as pd
import psycopg2
import pytest
from rows import query

from sql.store import Backtest, Store

START = datetime(2020, 2, 3, 12, tzinfo=UTC)
JANUARY, FEBRUARY = pd.Timestamp("2010-01-01"), pd.Timestamp("2010-02-01")


def backtest_of(**changes: Any) -> Backtest:
    values = {
        "source": "file",
        "universe": "u",
        "first_origin": JANUARY.date(),
        "last_origin": FEBRUARY.date(),
        "refit": "never",
        "forecasters": ("persistence", "garch"),
        "symbols": 3,
        "config": {"units": 2},
        "software": {"python": "3"},
        "data_fingerprint": "f",
        "started_at": START,
        "finished_at": START,
    }
    return Backtest(**(values | changes))


def error(origin: pd.Timestamp, forecaster: str, crps: float, **changes: Any) -> dict[str, Any]:
    row = {
        "origin_month": origin,
        "horizon": 1,
        "forecaster": forecaster,
        "symbols": 2,
        "crps": crps,
        "absolute_error": 0.03,
        "squared_error": 0.0016,
        "scaled_absolute_error": 0.6,
        "covered_80": 0.5,
        "covered_95": 1.0,
        "direction_right": 1.0,
        "went_up": 0.5,
        "persistence_crps": 0.04,
        "baseline_crps": float("nan"),
    }
    return row | changes


def errors_of(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows)


TWO = errors_of(
    error(JANUARY, "garch", 0.02, absolute_error=0.01, squared_error=0.0001, symbols=1),
    error(FEBRUARY, "garch", 0.04),
    error(JANUARY, "persistence", 0.04),
    error(FEBRUARY, "persistence", 0.04),
)


def test_add_backtest_keeps_what_it_was(store: Store, database_url: str) -> None:
    backtest_id = store.add_backtest(backtest_of(), TWO)
    assert query(
        database_url,
        "select backtest_id, universe, first_origin, refit, forecasters, symbols, config, finished_at "
        "from forecast.backtest",
    ) == [(backtest_id, "u", date(2010, 1, 1), "never", ["persistence", "garch"], 3, {"units": 2}, START)]
    assert query(
        database_url,
        "select count(*), count(model_version_id), min(backtest_id), count(baseline_crps) from forecast.backtest_error",
    ) == [(4, 0, backtest_id, 0)]


@pytest.mark.parametrize(
    "fault",
    [
        {"forecaster": "oracle"},
        {"crps": None},
        {"covered_80": 1.5},
        {"persistence_crps": -0.1},
        {"forecaster": "persistence", "origin_month": JANUARY},
    ],
    ids=str,
)
def test_add_backtest_writes_all_of_it_or_nothing(store: Store, database_url: str, fault: dict[str, Any]) -> None:
    with pytest.raises(psycopg2.Error):
        store.add_backtest(backtest_of(), pd.concat([TWO, errors_of(error(FEBRUARY, "drift", 0.1) | fault)]))
    assert query(database_url, "select count(*) from forecast.backtest") == [(0,)]
    assert query(database_url, "select count(*) from forecast.backtest_error") == [(0,)]


@pytest.mark.parametrize("owners", ["null, null", "1, 1"])
def test_an_error_belongs_to_a_model_version_or_to_a_backtest(store: Store, database_url: str, owners: str) -> None:
    store.add_backtest(backtest_of(), TWO)
    with pytest.raises(psycopg2.errors.CheckViolation, match="owner"):
        query(
            database_url,
            "insert into forecast.backtest_error (model_version_id, backtest_id, origin_month, horizon, forecaster, "
            f"symbols, crps, absolute_error, covered_80, covered_95) values ({owners}, '2010-03-01', 1, 'ets', 1, 0, "
            "0, 0, 0)",
        )


SCORES = (
    "select forecasts, months, mae, mse, rmse, mase, crps, coverage_80, coverage_95, hit_rate, always_up_rate, "
    "skill_vs_persistence, skill_vs_baseline from report.backtest_scorecard where window_months is null and "
)


def test_backtest_scorecard_equals_what_is_worked_by_hand(store: Store, database_url: str) -> None:
    """Months count equally: one symbol in January, two in February."""
    store.add_backtest(backtest_of(), TWO)
    (row,) = query(database_url, SCORES + "forecaster = 'garch'")
    assert row[:2] == (3, 2)
    expected = [0.02, 0.00085, sqrt(0.00085), 0.6, 0.03, 0.5, 1.0, 1.0, 0.5, 0.25]
    assert [float(value) for value in row[2:12]] == pytest.approx(expected)
    assert row[12] is None  # there was no baseline


def test_backtest_scorecard_is_of_the_newest_of_each_refit(store: Store, database_url: str) -> None:
    store.add_backtest(backtest_of(), errors_of(error(JANUARY, "garch", 0.5)))
    never = store.add_backtest(backtest_of(), TWO)
    yearly = store.add_backtest(backtest_of(refit="yearly"), errors_of(error(JANUARY, "garch", 0.1)))
    other = store.add_backtest(backtest_of(universe="other"), errors_of(error(JANUARY, "garch", 0.2)))
    found = query(
        database_url,
        "select universe, refit, backtest_id, crps from report.backtest_scorecard "
        "where window_months is null and forecaster = 'garch' order by crps",
    )
    assert found == [("u", "never", never, 0.03), ("u", "yearly", yearly, 0.1), ("other", "never", other, 0.2)]


def test_backtest_scorecard_has_the_columns_of_the_scorecard(database_url: str) -> None:
    columns = "select column_name from information_schema.columns where table_name = '{}' order by ordinal_position"
    live, backtest = (
        [name for (name,) in query(database_url, columns.format(view))] for view in ("scorecard", "backtest_scorecard")
    )
    assert [*(name for name in live if name != "retrospective_share"), "refit", "backtest_id"] == backtest


def test_scorecard_knows_nothing_of_backtests(store: Store, database_url: str) -> None:
    store.add_backtest(backtest_of(), TWO)
    assert query(database_url, "select * from report.scorecard") == []


def test_read_clock_is_the_databases(store: Store, database_url: str) -> None:
    before, moment = query(database_url, "select clock_timestamp()")[0][0], store.read_clock()
    assert before < moment < query(database_url, "select clock_timestamp()")[0][0]


def test_errors_of_model_versions_stay_as_they_were(empty_database_url: str) -> None:
    with Store(empty_database_url) as store:
        store.upgrade("0004")
        query(
            empty_database_url,
            "insert into ops.run (source, universe, origin_month, as_of, known_at, mode, symbols_asked, parameters, "
            "software, started_at) "
            "values ('file', 'u', '2020-01-01', '2020-01-31', now(), 'auto', 1, '{}', '{}', now());"
            "insert into forecast.model_version (source, universe, kind, run_id, trained_through, judged_from, "
            "judged_through, seed, config, data_fingerprint, software, weights, weights_sha256, verdict, "
            "verdict_reason, verdict_numbers, created_at) "
            "select 'file', 'u', 'retrain', run_id, now(), now(), now(), 0, "
            "'{}', '', '{}', '', repeat('0', 64), 'hybrid', '', '[]', now() from ops.run;"
            "insert into forecast.backtest_error select model_version_id, '2020-01-01', 1, 'hybrid', 2, 0.1, 0.2, 0.8, "
            "0.9 from forecast.model_version",
        )
        before = query(empty_database_url, "select * from forecast.backtest_error")
        store.upgrade()
    ((*kept, backtest_id, _, _, _, _, _, _),) = query(empty_database_url, "select * from forecast.backtest_error")
    assert [tuple(kept)] == before
    assert backtest_id is None
