"""Watch: is the served forecast still as good, against its baseline in the same months, as when it was judged?"""

import pandas as pd
from prefect import task

from model.drift import FEWEST_MONTHS, DriftResult, check_drift
from tasks.database import database_errors, get_store
from tasks.planning import MonthPlan
from tasks.progress import log_line
from tasks.steps import STEP
from tasks.training import Choice

WATCHED_HORIZONS = (1, 3, 6, 12)
DRIFT_COLUMNS = ["horizon", "status", "statistic", "threshold", "p_value", "months_used", "reason"]


@task(name="watch", **STEP)
def watch_drift(plan: MonthPlan, choice: Choice, errors: pd.DataFrame) -> pd.DataFrame:
    """One drift check a watched horizon; DRIFT_COLUMNS.

    Args:
        plan: The month.
        choice: The model in service; its judged months say what is normal.
        errors: Scored in this run, from `score_past_forecasts`.
    """
    with database_errors():
        stored = get_store().read_served_losses(plan.key)
    losses = pd.concat([stored, _mean_losses(errors)]).groupby(["horizon", "target_month"], as_index=False).mean()
    rows = []
    for horizon in WATCHED_HORIZONS:
        own = losses[losses["horizon"] == horizon].sort_values("target_month")
        mean, deviation = choice.usual_relative_loss(horizon)
        result = check_drift(own["served_crps"] / own["baseline_crps"], reference_mean=mean, reference_sd=deviation)
        numbers = (result.statistic, result.threshold, result.p_value, result.months_used)
        rows.append((horizon, result.status, *numbers, _reason(result)))
    log_line("watch", ", ".join(f"{row[0]} months: {row[1].replace('_', ' ')}" for row in rows))
    return pd.DataFrame(rows, columns=DRIFT_COLUMNS)


def _reason(result: DriftResult) -> str:
    if result.status == "not_enough_data":
        return f"{result.months_used} scored months; the check begins with {FEWEST_MONTHS}."
    return (
        f"The sum of how much worse than usual the forecast was, against the baseline, is {result.statistic:.1f} after "
        f"{result.months_used} months; above {result.threshold:g} is an alarm."
    )


def _mean_losses(errors: pd.DataFrame) -> pd.DataFrame:
    """horizon, target_month, served_crps, baseline_crps: means over symbols of errors not stored yet."""
    keys = ["horizon", "target_month"]
    served = errors[errors["is_served"]].groupby(keys)["crps"].mean().rename("served_crps")
    baseline = errors[errors["forecaster"] == "baseline"].groupby(keys)["crps"].mean().rename("baseline_crps")
    return pd.concat([served, baseline], axis=1).reset_index()
