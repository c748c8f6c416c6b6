"""Tests of the monthly forecast with a real Postgres, a real Prefect server and a network of two units."""

import hashlib
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg2
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId

import flows.monthly
from flows.ingest import ingest_prices
from flows.monthly import monthly_forecast
from tasks.errors import BadRequestError, DamagedModelError, NotEnoughHistoryError, PricesIncompleteError
from tests.support.database import damage, snapshot, write_prices
from tests.support.rows import query


@pytest.mark.usefixtures("trains_networks")
def test_monthly_forecast_fills_every_table_of_the_month(machine: None, database_url: str) -> None:
    summary = monthly_forecast(as_of=date(2018, 12, 31), source="sample")
    assert not summary.is_already_done
    counted = dict(query(database_url, "select forecaster, count(*) from forecast.forecast group by 1"))
    assert counted == {"hybrid": 24, "baseline": 24, "persistence": 24}
    assert query(database_url, "select count(*) from forecast.forecast where is_served") == [(24,)]
    assert query(
        database_url,
        "select distinct origin_month, min(target_month), max(target_month) from forecast.forecast group by 1",
    ) == [(date(2018, 12, 1), date(2019, 1, 1), date(2019, 12, 1))]
    assert query(database_url, "select status, symbols_requested, symbols_forecast from ops.run") == [
        ("published", 2, 2)
    ]
    assert query(database_url, "select symbol, outcome, months from ops.symbol_outcome order by 1") == [
        ("^GSPC", "ok", 240),
        ("^IXIC", "ok", 240),
    ]
    ((weights, digest, verdict),) = query(
        database_url, "select weights, weights_sha256, verdict from forecast.model_version"
    )
    assert hashlib.sha256(bytes(weights)).hexdigest() == digest
    assert verdict in ("hybrid", "baseline")
    assert query(database_url, "select distinct horizon, status from ops.drift_check order by 1") == [
        (horizon, "not_enough_data") for horizon in (1, 3, 6, 12)
    ]
    assert query(
        database_url,
        "select origin_session, round(origin_close::numeric, 2)::float from forecast.forecast_origin "
        "where symbol = '^GSPC'",
    ) == [(date(2018, 12, 31), 2506.85)]


def test_monthly_forecast_run_twice_leaves_the_same_rows(machine: None, database_url: str) -> None:
    first = monthly_forecast(as_of=date(2018, 12, 31), source="sample")
    before = snapshot(database_url)
    second = monthly_forecast(as_of=date(2018, 12, 31), source="sample")
    assert second.is_already_done
    assert second.run_id == first.run_id
    assert snapshot(database_url) == before
    pd.testing.assert_frame_equal(second.forecasts, first.forecasts)


def test_monthly_forecast_rerun_is_a_correction(machine: None, database_url: str) -> None:
    monthly_forecast(as_of=date(2018, 12, 31), source="sample")
    first = query(database_url, "select * from forecast.forecast order by symbol, horizon, forecaster")
    monthly_forecast(as_of=date(2018, 12, 31), source="sample", rerun=True)
    assert query(database_url, "select correction, status from ops.run order by 1") == [
        (0, "published"),
        (1, "published"),
    ]
    every = query(database_url, "select * from forecast.forecast order by run_id, symbol, horizon, forecaster")
    assert every[: len(first)] == first
    # With the same model and data, the correction has the same forecasts.
    assert [row[1:] for row in every[len(first) :]] == [row[1:] for row in first]
    assert query(database_url, "select count(*), count(distinct run_id) from report.latest_forecast") == [(24, 1)]


