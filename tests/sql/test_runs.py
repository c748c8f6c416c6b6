"""Runs, publications, models and drift against a real Postgres."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import psycopg2
import pytest

from sql.store import AlreadyPublishedError, LockLostError, MonthKey, Store
from tests.support.publications import (
    ALERT,
    KEY,
    T0,
    begin,
    counts,
    make_drift_months,
    make_errors,
    make_publication,
    month_key,
    publish_scores,
)
from tests.support.rows import query

DAY = timedelta(days=1)


def test_publish_stores_every_frame_under_the_run(store: Store, database_url: str) -> None:
    run_id = begin(store)
    assert store.find_published(KEY) is None
    store.publish(run_id, make_publication(), finished_at=T0 + DAY)
    assert counts(database_url) == {
        "forecast.model_version": 1,
        "forecast.baseline_coefficient": 1,
        "forecast.backtest_error": 1,
        "forecast.candidate": 1,
        "forecast.forecast_origin": 2,
        "forecast.forecast": 12,
        "forecast.forecast_error": 0,
        "forecast.restated_error": 0,
        "forecast.month_score": 0,
        "ops.drift_check": 1,
        "ops.symbol_outcome": 2,
        "ops.alert": 0,
    }
    assert query(database_url, "select distinct run_id from forecast.forecast") == [(run_id,)]
    # A candidate without a version number was trained in this run.
    assert query(
        database_url,
        "select count(*) from forecast.candidate c join forecast.model_version m using (run_id, model_version_id)",
    ) == [(1,)]
    published = {"run_id": run_id, "correction": 0, "as_of": date(2020, 1, 10), "served": "hybrid"}
    assert store.find_published(KEY) == {**published, "finished_at": T0 + DAY}


BREAKS = {
    "coefficients": {"horizon": 13},
    "candidates": {"p_value": 2.0},
    "origins": {"naive_mae": np.nan},
    "forecasts": {"q05": 9.0},
    "drift_checks": {"status": "perhaps"},
    "drift_months": {"deviation": 0.0},
    "drift_symbols": {"share": 2.0},
    "input_checks": {"input": "sunshine"},
    "outcomes": {"outcome": "perfect"},
}


def test_publish_is_all_or_nothing(store: Store, database_url: str) -> None:
    run_id = begin(store)
    for name, change in BREAKS.items():
        sound = make_drift_months(run_id) if name == "drift_months" else getattr(make_publication(), name)
        broken = sound.assign(**change)
        with pytest.raises(psycopg2.errors.IntegrityError):
            store.publish(run_id, make_publication(**{name: broken}), finished_at=T0)
    alert = {**ALERT, "severity": "perhaps"}
    with pytest.raises(psycopg2.errors.CheckViolation):
        store.publish(run_id, make_publication(alerts=[alert]), finished_at=T0)
    assert set(counts(database_url).values()) == {0}
    assert query(database_url, "select status, finished_at from ops.run") == [("running", None)]
    store.publish(run_id, make_publication(), finished_at=T0)
    assert query(database_url, "select status from ops.run") == [("published",)]


def test_publish_rejects_a_run_that_was_taken_over(store: Store, database_url: str) -> None:
    late, owner = begin(store), begin(store)
    with pytest.raises(LockLostError, match=f"Run {late} published nothing: .* is marked as abandoned"):
        store.publish(late, make_publication(), finished_at=T0)
    assert set(counts(database_url).values()) == {0}
    assert query(database_url, "select run_id, status from ops.run order by run_id") == [
        (late, "abandoned"),
        (owner, "running"),
    ]


def test_publish_again_changes_nothing(store: Store, database_url: str) -> None:
    """The first attempt may lose its connection during the commit and not know the result."""
    run_id = begin(store)
    store.publish(run_id, make_publication(), finished_at=T0)
    before = counts(database_url)
    store.publish(run_id, make_publication(), finished_at=T0)
    assert counts(database_url) == before


def test_publish_of_concurrent_months_scores_the_past_once(store: Store, database_url: str) -> None:
    """Both months read the same unscored forecasts; the errors of the first one stay."""
    first = begin(store)
    store.publish(first, make_publication(), finished_at=T0)
    one = publish_scores(store, month_key(2020, 1), make_errors(first))
    publish_scores(store, month_key(2020, 2), make_errors(first, actual=0.5))
    assert query(database_url, "select distinct scored_by_run_id, actual_log_return from forecast.forecast_error") == [
        (one, 0.03)
    ]


def test_read_forecasts_to_score_returns_published_unscored_past_ones(store: Store) -> None:
    assert store.read_forecasts_to_score(KEY).empty
    first = begin(store)
    assert store.read_forecasts_to_score(month_key(2020, 1)).empty
    store.publish(first, make_publication(), finished_at=T0)
    assert store.read_forecasts_to_score(KEY).empty
    january = store.read_forecasts_to_score(month_key(2020, 1))
    assert sorted(zip(january["symbol"], january["horizon"], january["forecaster"], strict=True)) == [
        (symbol, 1, forecaster) for symbol in ("A", "B") for forecaster in ("baseline", "hybrid", "persistence")
    ]
    assert january.dtypes[["horizon", "target_month", "is_served", "q50"]].astype(str).tolist() == [
        "int64",
        "datetime64[ns]",
        "bool",
        "float64",
    ]
    assert len(store.read_forecasts_to_score(month_key(2020, 2))) == 12
    assert store.read_forecasts_to_score(month_key(2020, 2, "other")).empty
    publish_scores(store, month_key(2020, 1), make_errors(first))
    assert set(store.read_forecasts_to_score(month_key(2020, 1))["symbol"]) == {"B"}
    # A correction replaces the month: the corrected forecasts are no longer scored.
    correction = begin(store, correction=1)
    store.publish(correction, make_publication(), finished_at=T0)
    assert set(store.read_forecasts_to_score(month_key(2020, 2))["run_id"]) == {correction}


def test_read_forecasts_to_check_returns_served_ones_and_the_baseline(store: Store) -> None:
    first = begin(store)
    store.publish(first, make_publication(), finished_at=T0)

    def read(horizons: Sequence[int] = (1, 2), month: int = 2, since: date = date(2020, 2, 1)) -> set[tuple]:
        rows = store.read_forecasts_to_check(month_key(2020, month), horizons=horizons, since_month=since)
        columns = ["run_id", "symbol", "horizon", "forecaster", "is_served", "is_checked", "actual_log_return"]
        return {tuple(None if pd.isna(value) else value for value in row) for row in rows[columns].to_numpy()}

    both = [("hybrid", True), ("baseline", False)]
    rows = {(first, s, h, name, served, False, None) for s in ("A", "B") for h in (1, 2) for name, served in both}
    assert read() == rows
    assert read(horizons=(2,)) == {row for row in rows if row[2] == 2}
    assert read(month=1) == {row for row in rows if row[2] == 1}  # the other target month is not complete
    publish_scores(store, month_key(2020, 1), make_errors(first), drift_months=make_drift_months(first))
    # Horizon 1 of January is checked: it is read only with an earlier `since_month`.
    assert read() == {row for row in rows if row[2] == 2}
    actuals = {(row[1], row[3]): row[6] for row in read(since=date(2020, 1, 1)) if row[2] == 1}
    assert actuals == {("A", "hybrid"): 0.03, ("A", "baseline"): 0.03, ("B", "hybrid"): None, ("B", "baseline"): None}


def test_publish_of_concurrent_months_checks_the_past_once(store: Store, database_url: str) -> None:
    first = begin(store)
    store.publish(first, make_publication(), finished_at=T0)
    one = publish_scores(store, month_key(2020, 1), make_errors(first), drift_months=make_drift_months(first))
    publish_scores(
        store, month_key(2020, 2), make_errors(first), drift_months=make_drift_months(first).assign(value=9.0)
    )
    assert query(database_url, "select checked_by_run_id, value from ops.drift_month") == [(one, 0.07)]


def test_read_drift_months_returns_those_in_force_by_target_month(store: Store) -> None:
    first = begin(store)
    store.publish(first, make_publication(), finished_at=T0)
    publish_scores(store, month_key(2020, 1), make_errors(first), drift_months=make_drift_months(first))
    (row,) = store.read_drift_months(month_key(2020, 1)).to_dict("records")
    assert row == {
        "horizon": 1,
        "measure": "loss",
        "target_month": pd.Timestamp("2020-01-01"),
        "value": 0.07,
        "expected": 0.01,
        "deviation": 0.02,
    }
    assert store.read_drift_months(KEY).empty
    store.publish(begin(store, correction=1), make_publication(), finished_at=T0)
    assert store.read_drift_months(month_key(2020, 1)).empty


def test_read_drift_expectation_returns_rows_of_its_version(store: Store, database_url: str) -> None:
    expectation = pd.DataFrame(
        {
            "origin_month": [date(2018, 1, 1)],
            "horizon": [1],
            "forecaster": ["hybrid"],
            "measure": ["loss"],
            "symbols": [2],
            "value": [-0.02],
        }
    )
    store.publish(begin(store), make_publication(drift_expectation=expectation), finished_at=T0)
    ((version,),) = query(database_url, "select model_version_id from forecast.model_version")
    (row,) = store.read_drift_expectation(version).to_dict("records")
    assert row == expectation.iloc[0].to_dict() | {
        "origin_month": pd.Timestamp("2018-01-01"),
        "holdout_start": pd.Timestamp("2018-01-01"),
    }
    assert store.read_drift_expectation(version + 1).empty


def test_read_drift_before_returns_the_last_published_month(store: Store) -> None:
    checks = make_publication().drift_checks
    for month, status in ((11, "ok"), (12, "warning")):
        key = month_key(2019, month)
        store.publish(begin(store, key), make_publication(drift_checks=checks.assign(status=status)), finished_at=T0)
    row = {"horizon": 1, "measure": "loss"}
    assert store.read_drift_before(month_key(2020, 1)).to_dict("records") == [{**row, "status": "warning"}]
    assert store.read_drift_before(month_key(2019, 12)).to_dict("records") == [{**row, "status": "ok"}]
    assert store.read_drift_before(month_key(2019, 11)).empty


def test_publish_rejects_a_second_run_and_accepts_a_correction(store: Store, database_url: str) -> None:
    first = begin(store)
    store.publish(first, make_publication(), finished_at=T0)
    late = begin(store)
    written = counts(database_url)
    with pytest.raises(AlreadyPublishedError, match="another run published its month first"):
        store.publish(late, make_publication(), finished_at=T0)
    assert counts(database_url) == written
    correction = begin(store, correction=1)
    store.publish(correction, make_publication(), finished_at=T0)
    assert query(database_url, "select run_id, correction from report.published_run") == [(correction, 1)]
    published = store.find_published(KEY)
    assert published is not None
    assert published["run_id"] == correction
    assert query(database_url, "select status from ops.run order by run_id") == [
        ("published",),
        ("abandoned",),
        ("published",),
    ]


def test_begin_run_abandons_running_runs_of_its_month_only(store: Store, database_url: str) -> None:
    begin(store)
    begin(store, month_key(2020, 1))
    begin(store, month_key(2019, 12, "other"))
    begin(store)
    assert query(database_url, "select status, message from ops.run order by run_id") == [
        ("abandoned", "its process ended before the run did"),
        ("running", None),
        ("running", None),
        ("running", None),
    ]


def test_fail_run_stores_cause_outcomes_and_one_open_alert(store: Store, database_url: str) -> None:
    outcomes = make_publication().outcomes.assign(outcome="missing", reason="gone", last_session=pd.NaT, months=0)
    for _ in range(2):
        run_id = begin(store)
        store.fail_run(run_id, message="the source is down", finished_at=T0, outcomes=outcomes, alert=ALERT)
    assert (
        query(database_url, "select status, message, served from ops.run")
        == [("failed", "the source is down", None)] * 2
    )
    assert store.read_report("symbol_outcomes", run_id=run_id)["reason"].tolist() == ["gone", "gone"]
    assert query(database_url, "select kind, subject from report.open_alert") == [("failed_run", "file/test")]
    store.fail_run(begin(store), message="", finished_at=T0, alert={**ALERT, "subject": "file/other"})
    store.fail_run(begin(store), message="", finished_at=T0, alert={**ALERT, "kind": "coverage"})
    assert query(database_url, "select count(*) from report.open_alert") == [(3,)]
    cleared = [{"kind": "failed_run", "subject": "file/test"}]
    store.publish(begin(store), make_publication(resolved_alerts=cleared, alerts=[ALERT]), finished_at=T0 + DAY)
    # The old alert is cleared, and the repeated one is a new alert.
    assert query(
        database_url,
        "select opened_at, resolved_at from ops.alert where kind = 'failed_run' and subject = 'file/test' order by 1",
    ) == [(T0, T0 + DAY), (T0 + DAY, None)]


def test_read_champion_returns_the_newest_version_up_to_the_month(store: Store) -> None:
    def publish(key: MonthKey, weights: bytes, correction: int = 0) -> None:
        month = make_publication()
        assert month.new_model is not None
        model = replace(month.new_model, weights=weights)
        store.publish(begin(store, key, correction), make_publication(new_model=model), finished_at=T0)

    def champion(key: MonthKey) -> bytes | None:
        model = store.read_champion(key)
        return None if model is None else model.weights

    assert champion(KEY) is None
    publish(month_key(2020, 1), b"\x00january")
    publish(month_key(2019, 12), b"december, trained later")
    publish(month_key(2020, 1, "other"), b"other")
    assert champion(month_key(2019, 11)) is None
    assert champion(month_key(2019, 12)) == b"december, trained later"
    assert champion(month_key(2020, 1)) == b"\x00january"
    assert champion(month_key(2021, 1)) == b"\x00january"
    assert champion(month_key(2020, 1, "other")) == b"other"
    publish(month_key(2020, 1), b"correction", correction=1)
    assert champion(month_key(2020, 1)) == b"correction"
    model = store.read_champion(KEY)
    assert model is not None
    assert (model.trained_at_month, model.holdout_end) == (date(2019, 12, 1), date(2019, 11, 1))


def test_publish_with_a_kept_model_adds_no_version(store: Store, database_url: str) -> None:
    store.publish(begin(store), make_publication(), finished_at=T0)
    champion = store.read_champion(KEY)
    assert champion is not None
    kept = make_publication(new_model=None, kept_model_id=champion.model_version_id)
    store.publish(begin(store, month_key(2020, 1)), kept, finished_at=T0)
    assert query(database_url, "select count(distinct model_version_id), count(*) from forecast.forecast_origin") == [
        (1, 4)
    ]


def test_begin_run_stores_its_configuration(store: Store) -> None:
    config = {"units": 2, "seeds": [1, 2]}
    with_config, without = store.read_run(begin(store, config=config)), store.read_run(begin(store))
    assert with_config is not None
    assert with_config["config"] == config
    assert without is not None
    assert without["config"] is None
