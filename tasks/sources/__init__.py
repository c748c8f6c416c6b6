"""Where prices come from: one file a source, one interface for all of them.

`sample` is in an installed package, `file:PATH` is on disk (read by `tables`), `yahoo` is Yahoo Finance (asked at the
pace of `pacing`). A source that fails is
never replaced by another. Every symbol asked for gets an outcome; only a fault of the request itself is an exception.
A new source is a new file here and a line in `open_source`.
"""

import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import pandas as pd

from model.frames import FINDING_TYPES
from tasks.errors import BadRequestError

PRICE_COLUMNS = ["open", "high", "low", "close"]
BAR_TYPES = {"symbol": "str", "session": "datetime64[ns]", **dict.fromkeys([*PRICE_COLUMNS, "volume"], "float64")}
ACTION_TYPES = {"symbol": "str", "ex_date": "datetime64[ns]", "kind": "str", "value": "float64"}
INSTRUMENT_TYPES = {
    "symbol": "str",
    "exchange_mic": "str",
    "currency_code": "str",
    "bar_interval": "str",
    "first_session": "datetime64[ns]",
    "last_session": "datetime64[ns]",
}


class Outcome(StrEnum):
    """What became of a symbol in a run."""

    OK = "ok"
    """At least one bar."""
    STALE = "stale"
    """Bars, but not up to the month wanted."""
    MISSING = "missing"
    """The source answered that it has none."""
    RATE_LIMITED = "rate_limited"
    """The source asked us to come back later."""
    SOURCE_ERROR = "source_error"
    """No answer, or one that cannot be read: says nothing about the symbol."""
    REJECTED = "rejected"
    """Bars that cannot be right, or cannot be used."""


@dataclass(frozen=True)
class SourceOutcome:
    """What became of one symbol; `reason` is a sentence for the operator, empty when there is nothing to say."""

    symbol: str
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True)
class Fetched:
    """What a source gave, of sessions that were closed at the moment of asking."""

    bars: pd.DataFrame
    """symbol, session (datetime64[ns], midnight, naive), open, high, low, close (as traded, NaN = missing), volume
    (float64, shares as traded, NaN = missing); sorted by symbol and session, unique."""
    actions: pd.DataFrame
    """symbol, ex_date (datetime64[ns]), kind ("split" or "dividend"), value (new shares per old share, or cash per
    share as traded on the ex-date); sorted by symbol, ex_date, kind."""
    outcomes: tuple[SourceOutcome, ...]
    """One a symbol, in the order asked."""
    instruments: pd.DataFrame
    """symbol, exchange_mic, currency_code, bar_interval ("daily" or "monthly": the finest the source has),
    first_session, last_session of the symbols that came with bars; the sessions are those of `bars`."""
    findings: pd.DataFrame
    """What was wrong with rows that are not in `bars`, or not as they came: FINDING_TYPES of `model.frames`."""
    knows_actions: bool = True
    """False when the source gives no splits and dividends at all, so that their absence says nothing."""

    @property
    def is_answered(self) -> bool:
        """False when not one symbol got an answer, so that the whole request is worth a retry."""
        unanswered = {Outcome.RATE_LIMITED, Outcome.SOURCE_ERROR}
        return not self.outcomes or any(each.outcome not in unanswered for each in self.outcomes)


class Source(Protocol):
    """One provider of daily bars."""

    @property
    def kind(self) -> str:
        """'sample', 'file' or 'yahoo'."""

    @property
    def default_universe(self) -> str:
        """Short label of the symbols it lists, or '' when the caller must name them."""

    def instruments(self) -> pd.DataFrame | None:
        """All it has, in the columns of `Fetched.instruments`; None if it cannot list."""

    def fetch(self, firsts: Mapping[str, date | None], now: datetime) -> Fetched:
        """Bars and actions up to the last session closed at `now`.

        Args:
            firsts: symbols, as the source spells them, with the earliest session and ex-date wanted of each; None
                means from the start.
            now: timezone-aware.

        Raises:
            BadRequestError: if the source cannot be read at all.
            ValueError: if `now` is naive.
        """


def open_source(
    spec: str,
    *,
    cache_dir: Path | None = None,
    base_url: str | None = None,
    max_workers: int = 4,
    sleep: Callable[[float], None] = time.sleep,
) -> Source:
    """The source that `spec` names: 'sample', 'file:PATH' or 'yahoo'.

    Args:
        spec: exactly one of these; nothing is guessed and nothing falls back.
        cache_dir: where 'yahoo' keeps time zones between runs, made if need be; required for it.
        base_url: a server that 'yahoo' asks in place of Yahoo's own, for tests and proxies.
        max_workers: how many symbols 'yahoo' asks for at once.
        sleep: what 'yahoo' waits with between attempts.

    Raises:
        BadRequestError: for any other `spec`.
    """
    # Imported when asked for: yfinance and pyarrow take a second that no other source needs.
    if spec == "sample":
        from tasks.sources.sample import SampleSource

        return SampleSource()
    if spec.startswith("file:") and spec != "file:":
        from tasks.sources.files.source import FileSource

        return FileSource(spec.removeprefix("file:"))
    if spec == "yahoo":
        from tasks.sources.yahoo.source import YahooSource

        if cache_dir is None:
            raise ValueError("`cache_dir` must name a directory for the source 'yahoo'; received None.")
        return YahooSource(cache_dir, base_url=base_url, max_workers=max_workers, sleep=sleep)
    raise BadRequestError(f"Unknown price source {spec!r}; choose 'sample', 'file:PATH' or 'yahoo'.")


def merge(parts: Sequence[Fetched]) -> Fetched:
    """What was fetched in parts of different symbols, as if at once; outcomes keep the order of the parts."""
    return Fetched(
        stack((part.bars for part in parts), BAR_TYPES),
        stack((part.actions for part in parts), ACTION_TYPES),
        tuple(outcome for part in parts for outcome in part.outcomes),
        stack((part.instruments for part in parts), INSTRUMENT_TYPES),
        stack((part.findings for part in parts), FINDING_TYPES),
        all(part.knows_actions for part in parts),
    )


def nothing(symbol: str, outcome: Outcome, reason: str) -> Fetched:
    """No bars of one symbol, and why."""
    return replace(_nothing(), outcomes=(SourceOutcome(symbol, outcome, reason),))


@functools.cache
def _nothing() -> Fetched:
    return merge([])


def stack(frames: Iterable[pd.DataFrame], types: dict[str, str]) -> pd.DataFrame:
    """The frames under one another with exactly these columns and types, sorted by all keys before the values."""
    present = [frame for frame in frames if len(frame)]
    together = pd.concat(present, ignore_index=True) if present else pd.DataFrame(columns=list(types))
    keys = [name for name, kind in types.items() if kind in {"str", "datetime64[ns]"}]
    return together[list(types)].astype(types).sort_values(keys, kind="stable", ignore_index=True)


def spans(bars: pd.DataFrame) -> pd.DataFrame:
    """First and last session of each symbol: symbol, first_session, last_session, sorted by symbol."""
    by_symbol = bars.groupby("symbol")["session"]
    return pd.DataFrame({"first_session": by_symbol.min(), "last_session": by_symbol.max()}).reset_index()
