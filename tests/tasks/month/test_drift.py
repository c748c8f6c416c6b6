"""The drift step: what it reads and stores, and the alerts that follow."""

from dataclasses import replace
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import tasks.month.drift
from model import quantile_names
from model.config import DriftConfig, ForecasterConfig
from model.drift.expectation import make_expectation
from model.drift.reference_forecast import make_reference_forecast
from model.forecaster.baseline import Baseline
from model.forecaster.features import NETWORK_INPUTS, TERMS, make_panel
from model.forecaster.forecaster import Forecaster
from model.forecaster.network import build_network
from sql.store import ModelVersion, MonthKey
from tasks.alerts.messages import cleared_alerts, drift_alerts
from tasks.month.check import Checked
from tasks.month.drift import DRIFT_COLUMNS, MONITORED_HORIZONS, DriftResult, check_drift
from tasks.month.train import Choice
from tasks.plans.month import MonthPlan
from tasks.plans.prices import PricesPlan

CONFIG = replace(ForecasterConfig(), units=2, seeds=(1,))
QUANTILES = quantile_names(CONFIG.quantile_levels)
LIVE_FROM = 150  # position of the first published origin
NOW = datetime(2020, 1, 10, tzinfo=UTC)


def make_months(count: int = 186, symbols: int = 8) -> pd.DataFrame:
    """Make months with clustered volatility."""
    rng = np.random.default_rng(1)
    log_sigma = np.zeros((symbols, count))
    for t in range(1, count):
        log_sigma[:, t] = 0.9 * log_sigma[:, t - 1] + 0.3 * rng.standard_normal(symbols)
    sigma = 0.06 * np.exp(log_sigma)
    returns = sigma * rng.standard_normal((symbols, count))
    close = 50 * np.exp(np.cumsum(returns - returns.mean(), axis=1))
    frame = pd.DataFrame(
        {
            "symbol": np.repeat([f"S{n}" for n in range(symbols)], count),
            "month": np.tile(pd.date_range("2004-07-01", periods=count, freq="MS"), symbols),
            "close": close.ravel(),
            "high": close.ravel() * 1.03,
            "low": close.ravel() * 0.97,
            "volume": 1e6,
            "log_return": returns.ravel(),
            "realised_variance": (sigma**2).ravel(),
            "is_final": True,
        }
    )
    frame.loc[frame.groupby("symbol").head(1).index, "log_return"] = np.nan
    return frame


MONTHS = make_months()
PANEL = make_panel(MONTHS, CONFIG)
KEY = MonthKey(source="file", universe="it's", origin_month=PANEL.months[-1].date())
HOLDOUT_START = PANEL.months[110].date()


def make_forecaster() -> Forecaster:
    """Make a forecaster with a Gaussian baseline, and a network without corrections."""
    horizons = len(CONFIG.horizons)
    network = tuple(weights.numpy() for weights in build_network(len(NETWORK_INPUTS), CONFIG).weights)
    return Forecaster(
        config=CONFIG,
        baseline=Baseline(
            location=np.zeros(horizons),
            beta=np.zeros((horizons, len(TERMS))),
            intercept=np.zeros(horizons),
            standardised_quantiles=np.tile(norm.ppf(CONFIG.quantile_levels), (horizons, 1)),
            outside=np.full(horizons, 0.2),
        ),
        input_mean=np.zeros(len(NETWORK_INPUTS)),
        input_deviation=np.ones(len(NETWORK_INPUTS)),
        networks=(network,),
        trained=pd.DataFrame({"seed": [1], "epochs": [0], "validation_loss": [1.0]}),
    )


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    return make_forecaster()


@pytest.fixture(scope="module")
def published(forecaster: Forecaster) -> pd.DataFrame:
    """All served forecasts with an outcome, as the database returns them; the run's number is its month's position."""
    positions = list(range(LIVE_FROM, len(PANEL.months) - 1))
    rows = forecaster.forecast_many(PANEL, list(PANEL.months[positions]))
    rows = rows[rows["horizon"].isin(MONITORED_HORIZONS) & (rows["forecaster"] == "baseline")]
    symbol = pd.Index(PANEL.symbols).get_indexer(rows["symbol"])
    month = PANEL.months.get_indexer(rows["origin_month"])
    actual = PANEL.y[symbol, month, rows["horizon"].to_numpy() - 1]
    rows = rows.assign(run_id=month, model_version_id=7, is_served=True, actual_log_return=actual, is_checked=False)
    return rows[np.isfinite(actual)].drop(columns="target_month").reset_index(drop=True)


