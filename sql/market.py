"""Verbs about prices: storage of downloads, and bars and actions as known at any time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
from psycopg2.extensions import cursor as Cursor  # noqa: N812  a class under a lower-case name

from sql.connection import Database, returned_id
from sql.copy import copy_in
from sql.queries import statement

# Relative differences from the stored value beyond which a bar is revised. Two downloads of one range differ by about
# 1e-5 (float32 at the source); sources adjust volumes slightly for weeks.
TOLERANCES = {"price_tolerance": 1e-4, "volume_tolerance": 5e-3}
ACTION_TOLERANCE = 5e-5  # share of the last close before the ex-date

# A download that moves at least `restated_bars` closes, and this share of a symbol's stored closes, by more than
# `restated_move` restates the history on another basis. Fewer moved bars are ordinary corrections.
RESTATED = {"restated_move": 0.01, "restated_bars": 3, "restated_share": 0.1}

_BAR_TYPES = {
    "symbol": "text",
    "session": "date",
    "open": "float8",
    "high": "float8",
    "low": "float8",
    "close": "float8",
    "volume": "float8",
}
_ACTION_TYPES = {"symbol": "text", "ex_date": "date", "kind": "text", "value": "float8"}
_FINDING_COLUMNS = ["symbol", "session", "rule", "value", "treatment", "reason"]


@dataclass(frozen=True, kw_only=True)
class MergedBars:
    """Result of a load: number of bars by treatment, and of new, changed or withdrawn splits and dividends."""

    added: int
    revised: int
    unchanged: int
    actions: int
    restated: tuple[str, ...]
    """Symbols without any stored row, because the download restates their history."""
    known_at: datetime
    """Time of the download, UTC."""


class MarketVerbs(Database):
    """Bars, splits, dividends, downloads, findings, and decisions about doubtful prices."""

    def read_instruments(self, symbols: Sequence[str]) -> pd.DataFrame:
        """Read the stored instruments among `symbols`, with the span of their bars and their last downloads.

        Returns:
            Columns symbol, source (of the newest bar), exchange_mic, currency_code, bar_interval, status,
            first_session, last_session, requested_at (time of the last download that includes the newest bar),
            whole_at (time of the last download that includes the first bar), whole_downloads (number of downloads that
            begin with the first bar), first_trade (date that the source reports; NaT if it reports none),
            other_source_until (last session with a bar of another source; NaT without one); sorted by symbol.
        """
        return self._read("instruments", symbols=list(symbols))

    def merge_bars(
        self,
        *,
        source: str,
        instruments: pd.DataFrame,
        bars: pd.DataFrame,
        actions: pd.DataFrame,
        outcomes: pd.DataFrame | None = None,
        known_at: datetime | None = None,
        knows_actions: bool = True,
        accept_restated: bool = False,
        admitted: Mapping[str, date | None] | None = None,
    ) -> MergedBars:
        """Store a download; replaced values become revisions.

        Downloads may arrive in any order of `known_at`: an older one is inserted into the past.

        Args:
            source: Kind of the source, stored as `market.instrument.source` of new symbols.
            instruments: Columns symbol, exchange_mic, currency_code, optionally bar_interval (default "daily"); stored
                instruments stay unchanged.
            bars: Columns symbol, session, open, high, low, close, volume, as traded; unique by symbol and session.
            actions: Columns symbol, ex_date, kind, value; unique by symbol, ex_date and kind.
            outcomes: Columns symbol, outcome, reason, optionally first_trade of all requested symbols; default: "ok"
                for those with bars.
            known_at: Time of the download; default: now, by the database's clock.
            knows_actions: Whether the source delivers all splits and dividends, so that an absent one is withdrawn.
            accept_restated: Whether to store downloads that restate a symbol's history.
            admitted: First session of each accepted history that this download replaces (None: of all), by symbol.
                The decisions are marked as applied.

        Returns:
            Numbers of rows by treatment, restated symbols, and the time of the download.
        """
        names = pd.Index(bars["symbol"].unique())
        with self._cursor() as cursor:
            known_at = _begin_merge(cursor, known_at)
            _stage_instruments(cursor, source, instruments, known_at)
            _stage_bars(cursor, bars)
            cursor.execute(statement("stage_actions"))
            copy_in(cursor, "incoming_action", actions[list(_ACTION_TYPES)])
            cursor.execute(statement("find_changed_bars"), TOLERANCES)
            restated = [] if accept_restated else _first_column(cursor, "find_restated_symbols", **RESTATED)
            if restated:
                cursor.execute(statement("drop_incoming"), {"symbols": restated})
            counted = len(bars) if not restated else int((~bars["symbol"].isin(restated)).sum())
            cursor.execute(statement("find_incoming_spans"))
            if late := _first_column(cursor, "find_late_symbols", symbols=list(names), known_at=known_at):
                cursor.execute(statement("merge_late_bars"), {"symbols": late, "known_at": known_at, **TOLERANCES})
            cursor.execute(statement("keep_revised_bars"), {"known_at": known_at})
            revised = cursor.rowcount
            if revised:
                cursor.execute(statement("merge_changed_bars"), {"known_at": known_at})
            cursor.execute(statement("add_new_bars"), {"known_at": known_at})
            added = cursor.rowcount
            cursor.execute(
                statement("merge_actions"),
                {"known_at": known_at, "tolerance": ACTION_TOLERANCE, "knows_actions": knows_actions},
            )
            changed_actions = cursor.rowcount
            if outcomes is None:
                outcomes = pd.DataFrame({"symbol": names, "outcome": "ok", "reason": ""})
            _add_downloads(cursor, source, outcomes[~outcomes["symbol"].isin(restated)], known_at)
            for symbol, session in (admitted or {}).items():
                row = {"symbol": symbol, "session": session, "known_at": known_at}
                cursor.execute(statement("apply_history_decisions"), row)
        return MergedBars(
            added=added,
            revised=revised,
            unchanged=counted - added - revised,
            actions=changed_actions,
            restated=tuple(restated),
            known_at=known_at,
        )

    def merge_findings(
        self, findings: pd.DataFrame, *, symbols: Sequence[str] = (), rules: Sequence[str] = (), as_of: date = date.max
    ) -> None:
        """Store findings, and clear stored ones that a check no longer reports.

        Args:
            findings: Columns symbol, session, rule, value, treatment, reason.
            symbols: Symbols checked.
            rules: Rules applied to them; their stored findings absent from `findings` are cleared.
            as_of: Last session checked.
        """
        with self._cursor() as cursor:
            known_at = _begin_merge(cursor, None)
            cursor.execute(statement("stage_findings"))
            copy_in(cursor, "incoming_finding", findings[_FINDING_COLUMNS])
            cursor.execute(
                statement("merge_findings"),
                {"known_at": known_at, "symbols": list(symbols), "rules": list(rules), "as_of": as_of},
            )

    def read_bars(self, symbols: Sequence[str], *, as_of: date, known_at: datetime) -> pd.DataFrame:
        """Read bars as traded up to `as_of`, as known at `known_at`, sorted by symbol and session."""
        return self._copy_out("bars_as_known", _BAR_TYPES, symbols=list(symbols), as_of=as_of, known_at=known_at)

    def read_decisions(self, symbols: Sequence[str], *, known_at: datetime) -> pd.DataFrame:
        """Read the operator's decisions about the symbols in force at `known_at`, oldest first.

        Returns:
            Columns symbol, session, kind, ratio, decided_by, decided_at.
        """
        return self._read("price_decisions_as_known", symbols=list(symbols), known_at=known_at)

    def read_decision(self, decision_id: int) -> dict[str, Any] | None:
        """Read one decision, a row of `report.price_decision`; None if there is none."""
        return self._read_one("price_decision", decision_id=decision_id)

    def add_decision(
        self,
        *,
        symbol: str,
        session: date | None,
        kind: str,
        ratio: float | None,
        source: str,
        note: str,
        decided_by: str,
    ) -> int:
        """Store a decision about a doubtful price, in force from now on.

        Args:
            symbol: Stored symbol.
            session: Session of the finding; None for a history.
            kind: "split", "unit", "move" or "history".
            ratio: New shares per old share of a split, or factor of the earlier prices of a unit; else None.
            source: Source of the newest bars.
            note: Note of the operator.
            decided_by: Operating system user.

        Returns:
            Number of the decision.
        """
        row = {"symbol": symbol, "session": session, "kind": kind, "ratio": ratio, "source": source, "note": note}
        with self._cursor() as cursor:
            _begin_merge(cursor, None)
            cursor.execute(statement("add_price_decision"), {**row, "decided_by": decided_by})
            return returned_id(cursor)

    def withdraw_decision(self, decision_id: int, *, withdrawn_by: str) -> bool:
        """Withdraw a decision from now on; returns whether it was in force and not applied."""
        with self._cursor() as cursor:
            _begin_merge(cursor, None)
            row = {"decision_id": decision_id, "withdrawn_by": withdrawn_by}
            cursor.execute(statement("withdraw_price_decision"), row)
            return bool(cursor.rowcount)

    def read_admitted_histories(self, symbols: Sequence[str]) -> pd.DataFrame:
        """Read the symbols whose next download may replace the stored history: symbol, session (NaT: whole)."""
        return self._read("admitted_histories", symbols=list(symbols))

    def read_last_download(self, symbol: str) -> dict[str, Any] | None:
        """Read outcome, reason and known_at of a symbol's newest accepted or rejected download; None without one."""
        return self._read_one("last_download", symbol=symbol)

    def read_actions(self, symbols: Sequence[str], *, as_of: date, known_at: datetime) -> pd.DataFrame:
        """Read splits and dividends with ex-dates up to `as_of`, as known at `known_at`, by symbol and ex-date."""
        return self._copy_out("actions_as_known", _ACTION_TYPES, symbols=list(symbols), as_of=as_of, known_at=known_at)


