"""Fetch: bars, splits and dividends from the source into the store."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
from prefect import task

from model.bars.rebase import rebase_history
from model.frames import FINDING_TYPES, PRICE_COLUMNS
from model.quality.findings import Treatment
from sql.store import MergedBars, Store
from tasks.calendars import last_closed_session
from tasks.database import database_errors, get_store
from tasks.decisions import accept_command
from tasks.errors import PricesIncompleteError, SourceUnavailableError
from tasks.month.overlap import join_sources
from tasks.plans.prices import PricesPlan, open_request_source
from tasks.progress import log_line, show_progress
from tasks.retries import STEP
from tasks.settings import get_settings
from tasks.sources.base import Fetched, Outcome, Source, SourceOutcome

_HUNDREDTHS = {"GBX": "GBP", "ZAC": "ZAR", "ILA": "ILS"}
RECYCLED_DAYS = 60
"""Gap, calendar days, after which another exchange means another company."""
LARGEST_VOLUME = 2.0**53
"""Shares: beyond it, a float is not exact; the column ends at 2^63."""
LARGEST_PRICE = 1e12
"""Price or dividend beyond which a number is an error: its product with a volume or a ratio may be infinite."""
OVERLAP_DAYS = 30
"""Days before the last stored session that every run fetches again, to detect corrections within a month."""
REFRESH_DAYS = 365
"""Days after which the whole history is fetched again, to detect older corrections."""
CUT_DAYS = 10
"""Days by which the first bar may follow the first trade that the source reports; more, and the history was cut."""
CUT_REPEATS = 3
"""Downloads that request a history again from its start because it was cut; later ones do once a year."""


@task(name="fetch", **STEP)
def fetch_bars(plan: PricesPlan, chunk_symbols: int) -> pd.DataFrame:
    """Fetch the symbols' new bars, splits and dividends into the store, chunk by chunk.

    Each chunk is committed by itself: a failure of a later chunk leaves it stored, and the next run does not fetch it
    again.

    Args:
        plan: Source, symbols and first session of the download.
        chunk_symbols: Symbols fetched and stored together.

    Returns:
        symbol, outcome and reason: one row per symbol, in the plan's order.
    """
    store = get_store()
    # One source for all chunks, because its limit of retries is for the whole run.
    source = open_request_source(plan.source_spec, get_settings())
    totals, outcomes = _Totals(), list[pd.DataFrame]()
    for done, chunk in enumerate(_one_ahead(_fetch_chunks(store, source, plan, chunk_symbols)), start=1):
        with database_errors():
            outcomes.append(_store_fetched(store, source.kind, chunk, totals))
        show_progress("fetch", min(done * chunk_symbols, len(plan.symbols)), len(plan.symbols))
    together = pd.concat(outcomes, ignore_index=True)
    counts = ", ".join(f"{count} {name}" for name, count in together["outcome"].value_counts().items())
    log_line("fetch", f"{len(together)} symbols from {source.kind} ({counts}): {totals}")
    return together


def require_any(fetched: pd.DataFrame) -> None:
    """Require that the source delivered at least one symbol.

    Args:
        fetched: symbol, outcome and reason, from `fetch_bars`.

    Raises:
        SourceUnavailableError: if the source did not respond for any symbol.
        PricesIncompleteError: if it responded for some, and had bars of none.
    """
    if (fetched["outcome"] == Outcome.OK).any():
        return
    first = fetched.iloc[0]
    sentence = (
        f"None of the {len(fetched)} symbols could be fetched (first: {first['symbol']}, {first['outcome']}: "
        f"{first['reason']})."
    )
    if fetched["outcome"].isin([Outcome.RATE_LIMITED, Outcome.SOURCE_ERROR]).all():
        raise SourceUnavailableError(sentence)
    raise PricesIncompleteError(sentence)


def split_fetched(fetched: pd.DataFrame, size: int) -> list[pd.DataFrame]:
    """Split the outcomes into chunks of at most `size` symbols."""
    return [fetched.iloc[start : start + size] for start in range(0, len(fetched), size)]


@dataclass
class _Totals:
    """Row counts of a download, over all chunks."""

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
            f"{self.added:,} bars added, {self.revised:,} corrected, {self.unchanged:,} unchanged, "
            f"{self.actions:,} splits and dividends added or changed"
        )


@dataclass(frozen=True)
class _Chunk:
    """Download of one chunk of symbols."""

    fetched: Fetched
    whole: frozenset[str]
    """Symbols whose whole history was requested."""
    admitted: dict[str, date | None]
    """Symbols whose stored history the download may replace, with the first session of the new one (None: all)."""
    whole_downloads: dict[str, int]
    """Number of earlier downloads of the whole history, by symbol."""


def _fetch_chunks(store: Store, source: Source, plan: PricesPlan, size: int) -> Iterator[_Chunk]:
    """Yield the download of one chunk of symbols at a time; complete symbols are not requested."""
    listed = source.instruments()
    begins = {} if listed is None else listed.set_index("symbol")["first_session"].to_dict()
    for start in range(0, len(plan.symbols), size):
        symbols = plan.symbols[start : start + size]
        with database_errors():
            known = store.read_instruments(symbols)
            histories = store.read_admitted_histories(symbols)
        admitted = {symbol: _day(session) for symbol, session in histories.itertuples(index=False)}
        stored = {row["symbol"]: row for row in known.to_dict("records") if not pd.isna(row["first_session"])}
        # A source that lists its symbols is a local table: it may have changed, and reading it again is cheap.
        complete = {
            symbol
            for symbol in stored
            if listed is None and symbol not in admitted and _is_complete(source.kind, stored[symbol], plan)
        }
        firsts = {
            symbol: None
            if symbol in admitted
            else _first_to_fetch(source.kind, stored.get(symbol), begins.get(symbol), plan)
            for symbol in symbols
        }
        fetched = source.fetch(
            {symbol: first for symbol, first in firsts.items() if symbol not in complete}, plan.requested_at
        )
        if listed is not None:
            fetched = _apply_stated(fetched, plan)
        others = {symbol: row for symbol, row in stored.items() if symbol not in admitted}
        fetched = _reject_recycled(fetched, others)
        if listed is None:
            fetched = _check_stated(fetched, plan)
        fetched = join_sources(store, source.kind, fetched, others)
        outcomes = {outcome.symbol: outcome for outcome in fetched.outcomes}
        unrequested = "all bars up to the last closed session were stored before"
        yield _Chunk(
            replace(
                fetched,
                outcomes=tuple(
                    outcomes.get(symbol, SourceOutcome(symbol, Outcome.OK, unrequested)) for symbol in firsts
                ),
            ),
            frozenset(symbol for symbol, first in firsts.items() if first is None and symbol not in complete),
            {symbol: _history_start(admitted[symbol], fetched, stored.get(symbol), symbol) for symbol in admitted},
            {str(symbol): int(row["whole_downloads"]) for symbol, row in stored.items()},
        )


def _apply_stated(fetched: Fetched, plan: PricesPlan) -> Fetched:
    """Replace the exchanges and currencies of a local table, which are defaults, by those of the plan."""
    planned = {instrument.symbol: instrument for instrument in plan.instruments}
    symbols = fetched.instruments["symbol"]
    return replace(
        fetched,
        instruments=fetched.instruments.assign(
            exchange_mic=[planned[symbol].exchange_mic for symbol in symbols],
            currency_code=[planned[symbol].currency_code for symbol in symbols],
        ).astype(fetched.instruments.dtypes.to_dict()),
    )


def _check_stated(fetched: Fetched, plan: PricesPlan) -> Fetched:
    """Use the exchanges that the user stated, and reject symbols whose stated currency contradicts the source."""
    planned = {instrument.symbol: instrument for instrument in plan.instruments}
    refused = dict[str, str]()
    mics = list[str]()
    for row in fetched.instruments.to_dict("records"):
        instrument = planned[row["symbol"]]
        mics.append(instrument.exchange_mic if "exchange_mic" in instrument.stated else row["exchange_mic"])
        stated = instrument.currency_code.upper()
        if "currency_code" in instrument.stated and _HUNDREDTHS.get(stated, stated) != row["currency_code"]:
            refused[instrument.symbol] = (
                f"the universe file states the currency {instrument.currency_code[:3]}, and the source reports "
                f"{row['currency_code']}: correct the universe file. Nothing was stored"
            )
    described = fetched.instruments.assign(exchange_mic=mics).astype(fetched.instruments.dtypes.to_dict())
    return _reject(replace(fetched, instruments=described), refused)


def _reject(fetched: Fetched, reasons: Mapping[str, str]) -> Fetched:
    """Remove the bars of some symbols from a download, and reject them with a reason each."""
    if not reasons:
        return fetched
    return replace(
        fetched,
        bars=fetched.bars[~fetched.bars["symbol"].isin(reasons)].reset_index(drop=True),
        actions=fetched.actions[~fetched.actions["symbol"].isin(reasons)].reset_index(drop=True),
        instruments=fetched.instruments[~fetched.instruments["symbol"].isin(reasons)].reset_index(drop=True),
        outcomes=tuple(
            SourceOutcome(outcome.symbol, Outcome.REJECTED, reasons[outcome.symbol])
            if outcome.symbol in reasons
            else outcome
            for outcome in fetched.outcomes
        ),
    )


def _reject_recycled(fetched: Fetched, stored: Mapping[Hashable, dict[Hashable, Any]]) -> Fetched:
    """Reject downloads that continue a stored history after a long gap on another exchange: another company's."""
    recycled = dict[str, str]()
    for row in fetched.instruments.to_dict("records"):
        known = stored.get(row["symbol"])
        if known is None or row["exchange_mic"] == known["exchange_mic"]:
            continue
        gap = (row["first_session"] - known["last_session"]).days
        if gap > RECYCLED_DAYS:
            recycled[str(row["symbol"])] = (
                f"its bars on {row['exchange_mic']} begin {gap} days after those stored of {known['exchange_mic']}: "
                "the symbol seems to belong to another company now. Nothing was stored. To set the earlier bars aside: "
                f"`{accept_command(str(row['symbol']), 'history', row['first_session'])}`"
            )
    return _reject(fetched, recycled)


