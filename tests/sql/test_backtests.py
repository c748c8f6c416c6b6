"""Backtests and their scorecard, against values computed by hand and by other libraries."""

from datetime import UTC, date, datetime
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
import psycopg2
import pytest
from scipy import stats

from model.evaluation.backtest import mean_errors
from sql.store import Backtest, Store
from tests.support.other_scores import LEVELS, QUANTILES, better_p, kupiec_p, kupiec_ratio, spearman, with_losses
from tests.support.rows import query

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
        "winkler_80": 0.2,
        "winkler_95": 0.4,
        "rank_ic": float("nan"),
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


def test_add_backtest_stores_its_parameters(store: Store, database_url: str) -> None:
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
def test_add_backtest_is_all_or_nothing(store: Store, database_url: str, fault: dict[str, Any]) -> None:
    with pytest.raises(psycopg2.Error):
        store.add_backtest(backtest_of(), pd.concat([TWO, errors_of(error(FEBRUARY, "drift", 0.1) | fault)]))
    assert query(database_url, "select count(*) from forecast.backtest") == [(0,)]
    assert query(database_url, "select count(*) from forecast.backtest_error") == [(0,)]


@pytest.mark.parametrize("owners", ["null, null", "1, 1"])
def test_error_belongs_to_a_model_version_or_a_backtest(store: Store, database_url: str, owners: str) -> None:
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


def test_backtest_scorecard_equals_values_computed_by_hand(store: Store, database_url: str) -> None:
    """Months count equally: one symbol in January, two in February."""
    store.add_backtest(backtest_of(), TWO)
    (row,) = query(database_url, SCORES + "forecaster = 'garch'")
    assert row[:2] == (3, 2)
    expected = [0.02, 0.00085, sqrt(0.00085), 0.6, 0.03, 0.5, 1.0, 1.0, 0.5, 0.25]
    assert [float(value) for value in row[2:12]] == pytest.approx(expected)
    assert row[12] is None  # without a baseline


