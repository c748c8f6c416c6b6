"""The paper's experiment: read one series, train on it, score, and keep the errors."""

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
from model.paper.experiment import (
    COLUMNS,
    NETWORKS,
    SCALERS,
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
from tasks.sources.base import ACTION_TYPES, Fetched, Outcome, stack

MOST_PROCESSES = 8  # trainings at a time, however many cores there are


@dataclass(frozen=True, kw_only=True)
class Series:
    """The bars of the experiment, and the experiment under each scaler."""

    source: str
    bars: pd.DataFrame = field(repr=False)
    """Of `model.paper.experiment.fill_gaps`."""
    experiments: tuple[Experiment, ...]


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
        kind = BadRequestError if fetched.has_response else SourceUnavailableError
        raise kind(f"There are no bars of {plan.symbol}: {outcome.outcome}, {outcome.reason}.")
    require_interval(plan.symbol, fetched.instruments["bar_interval"].iloc[0], plan.interval)
    bars = _steps(fetched, plan)
    filled = fill_gaps(bars if plan.first is None else bars[bars["session"] >= pd.Timestamp(plan.first)])
    try:
        experiments = tuple(make_experiment(filled.bars, plan.config, scaler=scaler) for scaler in SCALERS)
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
    total = len(series.experiments) * len(NETWORKS) * len(plan.config.seeds)
    processes = affordable_workers("train", min(_cores(), MOST_PROCESSES, total))
    jobs = [
        (experiment, kind, seed) for experiment in series.experiments for kind in NETWORKS for seed in plan.config.seeds
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
    return sorted(trained, key=lambda each: (SCALERS.index(each.scaler), NETWORKS.index(each.network), each.seed))


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
    digest.update(np.ascontiguousarray(bars[COLUMNS].to_numpy(np.float64)).tobytes())
    return digest.hexdigest()