def _day(session: Any) -> date | None:
    return None if pd.isna(session) else pd.Timestamp(session).date()


def _history_start(
    stated: date | None, fetched: Fetched, stored: dict[Hashable, Any] | None, symbol: str
) -> date | None:
    """Return the first session of an accepted history: as stated, else of the download if stored bars are older."""
    row = fetched.instruments[fetched.instruments["symbol"] == symbol]
    if stated is not None or stored is None or row.empty:
        return stated
    first = row["first_session"].iloc[0]
    return first.date() if (first - stored["first_session"]).days > CUT_DAYS else None


def _is_cut(stored: dict[Hashable, Any]) -> bool:
    """Return whether the stored history was cut short by the source, and is worth another request."""
    if pd.isna(stored["first_trade"]) or not pd.isna(stored["other_source_until"]):
        return False
    missing = (stored["first_session"] - stored["first_trade"]).days
    return bool(missing > CUT_DAYS and stored["whole_downloads"] <= CUT_REPEATS)


def _is_complete(kind: str, stored: dict[Hashable, Any], plan: PricesPlan) -> bool:
    """Return whether the store has every closed session, the last one requested after the day of its close."""
    if plan.first is not None or pd.isna(stored["requested_at"]) or stored["source"] != kind or _is_cut(stored):
        return False
    newest = last_closed_session(stored["exchange_mic"], plan.requested_at)
    requested_on: date = stored["requested_at"].astimezone(UTC).date()
    return bool(stored["last_session"].date() >= newest) and requested_on > newest


