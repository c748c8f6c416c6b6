"""Sample source: daily bars of two indices, 1999-01-04 to 2018-12-31, without network or files.

The bars are package data of `arch` (`arch.data.sp500`, `arch.data.nasdaq`): the S&P 500 and the NASDAQ Composite as
published by Yahoo. Both are price indices without splits or dividends, so adj_close equals close.
"""

import functools
from collections.abc import Mapping
from datetime import date, datetime

import pandas as pd

from model.frames import ACTION_TYPES, BAR_TYPES, FINDING_TYPES
from tasks.calendars import last_closed_session
from tasks.sources.base import INSTRUMENT_TYPES, Fetched, Outcome, SourceOutcome, session_spans, stack

EXCHANGES = {"^GSPC": "XNYS", "^IXIC": "XNAS"}


class SampleSource:
    """Price source of the two sample indices; see `tasks.sources.base.Source`."""

    kind = "sample"
    default_universe = "sample"

    def instruments(self) -> pd.DataFrame:
        """List both indices; see `tasks.sources.base.Source`."""
        return _instruments(_bars())

    def fetch(self, firsts: Mapping[str, date | None], now: datetime) -> Fetched:
        """Fetch bars up to the last session closed at `now`; see `tasks.sources.base.Source`."""
        frames, outcomes = [], []
        all_bars = _bars()
        for symbol, first in firsts.items():
            if symbol not in EXCHANGES:
                reason = f"the sample has only {' and '.join(EXCHANGES)}"
                outcomes.append(SourceOutcome(symbol, Outcome.MISSING, reason))
                continue
            last_closed = pd.Timestamp(last_closed_session(EXCHANGES[symbol], now))
            is_requested = (all_bars["symbol"] == symbol) & (all_bars["session"] <= last_closed)
            if first is not None:
                is_requested &= all_bars["session"] >= pd.Timestamp(first)
            frames.append(all_bars[is_requested])
            outcomes.append(
                SourceOutcome(symbol, Outcome.OK)
                if is_requested.any()
                else SourceOutcome(
                    symbol, Outcome.MISSING, f"no prices from {first or 'the start'} to {last_closed:%Y-%m-%d}"
                )
            )
        bars = stack(frames, BAR_TYPES)
        return Fetched(bars, stack([], ACTION_TYPES), tuple(outcomes), _instruments(bars), stack([], FINDING_TYPES))


def _instruments(bars: pd.DataFrame) -> pd.DataFrame:
    table = session_spans(bars)
    table = table.assign(exchange_mic=table["symbol"].map(EXCHANGES), currency_code="USD", bar_interval="daily")
    table["first_trade"] = pd.NaT
    return stack([table], INSTRUMENT_TYPES)


@functools.lru_cache(maxsize=1)
def _bars() -> pd.DataFrame:
    # Imported here: `arch` takes a second to load and only its data are needed.
    import arch.data.nasdaq
    import arch.data.sp500

    frames = []
    for symbol, data in (("^GSPC", arch.data.sp500), ("^IXIC", arch.data.nasdaq)):
        table = data.load().rename(columns=str.lower).rename_axis("session").reset_index()
        frames.append(table.assign(symbol=symbol))
    return stack(frames, BAR_TYPES)