def test_monthly_forecast_catch_up_scores_past_forecasts(
    machine: None, database_url: str, index_bars: pd.DataFrame
) -> None:
    monthly_forecast(as_of=date(2018, 12, 31), source="sample", catch_up=2)
    assert query(database_url, "select origin_month from ops.run order by run_id") == [
        (date(2018, 10, 1),),
        (date(2018, 11, 1),),
        (date(2018, 12, 1),),
    ]
    scored = query(
        database_url,
        "select origin_month, horizon, actual_log_return, error, q50, crps from forecast.forecast_error "
        "join forecast.forecast using (run_id, symbol, horizon, forecaster) "
        "where symbol = '^GSPC' and forecaster = 'baseline' order by 1, 2",
    )
    assert [row[:2] for row in scored] == [(date(2018, 10, 1), 1), (date(2018, 10, 1), 2), (date(2018, 11, 1), 1)]
    close = index_bars[index_bars["ticker"] == "SPX"].set_index("date")["close"]
    ends = {month: close[close.index.to_period("M") == month].iloc[-1] for month in ("2018-10", "2018-11", "2018-12")}
    expected = [
        np.log(ends["2018-11"] / ends["2018-10"]),
        np.log(ends["2018-12"] / ends["2018-10"]),
        np.log(ends["2018-12"] / ends["2018-11"]),
    ]
    assert [row[2] for row in scored] == pytest.approx(expected, abs=1e-12)
    assert [row[3] for row in scored] == pytest.approx([row[4] - row[2] for row in scored], abs=1e-15)
    assert query(database_url, "select count(distinct forecaster) from report.scorecard where horizon = 1") == [(4,)]


def test_monthly_forecast_catch_up_is_one_flow_run_with_subflows(machine: None, database_url: str) -> None:
    monthly_forecast(as_of=date(2018, 12, 31), source="sample", mode="baseline", catch_up=1)
    ((flow_run_id, runs),) = query(database_url, "select flow_run_id, count(*) from ops.run group by 1")
    assert runs == 2
    with get_client(sync_client=True) as client:
        parent = FlowRunFilterParentFlowRunId(any_=[flow_run_id])
        subflows = client.read_flow_runs(flow_run_filter=FlowRunFilter(parent_flow_run_id=parent))
    assert sorted(run.parameters["as_of"] for run in subflows) == ["2018-11-30", "2018-12-31"]
    parameters = query(
        database_url, "select parameters ->> 'as_of', parameters ->> 'source' from ops.run order by run_id"
    )
    assert parameters == [("2018-11-30", "sample"), ("2018-12-31", "sample")]


@pytest.mark.usefixtures("trains_networks")
def test_monthly_forecast_uses_nothing_after_as_of(
    machine: None, database_url: str, index_bars: pd.DataFrame, tmp_path: Path
) -> None:
    """Shuffling all bars after `as_of` changes no bit of any forecast."""
    as_of = date(2015, 6, 15)
    later = (index_bars["date"] > pd.Timestamp(as_of)).to_numpy()
    shuffled = index_bars.copy()
    values = [name for name in index_bars.columns if name not in ("ticker", "date")]
    order = np.random.default_rng(5).permutation(np.flatnonzero(later))
    shuffled.loc[later, values] = index_bars.iloc[order][values].to_numpy()
    assert not shuffled.equals(index_bars)

    written = []
    for name, bars in (("truth", index_bars), ("shuffled", shuffled)):
        # The second run must not use rows of the first.
        query(
            database_url,
            "truncate market.daily_bar, market.instrument, market.corporate_action, ops.run cascade; select 1",
        )
        monthly_forecast(as_of=as_of, source=write_prices(tmp_path / f"{name}.csv", bars))
        rows = query(database_url, "select * from forecast.forecast order by symbol, horizon, forecaster")
        written.append([row[1:] for row in rows])
    assert len(written[0]) == 2 * 12 * 3
    assert written[0] == written[1]


