"""Errors of published forecasts whose target month is over, and new errors of restated outcomes."""

import pandas as pd
from prefect import task

from model.evaluation.metrics import score_forecasts
from sql.store import OUTCOME_TOLERANCE
from tasks.database import database_errors, get_store
from tasks.month.check import Checked, drop_rejected, read_months
from tasks.plans.month import MonthPlan
from tasks.progress import log_line
from tasks.retries import STEP

_TARGET = ["symbol", "origin_month", "horizon"]
ERROR_COLUMNS = [
    "run_id",
    "symbol",
    "horizon",
    "forecaster",
    "actual_log_return",
    "error",
    "crps",
    "winkler_80",
    "winkler_95",
    "is_covered_80",
    "is_covered_95",
    "is_direction_right",
]


@task(name="score", **STEP)
def score_past_forecasts(plan: MonthPlan, checked: Checked) -> pd.DataFrame:
    """Score the universe's forecasts that have an outcome and no error yet.

    Targets without a complete series of returns up to the target month stay for a later run.

    Returns:
        ERROR_COLUMNS, and `is_served` and `target_month` of the forecast.
    """
    with database_errors():
        pending = get_store().read_forecasts_to_score(plan.key)
    months = _months_with(plan, checked, pending["symbol"])
    actuals = actual_log_returns(pending[[*_TARGET, "target_month"]].drop_duplicates(_TARGET), months)
    errors = _errors_of(pending, actuals)
    log_line("score", f"{int(errors['is_served'].sum()):,} forecasts scored")
    return errors


@task(name="rescore", **STEP)
def score_restated_forecasts(plan: MonthPlan, checked: Checked) -> pd.DataFrame:
    """Score forecasts again whose outcome differs by today's prices.

    Outcomes that today's prices do not give, as of a rejected symbol, stay as they are.

    Returns:
        ERROR_COLUMNS; one row per forecaster and forecast whose outcome moved by more than OUTCOME_TOLERANCE.
    """
    with database_errors():
        known = get_store().read_scored_actuals(plan.key)
    outcomes = actual_log_returns(known, _months_with(plan, checked, known["symbol"]))
    moved = outcomes[(outcomes["log_return"] - outcomes["known_log_return"]).abs() > OUTCOME_TOLERANCE]
    if moved.empty:
        return pd.DataFrame(columns=ERROR_COLUMNS)
    with database_errors():
        forecasts = get_store().read_forecasts_of(moved)
    errors = _errors_of(forecasts, moved)
    log_line("rescore", f"{len(moved):,} outcomes restated, the largest by {_largest_move(moved)}")
    return errors[ERROR_COLUMNS]


def _months_with(plan: MonthPlan, checked: Checked, symbols: pd.Series) -> pd.DataFrame:
    """The checked months, and those of scored symbols that have left the universe."""
    departed = sorted(set(symbols) - set(checked.months["symbol"]))
    if not departed:
        return checked.months
    return pd.concat([checked.months, drop_rejected(*read_months(plan, departed))[0]])


def _errors_of(forecasts: pd.DataFrame, actuals: pd.DataFrame) -> pd.DataFrame:
    """ERROR_COLUMNS, is_served and target_month of the forecasts with an outcome."""
    scored = score_forecasts(forecasts, actuals)
    errors = scored.merge(forecasts[[*_TARGET, "forecaster", "run_id", "is_served"]], on=[*_TARGET, "forecaster"])
    return errors[[*ERROR_COLUMNS, "is_served", "target_month"]]


def _largest_move(moved: pd.DataFrame) -> str:
    moves = moved.assign(move=moved["log_return"] - moved["known_log_return"])
    largest = moves.sort_values("move", key=abs).iloc[-1]
    return f"{largest['move']:+.2%} ({largest['symbol']}, {largest['target_month']:%Y-%m})"


def actual_log_returns(targets: pd.DataFrame, months: pd.DataFrame) -> pd.DataFrame:
    """Compute the outcome of each target: the sum of the monthly log returns after its origin month.

    Args:
        targets: symbol, origin_month, horizon, target_month.
        months: symbol, month, log_return, is_final.

    Returns:
        The targets with `log_return`; NaN unless every month up to the target month is final and has a return.
    """
    final = months[months["is_final"] & months["log_return"].notna()]
    grid = final.pivot(index="month", columns="symbol", values="log_return")
    if len(grid):  # the month before a symbol's first return can be an origin
        first = grid.index.min() - pd.DateOffset(months=1)
        grid = grid.reindex(pd.date_range(first, grid.index.max(), freq="MS"))
    total, count = grid.fillna(0.0).cumsum(), grid.notna().cumsum()

    def at(table: pd.DataFrame, column: str) -> pd.Series:
        rows = table.index.get_indexer(pd.DatetimeIndex(targets[column]))
        columns = table.columns.get_indexer(pd.Index(targets["symbol"]))
        values = pd.Series(float("nan"), index=targets.index)
        is_known = (rows >= 0) & (columns >= 0)
        values[is_known] = table.to_numpy()[rows[is_known], columns[is_known]]
        return values

    is_complete = at(count, "target_month") - at(count, "origin_month") == targets["horizon"]
    return targets.assign(log_return=(at(total, "target_month") - at(total, "origin_month")).where(is_complete))
