"""Forecast, and publish: the rows of the month, written in one transaction."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from prefect import task

from model import quantile_names
from sql.store import Publication
from tasks.alerts.messages import cleared_alerts, damaged_model_alerts, drift_alerts
from tasks.database import database_errors, get_store
from tasks.month.check import Checked
from tasks.month.drift import DriftResult
from tasks.month.run import OpenRun
from tasks.month.score import ERROR_COLUMNS
from tasks.month.train import Choice
from tasks.plans.month import MonthPlan
from tasks.progress import log_line
from tasks.retries import STEP
from tasks.sources.base import Outcome

FORECAST_KEYS = ["symbol", "origin_month", "horizon", "target_month", "forecaster", "is_served"]


@dataclass(frozen=True)
class Forecasts:
    """A month's forecasts and where they stood when they were made."""

    rows: pd.DataFrame
    """FORECAST_KEYS and the quantiles; one row a symbol, horizon and forecaster."""
    origins: pd.DataFrame
    """symbol, origin_month, origin_session, origin_close, currency_code, naive_mae, sector; one row a symbol."""


@task(name="forecast", **STEP)
def make_forecasts(plan: MonthPlan, checked: Checked, choice: Choice) -> Forecasts:
    """Forecast every symbol that has its origin month, with every forecaster; one of them is marked as served."""
    origin_month = pd.Timestamp(plan.key.origin_month)
    usable = checked.outcomes.loc[checked.outcomes["outcome"] == Outcome.OK, "symbol"]
    everything = choice.forecaster.forecast(choice.panel, origin_month)
    rows = everything[everything["symbol"].isin(usable)]
    rows = rows.assign(is_served=rows["forecaster"] == choice.served)
    forecasts = Forecasts(
        rows[[*FORECAST_KEYS, *quantile_names(choice.forecaster.config.quantile_levels)]],
        describe_origins(plan, checked.months, rows["symbol"].unique()),
    )
    log_line(
        "forecast", f"{len(forecasts.origins)} symbols, {rows['horizon'].nunique()} horizons, served: {choice.served}"
    )
    return forecasts


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
    """Write everything the month adds in one transaction; a reader sees all of it or nothing.

    Returns:
        The sentence that the ledger keeps.
    """
    plan = run.plan
    # A symbol may have its month and yet too little history to stand on.
    is_forecast = checked.outcomes["symbol"].isin(forecasts.origins["symbol"])
    too_short = (checked.outcomes["outcome"] == Outcome.OK) & ~is_forecast
    outcomes = checked.outcomes.assign(
        outcome=checked.outcomes["outcome"].mask(too_short, str(Outcome.REJECTED)),
        reason=checked.outcomes["reason"].mask(too_short, "too few complete months to forecast from"),
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
        drift_expectation=drift.reference,
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
        get_store().publish(run.run_id, publication, finished_at=datetime.now(UTC))
    log_line("publish", message)
    return message


def describe_origins(plan: MonthPlan, months: pd.DataFrame, symbols: np.ndarray) -> pd.DataFrame:
    """Where the forecasts of the symbols stand: the rows of `forecast.forecast_origin`, in the order of the months.

    Args:
        plan: Says which month it is, and the symbols' currencies and sectors.
        months: Columns of `model.bars.months.build_months`.
        symbols: Those that are forecast.
    """
    final = months[months["symbol"].isin(symbols) & months["is_final"]]
    naive_mae = final["log_return"].abs().groupby(final["symbol"]).mean()
    last = final[final["month"] == pd.Timestamp(plan.key.origin_month)]
    currency = {each.symbol: each.currency_code for each in plan.instruments}
    sector = {each.symbol: each.sector for each in plan.instruments}
    return pd.DataFrame(
        {
            "symbol": last["symbol"],
            "origin_month": last["month"],
            "origin_session": last["last_session"],
            "origin_close": last["close"],
            "currency_code": last["symbol"].map(currency),
            "naive_mae": last["symbol"].map(naive_mae),
            "sector": last["symbol"].map(sector),
        }
    )
