"""Plan of the paper's experiment: its series, its settings and where the figures go."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from model.paper.experiment import PaperConfig
from tasks.errors import BadRequestError
from tasks.plans.prices import open_request_source
from tasks.plans.universe import abbreviate
from tasks.settings import Interval, Settings

CONFIGS: dict[Interval, PaperConfig] = {
    "daily": PaperConfig(),
    # An epoch over months is a fraction of one over days: smaller batches and more epochs. See `benchmarks.paper`.
    "monthly": PaperConfig(
        batch_windows=16, learning_rate=1e-3, is_rate_falling=False, dropout=0.2, epochs=300, patience=30
    ),
}
"""Settings of the networks, by the length of a step."""


@dataclass(frozen=True, kw_only=True)
class PaperPlan:
    """A run of the paper's experiment."""

    source_spec: str
    symbol: str
    interval: Interval
    first: date | None
    """Earliest bar to use; None: all."""
    config: PaperConfig
    directory: Path
    """Directory of the figures."""
    requested_at: datetime
    """Moment of the request, UTC. Bars closed at that moment are used."""


def plan_paper(
    settings: Settings,
    *,
    source_spec: str,
    symbol: str,
    interval: Interval,
    seeds: int,
    first: date | None,
    directory: Path | None,
    config: PaperConfig,
    now: datetime,
) -> PaperPlan:
    """Plan a run of the paper's experiment.

    Args:
        settings: Home directory, and options of the sources.
        source_spec: `sample`, `file:PATH` or `yahoo`.
        symbol: Symbol, as the source spells it.
        interval: Length of a step.
        seeds: Trainings of each network, with the seeds 1, 2, ...
        first: Earliest bar to use; default: all.
        directory: Directory of the figures; default: `paper` in the home directory.
        config: All other settings of the networks.
        now: Moment of the request, UTC.

    Raises:
        BadRequestError: if the source has no such symbol, or only monthly bars for a daily experiment.
    """
    listed = open_request_source(source_spec, settings).instruments()
    if listed is not None:
        bar_intervals = listed.set_index("symbol")["bar_interval"]
        if symbol not in bar_intervals.index:
            raise BadRequestError(
                f"The source {source_spec} has no symbol {symbol}; it has {abbreviate(list(bar_intervals.index))}."
            )
        require_interval(symbol, bar_intervals[symbol], interval)
    return PaperPlan(
        source_spec=source_spec,
        symbol=symbol,
        interval=interval,
        first=first,
        config=replace(config, seeds=tuple(range(1, seeds + 1))),
        directory=directory or settings.home / "paper",
        requested_at=now,
    )


def require_interval(symbol: str, finest: str, interval: Interval) -> None:
    """Require that the source's finest bars of a symbol are as fine as the interval.

    Raises:
        BadRequestError: if the bars are monthly and the interval is daily.
    """
    if interval == "daily" and finest == "monthly":
        raise BadRequestError(f"The source has only one bar a month of {symbol}: use `--interval monthly`.")
