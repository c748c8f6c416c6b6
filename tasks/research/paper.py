"""The paper's experiment: read one series, train on it, score, and keep the errors."""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from prefect import task

from model.bars.months import build_months
from model.paper.experiment import (
    PAPER_COLUMNS,
    PAPER_NETWORKS,
    PAPER_SCALERS,
    Experiment,
    PaperConfig,
    fill_gaps,
    forecast_linear,
    in_last_shares,
    make_experiment,
    score,
)
from model.paper.training import PaperTrained, train_paper_network, use_one_thread
from sql.store import PaperExperiment
from tasks.calendars import month_table
from tasks.database import database_errors, get_store
from tasks.errors import BadRequestError, NotEnoughHistoryError, SourceUnavailableError
from tasks.month.run import software_versions
from tasks.plans.month import open_request_source
from tasks.processes import affordable_workers, worker_pool
from tasks.progress import log_line, show_progress
from tasks.retries import STEP
from tasks.settings import Interval, Settings, get_settings
from tasks.sources import ACTION_TYPES, Fetched, Outcome, stack

MOST_PROCESSES = 8  # trainings at a time, however many cores there are
CONFIGS: dict[Interval, PaperConfig] = {
    "daily": PaperConfig(),
    # A pass over months is a fraction of one over days: smaller batches, and more passes. Chosen by `benchmarks.paper`.
    "monthly": PaperConfig(
        batch_windows=16, learning_rate=1e-3, is_rate_falling=False, dropout=0.2, epochs=300, patience=30
    ),
}


