"""Backtest: forecasts from past origins, each made from the data up to its origin, by all forecasters, and scored."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from prefect import task

from model import quantile_names
from model.config import ForecasterConfig
from model.evaluation.backtest import (
    TRAINED,
    Fold,
    forecast_fold,
    mean_errors,
    origin_symbols,
    plan_folds,
    summarise_errors,
)
from model.forecaster.network import load_library
from model.forecaster.training import Epoch
from model.frames import FORECAST_TYPES
from sql.store import Backtest
from tasks.database import database_errors, get_store
from tasks.errors import BadRequestError, NotEnoughHistoryError
from tasks.month.check import drop_rejected, read_months
from tasks.month.run import software_versions
from tasks.plans.backtest import BacktestPlan, require_first_origin
from tasks.processes import quiet_stderr, worker_pool
from tasks.progress import log_line, show_progress
from tasks.registry import fingerprint_months
from tasks.retries import STEP

_SHOWN = 5
_ORIGINS_AT_ONCE = 12  # bounds memory


@dataclass(frozen=True)
class History:
    """The months of a backtest, in a file that the worker processes read."""

    path: Path
    """Parquet file with the columns of `model.bars.months.build_months`."""
    symbols: int
    """Number of symbols with at least one month."""
    fingerprint: str
    """Of `tasks.registry.fingerprint`."""


@dataclass(frozen=True)
class BacktestResults:
    """Errors and scores of a backtest."""

    errors: pd.DataFrame = field(repr=False)
    """Columns of `model.evaluation.backtest.mean_errors`."""
    table: pd.DataFrame = field(repr=False)
    """Columns of `model.evaluation.backtest.summarise_errors`."""
    rows: int
    """Number of forecasts, over all symbols, origins, horizons and forecasters."""


@contextmanager
def reserved_output(out: Path | None) -> Iterator[Path | None]:
    """Provide a temporary file beside `out`, which replaces `out` if the block succeeds and is deleted if it fails.

    Yields:
        The temporary file; None if `out` is None.

    Raises:
        BadRequestError: if the file cannot be created.
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
    """Screen the symbols' bars, build their months, and write them to `directory`.

    Bars are screened once, with today's knowledge of them. Rejected symbols are dropped.

    Args:
        plan: The backtest.
        config: The scientific choices, among them the fewest months of a training.
        fetched: symbol, outcome and reason, from `fetch_bars`.
        directory: Directory of the file of months.
        chunk_symbols: Symbols read together.

    Raises:
        BadRequestError: if the first origin leaves too few months for a training.
        NotEnoughHistoryError: if no symbol has a complete month.
    """
    with database_errors():
        month = replace(plan.month, known_at=get_store().read_clock())
    symbols, parts, rejected = list(fetched["symbol"]), list[pd.DataFrame](), list[pd.Series]()
    for start in range(0, len(symbols), chunk_symbols):
        months, faults = drop_rejected(*read_months(month, symbols[start : start + chunk_symbols]))
        parts.append(months)
        rejected.append(faults)
        show_progress("read", min(start + chunk_symbols, len(symbols)), len(symbols))
    together = pd.concat(parts, ignore_index=True).sort_values(["symbol", "month"], ignore_index=True)
    usable = together.loc[together["is_final"], "month"]
    if usable.empty:
        raise NotEnoughHistoryError(f"A backtest needs complete months; none of the {len(symbols)} symbols has one.")
    require_first_origin(plan.first_origin, usable.min(), config)
    path = directory / "months.parquet"
    together.to_parquet(path, index=False)
    reasons = pd.concat(rejected)
    absent = set(symbols) - set(together["symbol"]) - set(reasons.index)
    notes = [f"{symbol}: {reason}" for symbol, reason in reasons.items()]
    notes += [f"{symbol}: no complete month" for symbol in sorted(absent)]
    count = int(together["symbol"].nunique())
    line = f"{count} of {len(symbols)} symbols, {usable.min():%Y-%m} to {usable.max():%Y-%m}"
    log_line("read", f"{line}; dropped: {_some(notes)}" if notes else line)
    return History(path, count, fingerprint_months(together))


