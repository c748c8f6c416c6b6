"""Delivery of alerts: each alert once to each recipient, retried until accepted, with reminders while it is open.

Every run and every service check does one round. The messages due at a recipient follow from `ops.alert` and from the
recipient's rows in `ops.delivery`, so no queue can get lost. A message's row is stored before the message is sent, and
one process at a time delivers to a recipient. One gap remains: if a process is killed, or a response is lost, between
acceptance and its record, the message is delivered twice, both times with the same reference.

A round never raises and always ends: an unreachable recipient waits for the next round.
"""

import fcntl
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sql.store import Store
from tasks.alerts import sender
from tasks.alerts.events import emit_events
from tasks.alerts.messages import Alert, compose_message, database_alert, delivery_alert
from tasks.alerts.recipients import Recipient, parse_recipients
from tasks.alerts.redaction import describe_error, redact
from tasks.database import records_of
from tasks.errors import DatabaseUnavailableError
from tasks.progress import log_line
from tasks.settings import Settings, get_settings

MAX_FAILED_ROUNDS = 3
"""Consecutive rounds without success after which an alert about the recipient is raised."""
ROUND_SECONDS = 90.0
"""Time after which a round starts no further message to a recipient."""
LOCK_SECONDS = 45.0
"""Longest wait for another process that delivers to the same recipient."""
_MAX_FAILURES_A_ROUND = 3
_UNUSED_AFTER = timedelta(days=7)  # a recipient that no process has used since is out of service
_PARALLEL_RECIPIENTS = 4
_OUTAGE_FILE = "alerts-without-database.json"

Result = TypeVar("Result")


@dataclass(frozen=True)
class DeliveryRound:
    """Result of a round at one recipient."""

    recipient: str
    delivered: int = 0
    waiting: int = 0
    reason: str | None = None
    """Reason why messages wait."""


def deliver_alerts(store: Store, settings: Settings) -> list[DeliveryRound]:
    """Deliver all due messages to every recipient, and emit Prefect events; never raises.

    Returns:
        One round per recipient; empty if no recipient is configured.
    """
    try:
        recipients = configured_recipients(settings)
        _store_outage(store, settings)
        rounds = _deliver_to_all(store, settings, recipients)
        stored = records_of(store.read_report("recipients"))
        if _check_recipients(store, recipients, stored):
            # A second round notifies the working recipients of the failing ones.
            failing = {row["recipient_id"] for row in stored if row["failed_rounds"]}
            working = [recipient for recipient in recipients if recipient.recipient_id not in failing]
            second = {round_.recipient: round_ for round_ in _deliver_to_all(store, settings, working)}
            rounds = [_sum_rounds(round_, second.get(round_.recipient)) for round_ in rounds]
        emit_events(store, wait_seconds=LOCK_SECONDS)
    except Exception as error:  # a failed delivery must not fail the run
        log_line("alerts", f"not delivered: {redact(f'{type(error).__name__}: {error}')}")
        return []
    for round_ in rounds:
        if round_.delivered or round_.waiting:
            waiting = f", {round_.waiting} waiting: {round_.reason}" if round_.waiting else ""
            log_line("alerts", f"{round_.recipient}: {round_.delivered} delivered{waiting}")
    return rounds


def configured_recipients(settings: Settings) -> list[Recipient]:
    """Return the recipients that are configured in this process's environment."""
    return [] if settings.alert_urls is None else parse_recipients(settings.alert_urls.get_secret_value())


def for_each_recipient(recipients: Sequence[Recipient], action: Callable[[Recipient], Result]) -> list[Result]:
    """Apply an action to the recipients in parallel, so that a slow one delays no other.

    Returns:
        Results in the order of the recipients.
    """
    if not recipients:
        return []
    with ThreadPoolExecutor(min(len(recipients), _PARALLEL_RECIPIENTS)) as pool:
        return list(pool.map(action, recipients))


def send_test(recipient: Recipient) -> sender.SendResult:
    """Send a test message to a recipient."""
    return sender.send(
        recipient.url,
        "Bellwether: test",
        "This is a test message. Alerts look like this one; nothing is wrong.",
        "info",
    )


@contextmanager
def notify_of_database_errors() -> Iterator[None]:
    """Notify the recipients if the block fails because the database is unavailable."""
    try:
        yield
    except DatabaseUnavailableError as error:
        notify_without_database(get_settings(), describe_error(error))
        raise


def notify_without_database(settings: Settings, message: str) -> None:
    """Notify every recipient that the database is unavailable, once and with reminders; never raises.

    The notified recipients are kept in a file in `BELLWETHER_HOME` until the database is available again.

    Args:
        settings: Recipients and home directory.
        message: The error, without secrets.
    """
    alert = database_alert(message)
    try:
        with _outage_state(settings) as state:
            now = datetime.now(UTC)
            state.setdefault("since", now.isoformat())
            alert = state.setdefault("alert", dict(alert))
            notified: dict[str, Any] = state.setdefault("notified", {})
            for recipient in configured_recipients(settings):
                last = notified.get(recipient.recipient_id, {}).get("at")
                if last and not _is_reminder_due(datetime.fromisoformat(last), settings, now):
                    continue
                if _send_unrecorded(recipient, alert, opened_at=datetime.fromisoformat(state["since"]), now=now):
                    notified[recipient.recipient_id] = {"recipient": recipient.name, "at": now.isoformat()}
    except OSError:  # the home cannot be used: a repeated message is better than none
        notify_directly(settings, alert)
    except Exception as error:  # the database error is the one to report
        log_line("alerts", f"not delivered: {type(error).__name__}")


