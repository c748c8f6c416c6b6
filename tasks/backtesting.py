"""Backtest: past origins, each forecast from what was known at its own, by ours and by what others would forecast."""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from prefect import task
from prefect.client.base import ServerType
from prefect.client.orchestration import get_client
from prefect.futures import PrefectFuture, as_completed
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import ProcessPoolTaskRunner

from model import quantile_names
from model.backtest import (
    FOLD_KEYS,
    FORECASTERS,
    TRAINED,
    Fold,
    forecast_fold,
    mean_errors,
    origin_symbols,
    plan_folds,
    summarise_errors,
)
from model.config import ForecasterConfig
from model.network import load_library
from model.training import Epoch
from sql.store import Backtest, Store
from tasks.checking import read_months, without_rejected
from tasks.database import database_errors, get_store
from tasks.errors import BadRequestError, BellwetherError, NotEnoughHistoryError
from tasks.ledger import software_versions
from tasks.planning import MonthPlan, open_request_source, plan_month
from tasks.progress import log_line, show_progress
from tasks.registry import fingerprint
from tasks.reporting import BacktestSummary
from tasks.settings import Settings
from tasks.steps import STEP
from tasks.training import silence

Refit = Literal["monthly", "yearly", "never"]
"""When the trained forecasters of a backtest are trained anew."""

DEFAULT_FORECASTERS = ("hybrid", "baseline", "persistence", "drift")
"""All that take no fit of their own for every symbol and year."""

MOST_WORKERS = 2  # processes unless told otherwise: each of them uses several cores by itself
WORKER_BYTES = 1_500_000_000  # what a process needs at 128 symbols and 57 years, with TensorFlow

_SHOWN = 5
_YEAR = 12  # origins that are in memory at once


@dataclass(frozen=True, kw_only=True)
class BacktestPlan:
    """What a request for a backtest means."""

    month: MonthPlan
    """The newest complete month of the source: what is known today."""
    first_origin: date
    last_origin: date
    refit: Refit
    forecasters: tuple[str, ...]
    """In the order of `model.backtest.FORECASTERS`."""
    out: Path | None
    workers: int
    """Processes at most."""
    started_at: datetime

    @property
    def origins(self) -> list[pd.Timestamp]:
        """First days of the months forecast from."""
        return list(pd.date_range(self.first_origin, self.last_origin, freq="MS"))


@dataclass(frozen=True)
class History:
    """The months a backtest is made of, on disk: what processes are handed is its path."""

    path: Path
    symbols: int
    fingerprint: str


@dataclass(frozen=True)
class BacktestResults:
    """What came of a backtest."""

    errors: pd.DataFrame = field(repr=False)
    """Of `model.backtest.mean_errors`."""
    table: pd.DataFrame = field(repr=False)
    """Of `model.backtest.summarise_errors`."""
    rows: int
    """Forecasts made, over all symbols, origins, horizons and forecasters."""


def plan_backtest(
    store: Store,
    settings: Settings,
    config: ForecasterConfig,
    *,
    source_spec: str,
    symbols: Sequence[str] | None,
    universe_file: str | None,
    first_origin: date,
    last_origin: date,
    refit: Refit,
    forecasters: Sequence[str],
    out: Path | None,
    workers: int | None,
    now: datetime,
) -> BacktestPlan:
    """Make sense of a request; whatever can be refused before the work is refused here.

    Args:
        store: Knows which symbols come from which source.
        settings: Where the sources keep their caches.
        config: Says how many months a model needs.
        source_spec: `sample`, `file:PATH` or `yahoo`.
        symbols: Symbols to forecast; default: those of `universe_file`, else all that the source lists.
        universe_file: CSV with a column `symbol`, optionally `exchange_mic` and `currency_code`.
        first_origin: Any day of the first month forecast from.
        last_origin: Any day of the last one.
        refit: When the trained forecasters are trained anew.
        forecasters: Names of `model.backtest.FORECASTERS`.
        out: Parquet file for the forecasts.
        workers: Processes; default: two where there are as many cores. Never more than memory allows.
        now: Moment of asking, UTC.

    Raises:
        BadRequestError: if the request cannot be.
        NotEnoughHistoryError: if the source is known to have too few months for any model.
    """
    first_origin, last_origin = first_origin.replace(day=1), last_origin.replace(day=1)
    unknown = [each for each in forecasters if each not in FORECASTERS]
    if unknown or not forecasters:
        raise BadRequestError(
            f"`--forecasters` must be some of {', '.join(FORECASTERS)}; received {', '.join(unknown) or 'none'}."
        )
    if first_origin > last_origin:
        raise BadRequestError(
            "`--first-origin` must not be after `--last-origin`: "
            f"received {first_origin:%Y-%m} and {last_origin:%Y-%m}."
        )
    if out is not None and out.suffix != ".parquet":
        raise BadRequestError(f"`--out` must name a file that ends in .parquet; received {out}.")
    month = plan_month(
        store,
        settings,
        config,
        source_spec=source_spec,
        as_of=None,
        symbols=symbols,
        universe_file=universe_file,
        mode="retrain",
        rerun=False,
        min_coverage=0.0,
        scheduled_for=now,
        now=now,
    )
    newest = month.key.origin_month
    if last_origin > newest:
        raise BadRequestError(
            f"`--last-origin` must not be after the last complete month, {newest:%Y-%m}; received {last_origin:%Y-%m}."
        )
    if first_origin == newest:
        raise BadRequestError(
            f"`--first-origin` must be before the last complete month, {newest:%Y-%m}, or nothing can be scored; "
            f"received {first_origin:%Y-%m}."
        )
    listed = open_request_source(source_spec, settings).instruments()
    if listed is not None:
        own = listed.loc[listed["symbol"].isin(month.prices.symbols), "first_session"]
        _require_first_origin(first_origin, own.min(), config)
    return BacktestPlan(
        month=month,
        first_origin=first_origin,
        last_origin=last_origin,
        refit=refit,
        forecasters=tuple(each for each in FORECASTERS if each in forecasters),
        out=out,
        workers=_affordable_workers(workers),
        started_at=now,
    )


