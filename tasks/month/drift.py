"""Drift: the drift checks of the published forecasts and of their input prices."""

from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd
from prefect import task

from model import Flags, Floats
from model.config import DriftConfig
from model.drift.expectation import arrange, expected_values, make_expectation, target_months
from model.drift.inputs import check_inputs
from model.drift.measures import measure_forecasts, measure_months
from model.drift.monitor import (
    Calibration,
    Check,
    accumulate,
    calibrate,
    excursion,
    status_of,
)
from model.drift.reference_forecast import ReferenceForecast, make_reference_forecast
from tasks.database import database_errors, get_store
from tasks.month.check import Checked
from tasks.month.train import Choice
from tasks.plans.month import MonthPlan
from tasks.progress import log_line
from tasks.retries import STEP
from tasks.sources.base import Outcome

MONITORED_HORIZONS = (1, 3, 6, 12)
SYMBOL_MONTHS = 12
"""Newest scored months in which the symbols that drive a warning are identified."""
MOST_SYMBOLS = 5
DRIFT_COLUMNS = [
    "horizon",
    "measure",
    "status",
    "statistic",
    "threshold",
    "p_value",
    "months_used",
    "since_month",
    "reason",
]
_FORECAST = ["symbol", "origin_month", "horizon", "forecaster"]
_SENTENCES = {
    "loss": "The loss relative to the reference forecast exceeded its expected value",
    "loss_against_baseline": "The hybrid's loss relative to its baseline exceeded its expected value",
    "calibration": "The intervals were too narrow: the PIT's dispersion exceeded its expected value",
    "staleness": "The scales followed new volatilities too late: the staleness exceeded its expected value",
}
_EXCESSES = {
    "loss": "by {:.1%} on average",
    "loss_against_baseline": "by {:.1%} on average",
    "calibration": "by {:.2f} on average",
    "staleness": "by {:.3f} of log volatility on average",
}


@dataclass(frozen=True)
class DriftResult:
    """Drift checks of a run, in the columns of their tables."""

    checks: pd.DataFrame
    """DRIFT_COLUMNS of `ops.drift_check`: one row per horizon and measure."""
    months: pd.DataFrame = field(repr=False)
    """Columns of `ops.drift_month`: the months that no earlier run has checked."""
    expectation: pd.DataFrame = field(repr=False)
    """Columns of `forecast.drift_expectation`, of the selected model; empty if stored before."""
    symbols: pd.DataFrame = field(repr=False)
    """Columns of `ops.drift_symbol`."""
    inputs: pd.DataFrame = field(repr=False)
    """Columns of `ops.input_check`."""


@dataclass(frozen=True)
class _Expectation:
    """Monthly measures of a model on its history, from which expected values are estimated."""

    months: pd.DataFrame
    holdout_start: date

    def expected(self, config: DriftConfig) -> pd.DataFrame:
        """Return the expected value and its deviation, by forecaster, horizon and measure."""
        return expected_values(self.months, self.holdout_start, config)


@task(name="drift", **STEP)
def check_drift(
    plan: MonthPlan, checked: Checked, choice: Choice, errors: pd.DataFrame, config: DriftConfig = DriftConfig()
) -> DriftResult:
    """Check whether the published forecasts are worse than expected of the selected model.

    Args:
        plan: The month.
        checked: The universe's months, for the reference forecast and the input checks.
        choice: The selected model, for the expected values.
        errors: Of `score_past_forecasts`: this run's scores, which are not in the database yet.
        config: Choices of the monitor; those of the run, whichever model is selected.

    Returns:
        The checks and the rows to store.
    """
    origin_month = pd.Timestamp(plan.key.origin_month)
    recent = (origin_month - pd.DateOffset(months=SYMBOL_MONTHS - 1)).date()
    with database_errors():
        forecasts = get_store().read_forecasts_to_check(plan.key, horizons=MONITORED_HORIZONS, since_month=recent)
        checked_months = get_store().read_drift_months(plan.key)
    levels = choice.forecaster.config.quantile_levels
    reference_forecast = make_reference_forecast(
        checked.months, horizons=MONITORED_HORIZONS, levels=levels, config=config
    )
    stored = None if choice.kept_model_id is None else _stored_expectation(choice.kept_model_id)
    expectation = stored or _make_expectation(choice, reference_forecast, config)

    forecasts = _with_new_actuals(forecasts, errors)
    measured = measure_forecasts(forecasts, reference_forecast).merge(
        forecasts[[*_FORECAST, "is_served"]], on=_FORECAST
    )
    new_months = _new_months(forecasts, measured.drop(columns="is_served"), expectation, choice.kept_model_id, config)
    live = pd.concat([checked_months, new_months.assign(target_month=target_months(new_months))], ignore_index=True)
    checks = _check(live, expectation, choice.served, config)
    statuses = [f"horizon {horizon} {_worst_status(group)}" for horizon, group in checks.groupby("horizon")]
    log_line("drift", ", ".join(statuses))
    missing_share = float((checked.outcomes["outcome"] != Outcome.OK).mean())
    return DriftResult(
        checks=checks,
        months=new_months.drop(columns="origin_month"),
        expectation=expectation.months.iloc[: 0 if stored else None],
        symbols=_driving_symbols(checks, measured[measured["is_served"]], live),
        inputs=check_inputs(checked.months, origin_month, missing_share, config),
    )


