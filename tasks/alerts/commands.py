"""Commands about alerts: acknowledge and close alerts, test recipients, stop monitoring a universe."""

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
    """Acknowledge alerts, all or none.

    Returns:
        One sentence per alert, with the result.

    Raises:
        BadRequestError: if an alert is unknown.
    """
    with database_errors():
        store = get_store()
        lines = []
        for alert_id, alert in _require_alerts(store, alert_ids).items():
            if store.acknowledge_alert(alert_id, now=datetime.now(UTC)):
                result = "acknowledged; no reminders from now on"
            elif alert["resolved_at"] is not None:
                result = f"cleared already, on {alert['resolved_at']:%Y-%m-%d %H:%M} UTC"
            else:
                result = "acknowledged already"
            lines.append(f"Alert {alert_id}, {alert['title']}: {result}.")
    return lines


def close(alert_id: int) -> str:
    """Clear an alert by hand.

    Returns:
        One sentence with the result.

    Raises:
        BadRequestError: if the alert is unknown.
    """
    with database_errors():
        store = get_store()
        alert = _require_alerts(store, [alert_id])[alert_id]
        is_cleared_now = store.close_alert(alert_id, now=datetime.now(UTC))
    result = "cleared already"
    if is_cleared_now:
        result = "closed; its recipients are notified by the next run or service check"
    return f"Alert {alert_id}, {alert['title']}: {result}."


def stop_monitoring(universe: str) -> str:
    """Stop monitoring a universe for overdue months. Its next run for a current month starts monitoring again.

    Args:
        universe: `source/universe`.

    Returns:
        One sentence with the result.

    Raises:
        BadRequestError: if the universe is not monitored.
    """
    source, _, name = universe.partition("/")
    with database_errors():
        if not get_store().stop_monitoring_universe(source, name, now=datetime.now(UTC)):
            raise BadRequestError(
                f"The universe must be a monitored one, as SOURCE/UNIVERSE: received {universe!r}; "
                "`bellwether alerts monitored` lists them."
            )
    return f"{universe} is no longer monitored; its next run for a current month starts monitoring again."


def test_recipients(settings: Settings) -> list[tuple[Recipient, SendResult]]:
    """Send a test message to every recipient.

    Returns:
        Each recipient with the result.

    Raises:
        BadRequestError: if no recipient is configured.
    """
    recipients = configured_recipients(settings)
    if not recipients:
        raise BadRequestError(
            "At least one recipient is required: set `BELLWETHER_ALERT_URLS` to one or more URLs, separated by spaces; "
            "docs/operations.md has examples."
        )
    return list(zip(recipients, for_each_recipient(recipients, send_test), strict=True))


def require_all_delivered(results: Sequence[tuple[Recipient, SendResult]]) -> None:
    """Check that every recipient accepted its message.

    Raises:
        DeliveryFailedError: if one did not.
    """
    failed = [f"{recipient}: {result.reason}" for recipient, result in results if not result.is_delivered]
    if failed:
        raise DeliveryFailedError(
            f"{len(failed)} of {len(results)} recipients did not accept the message. {'; '.join(failed)}."
        )


def _require_alerts(store: Store, alert_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Read alerts by id, all or none."""
    alerts = {alert_id: store.read_alert(alert_id) for alert_id in alert_ids}
    if unknown := [str(alert_id) for alert_id, alert in alerts.items() if alert is None]:
        raise BadRequestError(f"There is no alert {', '.join(unknown)}; `bellwether alerts list --all` lists all.")
    return {alert_id: alert for alert_id, alert in alerts.items() if alert is not None}