def forecast_folds(plan: BacktestPlan, config: ForecasterConfig, history: History) -> list[tuple[Fold, Path]]:
    """Forecast every fold, in parallel worker processes if the plan allows more than one.

    The number of workers does not change the forecasts.

    Returns:
        The folds, each with the file of its forecasts: columns of `model.evaluation.backtest.forecast_fold`.

    Raises:
        NotEnoughHistoryError: if a fold has too few months for a training.
        BellwetherError: if a worker process is killed, usually because memory ran out.
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
        with worker_pool(workers, advice="try `--workers 1`") as pool:
            futures = [pool.submit(forecast_one_fold, config, history.path, fold, path) for fold, path in jobs]
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                show_progress("folds", done, len(folds))
    trained = sum(1 for fold in folds if set(fold.forecasters) & set(TRAINED))
    log_line(
        "folds",
        f"{len(plan.origins)} origins, {trained} trainings (refit {plan.refit}), "
        + (f"{workers} processes" if workers > 1 else "1 process"),
    )
    return jobs


def forecast_one_fold(config: ForecasterConfig, months: Path, fold: Fold, path: Path) -> None:
    """Forecast one fold; runs in a worker process, which receives and returns paths only.

    Args:
        config: The scientific choices.
        months: File of `read_history`.
        fold: The fold.
        path: File for its forecasts.

    Raises:
        NotEnoughHistoryError: if there are too few months for a training at its first origin.
    """
    if set(fold.forecasters) & set(TRAINED):
        with quiet_stderr():
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
    """Score the forecasts of all folds, and write them to `out`, twelve origins at a time.

    Symbols that a forecaster did not forecast from some origin are logged.

    Args:
        plan: The backtest.
        config: The scientific choices.
        history: The months.
        parts: Of `forecast_folds`.
        out: Parquet file for the forecasts; None for no file.

    Raises:
        NotEnoughHistoryError: if no forecaster has a forecast.
    """
    columns = [*FORECAST_TYPES, *quantile_names(config.quantile_levels), "actual_log_return"]
    expected = origin_symbols(pd.read_parquet(history.path, columns=["symbol", "month", "log_return", "is_final"]))
    errors, missing, rows = list[pd.DataFrame](), Counter[tuple[str, str]](), 0
    writer: pq.ParquetWriter | None = None
    try:
        for start in range(0, len(plan.origins), _ORIGINS_AT_ONCE):
            origins = plan.origins[start : start + _ORIGINS_AT_ONCE]
            forecasts = _read_origins(parts, origins)
            is_wanted = expected["origin_month"].isin(origins)
            missing.update(_missing_forecasts(forecasts, expected[is_wanted], plan.forecasters))
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
    log_line("score", f"{rows:,} forecasts, {int(together['symbols'].sum()):,} with a known outcome")
    for forecaster in plan.forecasters:
        if counts := {symbol: count for (name, symbol), count in missing.items() if name == forecaster}:
            total = len(plan.origins)
            notes = [f"{symbol} from {count} of {total} origins" for symbol, count in sorted(counts.items())]
            log_line("warning", f"{forecaster} has no forecast of {_some(notes)}: too few returns, or no fit")
    return BacktestResults(together, summarise_errors(together), rows)


@task(name="store", **STEP)
def store_backtest(plan: BacktestPlan, config: ForecasterConfig, history: History, results: BacktestResults) -> int:
    """Store the backtest and its errors in one transaction.

    Returns:
        Number of the backtest.
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
    log_line("store", f"backtest {backtest_id}, {len(results.errors):,} rows of errors")
    return backtest_id


def _read_origins(parts: Sequence[tuple[Fold, Path]], origins: Sequence[pd.Timestamp]) -> pd.DataFrame:
    """Read the folds' forecasts from some origins, sorted by origin, symbol, horizon and forecaster."""
    paths = [path for fold, path in parts if not set(fold.origins).isdisjoint(origins)]
    wanted = [("origin_month", "in", list(origins))]
    forecasts = pd.concat([pd.read_parquet(path, filters=wanted) for path in paths], ignore_index=True)
    if forecasts.empty:
        raise NotEnoughHistoryError(f"No forecaster has a forecast from {origins[0]:%Y-%m} to {origins[-1]:%Y-%m}.")
    return forecasts.sort_values(["origin_month", "symbol", "horizon", "forecaster"], ignore_index=True)


def _missing_forecasts(
    forecasts: pd.DataFrame, expected: pd.DataFrame, forecasters: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield forecaster and symbol, once for each expected origin without a forecast."""
    key = ["forecaster", "symbol", "origin_month"]
    wanted = expected.merge(pd.DataFrame({"forecaster": list(forecasters)}), how="cross")[key]
    made = pd.MultiIndex.from_frame(forecasts[key].drop_duplicates())
    absent = wanted[~pd.MultiIndex.from_frame(wanted).isin(made)]
    yield from zip(absent["forecaster"], absent["symbol"], strict=True)


def _some(notes: Sequence[str]) -> str:
    """Join the first notes, and count the others."""
    shown = ", ".join(notes[:_SHOWN])
    return shown if len(notes) <= _SHOWN else f"{shown} and {len(notes) - _SHOWN} more"
