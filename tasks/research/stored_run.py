"""A published run as the database has it: its plan, model, forecast origins, and the months it was made from."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from prefect import task

from sql.store import ModelVersion, MonthKey, Store
from tasks.database import database_errors
from tasks.errors import BadRequestError
from tasks.month.check import drop_rejected, read_months
from tasks.plans.month import MonthPlan
from tasks.plans.prices import PricesPlan
from tasks.plans.universe import Instrument
from tasks.progress import log_line, show_progress
from tasks.retries import STEP

_LARGEST_ID = 2**63 - 1  # Postgres' bigint
_STATUS_TEXTS = {"running": "is in progress", "failed": "failed", "abandoned": "was abandoned"}


@dataclass(frozen=True)
class StoredRun:
    """A published run."""

    plan: MonthPlan
    """The month, with the run's `as_of` and `known_at`."""
    ledger: dict[str, Any] = field(repr=False)
    """Columns of `ops.run`."""
    model: ModelVersion = field(repr=False)
    """The model version of its forecasts."""
    origins: pd.DataFrame = field(repr=False)
    """Columns of `forecast.forecast_origin`."""

    @property
    def run_id(self) -> int:
        """Number of the run."""
        return int(self.ledger["run_id"])


def read_stored_run(store: Store, run_id: int) -> StoredRun:
    """Read a published run, its model and its forecast origins.

    Raises:
        BadRequestError: if the run does not exist or is not published.
    """
    with database_errors():
        ledger = store.read_run(run_id) if 0 < run_id <= _LARGEST_ID else None
        if ledger is None:
            raise BadRequestError(
                f"Run {run_id} does not exist in this database; `bellwether status` lists the newest runs."
            )
        if ledger["status"] != "published":
            message = f": {ledger['message']}" if ledger["message"] else "."
            text = _STATUS_TEXTS[ledger["status"]]
            raise BadRequestError(f"Only published runs can be replayed; run {run_id} {text}{message}")
        origins = store.read_run_origins(run_id)
        symbols = store.read_run_symbols(run_id)
        known = store.read_instruments(symbols).set_index("symbol")
        model = None if origins.empty else store.read_model(int(origins["model_version_id"].iloc[0]))
    if model is None:
        raise BadRequestError(f"Run {run_id} has no forecasts in this database; a replay needs at least one.")
    return StoredRun(_plan_of(ledger, symbols, known), ledger, model, origins)


@task(name="rebuild", **STEP)
def rebuild_months(run: StoredRun) -> pd.DataFrame:
    """Build the run's months again, from the bars, splits and dividends known at its `known_at`.

    The symbols are screened in the run's order and chunks, because some rules compare the symbols of a chunk.

    Returns:
        Columns of `model.bars.months.build_months`.
    """
    symbols, size = run.plan.prices.symbols, int(run.ledger["parameters"].get("chunk_symbols", len(run.origins)))
    parts = []
    for start in range(0, len(symbols), size):
        months, _ = drop_rejected(*read_months(run.plan, symbols[start : start + size]))
        parts.append(months)
        show_progress("rebuild", min(start + size, len(symbols)), len(symbols))
    months = pd.concat(parts, ignore_index=True)
    log_line(
        "rebuild",
        f"{months['symbol'].nunique()} symbols to {run.plan.key.origin_month:%Y-%m}, known at "
        f"{run.plan.known_at:%Y-%m-%d %H:%M:%S} UTC",
    )
    return months


def _plan_of(ledger: dict[str, Any], symbols: list[str], known: pd.DataFrame) -> MonthPlan:
    """Make the plan of the run, with the fields that a replay needs."""
    parameters = ledger["parameters"]
    instruments = tuple(
        Instrument(
            symbol=symbol,
            exchange_mic=known["exchange_mic"].get(symbol, ""),
            currency_code=known["currency_code"].get(symbol, ""),
        )
        for symbol in symbols
    )
    return MonthPlan(
        key=MonthKey(source=ledger["source"], universe=ledger["universe"], origin_month=ledger["origin_month"]),
        as_of=ledger["as_of"],
        known_at=ledger["known_at"],
        prices=PricesPlan(
            source_spec=parameters.get("source", ledger["source"]),
            universe=ledger["universe"],
            instruments=instruments,
            requested_at=ledger["started_at"],
        ),
        mode=ledger["mode"],
        correction=ledger["correction"],
        min_coverage=parameters.get("min_coverage", 0.0),
        published_run_id=ledger["run_id"],
    )
