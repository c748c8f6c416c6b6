"""Fetch: bars, splits and dividends from the source into the store."""

from collections.abc import Hashable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
from prefect import task

from model.bars.rebase import rebase_history
from sql.store import MergedBars, Store
from tasks.calendars import last_closed_session
from tasks.database import database_errors, get_store
from tasks.errors import PricesIncompleteError, SourceUnavailableError
from tasks.plans.prices import PricesPlan, open_request_source
from tasks.progress import log_line, show_progress
from tasks.retries import STEP
from tasks.settings import get_settings
from tasks.sources.base import Fetched, Outcome, Source, SourceOutcome

OVERLAP_DAYS = 30  # fetched again with every run, so that what a source corrects within a month is seen
REFRESH_DAYS = 365  # after which the whole history is asked for again, so that older corrections are seen, too


@task(name="fetch", **STEP)
def fetch_bars(plan: PricesPlan, chunk_symbols: int) -> pd.DataFrame:
    """Bring the symbols' new bars, splits and dividends from the source into the store, chunk by chunk.

    What is stored stays stored when a later chunk fails, and is not asked for again.

    Returns:
        symbol, outcome, reason: what the source said of each symbol, in the plan's order.
    """
    store = get_store()
    # One source for all chunks: its patience is that of the whole run.
    source = open_request_source(plan.source_spec, get_settings())
    totals, outcomes = _Totals(), list[pd.DataFrame]()
    for done, fetched in enumerate(_one_ahead(_fetch_chunks(store, source, plan, chunk_symbols)), start=1):
        with database_errors():
            outcomes.append(_store_fetched(store, source.kind, fetched, totals))
        show_progress("fetch", min(done * chunk_symbols, len(plan.symbols)), len(plan.symbols))
    together = pd.concat(outcomes, ignore_index=True)
    counts = ", ".join(f"{count} {name}" for name, count in together["outcome"].value_counts().items())
    log_line("fetch", f"{len(together)} symbols from {source.kind} ({counts}): {totals}")
    return together


def require_any(fetched: pd.DataFrame) -> None:
    """Stop when not one symbol came.

    Raises:
        SourceUnavailableError: if the source did not answer for any.
        PricesIncompleteError: if it did, and had none.
    """
    if (fetched["outcome"] == Outcome.OK).any():
        return
    first = fetched.iloc[0]
    sentence = f"Not one of {len(fetched)} symbols came; {first['symbol']}: {first['outcome']}, {first['reason']}."
    if fetched["outcome"].isin([Outcome.RATE_LIMITED, Outcome.SOURCE_ERROR]).all():
        raise SourceUnavailableError(sentence)
    raise PricesIncompleteError(sentence)


def split_fetched(fetched: pd.DataFrame, size: int) -> list[pd.DataFrame]:
    """The outcomes in chunks of at most `size` symbols."""
    return [fetched.iloc[start : start + size] for start in range(0, len(fetched), size)]


@dataclass
class _Totals:
    """What a download did, over all chunks."""

    added: int = 0
    revised: int = 0
    unchanged: int = 0
    actions: int = 0

    def add(self, merged: MergedBars) -> None:
        self.added += merged.added
        self.revised += merged.revised
        self.unchanged += merged.unchanged
        self.actions += merged.actions

    def __str__(self) -> str:
        return (
            f"{self.added:,} bars added, {self.revised:,} corrected, {self.unchanged:,} as before, "
            f"{self.actions:,} splits and dividends added or changed"
        )


def _fetch_chunks(store: Store, source: Source, plan: PricesPlan, size: int) -> Iterator[Fetched]:
    """What the source says, chunk by chunk, of the symbols of which it may have something new to say."""
    listed = source.instruments()
    begins = {} if listed is None else listed.set_index("symbol")["first_session"].to_dict()
    for start in range(0, len(plan.symbols), size):
        symbols = plan.symbols[start : start + size]
        with database_errors():
            known = store.read_instruments(symbols)
        stored = {row["symbol"]: row for row in known.to_dict("records") if not pd.isna(row["first_session"])}
        # A table on disk may have changed, and is cheap to read again.
        complete = {each for each in stored if listed is None and _is_complete(stored[each], plan)}
        firsts = {each: _first_to_fetch(stored.get(each), begins.get(each), plan) for each in symbols}
        fetched = source.fetch(
            {each: first for each, first in firsts.items() if each not in complete}, plan.requested_at
        )
        said = {each.symbol: each for each in fetched.outcomes}
        known_already = "everything up to the last closed session is stored"
        yield replace(
            fetched,
            outcomes=tuple(said.get(each, SourceOutcome(each, Outcome.OK, known_already)) for each in firsts),
        )


