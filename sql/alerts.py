"""The door's verbs about alerts: raised, told to recipients, cleared; and about the months that are waited for."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import Any

import pandas as pd

from sql.connection import Door
from sql.queries import statement


class AlertVerbs(Door):
    """What is wrong, who was told, and what is due when."""

    def open_alert(self, alert: Mapping[str, Any], *, now: datetime, run_id: int | None = None) -> None:
        """Raise an alert; one that is open already is seen once more, with the newest text.

        Args:
            alert: kind, subject, severity, title, detail, look_deeper_sql and, when it is about a month, origin_month.
            now: The moment, UTC.
            run_id: Run that raised it, if any.
        """
        with self._cursor() as cursor:
            cursor.execute(statement("open_alert"), alert_parameters(alert, run_id=run_id, opened_at=now))

    def resolve_alert(self, kind: str, subject: str, *, now: datetime, origin_month: date | None = None) -> bool:
        """Clear an alert, unless it is about a month after `origin_month`; returns whether there was one."""
        row = {"kind": kind, "subject": subject, "now": now, "origin_month": origin_month, "run_id": None}
        return self._changes("resolve_alert", **row)

    def read_alert(self, alert_id: int) -> dict[str, Any] | None:
        """An alert by its number: the columns of `ops.alert`."""
        return self._read_one("alert", alert_id=alert_id)

    def acknowledge_alert(self, alert_id: int, *, now: datetime) -> bool:
        """Note that a person knows of an open alert; returns whether that is new."""
        return self._changes("acknowledge_alert", alert_id=alert_id, now=now)

    def close_alert(self, alert_id: int, *, now: datetime) -> bool:
        """Clear an alert by hand; returns whether it was open."""
        return self._changes("close_alert", alert_id=alert_id, now=now)

    def hold_recipient(self, recipient_id: str, *, wait_seconds: float) -> AbstractContextManager[bool]:
        """Hold an recipient for this process while it is told things; gives False when another has it for too long."""
        return self._hold(f"recipient {recipient_id}", wait_seconds=wait_seconds)

    def use_recipient(self, recipient_id: str, recipient: str, *, now: datetime) -> None:
        """Note that an recipient is among those set; `recipient` is it without anything secret."""
        with self._cursor() as cursor:
            cursor.execute(
                statement("use_recipient"), {"recipient_id": recipient_id, "recipient": recipient, "now": now}
            )

    def read_due_messages(self, recipient_id: str, *, reminder_days: int, now: datetime) -> list[dict[str, Any]]:
        """What an recipient is to be told, in order: columns of `ops.alert`, event, number, is_opened_delivered, attempts.

        Args:
            recipient_id: The recipient, which the caller holds.
            reminder_days: An open alert nobody took note of is told again so many days after the last time; 0: never.
            now: Start of the round, UTC.
        """
        with self._cursor() as cursor:
            row = {"recipient_id": recipient_id, "reminder_days": reminder_days, "now": now}
            cursor.execute(statement("due_messages"), row)
            assert cursor.description is not None  # noqa: S101  the statement is a select
            names = [column.name for column in cursor.description]
            return [dict(zip(names, each, strict=True)) for each in cursor.fetchall()]

    def begin_delivery(self, message: Mapping[str, Any], recipient_id: str, *, now: datetime) -> bool:
        """Count an attempt before it is made; returns False when the message was delivered meanwhile.

        Args:
            message: alert_id, event, number, as read.
            recipient_id: Where to.
            now: The moment up to which the message knows what happened: the start of the round, UTC.
        """
        return self._changes("begin_delivery", **_message_key(message), recipient_id=recipient_id, now=now)

    def end_delivery(
        self, message: Mapping[str, Any], recipient_id: str, *, delivered_at: datetime | None, last_error: str | None
    ) -> None:
        """Note what became of the attempt."""
        row = {"recipient_id": recipient_id, "delivered_at": delivered_at, "last_error": last_error}
        self._changes("end_delivery", **_message_key(message), **row)

    def end_round(self, recipient_id: str, *, is_accepting: bool, last_error: str | None, now: datetime) -> None:
        """Note whether an recipient accepted anything in a round in which there was something to tell."""
        row = {"is_accepting": is_accepting, "last_error": last_error, "now": now}
        self._changes("end_round", recipient_id=recipient_id, **row)

    def monitor_universe(
        self,
        source: str,
        universe: str,
        *,
        exchange_mics: Sequence[str],
        due_sessions: int,
        origin_month: date,
        now: datetime,
    ) -> None:
        """Wait for the universe's months, from `origin_month` on unless it is watched already."""
        row = {"source": source, "universe": universe, "exchange_mics": list(exchange_mics)}
        self._changes("monitor_universe", **row, due_sessions=due_sessions, origin_month=origin_month, now=now)

    def stop_monitoring_universe(self, source: str, universe: str, *, now: datetime) -> bool:
        """Wait for it no longer, and clear what is said of its months; returns whether it was watched."""
        with self._cursor() as cursor:
            cursor.execute(statement("stop_monitoring_universe"), {"source": source, "universe": universe, "now": now})
            was_watched = bool(cursor.rowcount)
            row = {"kind": "overdue", "subject": f"{source}/{universe}", "now": now}
            cursor.execute(statement("resolve_alert"), {**row, "origin_month": None, "run_id": None})
        return was_watched

    def plan_due_months(self, source: str, universe: str, due: Sequence[tuple[date, date]], *, now: datetime) -> None:
        """Write ahead when a watched universe's months are due.

        Args:
            source: Source of the bars.
            universe: Name of the set of symbols.
            due: Origin month, and the last day on which it is in time.
            now: The moment, UTC: what is past is left as it is.
        """
        row = {"origin_months": [month for month, _ in due], "due_dates": [day for _, day in due]}
        self._changes("plan_due_months", source=source, universe=universe, **row, now=now)

    def read_running_runs(self) -> pd.DataFrame:
        """Runs without an end: run_id, source, universe, origin_month, started_at, is_held (by a process)."""
        return self._read("running_runs")

    def abandon_run(self, run_id: int, alert: Mapping[str, Any], *, now: datetime) -> bool:
        """Mark a run as having lost its process, and raise the alert about it; the caller holds its month.

        Returns:
            Whether it was still marked as running.
        """
        with self._cursor() as cursor:
            cursor.execute(statement("abandon_run"), {"run_id": run_id, "now": now})
            if not cursor.rowcount:
                return False
            cursor.execute(statement("open_alert"), alert_parameters(alert, run_id=run_id, opened_at=now))
            return True

    def add_unreachable(
        self, alert: Mapping[str, Any], told: Sequence[tuple[str, str, datetime]], *, opened_at: datetime, now: datetime
    ) -> None:
        """Write down an alert that was told while the database could not be reached; it has cleared by now.

        Args:
            alert: As in `open_alert`.
            told: Recipients that accepted it: recipient_id, recipient, when.
            opened_at: When it began, UTC.
            now: The moment, UTC.
        """
        with self._cursor() as cursor:
            cursor.execute(statement("add_unreachable"), {**alert, "opened_at": opened_at, "now": now})
            added = cursor.fetchone()
            if added is None:
                return
            for recipient_id, recipient, moment in told:
                row = {"recipient_id": recipient_id, "recipient": recipient, "now": moment}
                cursor.execute(statement("use_recipient"), row)
                cursor.execute(statement("add_notified"), {**row, "alert_id": added[0]})

    def _changes(self, name: str, **parameters: object) -> bool:
        """Run a statement that changes rows; returns whether it changed any."""
        with self._cursor() as cursor:
            cursor.execute(statement(name), parameters)
            return bool(cursor.rowcount)


def alert_parameters(alert: Mapping[str, Any], *, run_id: int | None, opened_at: datetime) -> dict[str, Any]:
    """An alert as parameters of `open_alert.sql`."""
    return {"origin_month": None, **alert, "run_id": run_id, "opened_at": opened_at}


def _message_key(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: message[name] for name in ("alert_id", "event", "number")}
