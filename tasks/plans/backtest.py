"""What a request for a backtest means, and whether it can be."""

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
from tasks.plans.month import MonthPlan, open_request_source, plan_month
from tasks.processes import affordable_workers
from tasks.settings import Settings

Refit = Literal["monthly", "yearly", "never"]
"""When the trained forecasters of a backtest are trained anew."""

DEFAULT_FORECASTERS = ("hybrid", "baseline", "persistence", "drift")
"""All that take no fit of their own for every symbol and year."""


@dataclass(frozen=True, kw_only=True)
class BacktestPlan:
    """What a request for a backtest means."""

    month: MonthPlan
    """The newest complete month of the source: what is known today."""
    first_origin: date
    last_origin: date
    refit: Refit
    forecasters: tuple[str, ...]
    """In the order of `model.evaluation.backtest.BACKTEST_FORECASTERS`."""
    out: Path | None
    workers: int
    """Processes at most."""
    started_at: datetime

    @property
    def origins(self) -> list[pd.Timestamp]:
        """First days of the months forecast from."""
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
        forecasters: Names of `model.evaluation.backtest.BACKTEST_FORECASTERS`.
        out: Parquet file for the forecasts.
        workers: Processes; default: two where there are as many cores. Never more than memory allows.
        now: Moment of asking, UTC.

    Raises:
        BadRequestError: if the request cannot be.
        NotEnoughHistoryError: if the source is known to have too few months for any model.
    """
    first_origin, last_origin = first_origin.replace(day=1), last_origin.replace(day=1)
    unknown = [each for each in forecasters if each not in BACKTEST_FORECASTERS]
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
        own = listed.loc[listed["symbol"].isin(month.prices.symbols), "first_session"]
        require_first_origin(first_origin, own.min(), config)
    return BacktestPlan(
        month=month,
        first_origin=first_origin,
        last_origin=last_origin,
        refit=refit,
        forecasters=tuple(each for each in BACKTEST_FORECASTERS if each in forecasters),
        out=out,
        workers=affordable_workers("folds", workers),
        started_at=now,
    )


def require_first_origin(first_origin: date, first_month: pd.Timestamp, config: ForecasterConfig) -> None:
    """Refuse an origin that leaves too few months from `first_month` on to train on, with a `BadRequestError`."""
    earliest = first_month.to_period("M") + config.fewest_months - 1
    if pd.Period(first_origin, "M") < earliest:
        raise BadRequestError(
            f"`--first-origin` must leave {config.fewest_months} months to train on, and the data start with "
            f"{first_month:%Y-%m}: the earliest possible is {earliest}; received {first_origin:%Y-%m}."
        )
