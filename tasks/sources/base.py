"""Interface of the price sources: requests, outcomes, and the columns of their frames."""

import functools
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

import pandas as pd

from model.frames import ACTION_TYPES, BAR_TYPES, FINDING_TYPES

INSTRUMENT_TYPES = {
    "symbol": "str",
    "exchange_mic": "str",
    "currency_code": "str",
    "bar_interval": "str",
    "first_session": "datetime64[ns]",
    "last_session": "datetime64[ns]",
    "first_trade": "datetime64[ns]",
}


_CONTROL = {"Cc", "Cf", "Cs"}
"""Unicode categories: control characters, invisible format characters and undecodable bytes."""


class Outcome(StrEnum):
    """Outcome of a symbol in a run."""

    OK = "ok"
    """At least one bar."""
    STALE = "stale"
    """Bars, but none of the origin month's last session."""
    MISSING = "missing"
    """A valid response of the source that it has no bars."""
    RATE_LIMITED = "rate_limited"
    """A refusal of the source because of too many requests."""
    SOURCE_ERROR = "source_error"
    """No response, or an unreadable one. It proves nothing about the symbol."""
    REJECTED = "rejected"
    """Bars that are implausible or unusable."""


@dataclass(frozen=True)
class SourceOutcome:
    """Outcome of one symbol, with its reason for the operator; the reason may be empty."""

    symbol: str
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True)
class Fetched:
    """Bars and actions of one fetch, of sessions closed at the moment of the request."""

    bars: pd.DataFrame
    """symbol, session (datetime64[ns], midnight, naive), open, high, low, close (as traded, NaN = missing), volume
    (float64, shares as traded, NaN = missing); sorted by symbol and session, unique."""
    actions: pd.DataFrame
    """symbol, ex_date (datetime64[ns]), kind ("split" or "dividend"), value (new shares per old share, or cash per
    share as traded on the ex-date); sorted by symbol, ex_date, kind."""
    outcomes: tuple[SourceOutcome, ...]
    """One for each requested symbol, in the order of the request."""
    instruments: pd.DataFrame
    """symbol, exchange_mic, currency_code, bar_interval ("daily" or "monthly": the finest of the source),
    first_session, last_session of the symbols with bars (the sessions are those of `bars`), first_trade (date that the
    source reports; NaT if it reports none)."""
    findings: pd.DataFrame
    """Faults of the source's rows that were repaired or left out: FINDING_TYPES of `model.quality`."""
    knows_actions: bool = True
    """False if the source has no splits and dividends at all, so that their absence proves nothing."""

    @property
    def has_response(self) -> bool:
        """False if no symbol got a valid response, so that the whole request is worth a retry."""
        failures = {Outcome.RATE_LIMITED, Outcome.SOURCE_ERROR}
        return not self.outcomes or any(outcome.outcome not in failures for outcome in self.outcomes)


class Source(Protocol):
    """A price source: one provider of daily or monthly bars."""

    @property
    def kind(self) -> str:
        """'sample', 'file' or 'yahoo'."""

    @property
    def default_universe(self) -> str:
        """Name of the universe of all listed symbols; '' if the source cannot list them."""

    def instruments(self) -> pd.DataFrame | None:
        """List all symbols in the columns of `Fetched.instruments`; None if the source cannot list them."""

    def fetch(self, firsts: Mapping[str, date | None], now: datetime) -> Fetched:
        """Fetch bars and actions up to the last session closed at `now`.

        Args:
            firsts: Earliest session and ex-date of each requested symbol, as the source spells it; None: from the
                start.
            now: Moment of the request, timezone-aware.

        Raises:
            BadRequestError: if the source cannot be read at all.
            ValueError: if `now` is naive.
        """


def clean_symbol(text: str) -> str:
    """Remove blanks around a symbol, and control characters such as NUL."""
    return "".join(character for character in text if unicodedata.category(character) not in _CONTROL).strip()


def merge_fetched(parts: Sequence[Fetched]) -> Fetched:
    """Merge fetches of different symbols into one; the outcomes keep the order of the parts."""
    return Fetched(
        stack((part.bars for part in parts), BAR_TYPES),
        stack((part.actions for part in parts), ACTION_TYPES),
        tuple(outcome for part in parts for outcome in part.outcomes),
        stack((part.instruments for part in parts), INSTRUMENT_TYPES),
        stack((part.findings for part in parts), FINDING_TYPES),
        all(part.knows_actions for part in parts),
    )


def without_bars(symbol: str, outcome: Outcome, reason: str) -> Fetched:
    """Make the fetch of one symbol without bars."""
    return replace(_empty_fetch(), outcomes=(SourceOutcome(symbol, outcome, reason),))


@functools.cache
def _empty_fetch() -> Fetched:
    return merge_fetched([])


def stack(frames: Iterable[pd.DataFrame], types: dict[str, str]) -> pd.DataFrame:
    """Concatenate frames with the columns and dtypes of `types`, sorted by all text and date columns."""
    filled = [frame for frame in frames if len(frame)]
    together = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(types))
    keys = [name for name, kind in types.items() if kind in {"str", "datetime64[ns]"}]
    return together[list(types)].astype(types).sort_values(keys, kind="stable", ignore_index=True)


def session_spans(bars: pd.DataFrame) -> pd.DataFrame:
    """Find the first and last session of each symbol: symbol, first_session, last_session, sorted by symbol."""
    by_symbol = bars.groupby("symbol")["session"]
    return pd.DataFrame({"first_session": by_symbol.min(), "last_session": by_symbol.max()}).reset_index()
