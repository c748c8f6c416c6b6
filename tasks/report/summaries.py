"""What a person reads at the end of a run: forecasts in prices, scores beside their peers, where to look further."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from sql.store import MonthKey, Store
from tasks.database import database_errors
from tasks.plans.month import MonthPlan
from tasks.plans.prices import PricesPlan

EXAMPLE_QUERIES = {
    "The next month of every stock, in prices": (
        "select symbol, target_month, round(price_q10::numeric, 2) as low, round(price_q50::numeric, 2) as middle,\n"
        "       round(price_q90::numeric, 2) as high, currency_code\n"
        "from report.latest_forecast where horizon = 1 order by symbol"
    ),
    "How good the forecasts have been, against the random walk and the baseline": (
        "select horizon, forecaster, months, round(crps::numeric, 4) as crps,\n"
        "       round(skill_vs_persistence::numeric, 3) as skill_vs_persistence, round(coverage_80, 2) as coverage_80\n"
        "from report.scorecard\n"
        "where model_version_id is null and symbol_group = 'all' and window_months is null and horizon in (1, 6)\n"
        "order by horizon, forecaster"
    ),
    "What was said beside what came": (
        "select symbol, target_month, round(price_q10::numeric, 2) as low, round(price_q50::numeric, 2) as middle,\n"
        "       round(price_q90::numeric, 2) as high, round(price_actual::numeric, 2) as actual\n"
        "from report.forecast_vs_actual where is_served and horizon = 1 order by target_month desc, symbol limit 4"
    ),
}


@dataclass(frozen=True)
class MonthSummary:
    """A month as its reader sees it, from the tables alone."""

    key: MonthKey
    run_id: int
    is_already_done: bool
    served: str
    message: str
    forecasts: pd.DataFrame = field(repr=False)
    """symbol, horizon, target_month, forecaster, currency_code, origin_close, price_q10, price_q50, price_q90."""
    scores: pd.DataFrame = field(repr=False)
    """Rows of `report.scorecard` of the universe, all symbols and all model versions together."""
    drift: pd.DataFrame = field(repr=False)
    """Rows of `report.drift_status` of the universe."""
    outcomes: pd.DataFrame = field(repr=False)
    """symbol, outcome, reason, last_session, months."""


@dataclass(frozen=True)
class PricesSummary:
    """What became of the prices asked for."""

    universe: str
    outcomes: pd.DataFrame = field(repr=False)
    """symbol, outcome, reason, first_session, last_session."""
    findings: pd.DataFrame = field(repr=False)
    """rule, treatment, symbols, findings, example: one row a rule and treatment."""


@dataclass(frozen=True)
class BacktestSummary:
    """A backtest as its reader sees it."""

    backtest_id: int
    universe: str
    first_origin: date
    last_origin: date
    refit: str
    symbols: int
    forecasts: int
    """Rows, over all symbols, origins, horizons and forecasters."""
    out: Path | None
    """File of the forecasts, if one was asked for."""
    scores: pd.DataFrame = field(repr=False)
    """One row a period, horizon and forecaster, see `model.evaluation.backtest.summarise_errors`."""


def summarise_prices(store: Store, plan: PricesPlan, fetched: pd.DataFrame) -> PricesSummary:
    """What a download brought, with the span that is now stored of every symbol and all that was found in its bars."""
    with database_errors():
        known = store.read_instruments(plan.symbols)
        found = store.read_report("finding_counts", symbols=plan.symbols)
    spans = known[["symbol", "first_session", "last_session"]]
    return PricesSummary(plan.universe, fetched.merge(spans, on="symbol", how="left"), found)


def summarise_published(store: Store, plan: MonthPlan) -> MonthSummary:
    """The month's run in force, of a month that is already published."""
    with database_errors():
        published = store.find_published(plan.key)
    if published is None:
        raise ValueError(f"{plan.key} must be published to be summarised, and it is not.")
    return summarise_month(store, plan, int(published["run_id"]), is_already_done=True)


def summarise_month(store: Store, plan: MonthPlan, run_id: int, *, is_already_done: bool) -> MonthSummary:
    """Read a published month back."""
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
