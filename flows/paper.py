"""Reproduction of the paper behind the project: read, train, score, draw."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

from prefect import flow
from pydantic import Field

from tasks.plans.paper import CONFIGS, plan_paper
from tasks.research.paper import read_series, store_results, train_networks
from tasks.research.paper_figures import draw_pictures
from tasks.research.paper_table import PaperSummary
from tasks.settings import Interval, get_settings


@flow(name="paper")
def paper(
    source: str = "sample",
    symbol: str = "^GSPC",
    interval: Interval = "daily",
    seeds: Annotated[int, Field(ge=1, le=100)] = 5,
    first: date | None = None,
    directory: Path | None = None,
) -> PaperSummary:
    """Run the paper's experiment on one series: LSTM-GRU, LSTM, GRU, a linear model and persistence.

    A repeated run gives the same numbers and adds no rows.

    Args:
        source: `yahoo`, `file:PATH` or `sample`.
        symbol: Symbol in the source's spelling.
        interval: Length of a time step. Months are built from days if the source has daily bars.
        seeds: Number of trainings per network.
        first: First day to use; default: all bars.
        directory: Directory for the pictures; default: `paper` in `BELLWETHER_HOME`.

    Returns:
        Errors beside the published ones, and the paths of the pictures.

    Raises:
        BellwetherError: if there are no results; its message has the reason.
    """
    plan = plan_paper(
        get_settings(),
        source_spec=source,
        symbol=symbol,
        interval=interval,
        seeds=seeds,
        first=first,
        directory=directory,
        config=CONFIGS[interval],
        now=datetime.now(UTC),
    )
    series = read_series(plan)
    trained = train_networks(plan, series)
    results = store_results(plan, series, trained)
    pictures = draw_pictures(plan, series, trained)
    return PaperSummary(results=results, pictures=pictures)
