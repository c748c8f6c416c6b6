"""Deliver: each alert once to each recipient, tried until accepted; told again while it is open, and when it clears.

Each run and each daily watch does a round. What an recipient is to be told follows from `ops.alert` and from what it has
accepted so far (`ops.delivery`), so nothing is queued that could get lost, and a message's row is there before it is
sent. One process at a time serves an recipient. The one gap is between an recipient that accepts and the row that says so:
a process killed there, or an answer that is lost, makes one message come twice; both carry the same reference.

A round never raises, and ends: an recipient that is silent is left until the next one.
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
from uuid import NAMESPACE_URL, uuid5

from prefect.events import emit_event
from prefect.settings import PREFECT_API_URL

from sql.store import Store
from tasks.alerts import sender
from tasks.alerts.messages import compose_message, database_alert, delivery_alert
from tasks.alerts.recipients import Recipient, parse_recipients
from tasks.alerts.redaction import redact
from tasks.database import records_of
from tasks.progress import log_line
from tasks.settings import Settings

FAILED_ROUNDS = 3
"""Rounds in a row without success after which an recipient is an alert of its own."""
ROUND_SECONDS = 90.0
"""After which a round begins no further message to an recipient."""
LOCK_SECONDS = 45.0
"""How long another process is waited for that serves the same recipient."""
_FAILURES_A_ROUND = 3
_FORGOTTEN_AFTER = timedelta(days=7)
_RECIPIENTS_AT_ONCE = 4
_PREFECT = "prefect"
_STATE = "alerts-without-database.json"

Result = TypeVar("Result")


@dataclass(frozen=True)
class DeliveryRound:
    """What came of a round at one recipient."""

    recipient: str
    delivered: int = 0
    waiting: int = 0
    reason: str | None = None
    """Why something waits."""


def deliver_alerts(store: Store, settings: Settings) -> list[DeliveryRound]:
    """Tell every recipient what it has not been told, and Prefect's automations; never raises.

    Returns:
        One round an recipient, for the screen; empty when none is set.
    """
    try:
        recipients = configured_recipients(settings)
        _write_down_unreachable(store, settings)
        rounds = _serve(store, settings, recipients)
        known = records_of(store.read_report("recipients"))
        if _check_recipients(store, recipients, known):
            # What the recipients that work are to be told of those that do not.
            failing = {row["recipient_id"] for row in known if row["failed_rounds"]}
            working = [each for each in recipients if each.recipient_id not in failing]
            again = {each.recipient: each for each in _serve(store, settings, working)}
            rounds = [_add(each, again.get(each.recipient)) for each in rounds]
        _emit_events(store)
    except Exception as error:  # a month must not fail because its alerts cannot be told
        log_line("alerts", f"not delivered: {redact(f'{type(error).__name__}: {error}')}")
        return []
    for each in rounds:
        if each.delivered or each.waiting:
            rest = f", {each.waiting} waiting: {each.reason}" if each.waiting else ""
            log_line("alerts", f"{each.recipient}: {each.delivered} delivered{rest}")
    return rounds


def configured_recipients(settings: Settings) -> list[Recipient]:
    """The recipients set in this process's environment."""
    return [] if settings.alert_urls is None else parse_recipients(settings.alert_urls.get_secret_value())


def for_each_recipient(recipients: Sequence[Recipient], do: Callable[[Recipient], Result]) -> list[Result]:
    """What `do` gives for each recipient, in their order; a slow one does not keep the others waiting."""
    if not recipients:
        return []
    with ThreadPoolExecutor(min(len(recipients), _RECIPIENTS_AT_ONCE)) as pool:
        return list(pool.map(do, recipients))


def send_test(recipient: Recipient) -> sender.SendResult:
    """Send an recipient a message that says only that it arrives."""
    return sender.send(
        recipient.url,
        "Bellwether: test",
        "This is a test of the recipient. Alerts will arrive like this one; nothing is wrong.",
        "info",
    )


def notify_without_database(settings: Settings, message: str) -> None:
    """Tell every recipient that the database cannot be reached, once, and again as reminders are due; never raises.

    Who was told is kept in a file beside the embedded database, and moves to the database when that is back.
    """
    try:
        with _state(settings) as state:
            now = datetime.now(UTC)
            state.setdefault("since", now.isoformat())
            alert = state.setdefault("alert", dict(database_alert(message)))
            told: dict[str, Any] = state.setdefault("told", {})
            due = {
                **alert,
                "alert_id": 0,
                "event": "opened",
                "number": 0,
                "opened_at": datetime.fromisoformat(state["since"]),
                "acknowledged_at": None,
                "times_seen": 1,
            }
            text = compose_message(due, reminder_days=0, now=now)
            for recipient in configured_recipients(settings):
                last = told.get(recipient.recipient_id, {}).get("at")
                if last and not _is_reminder_due(datetime.fromisoformat(last), settings, now):
                    continue
                answer = sender.send(recipient.url, text.title, text.body, text.severity)
                log_line("alerts", f"{recipient}: {'told' if answer.is_delivered else answer.reason}")
                if answer.is_delivered:
                    told[recipient.recipient_id] = {"recipient": recipient.name, "at": now.isoformat()}
    except Exception as error:  # the error that led here is the one to report
        log_line("alerts", f"not delivered: {type(error).__name__}")


def _serve(store: Store, settings: Settings, recipients: Sequence[Recipient]) -> list[DeliveryRound]:
    return for_each_recipient(recipients, lambda recipient: _serve_address(store, settings, recipient))


