"""Fetch and check: bars from the source into the store, and out of it the months that can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd
from prefect import task

from model.months import MONTH_COLUMNS, build_months
from sql.store import Store
from tasks.calendars import month_table
from tasks.database import database_errors, get_store
from tasks.errors import PricesIncompleteError
from tasks.planning import MonthPlan, open_request_source
from tasks.progress import log_line
from tasks.settings import get_settings
from tasks.sources import Fetched, Outcome
from tasks.steps import STEP

OVERLAP_DAYS = 30  # fetched again with every run, so that what a source corrects within a month is seen
OUTCOME_COLUMNS = ["symbol", "outcome", "reason", "last_session", "months"]


@dataclass(frozen=True)
class Checked:
    """Months that can be trusted, and what became of every symbol."""

    months: pd.DataFrame
    """Columns of `model.months.build_months`, no later than the origin month."""
    outcomes: pd.DataFrame
    """OUTCOME_COLUMNS, one row a symbol asked for."""


@task(name="fetch", **STEP)
def fetch_bars(plan: MonthPlan, symbols: list[str]) -> pd.DataFrame:
    """Bring the symbols' new bars, splits and dividends from the source into the store.

    Returns:
        symbol, outcome, reason: what the source said of each symbol.
    """
    store = get_store()
    source = open_request_source(plan.source_spec, get_settings())
    with database_errors():
        known = store.read_instruments(symbols)
    fetched = [
        source.fetch(group, first, plan.known_at)
        for group, first in _groups_by_first_session(symbols, known, source.instruments())
    ]
    with database_errors():
        for each in fetched:
            _store_fetched(store, plan, each)
    rows = [(outcome.symbol, str(outcome.outcome), outcome.reason) for each in fetched for outcome in each.outcomes]
    return pd.DataFrame(rows, columns=["symbol", "outcome", "reason"])


@task(name="check", **STEP)
def check_bars(plan: MonthPlan, fetched: pd.DataFrame) -> Checked:
    """Build the months of the symbols and say of each whether its origin month is there.

    Args:
        plan: The month.
        fetched: symbol, outcome, reason from `fetch_bars`.
    """
    symbols = list(fetched["symbol"])
    months = read_months(plan, symbols)
    final = months[months["is_final"]].groupby("symbol")["month"].agg(["max", "count"])
    with database_errors():
        last_sessions = get_store().read_instruments(symbols).set_index("symbol")["last_session"]
    rows = []
    for symbol, outcome, reason in fetched.itertuples(index=False):
        count = int(final["count"].get(symbol, 0))
        last_session = last_sessions.get(symbol, pd.NaT)
        if count and final.loc[symbol, "max"] == pd.Timestamp(plan.key.origin_month):
            row = (symbol, str(Outcome.OK), reason or f"{count} complete months", last_session, count)
        elif outcome in (Outcome.RATE_LIMITED, Outcome.SOURCE_ERROR) or pd.isna(last_session):
            row = (symbol, str(Outcome.MISSING) if outcome == Outcome.OK else outcome, reason, last_session, count)
        else:
            why = (
                f"no bar on the last session of {plan.key.origin_month:%Y-%m}; the newest is of {last_session:%Y-%m-%d}"
            )
            row = (symbol, str(Outcome.STALE), f"{why}; {reason}" if reason else why, last_session, count)
        rows.append(row)
    return Checked(months, pd.DataFrame(rows, columns=OUTCOME_COLUMNS))


def join_checked(parts: Sequence[Checked]) -> Checked:
    """The chunks' months and outcomes as one."""
    return Checked(
        pd.concat([part.months for part in parts], ignore_index=True),
        pd.concat([part.outcomes for part in parts], ignore_index=True),
    )


def read_months(plan: MonthPlan, symbols: Sequence[str]) -> pd.DataFrame:
    """The symbols' months up to the plan's origin month, as known when the run began; MONTH_COLUMNS."""
    with database_errors():
        store = get_store()
        bars = store.read_bars(symbols, as_of=plan.as_of, known_at=plan.known_at)
        actions = store.read_actions(symbols, as_of=plan.as_of, known_at=plan.known_at)
        mics = store.read_instruments(symbols).set_index("symbol")["exchange_mic"]
    if bars.empty:
        return pd.DataFrame(columns=MONTH_COLUMNS).astype({"month": "datetime64[ns]", "is_final": bool})
    parts = []
    for mic, members in mics.groupby(mics):
        own = bars[bars["symbol"].isin(members.index)]
        if len(own):
            table = month_table(str(mic), own["session"].min().date(), plan.as_of)
            parts.append(build_months(own, actions, table, pd.Timestamp(plan.as_of)))
    months = pd.concat(parts, ignore_index=True)
    return months[months["month"] <= pd.Timestamp(plan.key.origin_month)].reset_index(drop=True)


def require_coverage(plan: MonthPlan, outcomes: pd.DataFrame) -> None:
    """Stop the run when too few symbols have their month.

    Raises:
        PricesIncompleteError: naming what came instead.
    """
    usable = int((outcomes["outcome"] == Outcome.OK).sum())
    log_line("check", f"{usable} of {len(outcomes)} symbols have {plan.key.origin_month:%Y-%m}")
    if usable and usable >= plan.min_coverage * len(outcomes):
        return
    left_out = outcomes[outcomes["outcome"] != Outcome.OK]
    counts = ", ".join(f"{count} {name}" for name, count in left_out["outcome"].value_counts().items())
    first = left_out.iloc[0]
    raise PricesIncompleteError(
        f"At least {plan.min_coverage:.0%} of the universe must have {plan.key.origin_month:%Y-%m}, and "
        f"{usable} of {len(outcomes)} symbols do ({counts}; {first['symbol']}: {first['reason']})."
    )


def _groups_by_first_session(
    symbols: Sequence[str], known: pd.DataFrame, listed: pd.DataFrame | None
) -> list[tuple[list[str], date | None]]:
    """Symbols with the day to fetch them from: the start for new ones, an overlap for those that need new bars only."""
    spans = known.set_index("symbol")
    begins = {} if listed is None else listed.set_index("symbol")["first_session"].to_dict()
    fresh = [
        each
        for each in symbols
        if each not in spans.index
        or not spans["first_session"].notna()[each]
        or begins.get(each, pd.Timestamp.max) < spans["first_session"][each]
    ]
    current = [each for each in symbols if each not in set(fresh)]
    groups: list[tuple[list[str], date | None]] = [(fresh, None)] if fresh else []
    if current:
        oldest = spans.loc[current, "last_session"].min() - pd.Timedelta(days=OVERLAP_DAYS)
        groups.append((current, oldest.date()))
    return groups


def _store_fetched(store: Store, plan: MonthPlan, fetched: Fetched) -> None:
    """Write what a source said; a bar without a close says nothing and is left out."""
    usable = fetched.bars[fetched.bars["close"] > 0].copy()
    may_be_missing = ["open", "high", "low", "volume"]
    usable[may_be_missing] = usable[may_be_missing].where(usable[may_be_missing] > 0)
    merged = store.merge_bars(
        source=plan.key.source,
        instruments=fetched.instruments,
        bars=usable,
        actions=fetched.actions,
        known_at=plan.known_at,
    )
    log_line(
        "fetch",
        f"{fetched.bars['symbol'].nunique()} symbols from {plan.key.source}: {merged.added:,} bars added, "
        f"{merged.revised:,} corrected, {merged.unchanged:,} as before, {merged.actions:,} splits and dividends added",
    )