@contextmanager
def reserved_output(out: Path | None) -> Iterator[Path | None]:
    """A file beside `out` to write to; it takes the place of `out` when the block ends well, and is gone otherwise.

    Raises:
        BadRequestError: if no file can be written there.
    """
    if out is None:
        yield None
        return
    out = out.expanduser().absolute()
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        if out.is_dir():
            raise IsADirectoryError(None, "it is a directory")
        partial.touch(exist_ok=False)
    except OSError as error:
        raise BadRequestError(f"`--out` {out} cannot be written: {error.strerror}.") from error
    try:
        yield partial
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


@task(name="read", **STEP)
def read_history(
    plan: BacktestPlan, config: ForecasterConfig, fetched: pd.DataFrame, directory: Path, chunk_symbols: int
) -> History:
    """Screen the symbols' bars, build their months, and lay them down in `directory`.

    Bars are screened once, with all that is known of them today; a symbol that the screening rejects is left out.

    Args:
        plan: The backtest.
        config: Says how many months a model needs.
        fetched: symbol, outcome, reason from `fetch_bars`.
        directory: Where processes find the months.
        chunk_symbols: Symbols read at a time.

    Raises:
        BadRequestError: if the first origin comes before there is enough to train on.
        NotEnoughHistoryError: if no month can be used.
    """
    with database_errors():
        month = replace(plan.month, known_at=get_store().read_clock())
    symbols, parts, rejected = list(fetched["symbol"]), list[pd.DataFrame](), list[pd.Series]()
    for start in range(0, len(symbols), chunk_symbols):
        months, faults = without_rejected(*read_months(month, symbols[start : start + chunk_symbols]))
        parts.append(months)
        rejected.append(faults)
        show_progress("read", min(start + chunk_symbols, len(symbols)), len(symbols))
    together = pd.concat(parts, ignore_index=True).sort_values(["symbol", "month"], ignore_index=True)
    usable = together.loc[together["is_final"], "month"]
    if usable.empty:
        raise NotEnoughHistoryError(f"Not one of {len(symbols)} symbols has a complete month that can be used.")
    _require_first_origin(plan.first_origin, usable.min(), config)
    path = directory / "months.parquet"
    together.to_parquet(path, index=False)
    left_out = pd.concat(rejected)
    absent = set(symbols) - set(together["symbol"]) - set(left_out.index)
    notes = [f"{symbol}: {reason}" for symbol, reason in left_out.items()]
    notes += [f"{symbol}: no complete month" for symbol in sorted(absent)]
    count = int(together["symbol"].nunique())
    line = f"{count} of {len(symbols)} symbols, {usable.min():%Y-%m} to {usable.max():%Y-%m}"
    log_line("read", f"{line}; left out: {_some(notes)}" if notes else line)
    return History(path, count, fingerprint(together))


