"""Plan of a backtest: its origin months, its forecasters and how often they are refitted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import pandas as pd

from model.config import ForecasterConfig
from model.evaluation.backtest import BACKTEST_FORECASTERS
from sql.store import Store
from tasks.errors import BadRequestError
from tasks.plans.month import MonthPlan, plan_month
from tasks.plans.prices import open_request_source
from tasks.processes import affordable_workers
from tasks.settings import Settings

Refit = Literal["monthly", "yearly", "never"]
"""How often the trained forecasters of a backtest are refitted."""

DEFAULT_FORECASTERS = ("hybrid", "baseline", "persistence", "drift")
"""Forecasters that need no separate fit for each symbol and year."""


@dataclass(frozen=True, kw_only=True)
class BacktestPlan:
    """A backtest."""

    month: MonthPlan
    """Newest complete month of the source. Its universe and source are those of the backtest."""
    first_origin: date
    last_origin: date
    refit: Refit
    forecasters: tuple[str, ...]
    """In the order of `model.evaluation.backtest.BACKTEST_FORECASTERS`."""
    out: Path | None
    workers: int
    """Largest number of worker processes."""
    started_at: datetime

    @property
    def origins(self) -> list[pd.Timestamp]:
        """First days of the origin months."""
        return list(pd.date_range(self.first_origin, self.last_origin, freq="MS"))


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
    """Plan a backtest, and refuse an invalid one before any work starts.

    Args:
        store: Source of each stored symbol.
        settings: Cache directory and options of the sources.
        config: Number of months that a model needs.
        source_spec: `sample`, `file:PATH` or `yahoo`.
        symbols: Symbols to forecast; default: those of `universe_file`, else all that the source lists.
        universe_file: CSV file, see `tasks.plans.universe.read_universe`.
        first_origin: Any day of the first origin month.
        last_origin: Any day of the last origin month.
        refit: How often the trained forecasters are refitted.
        forecasters: Names of `model.evaluation.backtest.BACKTEST_FORECASTERS`.
        out: Parquet file for the forecasts.
        workers: Worker processes; default: two on a machine with two cores or more. Free memory limits the number.
        now: Moment of the request, UTC.

    Raises:
        BadRequestError: if the request is invalid.
        NotEnoughHistoryError: if the source lists too few months for any model.
    """
    first_origin, last_origin = first_origin.replace(day=1), last_origin.replace(day=1)
    unknown = [name for name in forecasters if name not in BACKTEST_FORECASTERS]
    if unknown or not forecasters:
        raise BadRequestError(
            f"`--forecasters` must be some of {', '.join(BACKTEST_FORECASTERS)}; "
            f"received {', '.join(unknown) or 'none'}."
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
        first_sessions = listed.loc[listed["symbol"].isin(month.prices.symbols), "first_session"]
        require_first_origin(first_origin, first_sessions.min(), config)
    return BacktestPlan(
        month=month,
        first_origin=first_origin,
        last_origin=last_origin,
        refit=refit,
        forecasters=tuple(name for name in BACKTEST_FORECASTERS if name in forecasters),
        out=out,
        workers=affordable_workers("folds", workers),
        started_at=now,
    )


def require_first_origin(first_origin: date, first_month: pd.Timestamp, config: ForecasterConfig) -> None:
    """Require that the months from `first_month` to the first origin are enough to train on.

    Raises:
        BadRequestError: if they are too few.
    """
    earliest = first_month.to_period("M") + config.fewest_months - 1
    if pd.Period(first_origin, "M") < earliest:
        raise BadRequestError(
            f"`--first-origin` must leave {config.fewest_months} months to train on, and the data start with "
            f"{first_month:%Y-%m}: the earliest possible is {earliest}; received {first_origin:%Y-%m}."
        )
