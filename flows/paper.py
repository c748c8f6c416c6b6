"""The paper behind the project, reproduced in the open: read, train, score, draw."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

from prefect import flow
from pydantic import Field

from tasks.plans.paper import CONFIGS, plan_paper
from tasks.research.paper import keep_results, read_series, train_networks
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
    """Run the paper's experiment on one series: LSTM-GRU, its two halves, a linear model and persistence.

    The same request again gives the same numbers and adds no rows.

    Args:
        source: `yahoo`, `file:PATH` or `sample`.
        symbol: Symbol, as the source spells it.
        interval: What a step is; months are built from days where the source has days.
        seeds: Trainings of each network.
        first: Earliest bar wanted; default: all.
        directory: Where the pictures go; default: `paper` in Bellwether's home.

    Returns:
        Errors beside the published ones, and where the pictures are.

    Raises:
        BellwetherError: one sentence on why there are none.
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
    results = keep_results(plan, series, trained)
    pictures = draw_pictures(plan, series, trained)
    return PaperSummary(results=results, pictures=pictures)
