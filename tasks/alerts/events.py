"""Prefect events about alerts: one for each alert that opened, changed or cleared, for automations to act on.

Only with a permanent server: the temporary server of a single run has no automations.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sql.store import Store

TIMEOUT_SECONDS = 10.0
"""Longest wait for Prefect's server."""
_PREFECT = "prefect"


def emit_events(store: Store, *, wait_seconds: float) -> None:
    """Emit the due events: `bellwether.alert.opened`, `.changed` and `.cleared`.

    An event is delivered once the server has accepted it, and its fixed id prevents duplicates. While the server does
    not respond, events wait for the next round.

    Args:
        store: The database.
        wait_seconds: Longest wait for another process that emits events.
    """
    if not _has_server():
        return
    with store.hold_recipient(_PREFECT, wait_seconds=wait_seconds) as is_ours:
        now = datetime.now(UTC)
        due = store.read_due_messages(_PREFECT, reminder_days=0, now=now) if is_ours else []
        if due:
            store.use_recipient(_PREFECT, "Prefect events", now=now)
        reason = None
        for alert in due:
            if not store.begin_delivery(alert, _PREFECT, now=now):
                continue
            reason = send_event(make_event(alert))
            delivered_at = None if reason else datetime.now(UTC)
            store.end_delivery(alert, _PREFECT, delivered_at=delivered_at, last_error=reason)
            if reason:
                break  # every further event would wait for the same server


def make_event(alert: dict[str, Any]) -> dict[str, Any]:
    """Return the event of a due message, as Prefect's API receives it.

    Args:
        alert: A row of `Store.read_due_messages`.
    """
    event = "changed" if alert["event"] == "reminder" else alert["event"]
    opened_at = alert["opened_at"].isoformat()
    identity = f"bellwether/{alert['alert_id']}/{opened_at}/{event}/{alert['number']}"
    return {
        "id": str(uuid5(NAMESPACE_URL, identity)),
        "occurred": datetime.now(UTC).isoformat(),
        "event": f"bellwether.alert.{event}",
        "resource": {
            "prefect.resource.id": f"bellwether.alert.{alert['alert_id']}",
            "prefect.resource.name": alert["title"],
            "bellwether.kind": alert["kind"],
            "bellwether.subject": alert["subject"],
            "bellwether.severity": alert["severity"],
        },
        "payload": {
            "detail": alert["detail"],
            "opened_at": opened_at,
            "look_deeper_sql": alert["look_deeper_sql"],
        },
    }


def send_event(event: dict[str, Any]) -> str | None:
    """Send an event to Prefect's server and wait for its response.

    Returns:
        The reason if the server did not accept the event, else None.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    # The next round is the retry: without these limits, an unreachable server would delay the run by minutes.
    limits = temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: TIMEOUT_SECONDS})
    try:
        with limits, get_client(sync_client=True) as client:
            client.request("POST", "/events", json=[event]).raise_for_status()
    except Exception as error:  # a failed event must not fail the run
        status = getattr(getattr(error, "response", None), "status_code", None)
        return f"HTTP status {status} from Prefect's server" if status else "Prefect's server does not respond"
    return None


def _has_server() -> bool:
    """Return whether a permanent server is configured, by the environment or by a profile of Prefect."""
    from prefect.settings import PREFECT_API_URL

    return bool(PREFECT_API_URL.value())