def _stored_expectation(model_version_id: int) -> _Expectation | None:
    """Read the expectation of a stored version; None if it was stored before the project had them."""
    with database_errors():
        rows = get_store().read_drift_expectation(model_version_id)
    return (
        None if rows.empty else _Expectation(rows.drop(columns="holdout_start"), rows["holdout_start"].iloc[0].date())
    )


def _make_expectation(choice: Choice, reference_forecast: ReferenceForecast, config: DriftConfig) -> _Expectation:
    """Measure the selected model on its history against the reference forecast."""
    first = choice.backtest_errors["origin_month"].min()
    holdout_start = choice.new_model.holdout_start if choice.new_model is not None else pd.Timestamp(first).date()
    return _Expectation(
        make_expectation(choice.forecaster, choice.panel, reference_forecast, MONITORED_HORIZONS, config=config),
        holdout_start,
    )


def _with_new_actuals(forecasts: pd.DataFrame, errors: pd.DataFrame) -> pd.DataFrame:
    """Return the forecasts that are scored, by this run or before, with their actual log returns."""
    keys = ["run_id", "symbol", "horizon", "forecaster"]
    new = errors[[*keys, "actual_log_return"]].rename(columns={"actual_log_return": "new_actual"})
    both = forecasts.astype({"actual_log_return": "float64"}).merge(new, on=keys, how="left")
    actual = both["actual_log_return"].fillna(both["new_actual"].astype(np.float64))
    return both.drop(columns="new_actual").assign(actual_log_return=actual)[actual.notna()]


def _new_months(
    forecasts: pd.DataFrame,
    measured: pd.DataFrame,
    expectation: _Expectation,
    kept_model_id: int | None,
    config: DriftConfig,
) -> pd.DataFrame:
    """Return columns of `ops.drift_month` and origin_month, for served forecasts that no earlier run has checked."""
    by_month = ["origin_month", "horizon", "forecaster"]
    is_new = forecasts["is_served"] & ~forecasts["is_checked"].astype(np.bool_)
    runs = forecasts.loc[is_new, [*by_month, "run_id", "model_version_id"]].drop_duplicates(by_month)
    values = measure_months(measured, config).merge(runs, on=by_month)
    parts = []
    for version, group in values.groupby("model_version_id"):
        # A version without a stored expectation is compared with the selected model's.
        is_current = version == kept_model_id
        of_version = expectation if is_current else _stored_expectation(int(str(version))) or expectation
        parts.append(group.merge(of_version.expected(config), on=["forecaster", "horizon", "measure"]))
    columns = [
        "run_id",
        "horizon",
        "measure",
        "forecaster",
        "symbols",
        "value",
        "expected",
        "deviation",
        "origin_month",
    ]
    return (
        pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns).astype({"origin_month": "datetime64[ns]"})
    )


