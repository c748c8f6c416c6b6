"""Tests of the texts of alerts: content, length, reminders."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from sql.store import MonthKey
from tasks.alerts import messages
from tasks.alerts.messages import compose_message
from tasks.errors import BadRequestError, PricesIncompleteError
from tests.support.rows import query

T0 = datetime(2026, 11, 3, 11, tzinfo=UTC)
KEY = MonthKey(source="file", universe="it's", origin_month=date(2026, 10, 1))
RUN = {"run_id": 7, "source": "file", "universe": "it's", "origin_month": date(2026, 10, 1), "started_at": T0}
OVERDUE = {
    "source": "file",
    "universe": "it's",
    "origin_month": date(2026, 10, 1),
    "newest_origin_month": date(2026, 8, 1),
    "due_on": date(2026, 10, 7),
    "months_overdue": 2,
    "days_overdue": 31,
    "due_sessions": 5,
    "last_run_id": 7,
    "last_status": "failed",
    "last_message": "The source is down.",
}
RECIPIENT = {
    "recipient_id": "0123456789abcdef",
    "recipient": "json://127.0.0.1 #0123",
    "failing_since": T0,
    "failed_rounds": 3,
    "last_error": "no response in time",
}
EVERY_ALERT = {
    "failed": messages.failed_run_alert(KEY, "The source is down.", BadRequestError()),
    "coverage": messages.failed_run_alert(KEY, "1 of 2 do.", PricesIncompleteError()),
    "correction": messages.failed_run_alert(KEY, "The source is down.", BadRequestError(), correction=1),
    "unstarted": messages.unstarted_run_alert("file", "it's", "No such file.", T0),
    "killed": messages.killed_run_alert(RUN),
    "stuck": messages.stuck_run_alert(RUN, 12),
    "overdue": messages.overdue_alert(OVERDUE),
    "never published": messages.overdue_alert(
        {**OVERDUE, "newest_origin_month": None, "last_run_id": None, "last_status": None, "last_message": None}
    ),
    "delivery": messages.delivery_alert(RECIPIENT),
    "database": messages.database_alert("It is down."),
}


def make_due(alert: Any, **changes: Any) -> dict[str, Any]:
    row = {
        "alert_id": 12,
        "opened_at": T0,
        "acknowledged_at": None,
        "resolved_at": None,
        "times_seen": 1,
        "event": "opened",
        "number": 0,
        "is_opened_delivered": False,
    }
    return {**alert, **row, **changes}


@pytest.mark.parametrize("alert", EVERY_ALERT.values(), ids=EVERY_ALERT.keys())
def test_compose_message_has_all_parts_of_every_alert(alert: Any, database_url: str) -> None:
    text = compose_message(make_due(alert), reminder_days=7, now=T0 + timedelta(days=2))
    assert text.title == f"Bellwether: {alert['title']}"
    for part in (
        alert["detail"],
        "Since 2026-11-03 11:00 UTC (2 days)",
        f"Severity: {alert['severity']}.",
        alert["look_deeper_sql"],
        "bellwether alerts ack 12",
        "[alert 12, opened]",
    ):
        assert part in text.body
    assert "None" not in text.title + text.body
    query(database_url, alert["look_deeper_sql"])


@pytest.mark.parametrize("event", ["opened", "reminder", "cleared"])
def test_compose_message_stays_within_the_smallest_limit_of_common_services(event: str) -> None:
    alert = {**EVERY_ALERT["failed"], "detail": "x" * 9000, "look_deeper_sql": "y" * 9000}
    due = make_due(alert, event=event, number=99, times_seen=999, resolved_at=T0)
    assert len(compose_message(due, reminder_days=7, now=T0).body) <= 1900


@pytest.mark.parametrize(
    ("changes", "reminder_days", "sentence"),
    [
        ({}, 7, "Reminder every 7 days until it clears or is acknowledged: bellwether alerts ack 12"),
        ({}, 1, "Reminder every day until it clears or is acknowledged"),
        ({}, 0, "There are no reminders; you are notified when the alert clears."),
        ({"acknowledged_at": T0}, 7, "Acknowledged on 2026-11-03: there are no reminders."),
    ],
)
def test_compose_message_has_the_reminder_interval(changes: dict[str, Any], reminder_days: int, sentence: str) -> None:
    due = make_due(EVERY_ALERT["failed"], **changes)
    assert sentence in compose_message(due, reminder_days=reminder_days, now=T0).body


def test_compose_message_numbers_reminders() -> None:
    due = make_due(EVERY_ALERT["failed"], event="reminder", number=3, times_seen=4)
    text = compose_message(due, reminder_days=7, now=T0 + timedelta(hours=5))
    assert text.title == "Bellwether, reminder 3: No forecast for it's from 2026-10"
    assert "(5 hours, raised 4 times)" in text.body
    assert text.body.endswith("[alert 12, reminder 3]")


def test_compose_message_of_a_cleared_alert_is_short() -> None:
    due = make_due(
        EVERY_ALERT["failed"], event="cleared", resolved_at=T0 + timedelta(minutes=1), is_opened_delivered=True
    )
    text = compose_message(due, reminder_days=7, now=T0)
    assert text.severity == "cleared"
    assert "cleared on 2026-11-03 11:01 UTC, 1 minute after it was raised on 2026-11-03 11:00 UTC" in text.body
    assert "The source is down." not in text.body


def test_compose_message_has_a_title_of_one_line() -> None:
    """The title becomes the subject of a mail."""
    due = make_due({**EVERY_ALERT["failed"], "title": "No forecast for a\r\nBcc: x@example.com"})
    assert compose_message(due, reminder_days=7, now=T0).title == "Bellwether: No forecast for a Bcc: x@example.com"


def test_failed_run_alert_of_a_correction_is_a_warning() -> None:
    assert EVERY_ALERT["correction"]["severity"] == "warning"
    assert "the published forecasts stay in force" in EVERY_ALERT["correction"]["detail"]


def test_overdue_alert_has_number_and_cause_of_missing_months() -> None:
    detail = EVERY_ALERT["overdue"]["detail"]
    assert detail.endswith("bellwether alerts stop-monitoring 'file/it'\"'\"'s'")
    for part in (
        "The first missing month was due by 2026-10-07 (session 5 after the month), 31 days ago",
        "2 months are missing",
        "the forecasts in force are from 2026-08",
        "and its last run, 7, failed: The source is down. Check",
    ):
        assert part in detail
    assert "no month was ever published" in EVERY_ALERT["never published"]["detail"]