def make_choice(forecaster: Forecaster, *, kept: int | None) -> Choice:
    version = ModelVersion(
        kind="retrain",
        trained_through=HOLDOUT_START,
        holdout_start=HOLDOUT_START,
        holdout_end=KEY.origin_month,
        verdict="baseline",
        verdict_reason="",
        weights=b"",
        weights_sha256="0" * 64,
    )
    return Choice(
        panel=PANEL,
        forecaster=forecaster,
        served="baseline",
        reason="",
        new_model=version if kept is None else None,
        kept_model_id=kept,
        candidates=pd.DataFrame(),
        backtest_errors=pd.DataFrame({"origin_month": [pd.Timestamp(HOLDOUT_START)]}),
    )


def run_check(
    monkeypatch: pytest.MonkeyPatch,
    choice: Choice,
    published: pd.DataFrame,
    *,
    checked_months: pd.DataFrame | None = None,
    expectation: pd.DataFrame | None = None,
    errors: pd.DataFrame | None = None,
    config: DriftConfig | None = None,
) -> DriftResult:
    """Run the drift step on a database with these rows."""
    columns = ["horizon", "measure", "target_month", "value", "expected", "deviation"]
    store = SimpleNamespace(
        read_forecasts_to_check=lambda key, horizons, since_month: published,
        read_drift_months=lambda key: pd.DataFrame(columns=columns) if checked_months is None else checked_months,
        read_drift_expectation=lambda version: pd.DataFrame() if expectation is None else expectation,
    )
    monkeypatch.setattr(tasks.month.drift, "get_store", lambda: store)
    prices = PricesPlan(source_spec="file:p.csv", universe="it's", instruments=(), requested_at=NOW)
    plan = MonthPlan(
        key=KEY,
        as_of=date(2020, 1, 9),
        known_at=NOW,
        prices=prices,
        mode="auto",
        correction=0,
        min_coverage=0.9,
        published_run_id=None,
    )
    error_columns = ["run_id", "symbol", "horizon", "forecaster", "actual_log_return"]
    outcomes = pd.DataFrame({"symbol": PANEL.symbols, "outcome": ["ok"] * 7 + ["missing"]})
    new = (published.iloc[:0] if errors is None else errors)[error_columns]
    return check_drift.fn(plan, Checked(MONTHS, outcomes), choice, new, config or DriftConfig())


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch, forecaster: Forecaster, published: pd.DataFrame) -> DriftResult:
    """Three years of published forecasts, and a model that is new in this run."""
    return run_check(monkeypatch, make_choice(forecaster, kept=None), published)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (DriftConfig(fewest_months=500), "scored months; at least 500 are required."),
        (DriftConfig(fewest_expectation_months=5000), "for an expected value; at least 5000 are required."),
    ],
    ids=["live months", "expectation"],
)
def test_check_drift_uses_the_config_of_the_run(
    monkeypatch: pytest.MonkeyPatch,
    forecaster: Forecaster,
    published: pd.DataFrame,
    config: DriftConfig,
    sentence: str,
) -> None:
    checks = run_check(monkeypatch, make_choice(forecaster, kept=None), published, config=config).checks
    assert set(checks["status"]) == {"not_enough_data"}
    assert checks["reason"].str.endswith(sentence).all()


def test_check_drift_has_a_row_per_horizon_and_measure(sound: DriftResult) -> None:
    assert list(sound.checks.columns) == DRIFT_COLUMNS
    expected = [(h, name) for h in MONITORED_HORIZONS for name in ("calibration", "loss", "staleness")]
    assert list(zip(sound.checks["horizon"], sound.checks["measure"], strict=True)) == expected
    assert set(sound.checks["status"]) <= {"ok", "warning"}
    used = sound.checks.groupby("horizon")["months_used"].first().to_dict()
    assert used == {h: len(PANEL.months) - LIVE_FROM - h for h in MONITORED_HORIZONS}
    assert sound.checks["p_value"].between(0, 1).all()
    assert (sound.checks["statistic"] < sound.checks["threshold"]).all()
    assert sound.symbols.empty or set(sound.symbols["horizon"]) <= set(
        sound.checks.loc[sound.checks["status"] == "warning", "horizon"]
    )


def test_check_drift_returns_months_expectation_and_inputs(sound: DriftResult) -> None:
    months = sound.months
    assert set(months["forecaster"]) == {"baseline"}
    assert len(months[months["measure"] == "loss"]) == sum(
        len(PANEL.months) - LIVE_FROM - h for h in MONITORED_HORIZONS
    )
    assert set(months["measure"]) == {"loss", "calibration", "staleness", "coverage_80", "coverage_95", "bias"}
    assert set(sound.expectation["forecaster"]) == {"hybrid", "baseline"}
    assert sound.inputs.set_index("input").loc["missing", "value"] == 1 / 8


