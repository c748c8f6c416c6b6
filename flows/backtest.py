"""Backtest: fetch, read, forecast fold by fold, score, store."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

from prefect import flow
from pydantic import Field

from tasks.database import get_store
from tasks.failures.orphans import scratch_directory
from tasks.month.fetch import fetch_bars, require_any
from tasks.month.train import CONFIG
from tasks.plans.backtest import DEFAULT_FORECASTERS, Refit, plan_backtest
from tasks.report.summaries import BacktestSummary, summarise_backtest
from tasks.research.backtest import (
    forecast_folds,
    read_history,
    reserved_output,
    score_folds,
    store_backtest,
)
from tasks.settings import get_settings


@flow(name="backtest")
def backtest(
    first_origin: date,
    last_origin: date,
    source: str = "yahoo",
    symbols: list[str] | None = None,
    universe: str | None = None,
    refit: Refit = "yearly",
    forecasters: list[str] | None = None,
    out: Path | None = None,
    workers: Annotated[int, Field(ge=1, le=64)] | None = None,
    chunk_symbols: Annotated[int, Field(ge=1, le=1000)] = 50,
) -> BacktestSummary:
    """Forecast from every month of a past span, each with the data up to that month, and score the forecasts.

    Publishes nothing. An interrupted backtest stores nothing except prices.

    Args:
        first_origin: Any day of the first month to forecast from.
        last_origin: Any day of the last month to forecast from.
        source: `yahoo`, `file:PATH` or `sample`.
        symbols: Symbols to forecast; default: those of `universe`, else all symbols of the source.
        universe: CSV file with a column `symbol`, optionally `exchange_mic` and `currency_code`.
        refit: When hybrid and baseline are trained again: `monthly` at every origin, `yearly` at every twelfth, or
            `never` after the first.
        forecasters: Any of hybrid, baseline, persistence, drift, garch and ets; default: all except the last two.
        out: Parquet file for the forecasts, written after the last fold.
        workers: Parallel processes; default: two, if cores and memory allow.
        chunk_symbols: Symbols per task.

    Returns:
        Scores by horizon and forecaster.

    Raises:
        BellwetherError: if there are no scores; its message has the reason.
    """
    plan = plan_backtest(
        get_store(),
        get_settings(),
        CONFIG,
        source_spec=source,
        symbols=symbols,
        universe_file=universe,
        first_origin=first_origin,
        last_origin=last_origin,
        refit=refit,
        forecasters=DEFAULT_FORECASTERS if forecasters is None else forecasters,
        out=out,
        workers=workers,
        now=datetime.now(UTC),
    )
    with reserved_output(plan.out) as partial, scratch_directory(get_settings().home) as directory:
        fetched = fetch_bars(plan.month.prices, chunk_symbols)
        require_any(fetched)
        history = read_history(plan, CONFIG, fetched, directory, chunk_symbols)
        parts = forecast_folds(plan, CONFIG, history)
        results = score_folds(plan, CONFIG, history, parts, partial)
        backtest_id = store_backtest(plan, CONFIG, history, results)
    return summarise_backtest(plan, history, results, backtest_id)
