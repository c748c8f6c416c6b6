"""Watch: is what is served still as good as is expected of its model, and are the prices it comes from like before?"""

from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd
from prefect import task

from model import Flags, Floats
from model.drift.expectation import arrange, expected_values, make_expectation, target_months
from model.drift.inputs import check_inputs
from model.drift.measures import measure_forecasts, measure_months
from model.drift.monitor import (
    FEWEST_EXPECTATION_MONTHS,
    FEWEST_MONTHS,
    RECOVERED,
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
"""Newest scored months that the symbols behind a warning are looked for in."""
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
_IS_WORSE = {
    "loss": "What was served lost more, against the reference_forecast, than is expected of its model",
    "loss_against_baseline": "The hybrid lost more than its own baseline",
    "calibration": "The intervals were narrower, against the reference_forecast's, than is expected",
    "staleness": "The spreads followed the newest month's volatilities less than is expected",
}
_BY_HOW_MUCH = {
    "loss": "on average {:.1%} more",
    "loss_against_baseline": "on average {:.1%} more",
    "calibration": "the spread of the PIT on average {:.2f} larger",
    "staleness": "on average {:.3f} of log volatility behind",
}


@dataclass(frozen=True)
class DriftResult:
    """What a run has seen, in the columns of the tables it is kept in."""

    checks: pd.DataFrame
    """DRIFT_COLUMNS of `ops.drift_check`."""
    months: pd.DataFrame = field(repr=False)
    """Of `ops.drift_month`: those that were not watched before."""
    reference: pd.DataFrame = field(repr=False)
    """Of `forecast.drift_expectation`, of the chosen model; empty when it is stored already."""
    symbols: pd.DataFrame = field(repr=False)
    """Of `ops.drift_symbol`."""
    inputs: pd.DataFrame = field(repr=False)
    """Of `ops.input_check`."""


@dataclass(frozen=True)
class _Reference:
    """What is expected of a model."""

    months: pd.DataFrame
    holdout_start: date

    def expected(self) -> pd.DataFrame:
        return expected_values(self.months, self.holdout_start)


@task(name="watch", **STEP)
def check_drift(plan: MonthPlan, checked: Checked, choice: Choice, errors: pd.DataFrame) -> DriftResult:
    """Weigh the forecasts that could be scored, and say whether they are worse than expected by more than luck.

    Args:
        plan: The month.
        checked: Its months, for the reference_forecast and the inputs.
        choice: The model in service, whose reference says what is expected of it.
        errors: Scored in this run, from `score_past_forecasts`.
    """
    origin_month = pd.Timestamp(plan.key.origin_month)
    recent = (origin_month - pd.DateOffset(months=SYMBOL_MONTHS - 1)).date()
    with database_errors():
        forecasts = get_store().read_forecasts_to_check(plan.key, horizons=MONITORED_HORIZONS, since_month=recent)
        watched = get_store().read_drift_months(plan.key)
    levels = choice.forecaster.config.quantile_levels
    reference_forecast = make_reference_forecast(checked.months, horizons=MONITORED_HORIZONS, levels=levels)
    stored = None if choice.kept_model_id is None else _stored_reference(choice.kept_model_id)
    reference = stored or _make_reference(choice, reference_forecast)

    forecasts = _with_new_actuals(forecasts, errors)
    weighed = measure_forecasts(forecasts, reference_forecast).merge(forecasts[[*_FORECAST, "is_served"]], on=_FORECAST)
    new_months = _new_months(forecasts, weighed.drop(columns="is_served"), reference, choice.kept_model_id)
    live = pd.concat([watched, new_months.assign(target_month=target_months(new_months))], ignore_index=True)
    checks = _check(live, reference, choice.served)
    log_line("watch", ", ".join(f"{horizon} months: {_verdict(own)}" for horizon, own in checks.groupby("horizon")))
    missing_share = float((checked.outcomes["outcome"] != Outcome.OK).mean())
    return DriftResult(
        checks=checks,
        months=new_months.drop(columns="origin_month"),
        reference=reference.months.iloc[: 0 if stored else None],
        symbols=_symbols_behind(checks, weighed[weighed["is_served"]], live),
        inputs=check_inputs(checked.months, origin_month, missing_share),
    )


def _stored_reference(model_version_id: int) -> _Reference | None:
    """None of a version that was stored before there were references."""
    with database_errors():
        rows = get_store().read_drift_expectation(model_version_id)
    return None if rows.empty else _Reference(rows.drop(columns="holdout_start"), rows["holdout_start"].iloc[0].date())


def _make_reference(choice: Choice, reference_forecast: ReferenceForecast) -> _Reference:
    judged = choice.backtest_errors["origin_month"].min()
    holdout_start = choice.new_model.holdout_start if choice.new_model is not None else pd.Timestamp(judged).date()
    return _Reference(
        make_expectation(choice.forecaster, choice.panel, reference_forecast, MONITORED_HORIZONS), holdout_start
    )


def _with_new_actuals(forecasts: pd.DataFrame, errors: pd.DataFrame) -> pd.DataFrame:
    """The forecasts that have been scored, now or before, with what came of them."""
    keys = ["run_id", "symbol", "horizon", "forecaster"]
    new = errors[[*keys, "actual_log_return"]].rename(columns={"actual_log_return": "new_actual"})
    both = forecasts.astype({"actual_log_return": "float64"}).merge(new, on=keys, how="left")
    actual = both["actual_log_return"].fillna(both["new_actual"].astype(np.float64))
    return both.drop(columns="new_actual").assign(actual_log_return=actual)[actual.notna()]


def _new_months(
    forecasts: pd.DataFrame, weighed: pd.DataFrame, reference: _Reference, kept_model_id: int | None
) -> pd.DataFrame:
    """Columns of `ops.drift_month`, and origin_month: what was served, of forecasts that had not been watched."""
    by_month = ["origin_month", "horizon", "forecaster"]
    is_new = forecasts["is_served"] & ~forecasts["is_checked"].astype(np.bool_)
    made = forecasts.loc[is_new, [*by_month, "run_id", "model_version_id"]].drop_duplicates(by_month)
    values = measure_months(weighed).merge(made, on=by_month)
    parts = []
    for version, own in values.groupby("model_version_id"):
        # A version of before there were references is held against the one in service.
        is_current = version == kept_model_id
        its = reference if is_current else _stored_reference(int(str(version))) or reference
        parts.append(own.merge(its.expected(), on=["forecaster", "horizon", "measure"]))
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


def _check(live: pd.DataFrame, reference: _Reference, served: str) -> pd.DataFrame:
    """DRIFT_COLUMNS, at least one row a horizon."""
    checks, values, has_holdout = arrange(reference.months, served, reference.holdout_start)
    if len(values) < FEWEST_EXPECTATION_MONTHS:
        checks = []
    rows = []
    if checks:
        calibration = calibrate(checks, values, has_holdout)
        surprise = live.assign(surprise=(live["value"] - live["expected"]) / live["deviation"]).pivot(
            index="target_month", columns=["horizon", "measure"], values="surprise"
        )
        surprise = surprise.reindex(columns=pd.MultiIndex.from_tuples(checks)).sort_index()
        sums, is_alarm = accumulate(surprise.to_numpy(np.float64), calibration)
        for column, check in enumerate(checks):
            rows.append(_row(check, column, calibration, surprise.index, sums[:, column], is_alarm[:, column], live))
    for horizon in sorted(set(MONITORED_HORIZONS) - {check.horizon for check in checks}):
        reason = f"The model has too few months to say what is expected of it; {FEWEST_EXPECTATION_MONTHS} are needed."
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
    """DRIFT_COLUMNS of one check, from its sums [T] at the ends of T months."""
    own = live[(live["horizon"] == check.horizon) & (live["measure"] == check.measure)]
    threshold, used = float(calibration.threshold[column]), len(own)
    if used < FEWEST_MONTHS:
        reason = f"{used} scored months; the check begins with {FEWEST_MONTHS}."
        return (*check, "not_enough_data", np.nan, threshold, 1.0, used, pd.NaT, reason)
    total, length = float(sums[-1]), excursion(sums)
    status = status_of(total, threshold, is_alarm=bool(is_alarm[-1]), months=used)
    p_value = calibration.p_value(column, total, used)
    if length == 0:
        reason = f"No worse than expected in {used} months: the sum is 0, and {threshold:.1f} is an alarm."
        return (*check, status, total, threshold, p_value, used, pd.NaT, reason)
    since = pd.Timestamp(months[-length])
    worse = own[own["target_month"] >= since]
    mean = float((worse["value"] - worse["expected"]).mean())
    excess = float(np.expm1(mean)) if check.measure.startswith("loss") else mean
    count = f"{len(worse)} month{'s' if len(worse) > 1 else ''}"
    reason = (
        f"{'' if status != 'ok' else 'Within what is expected. '}{_IS_WORSE[check.measure]}: "
        f"{_BY_HOW_MUCH[check.measure].format(excess)} in {count} scored since {since:%Y-%m}. "
        f"The sum of it is {total:.1f}, and {threshold:.1f} is an alarm"
    )
    if status == "alarm":
        left = (total - RECOVERED * threshold) / float(calibration.allowance[column])
        reason += (
            f", until it is back at {RECOVERED * threshold:.1f}: after {max(1, int(np.ceil(left)))} expected months"
        )
    return (*check, status, total, threshold, p_value, used, since, f"{reason}.")


def _symbols_behind(checks: pd.DataFrame, served: pd.DataFrame, live: pd.DataFrame) -> pd.DataFrame:
    """Of each horizon that warns or alarms, the symbols that lost most beyond what is expected: horizon, symbol, share."""
    parts = [pd.DataFrame({"horizon": [], "symbol": [], "share": []}).astype({"horizon": "int64", "symbol": "str"})]
    is_open = checks["status"].isin(["warning", "alarm"])
    targets = target_months(served)
    for horizon, since in checks[is_open].groupby("horizon")["since_month"].min().items():
        expected = live.loc[(live["horizon"] == horizon) & (live["measure"] == "loss")].sort_values("target_month")[
            "expected"
        ]
        own = served[(served["horizon"] == horizon) & (targets >= since)]
        excess = own["crps"] - np.exp(expected.iloc[-1]) * own["reference_crps"]
        by_symbol = excess.groupby(own["symbol"]).sum().clip(lower=0.0)
        share = (by_symbol[by_symbol > 0] / by_symbol.sum()).nlargest(MOST_SYMBOLS)
        parts.append(share.rename("share").reset_index().assign(horizon=horizon))
    return pd.concat(parts, ignore_index=True)


def _verdict(checks: pd.DataFrame) -> str:
    """The worst status of some checks."""
    worst = max(checks["status"], key=("not_enough_data", "ok", "warning", "alarm").index)
    return str(worst).replace("_", " ")