def _serve_address(store: Store, settings: Settings, recipient: Recipient) -> DeliveryRound:
    """One round at one recipient, while this process alone serves it."""
    with store.hold_recipient(recipient.recipient_id, wait_seconds=LOCK_SECONDS) as is_ours:
        if not is_ours:
            return DeliveryRound(recipient.name, 0, 1, "another process is telling it")
        now = datetime.now(UTC)
        ends_at = time.monotonic() + ROUND_SECONDS
        store.use_recipient(recipient.recipient_id, recipient.name, now=now)
        due = store.read_due_messages(recipient.recipient_id, reminder_days=settings.alert_reminder_days, now=now)
        delivered, failures, reason = 0, 0, None
        for message in due:
            if failures == _FAILURES_A_ROUND or time.monotonic() > ends_at:
                break
            if not store.begin_delivery(message, recipient.recipient_id, now=now):
                continue
            text = compose_message(message, reminder_days=settings.alert_reminder_days, now=now)
            answer = sender.send(recipient.url, text.title, text.body, text.severity)
            moment = datetime.now(UTC) if answer.is_delivered else None
            store.end_delivery(message, recipient.recipient_id, delivered_at=moment, last_error=answer.reason)
            delivered += answer.is_delivered
            if not answer.is_delivered:
                failures, reason = failures + 1, answer.reason
                if answer.is_unreachable:
                    break
        if due:
            is_accepting = delivered > 0
            store.end_round(recipient.recipient_id, is_accepting=is_accepting, last_error=reason, now=now)
        return DeliveryRound(recipient.name, delivered, len(due) - delivered, reason)


def _check_recipients(store: Store, recipients: Sequence[Recipient], known: Sequence[dict[str, Any]]) -> bool:
    """Raise an alert about each recipient that keeps failing, clear those of others; returns whether anything is new.

    Args:
        store: Where alerts are raised.
        recipients: Those set in this process.
        known: Rows of `report.recipient`, after the round.
    """
    now = datetime.now(UTC)
    ours = {each.recipient_id for each in recipients}
    is_news = False
    for row in known:
        if row["recipient_id"] in ours and row["failed_rounds"] >= FAILED_ROUNDS:
            is_news |= row["failed_rounds"] == FAILED_ROUNDS
            store.open_alert(delivery_alert(row), now=now)
        elif row["failed_rounds"] < FAILED_ROUNDS or row["last_used_at"] < now - _FORGOTTEN_AFTER:
            is_news |= store.resolve_alert("delivery", row["recipient_id"], now=now)
    return is_news


def _emit_events(store: Store) -> None:
    """One Prefect event for each alert that opened, changed or cleared: `bellwether.alert.opened` and so on.

    Only where there is a server that lasts: one started for the time of a run has no automations. Prefect hands events
    on in the background, so one may be lost with its process; it has an id of its own, so none counts twice.
    """
    if not PREFECT_API_URL.value():
        return
    with store.hold_recipient(_PREFECT, wait_seconds=LOCK_SECONDS) as is_ours:
        now = datetime.now(UTC)
        due = store.read_due_messages(_PREFECT, reminder_days=0, now=now) if is_ours else []
        if due:
            store.use_recipient(_PREFECT, "Prefect events", now=now)
        for alert in due:
            store.begin_delivery(alert, _PREFECT, now=now)
            event = "changed" if alert["event"] == "reminder" else alert["event"]
            began = alert["opened_at"].isoformat()
            emitted = emit_event(
                event=f"bellwether.alert.{event}",
                id=uuid5(NAMESPACE_URL, f"bellwether/{alert['alert_id']}/{began}/{event}/{alert['number']}"),
                resource={
                    "prefect.resource.id": f"bellwether.alert.{alert['alert_id']}",
                    "prefect.resource.name": alert["title"],
                    "bellwether.kind": alert["kind"],
                    "bellwether.subject": alert["subject"],
                    "bellwether.severity": alert["severity"],
                },
                payload={"detail": alert["detail"], "opened_at": began, "look_deeper_sql": alert["look_deeper_sql"]},
            )
            reason = None if emitted else "Prefect did not take the event"
            store.end_delivery(alert, _PREFECT, delivered_at=now if emitted else None, last_error=reason)


def _write_down_unreachable(store: Store, settings: Settings) -> None:
    """The database is back: what was told meanwhile becomes an alert that has cleared, so that this is told, too."""
    if not (settings.home / _STATE).exists():
        return
    with _state(settings) as state:
        if state:
            told = [
                (recipient_id, each["recipient"], datetime.fromisoformat(each["at"]))
                for recipient_id, each in state["told"].items()
            ]
            since = datetime.fromisoformat(state["since"])
            store.add_unreachable(state["alert"], told, opened_at=since, now=datetime.now(UTC))
        state.clear()


@contextmanager
def _state(settings: Settings) -> Iterator[dict[str, Any]]:
    """The file's content, for this process alone, and written back; a file left empty is one that was not there."""
    path: Path = settings.home / _STATE
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        try:
            state = json.loads(file.read() or "{}")
        except ValueError:
            state = {}  # cut short by a full disk, say: better told twice than not
        try:
            yield state
        finally:
            file.truncate(0)
            file.write(json.dumps(state) if state else "")


def _is_reminder_due(last: datetime, settings: Settings, now: datetime) -> bool:
    days = settings.alert_reminder_days
    return days > 0 and now - last >= timedelta(days=days)


def _add(first: DeliveryRound, second: DeliveryRound | None) -> DeliveryRound:
    if second is None:
        return first
    return DeliveryRound(first.recipient, first.delivered + second.delivered, second.waiting, second.reason)
