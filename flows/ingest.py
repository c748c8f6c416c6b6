"""Prices without a forecast: fetch and check bars of new symbols, missing months or a longer history."""

from datetime import UTC, date, datetime
from typing import Annotated

from prefect import flow
from pydantic import Field

from tasks.database import get_store
from tasks.month.check import screen_bars
from tasks.month.fetch import fetch_bars, require_any, split_fetched
from tasks.plans.prices import plan_prices
from tasks.report.summaries import PricesSummary, summarise_prices
from tasks.retries import chunk_runner
from tasks.settings import get_settings


@flow(name="ingest_prices", task_runner=chunk_runner())
def ingest_prices(
    source: str = "yahoo",
    symbols: list[str] | None = None,
    universe: str | None = None,
    first: date | None = None,
    chunk_symbols: Annotated[int, Field(ge=1, le=1000)] = 50,
) -> PricesSummary:
    """Fetch missing prices, store and check them.

    Stored prices are not fetched again. After a kill, the next run resumes.

    Args:
        source: `yahoo`, `file:PATH` or `sample`.
        symbols: Symbols to fetch; default: those of `universe`, else all symbols of the source.
        universe: CSV file with a column `symbol`, optionally `exchange_mic` and `currency_code`.
        first: Fetch all bars from this day on; default: missing bars, and all bars of new symbols.
        chunk_symbols: Symbols per task.

    Returns:
        Outcome of every symbol, and findings in its bars.

    Raises:
        BellwetherError: if nothing was stored; its message has the reason.
    """
    store = get_store()
    plan = plan_prices(
        get_settings(),
        source_spec=source,
        symbols=symbols,
        universe_file=universe,
        first=first,
        now=datetime.now(UTC),
    )
    fetched = fetch_bars(plan, chunk_symbols)
    require_any(fetched)
    screen_bars.map(split_fetched(fetched, chunk_symbols)).result()
    return summarise_prices(store, plan, fetched)