def test_backtest_scorecard_agrees_with_other_libraries(store: Store, database_url: str) -> None:
    """All columns to 1e-9, for twenty origins with five or six symbols and forecasters of different skill."""
    rng = np.random.default_rng(1)
    parts = []
    for number, origin in enumerate(pd.date_range("2010-01-01", periods=20, freq="MS")):
        symbols = [f"S{place}" for place in range(6 if number % 3 else 5)]
        actual = rng.normal(0.01, 0.05, len(symbols))
        for forecaster, width in (("hybrid", 0.05), ("baseline", 0.06), ("persistence", 0.09)):
            centre = rng.normal(0, 0.01, len(symbols)) * (forecaster != "persistence")
            part = pd.DataFrame(centre[:, None] + width * stats.norm.ppf(LEVELS), columns=QUANTILES)
            named = part.assign(symbol=symbols, origin_month=origin, horizon=2, forecaster=forecaster)
            parts.append(named.assign(actual_log_return=actual, naive_mae=0.04, origin_close=1.0))
    forecasts = pd.concat(parts, ignore_index=True)
    forecasts["target_month"] = forecasts["origin_month"] + pd.DateOffset(months=2)
    store.add_backtest(backtest_of(), mean_errors(forecasts))

    scored = with_losses(forecasts.rename(columns={"actual_log_return": "actual"}))
    scored = scored.assign(
        error=(scored["q50"] - scored["actual"]).abs(),
        squared=(scored["q50"] - scored["actual"]) ** 2,
        is_right=(scored["q50"] > 0) == (scored["actual"] > 0),
        is_up=scored["actual"] > 0,
    )
    of_month = scored.groupby(["forecaster", "origin_month"])
    numbers = ["error", "squared", "scaled", "crps", "winkler_80", "winkler_95", "covered_80", "covered_95", "is_right"]
    months = of_month[[*numbers, "is_up"]].mean()
    count, covered = of_month.size(), of_month[["covered_80", "covered_95"]].sum().astype(float)
    names = ["source", "universe", "forecaster", "horizon", "window_months", "forecasts", "months", "mae", "mse"]
    names += ["rmse", "mase", "crps", "pinball", "winkler_80", "winkler_95", "coverage_80", "coverage_95"]
    names += ["kupiec_p_80", "kupiec_p_95", "kupiec_p_80_if_independent", "kupiec_p_95_if_independent", "hit_rate"]
    names += ["always_up_rate", "skill_vs_persistence", "p_vs_persistence", "skill_vs_baseline", "p_vs_baseline"]
    rows = query(database_url, "select * from report.backtest_scorecard where window_months is null")
    found = {row[2]: dict(zip([*names, "rank_ic", "refit", "backtest_id"], row, strict=True)) for row in rows}
    assert set(found) == {"hybrid", "baseline", "persistence"}
    for forecaster, row in found.items():
        own, size, hits = months.loc[forecaster], count[forecaster].to_numpy(float), covered.loc[forecaster]
        expected, crps = own.mean(), own["crps"]
        values: dict[str, float | None] = {
            "mae": expected["error"],
            "mse": expected["squared"],
            "rmse": sqrt(expected["squared"]),
            "mase": expected["scaled"],
            "crps": expected["crps"],
            "pinball": expected["crps"] / 2,
            "winkler_80": expected["winkler_80"],
            "winkler_95": expected["winkler_95"],
            "coverage_80": expected["covered_80"],
            "coverage_95": expected["covered_95"],
            "hit_rate": expected["is_right"],
            "always_up_rate": expected["is_up"],
        }
        for level in (80, 95):
            hit = hits[f"covered_{level}"].to_numpy()
            values[f"kupiec_p_{level}"] = kupiec_p(hit, size, level / 100, 2)
            ratio = kupiec_ratio(hit.sum() / size.sum(), size.sum(), level / 100)
            values[f"kupiec_p_{level}_if_independent"] = float(stats.chi2.sf(ratio, 1))
        for reference in ("persistence", "baseline"):
            theirs = months.loc[reference, "crps"]
            values[f"skill_vs_{reference}"] = 1 - crps.mean() / theirs.mean()
            is_itself = forecaster == reference
            values[f"p_vs_{reference}"] = None if is_itself else better_p((crps - theirs).to_numpy(), 2)
        groups = [month for _, month in scored[scored["forecaster"] == forecaster].groupby("origin_month")]
        correlations = [spearman(tuple(month["q50"]), tuple(month["actual"])) for month in groups]
        values["rank_ic"] = None if forecaster == "persistence" else float(np.mean(correlations))
        assert (row["forecasts"], row["months"]) == (size.sum(), 20)
        for column, value in values.items():
            assert row[column] == (None if value is None else pytest.approx(value, rel=1e-9, abs=1e-9)), column


def test_backtest_scorecard_uses_the_newest_backtest_per_refit(store: Store, database_url: str) -> None:
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
    columns = (
        "select column_name from information_schema.columns "
        "where table_schema = 'report' and table_name = '{}' order by ordinal_position"
    )
    live, backtest = (
        [name for (name,) in query(database_url, columns.format(view))] for view in ("scorecard", "backtest_scorecard")
    )
    only_live = {"model_version_id", "symbol_group", "unscored", "currency_code", "restated", "retrospective_share"}
    only_live |= {name for name in live if name.endswith(("_price", "_restated"))}
    assert [*(name for name in live if name not in only_live), "refit", "backtest_id"] == backtest


def test_scorecard_excludes_backtests(store: Store, database_url: str) -> None:
    store.add_backtest(backtest_of(), TWO)
    assert query(database_url, "select * from report.scorecard") == []


def test_read_clock_returns_the_databases_time(store: Store, database_url: str) -> None:
    before, moment = query(database_url, "select clock_timestamp()")[0][0], store.read_clock()
    assert before < moment < query(database_url, "select clock_timestamp()")[0][0]


def test_upgrade_keeps_errors_of_model_versions(empty_database_url: str) -> None:
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
    ((*kept, backtest_id, _, _, _, _, _, _, _, _, _),) = query(
        empty_database_url, "select * from forecast.backtest_error"
    )
    assert [tuple(kept)] == before
    assert backtest_id is None
