"""Downloads of symbols whose stored bars come from another source.

They are joined where both are the same series, and rejected otherwise. Stored bars of the other source are never
replaced: the common sessions are the evidence, and only later bars are stored.
"""

from collections.abc import Hashable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd

from model.bars.overlap import FEWEST_COMMON, join_history
from model.frames import ACTION_TYPES, BAR_TYPES
from sql.store import Store
from tasks.database import database_errors
from tasks.decisions import accept_command
from tasks.sources.base import Fetched, Outcome, SourceOutcome, stack

Stored = Mapping[Hashable, dict[Hashable, Any]]
"""Rows of `Store.read_instruments` by symbol."""


def join_sources(store: Store, kind: str, fetched: Fetched, stored: Stored) -> Fetched:
    """Cut downloads of symbols with bars of another source to the later bars, and reject those of another series.

    Args:
        store: Stored bars.
        kind: Source of the download.
        fetched: The download.
        stored: Stored symbols among those of the download.

    Returns:
        The download, with the bars and actions to store.
    """
    bars, actions, outcomes = [], [], {}
    others = {symbol for symbol in stored if _other_until(kind, stored[symbol]) is not None}
    others &= set(fetched.bars["symbol"].unique())
    if not others:
        return fetched
    for symbol in sorted(map(str, others)):
        row = stored[symbol]
        history = fetched.bars[fetched.bars["symbol"] == symbol].reset_index(drop=True)
        events = fetched.actions[fetched.actions["symbol"] == symbol].reset_index(drop=True)
        if row["source"] != kind:
            with database_errors():
                known = store.read_bars([symbol], as_of=date.max, known_at=datetime.max.replace(tzinfo=UTC))
            described = fetched.instruments[fetched.instruments["symbol"] == symbol].iloc[0]
            rebased, overlap = None, "the bar interval or the currency differs"
            is_alike = described["bar_interval"] == row["bar_interval"]
            is_alike &= described["currency_code"] == row["currency_code"]
            if is_alike:
                rebased, comparison = join_history(history, events, known, row["bar_interval"])
                overlap = comparison.describe()
            if rebased is None:
                fewest = FEWEST_COMMON[row["bar_interval"]]
                outcomes[symbol] = SourceOutcome(
                    symbol,
                    Outcome.REJECTED,
                    f"the stored bars of {row['source']!r} (to {row['last_session']:%Y-%m-%d}) and those of {kind!r} "
                    f"must be the same series on at least {fewest} common sessions: {overlap}. Nothing was stored. "
                    f"To replace the stored history: `{accept_command(symbol, 'history')}`",
                )
                continue
            history, events = rebased.bars, rebased.actions
        until = _other_until(kind, row)
        bars.append(history[history["session"] > until])
        actions.append(events[events["ex_date"] > until])
    is_kept, is_kept_action = ~fetched.bars["symbol"].isin(others), ~fetched.actions["symbol"].isin(others)
    is_described = ~fetched.instruments["symbol"].isin(outcomes)
    return replace(
        fetched,
        bars=stack([fetched.bars[is_kept], *bars], BAR_TYPES),
        actions=stack([fetched.actions[is_kept_action], *actions], ACTION_TYPES),
        instruments=fetched.instruments[is_described].reset_index(drop=True),
        outcomes=tuple(outcomes.get(outcome.symbol, outcome) for outcome in fetched.outcomes),
    )


def _other_until(kind: str, row: Mapping[Hashable, Any]) -> pd.Timestamp | None:
    """Return the last stored session of another source than `kind`; None without one."""
    last = row["last_session"] if row["source"] != kind else row["other_source_until"]
    return None if pd.isna(last) else pd.Timestamp(last)