def _is_complete(stored: dict[Hashable, Any], plan: PricesPlan) -> bool:
    """Whether a symbol can have no newer bar than those stored, nor one of its last session that is still to come."""
    if plan.first is not None or pd.isna(stored["requested_at"]):
        return False
    newest = last_closed_session(stored["exchange_mic"], plan.requested_at)
    asked_on: date = stored["requested_at"].astimezone(UTC).date()
    return bool(stored["last_session"].date() >= newest) and asked_on > newest


def _first_to_fetch(
    stored: dict[Hashable, Any] | None, source_begins: pd.Timestamp | None, plan: PricesPlan
) -> date | None:
    """From when on a symbol is asked for; None for its whole history."""
    if plan.first is not None:
        return plan.first
    if stored is None or (source_begins is not None and source_begins < stored["first_session"]):
        return None
    if pd.isna(stored["whole_at"]) or plan.requested_at - stored["whole_at"] > timedelta(days=REFRESH_DAYS):
        return None
    days = OVERLAP_DAYS if stored["bar_interval"] == "daily" else 3 * OVERLAP_DAYS
    first: date = (stored["last_session"] - pd.Timedelta(days=days)).date()
    return first


def _one_ahead(items: Iterable[Fetched]) -> Iterator[Fetched]:
    """The same items, each made while the one before is used: the source and the database work side by side."""
    iterator, nothing = iter(items), object()
    with ThreadPoolExecutor(1, thread_name_prefix="fetch") as pool:
        coming = pool.submit(next, iterator, nothing)
        while (item := coming.result()) is not nothing:
            coming = pool.submit(next, iterator, nothing)
            assert isinstance(item, Fetched)  # noqa: S101  for the type checker: the sentinel ends the loop
            yield item


def _store_fetched(store: Store, kind: str, fetched: Fetched, totals: _Totals) -> pd.DataFrame:
    """Write what a source said; a bar without a close says nothing and is left out.

    Returns:
        symbol, outcome, reason.
    """
    bars = fetched.bars[fetched.bars["close"] > 0].copy()
    may_be_missing = ["open", "high", "low", "volume"]
    bars[may_be_missing] = bars[may_be_missing].where(bars[may_be_missing] > 0)
    outcomes = pd.DataFrame(
        [(each.symbol, str(each.outcome), each.reason) for each in fetched.outcomes],
        columns=["symbol", "outcome", "reason"],
    )
    asked = outcomes[outcomes["symbol"].isin(bars["symbol"].unique()) | (outcomes["outcome"] != Outcome.OK)]
    merged = store.merge_bars(
        source=kind,
        instruments=fetched.instruments,
        bars=bars,
        actions=fetched.actions,
        outcomes=asked,
        knows_actions=fetched.knows_actions,
    )
    totals.add(merged)
    for symbol in merged.restated:
        refused = _store_restated(store, kind, fetched, bars, symbol, totals)
        outcomes.loc[outcomes["symbol"] == symbol, ["outcome", "reason"]] = refused
    if len(fetched.findings):
        store.merge_findings(fetched.findings)
    return outcomes


def _store_restated(
    store: Store, kind: str, fetched: Fetched, bars: pd.DataFrame, symbol: str, totals: _Totals
) -> tuple[str, str]:
    """Bring a download on another basis to the stored one and write it, or note why it cannot be used.

    Returns:
        Outcome and reason.
    """
    own = bars[bars["symbol"] == symbol].reset_index(drop=True)
    actions = fetched.actions[fetched.actions["symbol"] == symbol]
    known = store.read_bars([symbol], as_of=date.max, known_at=datetime.max.replace(tzinfo=UTC))
    rebased = rebase_history(own, actions, known)
    if rebased is None:
        outcome = (
            str(Outcome.REJECTED),
            "its prices contradict most of those stored, and not by the factor of a split: are they adjusted for "
            "dividends, or another company's? Nothing was stored",
        )
        own, actions = own.head(0), actions.head(0)
    else:
        splits = rebased.actions[rebased.actions["kind"] == "split"]
        pairs = zip(splits["ex_date"], splits["value"], strict=True)
        told = ", ".join(f"{value:g} on {day:%Y-%m-%d}" for day, value in pairs)
        outcome = str(Outcome.OK), f"restated prices brought back to those stored (splits: {told or 'none new'})"
        own, actions = rebased.bars, rebased.actions
    merged = store.merge_bars(
        source=kind,
        instruments=fetched.instruments[fetched.instruments["symbol"] == symbol],
        bars=own,
        actions=actions,
        outcomes=pd.DataFrame([(symbol, *outcome)], columns=["symbol", "outcome", "reason"]),
        # What was learnt about splits by comparing is not in the download itself.
        knows_actions=False,
        accept_restated=True,
    )
    totals.add(merged)
    return outcome
