"""The paper's experiment: read one series, train the networks on it, score them, and store the errors."""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from prefect import task

from model.bars.months import build_months
from model.frames import ACTION_TYPES
from model.paper.experiment import (
    PAPER_COLUMNS,
    PAPER_NETWORKS,
    PAPER_SCALERS,
    Experiment,
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
from tasks.plans.paper import PaperPlan, require_interval
from tasks.plans.prices import open_request_source
from tasks.processes import affordable_workers, worker_pool
from tasks.progress import log_line, show_progress
from tasks.retries import STEP
from tasks.settings import get_settings
from tasks.sources.base import Fetched, Outcome, stack

MOST_PROCESSES = 8  # trainings at a time, however many cores there are


@dataclass(frozen=True, kw_only=True)
class Series:
    """The bars of the experiment, and the experiment with each scaler."""

    source: str
    """`yahoo`, `file` or `sample`."""
    bars: pd.DataFrame = field(repr=False)
    """Columns of `model.paper.experiment.fill_gaps`."""
    experiments: tuple[Experiment, ...]


@task(name="read", **STEP)
def read_series(plan: PaperPlan) -> Series:
    """Read the symbol's bars from the source, fill gaps, and make the experiment of each scaler. Stores nothing.

    Raises:
        BadRequestError: if the source has no bars, or has only monthly bars and daily ones are requested.
        SourceUnavailableError: if the source does not respond.
        NotEnoughHistoryError: if there are too few bars.
    """
    source = open_request_source(plan.source_spec, get_settings())
    fetched = source.fetch({plan.symbol: None}, plan.requested_at)
    outcome = fetched.outcomes[0]
    if outcome.outcome is not Outcome.OK:
        kind = BadRequestError if fetched.has_response else SourceUnavailableError
        raise kind(f"The bars of {plan.symbol} could not be fetched: {outcome.outcome}, {outcome.reason}.")
    require_interval(plan.symbol, fetched.instruments["bar_interval"].iloc[0], plan.interval)
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
        f"{last:%Y-%m-%d}, test part from {experiments[0].sessions[tested.start]:%Y-%m-%d}; filled gaps: "
        f"{filled.opens} opens, {filled.ranges} ranges, {filled.volumes} volumes",
    )
    return Series(source=source.kind, bars=filled.bars, experiments=experiments)


@task(name="train", **STEP)
def train_networks(plan: PaperPlan, series: Series) -> list[PaperTrained]:
    """Train every network with every scaler and seed, in parallel.

    Returns:
        The trained networks, sorted by scaler, network and seed.

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
    # One thread per training: narrow layers leave a second thread idle, and results must not depend on the cores.
    with worker_pool(processes, advice="free some memory and run again", initializer=use_one_thread) as pool:
        futures = [
            pool.submit(train_paper_network, experiment, plan.config, kind=kind, seed=seed)
            for experiment, kind, seed in jobs
        ]
        for done, future in enumerate(as_completed(futures), start=1):
            trained.append(future.result())
            show_progress("train", done, total)
    epochs = sum(len(network.curve) for network in trained)
    log_line("train", f"{total} trainings of LSTM-GRU, LSTM and GRU, {epochs / total:.0f} epochs on average")
    return sorted(
        trained, key=lambda one: (PAPER_SCALERS.index(one.scaler), PAPER_NETWORKS.index(one.network), one.seed)
    )


@task(name="score", **STEP)
def store_results(plan: PaperPlan, series: Series, trained: Sequence[PaperTrained]) -> pd.DataFrame:
    """Score the networks, the linear model and persistence, and store the errors.

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
    log_line("score", f"{added.added} results added, {added.unchanged} unchanged, {added.changed} changed")
    return results


def _cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _steps(fetched: Fetched, plan: PaperPlan) -> pd.DataFrame:
    """Return the bars of the requested interval, on the split basis of the last one."""
    instrument = fetched.instruments.iloc[0]
    bars = in_last_shares(fetched.bars, fetched.actions)
    if plan.interval == "daily" or instrument["bar_interval"] == "monthly":
        return bars
    today = plan.requested_at.date()
    table = month_table(instrument["exchange_mic"], instrument["first_session"].date(), today)
    months = build_months(bars, stack([], ACTION_TYPES), table, pd.Timestamp(today))
    return months[months["is_final"]].rename(columns={"month": "session"})


def _score_all(experiments: Sequence[Experiment], trained: Sequence[PaperTrained]) -> pd.DataFrame:
    """Return the rows of `report.paper_result` before they are averaged over seeds."""
    rows: list[dict[str, object]] = []
    for experiment in experiments:
        common = {
            "scaler": experiment.scaler,
            "tested_from": experiment.sessions[experiment.test.start].date(),
            "test_targets": experiment.test.stop - experiment.test.start,
            "beyond_share": experiment.beyond_share,
            "scale_points": experiment.span,
        }
        for network in trained:
            if network.scaler == experiment.scaler:
                training = {"seed": network.seed, "best_epoch": network.best_epoch, "epochs": len(network.curve)}
                errors = score(experiment, network.forecast)
                rows.append({**common, "forecaster": network.network, **training, **errors})
        rows.append({**common, "forecaster": "linear", **score(experiment, forecast_linear(experiment))})
        rows.append({**common, "forecaster": "persistence", **score(experiment, experiment.last_close)})
    return pd.DataFrame(rows).astype(dict.fromkeys(["seed", "best_epoch", "epochs"], "Int64"))


def _digest(bars: pd.DataFrame, plan: PaperPlan, software: dict[str, str]) -> str:
    """Return the SHA-256 of everything that the errors depend on."""
    choices = json.dumps([plan.symbol, plan.interval, plan.config.to_dict(), software], sort_keys=True)
    digest = hashlib.sha256(choices.encode())
    digest.update(np.ascontiguousarray(bars["session"].to_numpy().astype("datetime64[D]").astype(np.int64)).tobytes())
    digest.update(np.ascontiguousarray(bars[PAPER_COLUMNS].to_numpy(np.float64)).tobytes())
    return digest.hexdigest()