def forecast_folds(plan: BacktestPlan, config: ForecasterConfig, history: History) -> list[tuple[Fold, Path]]:
    """Forecast every fold, several at a time in processes of their own; the numbers are those of one after the other.

    Returns:
        The folds, each with the file of its forecasts: columns of `model.backtest.forecast_fold`.

    Raises:
        NotEnoughHistoryError: if a fold has too little to train on.
        BellwetherError: if a process was killed, as machines do that run out of memory.
    """
    folds = plan_folds(plan.origins, plan.refit, plan.forecasters)
    paths = [history.path.with_name(f"fold_{number:04}.parquet") for number in range(len(folds))]
    jobs = list(zip(folds, paths, strict=True))
    workers = min(plan.workers, len(folds))
    if workers == 1:
        for done, (fold, path) in enumerate(jobs, start=1):
            forecast_one_fold(config, history.path, fold, path)
            show_progress("folds", done, len(folds))
    else:
        try:
            with _process_pool(workers) as runner:
                given = {"config": config, "months": history.path}
                futures: list[PrefectFuture[None]] = [
                    runner.submit(forecast_one_fold, {**given, "fold": fold, "path": path}) for fold, path in jobs
                ]
                for done, future in enumerate(as_completed(futures), start=1):
                    future.result()
                    show_progress("folds", done, len(folds))
        except BrokenProcessPool as error:
            raise BellwetherError(
                f"One of {workers} processes was killed, probably for want of memory; try `--workers 1`."
            ) from error
    trained = sum(1 for fold in folds if set(fold.forecasters) & set(TRAINED))
    log_line(
        "folds",
        f"{len(plan.origins)} origins, {trained} trainings (refit {plan.refit}), "
        + (f"{workers} processes" if workers > 1 else "one process"),
    )
    return jobs


@task(name="fold", **STEP)
def forecast_one_fold(config: ForecasterConfig, months: Path, fold: Fold, path: Path) -> None:
    """Forecast a fold from the months in one file into another; only paths pass between processes.

    Raises:
        NotEnoughHistoryError: if there is too little to train on at its first origin.
    """
    if set(fold.forecasters) & set(TRAINED):
        with silence():
            load_library()
    total = len(config.seeds) * config.epochs

    def on_epoch(epoch: Epoch) -> None:
        show_progress("train", config.seeds.index(epoch.seed) * config.epochs + epoch.number, total)

    writer: pq.ParquetWriter | None = None
    try:
        for forecasts in forecast_fold(pd.read_parquet(months), fold, config, on_epoch=on_epoch):
            part = pa.Table.from_pandas(forecasts, preserve_index=False)
            writer = writer or pq.ParquetWriter(path, part.schema)
            writer.write_table(part)
    except ValueError as error:
        raise NotEnoughHistoryError(f"{fold.fitted_at:%Y-%m}: {error}") from error
    finally:
        if writer is not None:
            writer.close()


@task(name="score", **STEP)
def score_folds(
    plan: BacktestPlan,
    config: ForecasterConfig,
    history: History,
    parts: Sequence[tuple[Fold, Path]],
    out: Path | None,
) -> BacktestResults:
    """Bring the folds together, a year of origins at a time: into the file asked for, and scored.

    Every symbol is forecast from every origin it has, by every forecaster; who left one out is named.

    Raises:
        NotEnoughHistoryError: if no forecaster has a forecast.
    """
    columns = [*FOLD_KEYS, *quantile_names(config.quantile_levels), "actual_log_return"]
    there = origin_symbols(pd.read_parquet(history.path, columns=["symbol", "month", "log_return", "is_final"]))
    errors, missing, rows = list[pd.DataFrame](), Counter[tuple[str, str]](), 0
    writer: pq.ParquetWriter | None = None
    try:
        for start in range(0, len(plan.origins), _YEAR):
            origins = plan.origins[start : start + _YEAR]
            forecasts = _read_origins(parts, origins)
            missing.update(_left_out(forecasts, there[there["origin_month"].isin(origins)], plan.forecasters))
            errors.append(mean_errors(forecasts))
            rows += len(forecasts)
            if out is not None:
                table = pa.Table.from_pandas(forecasts[columns], preserve_index=False)
                writer = writer or pq.ParquetWriter(out, table.schema, compression="zstd")
                writer.write_table(table)
            show_progress("score", start + len(origins), len(plan.origins))
    finally:
        if writer is not None:
            writer.close()
    together = pd.concat(errors, ignore_index=True)
    log_line("score", f"{rows:,} forecasts, {int(together['symbols'].sum()):,} whose month has happened")
    for forecaster in plan.forecasters:
        if own := {symbol: count for (name, symbol), count in missing.items() if name == forecaster}:
            listed = [f"{symbol} from {count} of {len(plan.origins)} origins" for symbol, count in sorted(own.items())]
            log_line("warning", f"{forecaster} has no forecast of {_some(listed)}: too few returns, or no fit")
    return BacktestResults(together, summarise_errors(together), rows)


