"""Prices without a forecast: new symbols, a longer history, or a look at what a source has."""

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


@flow(name="backfill_prices", task_runner=chunk_runner())
def backfill_prices(
    source: str = "yahoo",
    symbols: list[str] | None = None,
    universe: str | None = None,
    first: date | None = None,
    chunk_symbols: Annotated[int, Field(ge=1, le=1000)] = 50,
) -> PricesSummary:
    """Bring prices into the store and say what is wrong with them; what is there already is not fetched again.

    Killed anywhere, the next run goes on where this one stopped.

    Args:
        source: `yahoo`, `file:PATH` or `sample`.
        symbols: Symbols to fetch; default: those of `universe`, else all that the source lists.
        universe: CSV file with a column `symbol`, optionally `exchange_mic` and `currency_code`.
        first: Fetch from this day on, whatever is stored; default: what is missing, and all of new symbols.
        chunk_symbols: Symbols fetched and stored together.

    Returns:
        What became of every symbol, and what was found in its bars.

    Raises:
        BellwetherError: one sentence on why nothing was stored.
    """
    store = get_store()
    plan = plan_prices(
        store,
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


ingest_prices = backfill_prices