@dataclass(frozen=True, kw_only=True)
class PaperPlan:
    """A run of the experiment: everything the steps need to know about the request."""

    source_spec: str
    symbol: str
    interval: Interval
    first: date | None
    """Earliest bar wanted; None for all."""
    config: PaperConfig
    directory: Path
    """Where the pictures go."""
    requested_at: datetime
    """Moment of asking, UTC: bars that were closed by then are wanted."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """The bars of the experiment, and the experiment under each scaler."""

    source: str
    bars: pd.DataFrame = field(repr=False)
    """Of `model.paper.experiment.fill_gaps`."""
    experiments: tuple[Experiment, ...]


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
    """Make sense of a request.

    Args:
        settings: Where things are.
        source_spec: `sample`, `file:PATH` or `yahoo`.
        symbol: Symbol, as the source spells it.
        interval: What a step is.
        seeds: Trainings of each network, with the seeds 1, 2, ...
        first: Earliest bar wanted; default: all.
        directory: Where the pictures go; default: `paper` in the home directory.
        config: Every other choice.
        now: Moment of asking, UTC.

    Raises:
        BadRequestError: if the source has no such symbol, or only months where days are asked for.
    """
    listed = open_request_source(source_spec, settings).instruments()
    if listed is not None:
        known = listed.set_index("symbol")["bar_interval"]
        if symbol not in known.index:
            some = ", ".join(known.index[:5])
            raise BadRequestError(f"The source {source_spec} has no symbol {symbol}; it has {some} and so on.")
        _require_interval(symbol, known[symbol], interval)
    return PaperPlan(
        source_spec=source_spec,
        symbol=symbol,
        interval=interval,
        first=first,
        config=replace(config, seeds=tuple(range(1, seeds + 1))),
        directory=directory or settings.home / "paper",
        requested_at=now,
    )


@task(name="read", **STEP)
def read_series(plan: PaperPlan) -> Series:
    """The symbol's bars from the source, without a gap, scaled and cut in both ways; they are not stored.

    Raises:
        BadRequestError: if the source has none, or only months where days are asked for.
        SourceUnavailableError: if it does not answer.
        NotEnoughHistoryError: if they are too few.
    """
    source = open_request_source(plan.source_spec, get_settings())
    fetched = source.fetch({plan.symbol: None}, plan.requested_at)
    outcome = fetched.outcomes[0]
    if outcome.outcome is not Outcome.OK:
        kind = BadRequestError if fetched.is_answered else SourceUnavailableError
        raise kind(f"There are no bars of {plan.symbol}: {outcome.outcome}, {outcome.reason}.")
    _require_interval(plan.symbol, fetched.instruments["bar_interval"].iloc[0], plan.interval)
    bars = _steps(fetched, plan)
    filled = fill_gaps(bars if plan.first is None else bars[bars["session"] >= pd.Timestamp(plan.first)])
    try:
        experiments = tuple(make_experiment(filled.bars, plan.config, scaler=scaler) for scaler in PAPER_SCALERS)
    except ValueError as error:
        raise NotEnoughHistoryError(str(error)) from error
    first, last, tested = filled.bars["session"].iloc[0], filled.bars["session"].iloc[-1], experiments[0].test
    log_line(
        "read",
        f"{len(filled.bars):,} {plan.interval} bars of {plan.symbol} from {source.kind}, {first:%Y-%m-%d} to "
        f"{last:%Y-%m-%d}, tested from {experiments[0].sessions[tested.start]:%Y-%m-%d} on; filled in: "
        f"{filled.opens} opens, {filled.ranges} ranges, {filled.volumes} volumes",
    )
    return Series(source=source.kind, bars=filled.bars, experiments=experiments)


@task(name="train", **STEP)
def train_networks(plan: PaperPlan, series: Series) -> list[PaperTrained]:
    """Every network on every scaler with every seed, in this order: scaler, network, seed.

    Raises:
        BellwetherError: if a worker process is killed, usually because memory ran out.
    """
    total = len(series.experiments) * len(PAPER_NETWORKS) * len(plan.config.seeds)
    processes = affordable_workers("train", min(_cores(), MOST_PROCESSES, total))
    jobs = [
        (experiment, kind, seed)
        for experiment in series.experiments
        for kind in PAPER_NETWORKS
        for seed in plan.config.seeds
    ]
    trained = []
    show_progress("train", 0, total)
    # One thread a training: layers this narrow leave a second one idle, and no result may depend on the cores.
    with worker_pool(processes, advice="free some and run again", initializer=use_one_thread) as pool:
        futures = [
            pool.submit(train_paper_network, experiment, plan.config, kind=kind, seed=seed)
            for experiment, kind, seed in jobs
        ]
        for done, future in enumerate(as_completed(futures), start=1):
            trained.append(future.result())
            show_progress("train", done, total)
    epochs = sum(len(each.curve) for each in trained)
    log_line("train", f"{total} trainings of LSTM-GRU, LSTM and GRU, {epochs / total:.0f} passes each on average")
    return sorted(
        trained, key=lambda each: (PAPER_SCALERS.index(each.scaler), PAPER_NETWORKS.index(each.network), each.seed)
    )


@task(name="score", **STEP)
def keep_results(plan: PaperPlan, series: Series, trained: Sequence[PaperTrained]) -> pd.DataFrame:
    """Score the networks beside the linear model and persistence, and store the errors.

    Returns:
        Rows of `report.paper_result`.
    """
    software = software_versions()
    experiment = PaperExperiment(
        experiment=_digest(series.bars, plan, software),
        source=series.source,
        symbol=plan.symbol,
        bar_interval=plan.interval,
        first_session=series.bars["session"].iloc[0].date(),
        last_session=series.bars["session"].iloc[-1].date(),
        config=plan.config.to_dict(),
        software=software,
    )
    with database_errors():
        store = get_store()
        added = store.add_paper_results(
            experiment, _score_all(series.experiments, trained), computed_at=datetime.now(UTC)
        )
        results = store.read_paper_results(experiment.experiment)
    log_line("score", f"{added.added} results added, {added.unchanged} as before, {added.changed} changed")
    return results


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _require_interval(symbol: str, finest: str, asked: Interval) -> None:
    if asked == "daily" and finest == "monthly":
        raise BadRequestError(f"The source has one bar a month of {symbol}: ask for `--interval monthly`.")


def _steps(fetched: Fetched, plan: PaperPlan) -> pd.DataFrame:
    """The bars of the interval asked for, all in the shares of the last one."""
    instrument = fetched.instruments.iloc[0]
    bars = in_last_shares(fetched.bars, fetched.actions)
    if plan.interval == "daily" or instrument["bar_interval"] == "monthly":
        return bars
    today = plan.requested_at.date()
    table = month_table(instrument["exchange_mic"], instrument["first_session"].date(), today)
    months = build_months(bars, stack([], ACTION_TYPES), table, pd.Timestamp(today))
    return months[months["is_final"]].rename(columns={"month": "session"})


def _score_all(experiments: Sequence[Experiment], trained: Sequence[PaperTrained]) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    for each in experiments:
        common = {
            "scaler": each.scaler,
            "tested_from": each.sessions[each.test.start].date(),
            "test_targets": each.test.stop - each.test.start,
            "beyond_share": each.beyond_share,
            "scale_points": each.span,
        }
        for one in trained:
            if one.scaler == each.scaler:
                own = {"seed": one.seed, "best_epoch": one.best_epoch, "epochs": len(one.curve)}
                rows.append({**common, "forecaster": one.network, **own, **score(each, one.forecast)})
        rows.append({**common, "forecaster": "linear", **score(each, forecast_linear(each))})
        rows.append({**common, "forecaster": "persistence", **score(each, each.last_close)})
    return pd.DataFrame(rows).astype(dict.fromkeys(["seed", "best_epoch", "epochs"], "Int64"))


def _digest(bars: pd.DataFrame, plan: PaperPlan, software: dict[str, str]) -> str:
    """SHA-256 of whatever the errors depend on."""
    what = json.dumps([plan.symbol, plan.interval, plan.config.to_dict(), software], sort_keys=True)
    digest = hashlib.sha256(what.encode())
    digest.update(np.ascontiguousarray(bars["session"].to_numpy().astype("datetime64[D]").astype(np.int64)).tobytes())
    digest.update(np.ascontiguousarray(bars[PAPER_COLUMNS].to_numpy(np.float64)).tobytes())
    return digest.hexdigest()