def test_monthly_forecast_reports_a_stale_symbol(
    machine: None, database_url: str, index_bars: pd.DataFrame, tmp_path: Path
) -> None:
    gone = index_bars[index_bars["ticker"] == "SPX"].assign(ticker="GONE")
    bars = pd.concat([index_bars, gone[gone["date"] < "2018-06-15"]])
    monthly_forecast(as_of=date(2018, 12, 31), source=write_prices(tmp_path / "p.csv", bars), min_coverage=0.6)
    outcomes = dict(query(database_url, "select symbol, outcome from ops.symbol_outcome"))
    assert outcomes == {"COMP": "ok", "GONE": "stale", "SPX": "ok"}
    ((reason,),) = query(database_url, "select reason from report.data_quality where symbol = 'GONE'")
    assert "2018-06-14" in reason
    assert query(database_url, "select distinct symbol from forecast.forecast order by 1") == [("COMP",), ("SPX",)]


def test_monthly_forecast_rerun_corrects_the_newest_month_only(machine: None, database_url: str) -> None:
    """The months of a catch-up, which is the deployment's default, are not corrected."""
    for rerun in (False, True):
        monthly_forecast(as_of=date(2018, 12, 31), source="sample", mode="baseline", catch_up=1, rerun=rerun)
    assert query(database_url, "select origin_month, correction from ops.run order by run_id") == [
        (date(2018, 11, 1), 0),
        (date(2018, 12, 1), 0),
        (date(2018, 12, 1), 1),
    ]


def test_monthly_forecast_catch_up_skips_a_month_without_prices(
    machine: None, database_url: str, index_bars: pd.DataFrame, tmp_path: Path
) -> None:
    """A month that can never be published does not delay the newest one."""
    is_hole = index_bars["date"].between("2018-10-15", "2018-10-31") & (index_bars["ticker"] == "SPX")
    source = write_prices(tmp_path / "p.csv", index_bars[~is_hole])
    summary = monthly_forecast(as_of=date(2018, 12, 31), source=source, mode="baseline", catch_up=2)
    assert summary.key.origin_month == date(2018, 12, 1)
    assert query(database_url, "select origin_month, status from ops.run order by run_id") == [
        (date(2018, 10, 1), "failed"),
        (date(2018, 11, 1), "published"),
        (date(2018, 12, 1), "published"),
    ]
    assert query(database_url, "select kind from report.open_alert") == []


def test_monthly_forecast_publishes_nothing_below_the_coverage(
    machine: None, database_url: str, index_bars: pd.DataFrame, tmp_path: Path
) -> None:
    bars = index_bars[(index_bars["ticker"] == "SPX") | (index_bars["date"] < "2018-06-15")]
    source = write_prices(tmp_path / "p.csv", bars)
    with pytest.raises(PricesIncompleteError, match="1 of 2 symbols do"):
        monthly_forecast(as_of=date(2018, 12, 31), source=source)
    assert query(database_url, "select status from ops.run") == [("failed",)]
    assert query(database_url, "select outcome from ops.symbol_outcome order by symbol") == [("stale",), ("ok",)]
    assert query(database_url, "select kind from report.open_alert") == [("coverage",)]
    assert query(database_url, "select count(*) from forecast.forecast") == [(0,)]

    # With all bars, the next run publishes the month and clears the alert.
    source = write_prices(tmp_path / "p.csv", index_bars)
    monthly_forecast(as_of=date(2018, 12, 31), source=source)
    assert query(database_url, "select count(*) from report.open_alert") == [(0,)]
    assert query(database_url, "select status from ops.run order by run_id") == [("failed",), ("published",)]


