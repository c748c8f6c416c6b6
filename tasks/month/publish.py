"""Publish: the rows of the month, written in one transaction."""

from datetime import UTC, datetime

import pandas as pd
from prefect import task

from sql.store import Publication
from tasks.alerts.messages import cleared_alerts, damaged_model_alerts, drift_alerts
from tasks.database import database_errors, get_store
from tasks.month.check import Checked
from tasks.month.drift import DriftResult
from tasks.month.forecast import Forecasts
from tasks.month.run import MonthLostError, OpenRun
from tasks.month.score import ERROR_COLUMNS
from tasks.month.train import Choice
from tasks.progress import log_line
from tasks.retries import STEP
from tasks.sources.base import Outcome


@task(name="publish", **STEP)
def publish_month(
    run: OpenRun,
    checked: Checked,
    choice: Choice,
    forecasts: Forecasts,
    errors: pd.DataFrame,
    restated: pd.DataFrame,
    drift: DriftResult,
) -> str:
    """Write all rows of the month in one transaction, so that readers see either none or all of them.

    Args:
        run: The open run.
        checked: Outcomes of the symbols.
        choice: The selected model.
        forecasts: The month's forecasts.
        errors: Of `score_past_forecasts`.
        restated: Of `score_restated_forecasts`.
        drift: Of `check_drift`.

    Returns:
        The message of the run in the ledger.

    Raises:
        MonthLostError: if this process does not hold the month any more.
    """
    plan = run.plan
    # A symbol may have a complete origin month and still too short a history for a forecast.
    is_forecast = checked.outcomes["symbol"].isin(forecasts.origins["symbol"])
    too_short = (checked.outcomes["outcome"] == Outcome.OK) & ~is_forecast
    outcomes = checked.outcomes.assign(
        outcome=checked.outcomes["outcome"].mask(too_short, str(Outcome.REJECTED)),
        reason=checked.outcomes["reason"].mask(too_short, "too few complete months for a forecast"),
    )
    message = (
        f"{len(forecasts.origins)} of {len(outcomes)} symbols forecast from {plan.key.origin_month:%Y-%m}; "
        f"served: {choice.served}. {choice.reason}"
    )
    publication = Publication(
        served=choice.served,
        message=message,
        new_model=choice.new_model,
        kept_model_id=choice.kept_model_id,
        coefficients=choice.forecaster.baseline.coefficients(),
        backtest_errors=choice.backtest_errors,
        candidates=choice.candidates,
        origins=forecasts.origins,
        forecasts=forecasts.rows,
        errors=errors[ERROR_COLUMNS],
        restated_errors=restated,
        drift_checks=drift.checks,
        drift_expectation=drift.expectation,
        drift_months=drift.months,
        drift_symbols=drift.symbols,
        input_checks=drift.inputs,
        outcomes=outcomes,
        alerts=[
            *drift_alerts(plan.key, drift.checks, drift.symbols),
            *damaged_model_alerts(plan.key, choice.refused, choice.kept_model_id),
        ],
        resolved_alerts=cleared_alerts(plan.key, drift.checks, choice.refused),
    )
    with database_errors():
        store = get_store()
        try:
            run.require_lock()
            store.publish(run.run_id, publication, finished_at=datetime.now(UTC))
        except MonthLostError:
            # The connections may have ended after the commit of an earlier attempt.
            row = store.read_run(run.run_id)
            if row is None or row["status"] != "published":
                raise
    log_line("publish", message)
    return message