@task(name="keep", **STEP)
def keep_backtest(plan: BacktestPlan, config: ForecasterConfig, history: History, results: BacktestResults) -> int:
    """Write the backtest and its errors in one transaction.

    Returns:
        Its number.
    """
    finished = Backtest(
        source=plan.month.key.source,
        universe=plan.month.key.universe,
        first_origin=plan.first_origin,
        last_origin=plan.last_origin,
        refit=plan.refit,
        forecasters=plan.forecasters,
        symbols=history.symbols,
        config=config.to_dict(),
        software=software_versions(),
        data_fingerprint=history.fingerprint,
        started_at=plan.started_at,
        finished_at=datetime.now(UTC),
    )
    with database_errors():
        backtest_id = get_store().add_backtest(finished, results.errors)
    log_line("keep", f"backtest {backtest_id}, {len(results.errors):,} rows of errors")
    return backtest_id


def summarise_backtest(
    plan: BacktestPlan, history: History, results: BacktestResults, backtest_id: int
) -> BacktestSummary:
    """What a finished backtest found, and where it is kept."""
    return BacktestSummary(
        backtest_id=backtest_id,
        universe=plan.month.key.universe,
        first_origin=plan.first_origin,
        last_origin=plan.last_origin,
        refit=plan.refit,
        symbols=history.symbols,
        forecasts=results.rows,
        out=plan.out,
        scores=results.table,
    )


def _require_first_origin(first_origin: date, first_month: pd.Timestamp, config: ForecasterConfig) -> None:
    earliest = first_month.to_period("M") + config.fewest_months - 1
    if pd.Period(first_origin, "M") < earliest:
        raise BadRequestError(
            f"`--first-origin` must leave {config.fewest_months} months to train on, and the data start with "
            f"{first_month:%Y-%m}: the earliest possible is {earliest}; received {first_origin:%Y-%m}."
        )


def _affordable_workers(asked: int | None) -> int:
    """Processes that memory allows, of those asked for or, by default, of two where there are the cores."""
    wanted = min(MOST_WORKERS, os.cpu_count() or 1) if asked is None else asked
    free = _free_bytes()
    allowed = wanted if free is None else max(1, free // WORKER_BYTES)
    if asked is not None and allowed < asked:
        log_line("folds", f"{allowed} instead of {asked} processes: that is what memory allows")
    return int(min(wanted, allowed))


def _free_bytes() -> int | None:
    """Memory that this process may still take, of the machine and of its control group; None where nobody says."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")))
        group = Path("/sys/fs/cgroup")
        limit, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        if limit != "max":
            found.append(int(limit) - int(used))
    except (OSError, StopIteration, ValueError):
        pass  # not a Linux, or no control group: what was found so far stands
    return min(found, default=None)


@contextmanager
def _process_pool(workers: int) -> Iterator[ProcessPoolTaskRunner]:
    """Prefect's processes: spawned, as a fork of one that has TensorFlow hangs, and gone with the block."""
    with get_client(sync_client=True) as client:
        url, is_ephemeral = str(client.api_url), client.server_type == ServerType.EPHEMERAL
    # Without an address each process would start a Prefect server of its own.
    shared = temporary_settings({PREFECT_API_URL: url}) if is_ephemeral else nullcontext()
    others = set(multiprocessing.active_children())
    pool = ProcessPoolTaskRunner(workers, initializer=_leave_interrupts)
    with shared, pool as runner:
        try:
            yield runner
        except BaseException:  # also Ctrl-C: a pool would wait for its processes, and those go on with what is queued
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise


def _leave_interrupts() -> None:
    """Ctrl-C reaches every process, and is the first one's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _read_origins(parts: Sequence[tuple[Fold, Path]], origins: Sequence[pd.Timestamp]) -> pd.DataFrame:
    """What every fold says of the origins, sorted by origin, symbol, horizon and forecaster."""
    paths = [path for fold, path in parts if not set(fold.origins).isdisjoint(origins)]
    wanted = [("origin_month", "in", list(origins))]
    forecasts = pd.concat([pd.read_parquet(path, filters=wanted) for path in paths], ignore_index=True)
    if forecasts.empty:
        raise NotEnoughHistoryError(f"No forecaster has a forecast from {origins[0]:%Y-%m} to {origins[-1]:%Y-%m}.")
    return forecasts.sort_values(["origin_month", "symbol", "horizon", "forecaster"], ignore_index=True)


def _left_out(forecasts: pd.DataFrame, there: pd.DataFrame, forecasters: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Forecaster and symbol, once an origin that the symbol has and the forecaster has left out."""
    key = ["forecaster", "symbol", "origin_month"]
    wanted = there.merge(pd.DataFrame({"forecaster": list(forecasters)}), how="cross")[key]
    made = pd.MultiIndex.from_frame(forecasts[key].drop_duplicates())
    absent = wanted[~pd.MultiIndex.from_frame(wanted).isin(made)]
    yield from zip(absent["forecaster"], absent["symbol"], strict=True)


def _some(notes: Sequence[str]) -> str:
    shown = ", ".join(notes[:_SHOWN])
    return shown if len(notes) <= _SHOWN else f"{shown} and {len(notes) - _SHOWN} more"
