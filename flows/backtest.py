"""The backtest: fetch, read, forecast fold by fold, score, keep."""

from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from prefect import flow
from pydantic import Field

from tasks.database import get_store
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
    """Forecast from every month of a span, each from what was known at its own, and score what has come since.

    Nothing is published, and no forecast in service is touched. Interrupted, a backtest leaves nothing but prices.

    Args:
        first_origin: Any day of the first month to forecast from.
        last_origin: Any day of the last one.
        source: `yahoo`, `file:PATH` or `sample`.
        symbols: Symbols to forecast; default: those of `universe`, else all that the source lists.
        universe: CSV file with a column `symbol`, optionally `exchange_mic` and `currency_code`.
        refit: When hybrid and baseline are trained anew: at every origin, at every twelfth, or at the first alone.
        forecasters: Some of hybrid, baseline, persistence, drift, garch and ets; default: all but the last two.
        out: Parquet file for the forecasts, written when all are there.
        workers: Processes at a time; default: two where there are as many cores, and the memory.
        chunk_symbols: Symbols fetched and read together.

    Returns:
        The scores, by horizon and forecaster.

    Raises:
        BellwetherError: one sentence on why there are none.
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
    with reserved_output(plan.out) as partial, TemporaryDirectory(prefix="bellwether-backtest-") as directory:
        fetched = fetch_bars(plan.month.prices, chunk_symbols)
        require_any(fetched)
        history = read_history(plan, CONFIG, fetched, Path(directory), chunk_symbols)
        parts = forecast_folds(plan, CONFIG, history)
        results = score_folds(plan, CONFIG, history, parts, partial)
        backtest_id = store_backtest(plan, CONFIG, history, results)
    return summarise_backtest(plan, history, results, backtest_id)