def notify_directly(settings: Settings, alert: Alert) -> None:
    """Send an alert to every recipient where neither the database nor the home can be used; never raises.

    Nothing is recorded, so a repeated failure sends it again.
    """
    try:
        now = datetime.now(UTC)
        unrecorded = {**alert, "is_recorded": False}
        for_each_recipient(
            configured_recipients(settings),
            lambda recipient: _send_unrecorded(recipient, unrecorded, opened_at=now, now=now),
        )
    except Exception as error:  # the failure itself is the one to report
        log_line("alerts", f"not delivered: {type(error).__name__}")


def _send_unrecorded(recipient: Recipient, alert: Alert, *, opened_at: datetime, now: datetime) -> bool:
    """Send an alert that has no row in the database; returns whether it was delivered."""
    due = {
        **alert,
        "alert_id": 0,
        "event": "opened",
        "number": 0,
        "opened_at": opened_at,
        "acknowledged_at": None,
        "times_seen": 1,
    }
    text = compose_message(due, reminder_days=0, now=now)
    result = sender.send(recipient.url, text.title, text.body, text.severity)
    log_line("alerts", f"{recipient}: {'notified' if result.is_delivered else result.reason}")
    return result.is_delivered


def _deliver_to_all(store: Store, settings: Settings, recipients: Sequence[Recipient]) -> list[DeliveryRound]:
    return for_each_recipient(recipients, lambda recipient: _deliver_to(store, settings, recipient))


def _deliver_to(store: Store, settings: Settings, recipient: Recipient) -> DeliveryRound:
    """Do one round at one recipient, while no other process delivers to it."""
    with store.hold_recipient(recipient.recipient_id, wait_seconds=LOCK_SECONDS) as is_ours:
        if not is_ours:
            return DeliveryRound(recipient.name, 0, 1, "another process delivers to it")
        now = datetime.now(UTC)
        ends_at = time.monotonic() + ROUND_SECONDS
        store.use_recipient(recipient.recipient_id, recipient.name, now=now)
        due = store.read_due_messages(recipient.recipient_id, reminder_days=settings.alert_reminder_days, now=now)
        delivered, failures, reason = 0, 0, None
        for message in due:
            if failures == _MAX_FAILURES_A_ROUND or time.monotonic() > ends_at:
                break
            if not store.begin_delivery(message, recipient.recipient_id, now=now):
                continue
            text = compose_message(message, reminder_days=settings.alert_reminder_days, now=now)
            result = sender.send(recipient.url, text.title, text.body, text.severity)
            delivered_at = datetime.now(UTC) if result.is_delivered else None
            store.end_delivery(message, recipient.recipient_id, delivered_at=delivered_at, last_error=result.reason)
            delivered += result.is_delivered
            if not result.is_delivered:
                failures, reason = failures + 1, result.reason
                if result.is_unreachable:
                    break
        if due:
            is_accepting = delivered > 0
            store.end_round(recipient.recipient_id, is_accepting=is_accepting, last_error=reason, now=now)
        return DeliveryRound(recipient.name, delivered, len(due) - delivered, reason)


def _check_recipients(store: Store, recipients: Sequence[Recipient], stored: Sequence[dict[str, Any]]) -> bool:
    """Raise an alert about every recipient that keeps failing, and clear the alerts about all others.

    Args:
        store: The database.
        recipients: Recipients of this process.
        stored: Rows of `report.recipient`, after the round.

    Returns:
        Whether an alert was raised or cleared.
    """
    now = datetime.now(UTC)
    configured = {recipient.recipient_id for recipient in recipients}
    is_changed = False
    for row in stored:
        if row["recipient_id"] in configured and row["failed_rounds"] >= MAX_FAILED_ROUNDS:
            is_changed |= row["failed_rounds"] == MAX_FAILED_ROUNDS
            store.open_alert(delivery_alert(row), now=now)
        elif row["failed_rounds"] < MAX_FAILED_ROUNDS or row["last_used_at"] < now - _UNUSED_AFTER:
            is_changed |= store.resolve_alert("delivery", row["recipient_id"], now=now)
    return is_changed


def _store_outage(store: Store, settings: Settings) -> None:
    """Store the alert about an outage of the database, as cleared, so that the notified recipients are informed."""
    if not (settings.home / _OUTAGE_FILE).exists():
        return
    with _outage_state(settings) as state:
        if state:
            notified = [
                (recipient_id, row["recipient"], datetime.fromisoformat(row["at"]))
                for recipient_id, row in state.get("notified", {}).items()
            ]
            since = datetime.fromisoformat(state["since"])
            store.add_unreachable(state["alert"], notified, opened_at=since, now=datetime.now(UTC))
        state.clear()


@contextmanager
def _outage_state(settings: Settings) -> Iterator[dict[str, Any]]:
    """Lock, read and write back the outage file. An empty file is equal to a missing one."""
    path: Path = settings.home / _OUTAGE_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        try:
            state = json.loads(file.read() or "{}")
        except ValueError:
            state = {}  # truncated, for example by a full disk: a duplicate message is better than a lost one
        try:
            yield state
        finally:
            file.truncate(0)
            file.write(json.dumps(state) if state else "")


def _is_reminder_due(last: datetime, settings: Settings, now: datetime) -> bool:
    days = settings.alert_reminder_days
    return days > 0 and now - last >= timedelta(days=days)


def _sum_rounds(first: DeliveryRound, second: DeliveryRound | None) -> DeliveryRound:
    if second is None:
        return first
    return DeliveryRound(first.recipient, first.delivered + second.delivered, second.waiting, second.reason)
