"""Plan of a month: its dates, its universe and how its model is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd

from model.config import ForecasterConfig
from sql.store import MonthKey, Store
from tasks.calendars import last_closed_session, month_table
from tasks.database import database_errors
from tasks.errors import BadRequestError, NotEnoughHistoryError
from tasks.plans.prices import PricesPlan, open_request_source
from tasks.plans.universe import Instrument, abbreviate, choose_instruments, require_same_universe
from tasks.settings import Mode, Settings


@dataclass(frozen=True, kw_only=True)
class MonthPlan:
    """A month to forecast."""

    key: MonthKey
    as_of: date
    """Last date whose sessions and ex-dates the forecast may use."""
    known_at: datetime
    """Last moment, UTC, whose stored data the forecast may use: the request's, then the end of the download."""
    prices: PricesPlan
    mode: Mode
    correction: int
    """Number of the correction; 0 for the first publication of the month."""
    min_coverage: float
    """Smallest share of the universe with a complete origin month at which the month is published."""
    published_run_id: int | None
    """Run that has published this month, if nothing is left to do."""

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Instruments of the universe."""
        return self.prices.instruments


def plan_month(
    store: Store,
    settings: Settings,
    config: ForecasterConfig,
    *,
    source_spec: str,
    as_of: date | None,
    symbols: Sequence[str] | None,
    universe_file: str | None,
    mode: Mode,
    rerun: bool,
    min_coverage: float,
    scheduled_for: datetime,
    now: datetime,
) -> MonthPlan:
    """Plan a month.

    Args:
        store: Published months and models.
        settings: Cache directory and options of the sources.
        config: Number of months that a model needs.
        source_spec: `sample`, `file:PATH` or `yahoo`.
        as_of: Last date whose sessions and ex-dates are used; default: the newest session of the source that was
            closed at `scheduled_for`.
        symbols: Symbols to forecast; default: those of `universe_file`, else all that the source lists.
        universe_file: CSV file, see `read_universe`.
        mode: How the model is chosen.
        rerun: Publish a correction if the month is already published.
        min_coverage: Smallest share of the universe with a complete origin month.
        scheduled_for: Scheduled start of the run, UTC. A late run still forecasts the month of its schedule.
        now: Moment of the request, UTC.

    Raises:
        BadRequestError: if the request is invalid, or another set of symbols was published under the universe's name.
        NotEnoughHistoryError: if the source lists too few months up to `as_of`.
    """
    source = open_request_source(source_spec, settings)
    listed = source.instruments()
    universe, instruments = choose_instruments(source, listed, symbols, universe_file)
    spans = None if listed is None else _find_spans(listed, [instrument.symbol for instrument in instruments])
    mics = sorted({instrument.exchange_mic for instrument in instruments})
    as_of = _choose_as_of(as_of, spans, mics, scheduled_for, now.date())
    origin_month = last_complete_month(mics, as_of)
    if spans is not None:
        _require_history(spans, as_of, origin_month, config.fewest_months)
    key = MonthKey(source=source.kind, universe=universe, origin_month=origin_month)
    with database_errors():
        if symbols is None:  # the name of a list of symbols is a digest of them
            last = store.read_report("published_universe", source=source.kind, universe=universe)
            require_same_universe(universe, instruments, universe_file or source_spec, last)
        published = store.find_published(key)
        has_model = mode not in ("keep", "fine-tune") or store.read_champion(key) is not None
    if not has_model:
        raise BadRequestError(f"{universe} has no model to {mode} yet; run it with `--mode auto` first.")
    return MonthPlan(
        key=key,
        as_of=as_of,
        known_at=now,
        prices=PricesPlan(source_spec=source_spec, universe=universe, instruments=instruments, requested_at=now),
        mode=mode,
        correction=0 if published is None else int(published["correction"]) + 1,
        min_coverage=min_coverage,
        published_run_id=None if published is None or rerun else int(published["run_id"]),
    )


def earlier_month_ends(plan: MonthPlan, months: int) -> list[date]:
    """List the last days of the `months` months before the origin month, oldest first."""
    origin = pd.Timestamp(plan.key.origin_month)
    return [(origin - pd.DateOffset(months=back) + pd.offsets.MonthEnd(0)).date() for back in range(months, 0, -1)]


def last_complete_month(mics: Sequence[str], as_of: date) -> date:
    """Find the origin month: the month of `as_of` if it is complete on every exchange, else the month before.

    A month is complete if its last session is no later than `as_of`. Where a calendar does not cover the month, its
    last day stands in for the last session.

    Args:
        mics: ISO 10383 codes of the exchanges.
        as_of: Last date of the forecast's data.

    Returns:
        First day of the month.
    """
    month = pd.Timestamp(as_of).replace(day=1)
    for mic in mics:
        table = month_table(mic, as_of, as_of)
        last = table["last_session"].iloc[0] if len(table) else month + pd.offsets.MonthEnd(0)
        if last > pd.Timestamp(as_of):
            return (month - pd.DateOffset(months=1)).date()
    return month.date()


def _find_spans(listed: pd.DataFrame, symbols: Sequence[str]) -> pd.DataFrame:
    """Find the days that the source covers: symbol, first_session, last_session of the symbols that have bars."""
    rows = listed[listed["symbol"].isin(symbols) & listed["first_session"].notna()]
    if rows.empty:
        raise BadRequestError(f"The source must have prices of the universe; it has none of {abbreviate(symbols)}.")
    # A monthly bar is dated the first of its month and covers all of it.
    month_end = rows["last_session"] + pd.offsets.MonthEnd(0)
    last_day = rows["last_session"].mask(rows["bar_interval"] == "monthly", month_end)
    return rows[["symbol", "first_session"]].assign(last_session=last_day)


def _choose_as_of(
    as_of: date | None, spans: pd.DataFrame | None, mics: Sequence[str], scheduled_for: datetime, today: date
) -> date:
    if as_of is None:
        newest = min(last_closed_session(mic, scheduled_for) for mic in mics)
        return newest if spans is None else min(newest, spans["last_session"].max().date())
    if as_of > today:
        raise BadRequestError(f"`as_of` must not be in the future: received {as_of}, and today is {today} (UTC).")
    if spans is not None and as_of < (first := spans["first_session"].min().date()):
        raise BadRequestError(
            f"`as_of` must not be before the first bar: received {as_of}, and the first bar is of {first}."
        )
    return as_of


def _require_history(spans: pd.DataFrame, as_of: date, origin_month: date, min_months: int) -> None:
    first = spans["first_session"].min()
    months = (origin_month.year - first.year) * 12 + origin_month.month - first.month + 1
    if months < min_months:
        raise NotEnoughHistoryError(
            f"Too little history to train a model: at least {min_months} complete months are needed, and from the "
            f"first bar ({first:%Y-%m-%d}) to {as_of} there are {max(months, 0)}; use a later `as_of`, or a source "
            "with a longer history."
        )