def _check(live: pd.DataFrame, expectation: _Expectation, served: str, config: DriftConfig) -> pd.DataFrame:
    """Return DRIFT_COLUMNS: at least one row per horizon."""
    checks, values, has_holdout = arrange(expectation.months, served, expectation.holdout_start, config)
    if len(values) < config.fewest_expectation_months:
        checks = []
    rows = []
    if checks:
        calibration = calibrate(checks, values, has_holdout, config)
        surprise = live.assign(surprise=(live["value"] - live["expected"]) / live["deviation"]).pivot(
            index="target_month", columns=["horizon", "measure"], values="surprise"
        )
        surprise = surprise.reindex(columns=pd.MultiIndex.from_tuples(checks)).sort_index()
        sums, is_alarm = accumulate(surprise.to_numpy(np.float64), calibration)
        for column, check in enumerate(checks):
            rows.append(_row(check, column, calibration, surprise.index, sums[:, column], is_alarm[:, column], live))
    for horizon in sorted(set(MONITORED_HORIZONS) - {check.horizon for check in checks}):
        fewest = config.fewest_expectation_months
        reason = f"The model has too few months for an expected value; at least {fewest} are required."
        rows.append((horizon, "loss", "not_enough_data", np.nan, np.nan, 1.0, 0, pd.NaT, reason))
    frame = pd.DataFrame(rows, columns=DRIFT_COLUMNS).astype({"since_month": "datetime64[ns]"})
    return frame.sort_values(["horizon", "measure"], ignore_index=True)


def _row(
    check: Check,
    column: int,
    calibration: Calibration,
    months: pd.Index,
    sums: Floats,
    is_alarm: Flags,
    live: pd.DataFrame,
) -> tuple[object, ...]:
    """Return DRIFT_COLUMNS of one check, from its CUSUM [T] and its alarm state [T] at the end of T months."""
    values = live[(live["horizon"] == check.horizon) & (live["measure"] == check.measure)]
    threshold, used = float(calibration.threshold[column]), len(values)
    if used < calibration.config.fewest_months:
        reason = f"{used} scored months; at least {calibration.config.fewest_months} are required."
        return (*check, "not_enough_data", np.nan, threshold, 1.0, used, pd.NaT, reason)
    total, length = float(sums[-1]), excursion(sums)
    status = status_of(total, threshold, is_alarm=bool(is_alarm[-1]), months=used, config=calibration.config)
    p_value = calibration.p_value(column, total, used)
    if length == 0:
        reason = f"As good as expected in {used} months: CUSUM 0, alarm at {threshold:.1f}."
        return (*check, status, total, threshold, p_value, used, pd.NaT, reason)
    since = pd.Timestamp(months[-length])
    worse = values[values["target_month"] >= since]
    mean = float((worse["value"] - worse["expected"]).mean())
    excess = float(np.expm1(mean)) if check.measure.startswith("loss") else mean
    count = f"{len(worse)} month{'s' if len(worse) > 1 else ''}"
    reason = (
        f"{'' if status != 'ok' else 'Within the expected range. '}{_SENTENCES[check.measure]} "
        f"{_EXCESSES[check.measure].format(excess)}, over {count} scored since {since:%Y-%m}: "
        f"CUSUM {total:.1f}, alarm at {threshold:.1f}"
    )
    if status == "alarm":
        cleared_at = calibration.config.recovered * threshold
        months_left = max(1, int(np.ceil((total - cleared_at) / float(calibration.allowance[column]))))
        reason += (
            f", cleared at {cleared_at:.1f} (after {months_left} month{'s' if months_left > 1 else ''} "
            "as good as expected)"
        )
    return (*check, status, total, threshold, p_value, used, since, f"{reason}.")


def _driving_symbols(checks: pd.DataFrame, served: pd.DataFrame, live: pd.DataFrame) -> pd.DataFrame:
    """Return horizon, symbol and share: the largest excess losses at each horizon with a warning or alarm."""
    parts = [pd.DataFrame({"horizon": [], "symbol": [], "share": []}).astype({"horizon": "int64", "symbol": "str"})]
    is_open = checks["status"].isin(["warning", "alarm"])
    targets = target_months(served)
    for horizon, since in checks[is_open].groupby("horizon")["since_month"].min().items():
        expected = live.loc[(live["horizon"] == horizon) & (live["measure"] == "loss")].sort_values("target_month")[
            "expected"
        ]
        recent = served[(served["horizon"] == horizon) & (targets >= since)]
        excess = recent["crps"] - np.exp(expected.iloc[-1]) * recent["reference_crps"]
        by_symbol = excess.groupby(recent["symbol"]).sum().clip(lower=0.0)
        share = (by_symbol[by_symbol > 0] / by_symbol.sum()).nlargest(MOST_SYMBOLS)
        parts.append(share.rename("share").reset_index().assign(horizon=horizon))
    return pd.concat(parts, ignore_index=True)


def _worst_status(checks: pd.DataFrame) -> str:
    """Return the worst status of some checks."""
    worst = max(checks["status"], key=("not_enough_data", "ok", "warning", "alarm").index)
    return str(worst).replace("_", " ")