@pytest.mark.parametrize("step", ["train_candidates", "make_forecasts", "check_drift", "publish_month"])
def test_monthly_forecast_resumes_after_an_interruption(
    machine: pytest.MonkeyPatch, database_url: str, step: str
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with machine.context() as broken:
        broken.setattr(flows.monthly, step, fail)
        with pytest.raises(KeyboardInterrupt):
            monthly_forecast(as_of=date(2018, 12, 31), source="sample")
    assert query(database_url, "select status, message from ops.run") == [("failed", "The run was interrupted.")]
    assert query(database_url, "select count(*) from forecast.forecast_origin") == [(0,)]
    assert query(database_url, "select count(*) from report.latest_forecast") == [(0,)]
    monthly_forecast(as_of=date(2018, 12, 31), source="sample")
    assert query(database_url, "select count(*) from report.latest_forecast") == [(24,)]


def test_monthly_forecast_refuses_a_short_history_without_writing(machine: None, database_url: str) -> None:
    before = snapshot(database_url)
    with pytest.raises(NotEnoughHistoryError, match=r"at least 96 complete months are needed.* there are 24"):
        monthly_forecast(as_of=date(2000, 12, 31), source="sample")
    assert snapshot(database_url) == before


@pytest.mark.usefixtures("trains_networks")
def test_monthly_forecast_fine_tunes_monthly_and_retrains_yearly(machine: None, database_url: str) -> None:
    monthly_forecast(as_of=date(2017, 11, 30), source="sample")
    monthly_forecast(as_of=date(2018, 10, 31), source="sample")
    monthly_forecast(as_of=date(2018, 11, 30), source="sample")
    monthly_forecast(as_of=date(2018, 12, 31), source="sample")
    assert query(database_url, "select run_id, candidate from forecast.candidate order by 1, 2") == [
        (1, "baseline"),
        (1, "retrain"),
        (2, "baseline"),
        (2, "fine_tune"),
        (2, "keep"),
        (3, "baseline"),
        (3, "fine_tune"),
        (3, "keep"),
        (3, "retrain"),
        # The year counts from the last comparison, for any result.
        (4, "baseline"),
        (4, "fine_tune"),
        (4, "keep"),
    ]
    versions = query(database_url, "select trained_through, holdout_start from forecast.model_version order by 1")
    assert all(trained <= first for trained, first in versions)
    # All candidates of a run are compared on the same months, and one is published.
    assert (
        query(
            database_url,
            "select count(distinct holdout_months), count(distinct persistence_crps), "
            "count(*) filter (where is_served) from forecast.candidate group by run_id",
        )
        == [(1, 1, 1)] * 4
    )
    # A version is stored only if it is selected, and only its candidate refers to it.
    stored = query(database_url, "select run_id, model_version_id, kind from forecast.model_version order by 1")
    referenced = query(
        database_url,
        "select c.run_id, m.model_version_id, m.kind from forecast.candidate c "
        "join forecast.model_version m using (model_version_id) where c.candidate in ('fine_tune', 'retrain') "
        "order by 1",
    )
    assert referenced == stored
    assert query(
        database_url,
        "select count(*) from forecast.candidate c join forecast.forecast_origin o using (run_id) "
        "where c.candidate = 'baseline' and c.model_version_id is distinct from o.model_version_id",
    ) == [(0,)]
    assert query(
        database_url, "select count(*) from forecast.candidate where candidate = 'keep' and model_version_id is null"
    ) == [(0,)]


@pytest.mark.usefixtures("trains_networks")
def test_monthly_forecast_fine_tune_stores_the_parent(machine: None, database_url: str) -> None:
    monthly_forecast(as_of=date(2018, 10, 31), source="sample")
    monthly_forecast(as_of=date(2018, 12, 31), source="sample", mode="fine-tune")
    assert query(
        database_url, "select model_version_id, kind, parent_id, run_id from forecast.model_version order by 1"
    ) == [(1, "retrain", None, 1), (2, "fine_tune", 1, 2)]
    assert query(database_url, "select candidate, model_version_id from forecast.candidate where run_id = 2") == [
        ("fine_tune", 2),
        ("baseline", 2),
    ]
    # The holdout is an eighth of the months and the last twelve: 29 + 12 of 238, and 30 + 12 of 240.
    assert query(database_url, "select holdout_start from forecast.model_version order by model_version_id") == [
        (date(2015, 6, 1),),
        (date(2015, 7, 1),),
    ]
    assert query(database_url, "select mode, message like '%as requested%' from ops.run order by run_id")[1] == (
        "fine-tune",
        True,
    )


def test_monthly_forecast_uses_the_version_before_a_damaged_one(machine: None, database_url: str) -> None:
    monthly_forecast(as_of=date(2018, 9, 30), source="sample")
    monthly_forecast(as_of=date(2018, 10, 31), source="sample", mode="retrain")
    ((weights,),) = query(database_url, "select weights from forecast.model_version where model_version_id = 2")
    damage(database_url, 2)
    monthly_forecast(as_of=date(2018, 11, 30), source="sample", mode="keep")
    assert query(database_url, "select distinct model_version_id from forecast.forecast_origin where run_id = 3") == [
        (1,)
    ]
    ((kind, subject, detail, statement),) = query(
        database_url, "select kind, subject, detail, look_deeper_sql from report.open_alert"
    )
    assert (kind, subject) == ("damaged_model", "sample/sample")
    # SHA-256 of one zero byte.
    assert "Model 2 is damaged: the sha256 of its weights is 6e340b9cffb3…" in detail
    assert "by run 2" in detail
    assert "model 1, the newest valid one" in detail
    assert query(database_url, statement)[0][0] == 2
    assert query(database_url, "select message like '%Model 2 is damaged%' from ops.run where run_id = 3") == [(True,)]

    with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("update forecast.model_version set weights = %s where model_version_id = 2", [weights])
    connection.close()
    monthly_forecast(as_of=date(2018, 12, 31), source="sample", mode="keep")
    assert query(database_url, "select count(*) from report.open_alert") == [(0,)]


def test_monthly_forecast_without_a_valid_model_trains_one(machine: None, database_url: str) -> None:
    monthly_forecast(as_of=date(2018, 10, 31), source="sample")
    damage(database_url, 1)
    with pytest.raises(DamagedModelError, match=r"no usable model to keep: Model 1 is damaged.*--mode retrain"):
        monthly_forecast(as_of=date(2018, 11, 30), source="sample", mode="keep")
    monthly_forecast(as_of=date(2018, 11, 30), source="sample")
    assert query(database_url, "select model_version_id, kind from forecast.model_version order by 1") == [
        (1, "retrain"),
        (2, "retrain"),
    ]
    assert query(database_url, "select kind from report.open_alert") == [("damaged_model",)]
    monthly_forecast(as_of=date(2018, 12, 31), source="sample")
    assert query(database_url, "select count(*) from report.open_alert") == [(0,)]


def test_monthly_forecast_refuses_to_fine_tune_without_a_model(machine: None, database_url: str) -> None:
    with pytest.raises(BadRequestError, match="has no model to fine-tune yet; run it with `--mode auto` first"):
        monthly_forecast(as_of=date(2018, 12, 31), source="sample", mode="fine-tune")


def test_monthly_forecast_baseline_publishes_the_baseline(machine: None, database_url: str) -> None:
    monthly_forecast(as_of=date(2018, 12, 31), source="sample", mode="baseline")
    assert query(database_url, "select distinct forecaster from report.latest_forecast") == [("baseline",)]
    assert query(database_url, "select served from ops.run") == [("baseline",)]


@pytest.mark.usefixtures("trains_networks")
def test_monthly_forecast_rerun_years_later_is_identical(
    machine: None, database_url: str, index_bars: pd.DataFrame, tmp_path: Path
) -> None:
    """A month of 2013 is published, five more years are ingested, and the month is corrected."""
    until_then = index_bars[index_bars["date"] <= "2013-06-30"]
    source = write_prices(tmp_path / "p.csv", until_then)
    monthly_forecast(as_of=date(2013, 6, 30), source=source)
    ingest_prices(write_prices(tmp_path / "p.csv", index_bars))
    assert query(database_url, "select max(session) from market.daily_bar") == [(date(2018, 12, 31),)]
    monthly_forecast(as_of=date(2013, 6, 30), source=source, rerun=True)
    rows = query(database_url, "select * from forecast.forecast order by run_id, symbol, horizon, forecaster")
    first, again = ([row[1:] for row in rows if row[0] == run_id] for run_id in (1, 2))
    assert len(first) == 2 * 12 * 3
    assert first == again
