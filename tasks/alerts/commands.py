"""What a person does about alerts: takes note of them, closes them, tries the recipients, ends a watch."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sql.store import Store
from tasks.alerts.delivery import configured_recipients, for_each_recipient, send_test
from tasks.alerts.recipients import Recipient
from tasks.alerts.sender import SendResult
from tasks.database import database_errors, get_store
from tasks.errors import BadRequestError, DeliveryFailedError
from tasks.settings import Settings


def acknowledge(alert_ids: Sequence[int]) -> list[str]:
    """Take note of alerts, all or none; returns what became of each, in a sentence.

    Raises:
        BadRequestError: if one of them is unknown.
    """
    with database_errors():
        store = get_store()
        lines = []
        for alert_id, alert in _require_alerts(store, alert_ids).items():
            if store.acknowledge_alert(alert_id, now=datetime.now(UTC)):
                became = "acknowledged; no reminders from now on"
            elif alert["resolved_at"] is not None:
                became = f"cleared already, on {alert['resolved_at']:%Y-%m-%d %H:%M} UTC"
            else:
                became = "acknowledged already"
            lines.append(f"Alert {alert_id}, {alert['title']}: {became}.")
    return lines


def close(alert_id: int) -> str:
    """Clear an alert by hand; returns what became of it.

    Raises:
        BadRequestError: if it is unknown.
    """
    with database_errors():
        store = get_store()
        alert = _require_alerts(store, [alert_id])[alert_id]
        is_new = store.close_alert(alert_id, now=datetime.now(UTC))
    became = "closed; whoever was told of it is told so at the next run or watch" if is_new else "cleared already"
    return f"Alert {alert_id}, {alert['title']}: {became}."


def stop_monitoring(universe: str) -> str:
    """Wait for a universe's months no longer; returns what became of it.

    Args:
        universe: `source/universe`.

    Raises:
        BadRequestError: if it is not watched.
    """
    source, _, name = universe.partition("/")
    with database_errors():
        if not get_store().stop_monitoring_universe(source, name, now=datetime.now(UTC)):
            raise BadRequestError(
                f"{universe!r} is not watched; `bellwether alerts watched` shows what is, as SOURCE/UNIVERSE."
            )
    return f"{universe} is no longer watched; its next run in regular service begins the watch anew."


def test_recipients(settings: Settings) -> list[tuple[Recipient, SendResult]]:
    """Send every recipient a test message; returns what became of each.

    Raises:
        BadRequestError: if no recipient is set.
    """
    recipients = configured_recipients(settings)
    if not recipients:
        raise BadRequestError(
            "No recipient is set: put one or more into `BELLWETHER_ALERT_URLS`, with spaces between; "
            "docs/operations.md has examples."
        )
    return list(zip(recipients, for_each_recipient(recipients, send_test), strict=True))


def require_all_delivered(answers: Sequence[tuple[Recipient, SendResult]]) -> None:
    """Raise when an recipient did not accept its message."""
    failed = [f"{recipient}: {answer.reason}" for recipient, answer in answers if not answer.is_delivered]
    if failed:
        raise DeliveryFailedError(f"{len(failed)} of {len(answers)} recipients did not accept it. {'; '.join(failed)}.")


def _require_alerts(store: Store, alert_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The alerts by their numbers, all or none."""
    found = {alert_id: store.read_alert(alert_id) for alert_id in alert_ids}
    if unknown := [str(alert_id) for alert_id, alert in found.items() if alert is None]:
        raise BadRequestError(f"There is no alert {', '.join(unknown)}; `bellwether alerts list --all` shows them.")
    return {alert_id: alert for alert_id, alert in found.items() if alert is not None}
