"""Summaries of finished runs, read back from the database, and example queries."""

import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from sql.store import MonthKey, Store
from tasks.database import database_errors
from tasks.errors import DatabaseUnavailableError
from tasks.plans.backtest import BacktestPlan
from tasks.plans.month import MonthPlan
from tasks.plans.prices import PricesPlan
from tasks.research.backtest import BacktestResults, History

_ATTEMPTS = 4
_PAUSE_SECONDS = 3.0

EXAMPLE_QUERIES = {
    "Forecasts of the next month, in prices": (
        "select symbol, target_month, round(price_q10::numeric, 2) as low, round(price_q50::numeric, 2) as middle,\n"
        "       round(price_q90::numeric, 2) as high, currency_code\n"
        "from report.latest_forecast where horizon = 1 order by symbol"
    ),
    "Accuracy of the forecasts, compared with persistence (the random walk) and the baseline": (
        "select horizon, forecaster, months, round(crps::numeric, 4) as crps,\n"
        "       round(skill_vs_persistence::numeric, 3) as skill_vs_persistence, round(coverage_80, 2) as coverage_80\n"
        "from report.scorecard\n"
        "where model_version_id is null and symbol_group = 'all' and window_months is null and horizon in (1, 6)\n"
        "order by horizon, forecaster"
    ),
    "Forecasts beside actual prices": (
        "select symbol, target_month, round(price_q10::numeric, 2) as low, round(price_q50::numeric, 2) as middle,\n"
        "       round(price_q90::numeric, 2) as high, round(price_actual::numeric, 2) as actual\n"
        "from report.forecast_vs_actual where is_served and horizon = 1 order by target_month desc, symbol limit 4"
    ),
}


@dataclass(frozen=True)
class MonthSummary:
    """A published month."""

    key: MonthKey
    run_id: int
    is_already_done: bool
    """Whether an earlier run published the month, and this one changed nothing."""
    served: str
    """`hybrid` or `baseline`."""
    message: str
    forecasts: pd.DataFrame = field(repr=False)
    """symbol, horizon, target_month, forecaster, currency_code, origin_close, price_q10, price_q50, price_q90."""
    scores: pd.DataFrame = field(repr=False)
    """Rows of `report.scorecard` of the universe, for all symbols and all model versions together."""
    drift: pd.DataFrame = field(repr=False)
    """Rows of `report.drift_status` of the universe."""
    outcomes: pd.DataFrame = field(repr=False)
    """symbol, outcome, reason, last_session, months."""


@dataclass(frozen=True)
class PricesSummary:
    """A finished download of prices."""

    universe: str
    outcomes: pd.DataFrame = field(repr=False)
    """symbol, outcome, reason, first_session, last_session."""
    findings: pd.DataFrame = field(repr=False)
    """rule, treatment, symbols, findings, example: one row per rule and treatment."""


@dataclass(frozen=True)
class BacktestSummary:
    """A finished backtest."""

    backtest_id: int
    universe: str
    first_origin: date
    last_origin: date
    refit: str
    symbols: int
    forecasts: int
    """Number of forecasts, over all symbols, origins, horizons and forecasters."""
    out: Path | None
    """Parquet file of the forecasts; None if none was requested."""
    scores: pd.DataFrame = field(repr=False)
    """One row per period, horizon and forecaster, see `model.evaluation.backtest.summarise_errors`."""


def summarise_prices(store: Store, plan: PricesPlan, fetched: pd.DataFrame) -> PricesSummary:
    """Summarise a download: outcomes, stored spans, and all findings in the symbols' bars."""
    with database_errors():
        known = store.read_instruments(plan.symbols)
        findings = store.read_report("finding_counts", symbols=plan.symbols)
    spans = known[["symbol", "first_session", "last_session"]]
    return PricesSummary(plan.universe, fetched.merge(spans, on="symbol", how="left"), findings)


def summarise_published(store: Store, plan: MonthPlan) -> MonthSummary:
    """Summarise the newest published run of a month that an earlier run published."""
    with database_errors():
        published = store.find_published(plan.key)
    if published is None:
        raise ValueError(f"`plan` must be of a published month: received {plan.key}.")
    return summarise_month(store, plan, int(published["run_id"]), is_already_done=True)


def summarise_month(store: Store, plan: MonthPlan, run_id: int, *, is_already_done: bool) -> MonthSummary:
    """Summarise a published run of a month, after a few attempts if the database does not answer.

    Raises:
        DatabaseUnavailableError: if it does not answer; the month stays published.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _read_month(store, plan, run_id, is_already_done=is_already_done)
        except DatabaseUnavailableError as error:
            if attempt == _ATTEMPTS - 1:
                raise DatabaseUnavailableError(
                    f"Run {run_id} published {plan.key.origin_month:%Y-%m}, but its summary cannot be read: {error}"
                ) from error
            time.sleep(_PAUSE_SECONDS)
    raise AssertionError  # the last attempt returns or raises


def _read_month(store: Store, plan: MonthPlan, run_id: int, *, is_already_done: bool) -> MonthSummary:
    universe: dict[str, Any] = {"source": plan.key.source, "universe": plan.key.universe}
    with database_errors():
        run = store.read_report("run", run_id=run_id).iloc[0]
        return MonthSummary(
            key=plan.key,
            run_id=run_id,
            is_already_done=is_already_done,
            served=run["served"],
            message=run["message"],
            forecasts=store.read_report("summary_forecasts", run_id=run_id),
            scores=store.read_report("scorecard", **universe),
            drift=store.read_report("drift_status", **universe),
            outcomes=store.read_report("symbol_outcomes", run_id=run_id),
        )


def summarise_backtest(
    plan: BacktestPlan, history: History, results: BacktestResults, backtest_id: int
) -> BacktestSummary:
    """Summarise a stored backtest."""
    return BacktestSummary(
        backtest_id=backtest_id,
        universe=plan.month.key.universe,
        first_origin=plan.first_origin,
        last_origin=plan.last_origin,
        refit=plan.refit,
        symbols=history.symbols,
        forecasts=results.rows,
        out=plan.out,
        scores=results.table,
    )