def _begin_merge(cursor: Cursor, known_at: datetime | None) -> datetime:
    """Wait for concurrent loads; return `known_at`, or the time of the database's clock if it is None."""
    cursor.execute(statement("begin_merge"))
    row = cursor.fetchone()
    assert row is not None  # noqa: S101  a select of one row
    now: datetime = row[1]
    return now if known_at is None else known_at


def _stage_instruments(cursor: Cursor, source: str, instruments: pd.DataFrame, known_at: datetime) -> None:
    cursor.execute(statement("stage_instruments"))
    located = instruments[["symbol", "exchange_mic", "currency_code"]]
    incoming = located.assign(bar_interval=instruments.get("bar_interval", "daily"))
    copy_in(cursor, "incoming_instrument", incoming)
    cursor.execute(statement("add_instruments"), {"source": source, "known_at": known_at})


def _stage_bars(cursor: Cursor, bars: pd.DataFrame) -> None:
    volume = bars["volume"].astype("float64").round()
    cursor.execute(statement("stage_bars"))
    staged = bars[list(_BAR_TYPES)].assign(
        session=bars["session"].astype(
            pd.ArrowDtype(pa.date32())
        ),  # the CSV is a sixth shorter without the time of day
        # The reversal of a split can leave less than half a share: no volume.
        volume=volume.where(volume > 0).astype("Int64"),
    )
    copy_in(cursor, "incoming_bar", staged)


def _add_downloads(cursor: Cursor, source: str, outcomes: pd.DataFrame, known_at: datetime) -> None:
    cursor.execute(statement("stage_downloads"))
    staged = outcomes.reindex(columns=["symbol", "outcome", "reason", "first_trade"])
    copy_in(cursor, "incoming_download", staged)
    cursor.execute(statement("add_downloads"), {"source": source, "known_at": known_at})
    cursor.execute(statement("update_status"), {"symbols": list(outcomes["symbol"])})


def _first_column(cursor: Cursor, name: str, **parameters: object) -> list[str]:
    cursor.execute(statement(name), parameters)
    return [str(row[0]) for row in cursor.fetchall()]