def _first_to_fetch(
    kind: str, stored: dict[Hashable, Any] | None, source_begins: pd.Timestamp | None, plan: PricesPlan
) -> date | None:
    """Return the first session to request of a symbol; None for its whole history.

    Of a symbol with bars of another source, only the overlap and later sessions are requested.
    """
    if stored is not None and stored["source"] != kind:
        return _overlap_start(stored)
    if plan.first is not None:
        return plan.first
    if stored is not None and not pd.isna(stored["other_source_until"]):
        following: date = (stored["other_source_until"] + pd.Timedelta(days=1)).date()
        return max(_overlap_start(stored), following)
    if stored is not None and _is_cut(stored):
        return None
    if stored is None or (source_begins is not None and source_begins < stored["first_session"]):
        return None
    if pd.isna(stored["whole_at"]) or plan.requested_at - stored["whole_at"] > timedelta(days=REFRESH_DAYS):
        return None
    return _overlap_start(stored)


def _overlap_start(stored: dict[Hashable, Any]) -> date:
    """Return the first session to request of a symbol whose history is stored."""
    days = OVERLAP_DAYS if stored["bar_interval"] == "daily" else 3 * OVERLAP_DAYS
    first: date = (stored["last_session"] - pd.Timedelta(days=days)).date()
    return first