def test_check_drift_continues_from_stored_months(
    monkeypatch: pytest.MonkeyPatch, forecaster: Forecaster, published: pd.DataFrame, sound: DriftResult
) -> None:
    """With earlier months and the expectation stored, the checks are the same, and only new rows are returned."""
    columns = ["horizon", "measure", "value", "expected", "deviation"]
    targets = PANEL.months[sound.months["run_id"] + sound.months["horizon"]]
    is_old = np.asarray(targets < PANEL.months[-1])
    checked_months = sound.months.loc[is_old, columns].assign(target_month=targets[is_old])
    is_checked = (published["run_id"] + published["horizon"] < len(PANEL.months) - 1).to_numpy()
    # The scores of this run are not in the database yet.
    pending = published.assign(
        is_checked=is_checked, actual_log_return=published["actual_log_return"].where(is_checked)
    )
    again = run_check(
        monkeypatch,
        make_choice(forecaster, kept=7),
        pending,
        checked_months=checked_months,
        expectation=sound.expectation.assign(holdout_start=pd.Timestamp(HOLDOUT_START)),
        errors=published[~is_checked],
    )
    pd.testing.assert_frame_equal(again.checks, sound.checks)
    assert again.expectation.empty
    assert (again.months["run_id"] + again.months["horizon"] == len(PANEL.months) - 1).all()
    assert set(again.months["horizon"]) == set(MONITORED_HORIZONS)


def test_check_drift_alarm_has_start_and_driving_symbols(
    monkeypatch: pytest.MonkeyPatch, forecaster: Forecaster, published: pd.DataFrame
) -> None:
    """The intervals of two symbols are eight times too wide in the last year."""
    is_bad = (published["symbol"].isin(["S1", "S2"]) & (published["run_id"] >= len(PANEL.months) - 13)).to_numpy()
    wide = published.copy()
    wide.loc[is_bad, QUANTILES] = published.loc[is_bad, QUANTILES].to_numpy() * 8
    result = run_check(monkeypatch, make_choice(forecaster, kept=None), wide)
    loss = result.checks.set_index(["horizon", "measure"]).loc[(1, "loss")]
    assert loss["status"] == "alarm"
    assert loss["since_month"] <= PANEL.months[-11]
    assert "exceeded its expected value by " in loss["reason"]
    assert ", cleared at " in loss["reason"]
    assert set(result.symbols.loc[result.symbols["horizon"] == 1, "symbol"].iloc[:2]) == {"S1", "S2"}
    (alert,) = drift_alerts(KEY, result.checks, result.symbols)
    assert alert["subject"] == "file/it's"
    for expected in (
        "1 month ahead: The loss relative to the reference forecast exceeded its expected value",
        "S1",
        "S2",
        f"since {loss['since_month']:%Y-%m}",
    ):
        assert expected in alert["detail"]
    assert "--mode baseline" not in alert["detail"]  # the baseline is served already
    assert "universe = 'it''s'" in alert["look_deeper_sql"]
    assert {"kind": "drift", "subject": "file/it's"} not in cleared_alerts(KEY, result.checks, ())


def test_drift_alerts_are_cleared_without_an_alarm(sound: DriftResult) -> None:
    assert drift_alerts(KEY, sound.checks, sound.symbols) == []
    assert {"kind": "drift", "subject": "file/it's"} in cleared_alerts(KEY, sound.checks, ())


def test_check_drift_needs_scored_months(
    monkeypatch: pytest.MonkeyPatch, forecaster: Forecaster, published: pd.DataFrame
) -> None:
    few = published[published["run_id"] >= len(PANEL.months) - 4]
    result = run_check(monkeypatch, make_choice(forecaster, kept=None), few)
    assert set(result.checks["status"]) == {"not_enough_data"}
    reasons = result.checks.set_index(["horizon", "measure"])["reason"]
    assert reasons[1, "loss"] == "3 scored months; at least 6 are required."
    none = run_check(monkeypatch, make_choice(forecaster, kept=None), published.iloc[:0])
    assert set(none.checks["status"]) == {"not_enough_data"}
    assert none.months.empty


def test_check_drift_needs_months_for_an_expectation(
    monkeypatch: pytest.MonkeyPatch, forecaster: Forecaster, published: pd.DataFrame
) -> None:
    reference_forecast = make_reference_forecast(MONTHS, horizons=MONITORED_HORIZONS, levels=CONFIG.quantile_levels)
    short = make_expectation(forecaster, PANEL.until(PANEL.months[40]), reference_forecast, MONITORED_HORIZONS)
    stored: dict[str, Any] = {"expectation": short.assign(holdout_start=pd.Timestamp(HOLDOUT_START))}
    result = run_check(monkeypatch, make_choice(forecaster, kept=7), published, **stored)
    assert result.checks["status"].tolist() == ["not_enough_data"] * 4
    assert "at least 36 are required" in result.checks["reason"][0]
