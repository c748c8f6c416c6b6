"""Score: the error of every published forecast whose month has happened."""

import pandas as pd
from prefect import task

from model.metrics import SCORE_COLUMNS, score_forecasts
from tasks.checking import Checked, read_months
from tasks.database import database_errors, get_store
from tasks.planning import MonthPlan
from tasks.progress import log_line
from tasks.steps import STEP

_TARGET = ["symbol", "origin_month", "horizon"]
ERROR_COLUMNS = ["run_id", *(name for name in SCORE_COLUMNS if name not in ("origin_month", "target_month"))]


@task(name="score", **STEP)
def score_past_forecasts(plan: MonthPlan, checked: Checked) -> pd.DataFrame:
    """Errors of the universe's forecasts that can now be scored and have not been.

    A target month without a complete history of returns up to it is left for a later run.

    Returns:
        ERROR_COLUMNS, and `is_served` and `target_month` of the forecast.
    """
    with database_errors():
        pending = get_store().read_forecasts_to_score(plan.key)
    # A symbol may have left the universe since; its forecasts are scored all the same.
    gone = sorted(set(pending["symbol"]) - set(checked.months["symbol"]))
    months = pd.concat([checked.months, read_months(plan, gone)[0]]) if gone else checked.months
    actuals = actual_log_returns(pending[[*_TARGET, "target_month"]].drop_duplicates(_TARGET), months)
    scored = score_forecasts(pending, actuals)
    errors = scored.merge(pending[[*_TARGET, "forecaster", "run_id", "is_served"]], on=[*_TARGET, "forecaster"])
    log_line("score", f"{int(errors['is_served'].sum()):,} forecasts whose month has happened")
    return errors[[*ERROR_COLUMNS, "is_served", "target_month"]]


def actual_log_returns(targets: pd.DataFrame, months: pd.DataFrame) -> pd.DataFrame:
    """What came of each forecast: the sum of the monthly log returns after its origin month up to its target month.

    Args:
        targets: symbol, origin_month, horizon, target_month.
        months: symbol, month, log_return, is_final.

    Returns:
        The targets with `log_return`; NaN where a month of the horizon is not final or has no return.
    """
    final = months[months["is_final"] & months["log_return"].notna()]
    grid = final.pivot(index="month", columns="symbol", values="log_return")
    if len(grid):  # an origin may be the month before a symbol's first return
        first = grid.index.min() - pd.DateOffset(months=1)
        grid = grid.reindex(pd.date_range(first, grid.index.max(), freq="MS"))
    total, count = grid.fillna(0.0).cumsum(), grid.notna().cumsum()

    def at(table: pd.DataFrame, column: str) -> pd.Series:
        rows = table.index.get_indexer(pd.DatetimeIndex(targets[column]))
        columns = table.columns.get_indexer(pd.Index(targets["symbol"]))
        found = pd.Series(float("nan"), index=targets.index)
        is_there = (rows >= 0) & (columns >= 0)
        found[is_there] = table.to_numpy()[rows[is_there], columns[is_there]]
        return found

    is_whole = at(count, "target_month") - at(count, "origin_month") == targets["horizon"]
    return targets.assign(log_return=(at(total, "target_month") - at(total, "origin_month")).where(is_whole))