def _one_ahead(items: Iterable[_Chunk]) -> Iterator[_Chunk]:
    """Yield the same items, each made while the one before is used, so that source and database work in parallel."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1, thread_name_prefix="fetch") as pool:
        future = pool.submit(next, iterator, end)
        while (item := future.result()) is not end:
            future = pool.submit(next, iterator, end)
            assert isinstance(item, _Chunk)  # noqa: S101  for the type checker: the sentinel ends the loop
            yield item


def _store_fetched(store: Store, kind: str, chunk: _Chunk, totals: _Totals) -> pd.DataFrame:
    """Write one chunk's download; bars without a close are dropped.

    Returns:
        symbol, outcome and reason.
    """
    fetched = chunk.fetched
    is_impossible = fetched.bars["close"] > LARGEST_PRICE
    bars = fetched.bars[(fetched.bars["close"] > 0) & ~is_impossible].copy()
    optional = ["open", "high", "low", "volume"]
    bars[optional] = bars[optional].where(bars[optional] > 0)
    bars[PRICE_COLUMNS] = bars[PRICE_COLUMNS].mask(bars[PRICE_COLUMNS] > LARGEST_PRICE)
    is_oversized = bars["volume"] > LARGEST_VOLUME
    bars["volume"] = bars["volume"].mask(is_oversized)
    size = fetched.actions["value"]
    fetched = replace(fetched, actions=fetched.actions[(size > 0) & (size <= LARGEST_PRICE)].reset_index(drop=True))
    outcomes = pd.DataFrame(
        [(outcome.symbol, str(outcome.outcome), outcome.reason) for outcome in fetched.outcomes],
        columns=["symbol", "outcome", "reason"],
    )
    requested = outcomes[outcomes["symbol"].isin(bars["symbol"].unique()) | (outcomes["outcome"] != Outcome.OK)]
    # Only a download of the whole history shows whether the source cuts it.
    first_trades = fetched.instruments.set_index("symbol")["first_trade"]
    days = [_day(first_trades.get(name)) if name in chunk.whole else None for name in requested["symbol"]]
    requested = requested.assign(first_trade=pd.Series(days, index=requested.index, dtype=object))
    is_admitted = bars["symbol"].isin(chunk.admitted)
    replacing = {symbol: chunk.admitted[symbol] for symbol in bars.loc[is_admitted, "symbol"].unique()}
    for symbols in ([], list(replacing)) if replacing else ([],):
        merged = store.merge_bars(
            source=kind,
            instruments=_of(fetched.instruments, symbols, replacing),
            bars=_of(bars, symbols, replacing),
            actions=_of(fetched.actions, symbols, replacing),
            outcomes=_of(requested, symbols, replacing),
            knows_actions=fetched.knows_actions,
            accept_restated=bool(symbols),
            admitted=replacing if symbols else None,
        )
        totals.add(merged)
        if not symbols:
            restated = merged.restated
    for symbol in restated:
        outcome = _store_restated(store, kind, fetched, bars, symbol, totals)
        outcomes.loc[outcomes["symbol"] == symbol, ["outcome", "reason"]] = outcome
    findings = [fetched.findings] if len(fetched.findings) else []
    if is_impossible.any():
        findings.append(_oversized_prices(fetched.bars[is_impossible]))
    if is_oversized.any():
        findings.append(_oversized_volumes(fetched.bars.loc[bars.index[is_oversized]]))
    findings.append(_cut_histories(chunk))
    stored = pd.concat(findings, ignore_index=True)
    whole = [symbol for symbol in chunk.whole if symbol in first_trades.index]
    if len(stored) or whole:
        store.merge_findings(stored.astype(FINDING_TYPES), symbols=whole, rules=["history_cut"])
    return outcomes


def _of(frame: pd.DataFrame, symbols: list[str], replacing: Mapping[str, date | None]) -> pd.DataFrame:
    """Select the rows of `symbols`, or without symbols those of no replaced history."""
    if not replacing:
        return frame
    is_chosen = frame["symbol"].isin(symbols) if symbols else ~frame["symbol"].isin(replacing)
    return frame[is_chosen].reset_index(drop=True)


def _cut_histories(chunk: _Chunk) -> pd.DataFrame:
    """Return one finding per symbol whose whole history begins long after the first trade that the source reports."""
    described = chunk.fetched.instruments
    missing = (described["first_session"] - described["first_trade"]).dt.days
    cut = described[(missing > CUT_DAYS) & described["symbol"].isin(chunk.whole)]
    left = [max(0, CUT_REPEATS - chunk.whole_downloads.get(symbol, 0)) for symbol in cut["symbol"]]
    return pd.DataFrame(
        {
            "symbol": cut["symbol"],
            "session": cut["first_session"],
            "rule": "history_cut",
            "value": missing[cut.index].astype("float64"),
            "treatment": str(Treatment.KEPT),
            "reason": [
                f"the bars begin on {first:%Y-%m-%d}, and the source reports the first trade on {trade:%Y-%m-%d}: "
                + (f"the next {count} downloads request the whole history, " if count else "")
                + f"{'later ones do' if count else 'the whole history is requested'} once a year"
                for first, trade, count in zip(cut["first_session"], cut["first_trade"], left, strict=True)
            ],
        },
        columns=list(FINDING_TYPES),
    ).astype(FINDING_TYPES)


def _oversized_prices(bars: pd.DataFrame) -> pd.DataFrame:
    """Return one finding per symbol with closes that are no prices; these bars are not stored."""
    first = bars.groupby("symbol", as_index=False).agg(session=("session", "min"))
    counts = bars.groupby("symbol").size().reindex(first["symbol"]).to_numpy()
    return first.assign(
        rule="oversized_price",
        value=LARGEST_PRICE,
        treatment=str(Treatment.EXCLUDED),
        reason=[f"{count} closes above {LARGEST_PRICE:.2g}: not stored" for count in counts],
    ).astype(FINDING_TYPES)[list(FINDING_TYPES)]


def _oversized_volumes(bars: pd.DataFrame) -> pd.DataFrame:
    """Return one finding per symbol with volumes that no column can hold; they are stored as missing."""
    first = bars.groupby("symbol", as_index=False).agg(session=("session", "min"), value=("volume", "max"))
    counts = bars.groupby("symbol").size().reindex(first["symbol"]).to_numpy()
    return first.assign(
        rule="oversized_volume",
        treatment=str(Treatment.REPAIRED),
        reason=[f"{count} volumes above {LARGEST_VOLUME:.2g} are missing values" for count in counts],
    ).astype(FINDING_TYPES)[list(FINDING_TYPES)]


def _store_restated(
    store: Store, kind: str, fetched: Fetched, bars: pd.DataFrame, symbol: str, totals: _Totals
) -> tuple[str, str]:
    """Rebase one symbol's restated history to the stored split basis and write it, or reject it.

    Returns:
        Outcome and reason.
    """
    history = bars[bars["symbol"] == symbol].reset_index(drop=True)
    actions = fetched.actions[fetched.actions["symbol"] == symbol]
    known = store.read_bars([symbol], as_of=date.max, known_at=datetime.max.replace(tzinfo=UTC))
    rebased = rebase_history(history, actions, known)
    if rebased is None:
        outcome = (
            str(Outcome.REJECTED),
            "its prices contradict most stored prices, and no split explains the factor; they may be adjusted for "
            "dividends, have another unit, or belong to another company. Nothing was stored. To replace the stored "
            f"history: `{accept_command(symbol, 'history')}`",
        )
        history, actions = history.head(0), actions.head(0)
    else:
        splits = rebased.actions[rebased.actions["kind"] == "split"]
        pairs = zip(splits["ex_date"], splits["value"], strict=True)
        listed = ", ".join(f"{value:g} on {day:%Y-%m-%d}" for day, value in pairs)
        outcome = str(Outcome.OK), f"restated prices rebased to the stored ones (splits: {listed or 'none new'})"
        history, actions = rebased.bars, rebased.actions
    merged = store.merge_bars(
        source=kind,
        instruments=fetched.instruments[fetched.instruments["symbol"] == symbol],
        bars=history,
        actions=actions,
        outcomes=pd.DataFrame([(symbol, *outcome)], columns=["symbol", "outcome", "reason"]),
        # The rebased splits are inferred from prices, and are not part of the download.
        knows_actions=False,
        accept_restated=True,
    )
    totals.add(merged)
    return outcome
