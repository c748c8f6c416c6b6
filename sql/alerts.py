"""Verbs about alerts, their delivery to recipients, monitored universes and due months."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import Any

import pandas as pd

from sql.connection import Database
from sql.queries import statement


class AlertVerbs(Database):
    """Storage of alerts, deliveries and due months."""

    def open_alert(self, alert: Mapping[str, Any], *, now: datetime, run_id: int | None = None) -> None:
        """Open an alert, or count one more detection of an open one and replace its text.

        Args:
            alert: kind, subject, severity, title, detail, look_deeper_sql, and origin_month if it is about a month.
            now: Current time, UTC.
            run_id: Run that raised it; None without one.
        """
        with self._cursor() as cursor:
            cursor.execute(statement("open_alert"), alert_parameters(alert, run_id=run_id, opened_at=now))

    def resolve_alert(self, kind: str, subject: str, *, now: datetime, origin_month: date | None = None) -> bool:
        """Clear an open alert, unless it is about a month after `origin_month`; returns whether one was cleared."""
        row = {"kind": kind, "subject": subject, "now": now, "origin_month": origin_month, "run_id": None}
        return self._changes("resolve_alert", **row)

    def read_alert(self, alert_id: int) -> dict[str, Any] | None:
        """Read an alert by its number: the columns of `ops.alert`; None without one."""
        return self._read_one("alert", alert_id=alert_id)

    def acknowledge_alert(self, alert_id: int, *, now: datetime) -> bool:
        """Acknowledge an open alert; returns False if it is cleared or acknowledged already."""
        return self._changes("acknowledge_alert", alert_id=alert_id, now=now)

    def close_alert(self, alert_id: int, *, now: datetime) -> bool:
        """Clear an alert by hand; returns whether it was open."""
        return self._changes("close_alert", alert_id=alert_id, now=now)

    def hold_recipient(self, recipient_id: str, *, wait_seconds: float) -> AbstractContextManager[bool]:
        """Lock a recipient for a delivery round; yields False if another process holds it for `wait_seconds`."""
        return self._hold(f"recipient {recipient_id}", wait_seconds=wait_seconds)

    def use_recipient(self, recipient_id: str, recipient: str, *, now: datetime) -> None:
        """Record that a recipient is in the setting; `recipient` is its address without secrets."""
        with self._cursor() as cursor:
            cursor.execute(
                statement("use_recipient"), {"recipient_id": recipient_id, "recipient": recipient, "now": now}
            )

    def read_due_messages(self, recipient_id: str, *, reminder_days: int, now: datetime) -> list[dict[str, Any]]:
        """Read the messages due to a recipient, fewest attempts first.

        Args:
            recipient_id: The recipient; the caller holds its lock.
            reminder_days: Interval of reminders about unacknowledged alerts, days; 0: no reminders.
            now: Start of the round, UTC.

        Returns:
            Per message: columns of `ops.alert`, event, number, is_opened_delivered, attempts.
        """
        with self._cursor() as cursor:
            row = {"recipient_id": recipient_id, "reminder_days": reminder_days, "now": now}
            cursor.execute(statement("due_messages"), row)
            assert cursor.description is not None  # noqa: S101  the statement is a select
            names = [column.name for column in cursor.description]
            return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]

    def begin_delivery(self, message: Mapping[str, Any], recipient_id: str, *, now: datetime) -> bool:
        """Count a delivery attempt before it is made; returns False if the message is delivered already.

        Args:
            message: alert_id, event and number of `read_due_messages`.
            recipient_id: The recipient.
            now: Start of the round, UTC: later changes of the alert are not in the message.
        """
        return self._changes("begin_delivery", **_message_key(message), recipient_id=recipient_id, now=now)

    def end_delivery(
        self, message: Mapping[str, Any], recipient_id: str, *, delivered_at: datetime | None, last_error: str | None
    ) -> None:
        """Record the result of a delivery attempt."""
        row = {"recipient_id": recipient_id, "delivered_at": delivered_at, "last_error": last_error}
        self._changes("end_delivery", **_message_key(message), **row)

    def end_round(self, recipient_id: str, *, is_accepting: bool, last_error: str | None, now: datetime) -> None:
        """Record a delivery round with due messages: whether the recipient accepted any of them."""
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
        """Monitor a universe for overdue months, or update its exchanges and `due_sessions`.

        Args:
            source: Source of the bars.
            universe: Name of the set of symbols.
            exchange_mics: ISO 10383 codes of the exchanges of its symbols.
            due_sessions: Number of sessions after the end of a month at whose end the month is due.
            origin_month: First monitored month, unless the universe is monitored already.
            now: Current time, UTC.
        """
        row = {"source": source, "universe": universe, "exchange_mics": list(exchange_mics)}
        self._changes("monitor_universe", **row, due_sessions=due_sessions, origin_month=origin_month, now=now)

    def stop_monitoring_universe(self, source: str, universe: str, *, now: datetime) -> bool:
        """Stop monitoring a universe and clear its overdue alert; returns whether it was monitored."""
        with self._cursor() as cursor:
            cursor.execute(statement("stop_monitoring_universe"), {"source": source, "universe": universe, "now": now})
            was_monitored = bool(cursor.rowcount)
            row = {"kind": "overdue", "subject": f"{source}/{universe}", "now": now}
            cursor.execute(statement("resolve_alert"), {**row, "origin_month": None, "run_id": None})
        return was_monitored

    def plan_due_months(self, source: str, universe: str, due: Sequence[tuple[date, date]], *, now: datetime) -> None:
        """Store the due dates of a monitored universe's months.

        Args:
            source: Source of the bars.
            universe: Name of the set of symbols.
            due: Pairs of origin month and due date.
            now: Current time, UTC: stored due dates before it stay unchanged.
        """
        row = {"origin_months": [month for month, _ in due], "due_dates": [day for _, day in due]}
        self._changes("plan_due_months", source=source, universe=universe, **row, now=now)

    def read_running_runs(self) -> pd.DataFrame:
        """Read running runs: run_id, source, universe, origin_month, started_at, is_held (by a process)."""
        return self._read("running_runs")

    def abandon_run(self, run_id: int, alert: Mapping[str, Any], *, now: datetime) -> bool:
        """Mark a running run as abandoned and open an alert.

        Args:
            run_id: Number of the run; the caller holds its month.
            alert: Alert to open, as in `open_alert`.
            now: Current time, UTC.

        Returns:
            Whether the run was marked as running.
        """
        with self._cursor() as cursor:
            cursor.execute(statement("abandon_run"), {"run_id": run_id, "now": now})
            if not cursor.rowcount:
                return False
            cursor.execute(statement("open_alert"), alert_parameters(alert, run_id=run_id, opened_at=now))
            return True

    def add_unreachable(
        self,
        alert: Mapping[str, Any],
        notified: Sequence[tuple[str, str, datetime]],
        *,
        opened_at: datetime,
        now: datetime,
    ) -> None:
        """Store a cleared alert about the unreachable database, with its notifications; repeated calls add nothing.

        Args:
            alert: The alert, as in `open_alert`.
            notified: Recipients that accepted it: recipient_id, recipient, time of acceptance in UTC.
            opened_at: Start of the failure, UTC.
            now: Current time, UTC.
        """
        with self._cursor() as cursor:
            cursor.execute(statement("add_unreachable"), {**alert, "opened_at": opened_at, "now": now})
            added = cursor.fetchone()
            if added is None:
                return
            for recipient_id, recipient, moment in notified:
                row = {"recipient_id": recipient_id, "recipient": recipient, "now": moment}
                cursor.execute(statement("use_recipient"), row)
                cursor.execute(statement("add_notified"), {**row, "alert_id": added[0]})

    def _changes(self, name: str, **parameters: object) -> bool:
        """Run a statement; returns whether it changed any row."""
        with self._cursor() as cursor:
            cursor.execute(statement(name), parameters)
            return bool(cursor.rowcount)


def alert_parameters(alert: Mapping[str, Any], *, run_id: int | None, opened_at: datetime) -> dict[str, Any]:
    """Return an alert as parameters of the statement `open_alert`."""
    return {"origin_month": None, **alert, "run_id": run_id, "opened_at": opened_at}


def _message_key(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: message[name] for name in ("alert_id", "event", "number")}
