"""Alerts, due messages, deliveries, monitored universes and due months against a real Postgres."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from sql.store import MonthKey, Store
from tests.support.rows import query

T0 = datetime(2026, 11, 3, 11, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ALERT = {
    "kind": "failed_run",
    "subject": "file/u",
    "severity": "critical",
    "title": "No forecast for u from 2026-10",
    "detail": "The source is down.",
    "look_deeper_sql": "select 1",
}
OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)


def due(store: Store, now: datetime, recipient_id: str = "a", reminder_days: int = 7) -> list[tuple[str, int]]:
    rows = store.read_due_messages(recipient_id, reminder_days=reminder_days, now=now)
    return [(row["event"], row["number"]) for row in rows]


def notify(store: Store, now: datetime, *, is_accepted: bool = True, recipient_id: str = "a") -> None:
    """One delivery round of a recipient."""
    store.use_recipient(recipient_id, f"json://{recipient_id}", now=now)
    for message in store.read_due_messages(recipient_id, reminder_days=7, now=now):
        assert store.begin_delivery(message, recipient_id, now=now)
        error = None if is_accepted else "no response"
        store.end_delivery(message, recipient_id, delivered_at=now if is_accepted else None, last_error=error)


def test_open_alert_again_keeps_one_with_the_newest_text(store: Store, database_url: str) -> None:
    store.open_alert(ALERT, now=T0)
    store.open_alert({**ALERT, "detail": "The source is still down."}, now=T0 + DAY)
    assert query(database_url, "select detail, opened_at, changed_at, times_seen from ops.alert") == [
        ("The source is still down.", T0, None, 2)
    ]
    store.open_alert({**ALERT, "severity": "warning"}, now=T0 + 2 * DAY)
    assert query(database_url, "select opened_at, changed_at, times_seen from ops.alert") == [(T0, T0 + 2 * DAY, 3)]


def test_open_alert_with_a_new_title_resets_the_acknowledgement(store: Store) -> None:
    store.open_alert(ALERT, now=T0)
    assert store.acknowledge_alert(1, now=T0)
    assert not store.acknowledge_alert(1, now=T0)
    store.open_alert({**ALERT, "detail": "Another description."}, now=T0)
    alert = store.read_alert(1)
    assert alert is not None
    assert alert["acknowledged_at"] == T0
    store.open_alert({**ALERT, "title": "No forecast for u from 2026-11"}, now=T0)
    alert = store.read_alert(1)
    assert alert is not None
    assert alert["acknowledged_at"] is None


def test_earlier_month_neither_changes_nor_clears_an_alert(store: Store, database_url: str) -> None:
    store.open_alert({**ALERT, "origin_month": NOVEMBER, "title": "November"}, now=T0)
    store.open_alert({**ALERT, "origin_month": OCTOBER, "title": "October"}, now=T0)
    assert query(database_url, "select title, times_seen from ops.alert") == [("November", 1)]
    assert not store.resolve_alert("failed_run", "file/u", now=T0, origin_month=OCTOBER)
    assert store.resolve_alert("failed_run", "file/u", now=T0, origin_month=NOVEMBER)
    assert not store.resolve_alert("failed_run", "file/u", now=T0, origin_month=NOVEMBER)


def test_close_alert_clears_by_hand(store: Store) -> None:
    store.open_alert(ALERT, now=T0)
    assert store.close_alert(1, now=T0 + HOUR)
    assert not store.close_alert(1, now=T0 + HOUR)
    assert store.read_alert(2) is None


def test_due_messages_follow_an_alert_from_opening_to_clearing(store: Store) -> None:
    assert due(store, T0) == []
    store.open_alert(ALERT, now=T0)
    assert due(store, T0) == [("opened", 0)]
    notify(store, T0, is_accepted=False)
    assert due(store, T0 + HOUR) == [("opened", 0)]
    notify(store, T0 + HOUR)
    assert due(store, T0 + 7 * DAY) == []
    assert due(store, T0 + 7 * DAY + HOUR) == [("reminder", 1)]
    assert due(store, T0 + 7 * DAY + HOUR, reminder_days=8) == due(store, T0 + 999 * DAY, reminder_days=0) == []
    notify(store, T0 + 8 * DAY, is_accepted=False)
    notify(store, T0 + 9 * DAY)
    assert due(store, T0 + 10 * DAY) == []
    assert due(store, T0 + 16 * DAY) == [("reminder", 2)]
    store.resolve_alert("failed_run", "file/u", now=T0 + 20 * DAY)
    assert due(store, T0 + 20 * DAY) == [("cleared", 0)]
    notify(store, T0 + 20 * DAY)
    assert due(store, T0 + 999 * DAY) == []


def test_due_messages_differ_by_recipient(store: Store) -> None:
    store.open_alert(ALERT, now=T0)
    notify(store, T0, recipient_id="a")
    assert (due(store, T0, "a"), due(store, T0, "b")) == ([], [("opened", 0)])


def test_due_messages_start_with_the_fewest_attempts(store: Store) -> None:
    for number in range(3):
        store.open_alert({**ALERT, "subject": f"file/{number}"}, now=T0)
    store.use_recipient("a", "json://a", now=T0)
    first, second, _ = store.read_due_messages("a", reminder_days=7, now=T0)
    for message in (first, first, second):
        store.begin_delivery(message, "a", now=T0)
    rows = store.read_due_messages("a", reminder_days=7, now=T0)
    assert [(row["subject"], row["attempts"]) for row in rows] == [("file/2", 0), ("file/1", 1), ("file/0", 2)]


def test_change_during_a_delivery_is_a_reminder_afterwards(store: Store) -> None:
    """The message predates the change, whatever the time of its delivery."""
    store.open_alert(ALERT, now=T0)
    store.use_recipient("a", "json://a", now=T0)
    (message,) = store.read_due_messages("a", reminder_days=7, now=T0 + HOUR)
    store.begin_delivery(message, "a", now=T0 + HOUR)
    store.open_alert({**ALERT, "title": "worse"}, now=T0 + 2 * HOUR)
    store.end_delivery(message, "a", delivered_at=T0 + 3 * HOUR, last_error=None)
    assert due(store, T0 + 4 * HOUR) == [("reminder", 1)]


def test_begin_delivery_rejects_a_delivered_message(store: Store) -> None:
    store.open_alert(ALERT, now=T0)
    store.use_recipient("a", "json://a", now=T0)
    (message,) = store.read_due_messages("a", reminder_days=7, now=T0)
    notify(store, T0)
    assert not store.begin_delivery(message, "a", now=T0)


def test_hold_recipient_locks_it_for_one_process(store: Store, database_url: str) -> None:
    with Store(database_url) as other:
        with (
            store.hold_recipient("a", wait_seconds=1) as first,
            other.hold_recipient("a", wait_seconds=0.1) as second,
            other.hold_recipient("b", wait_seconds=0.1) as third,
        ):
            assert (first, second, third) == (True, False, True)
        with other.hold_recipient("a", wait_seconds=0.1) as again:
            assert again
        with pytest.raises(KeyError), store.hold_recipient("a", wait_seconds=1):
            raise KeyError
        with other.hold_recipient("a", wait_seconds=0.1) as again:
            assert again


def test_abandon_run_changes_only_running_runs(store: Store, database_url: str) -> None:
    key = MonthKey(source="file", universe="u", origin_month=OCTOBER)
    run_id = store.begin_run(
        key,
        correction=0,
        as_of=T0.date(),
        known_at=T0,
        mode="auto",
        symbols_requested=1,
        flow_run_id=None,
        parameters={},
        software={},
        started_at=T0,
    )
    assert list(store.read_running_runs()["is_held"]) == [False]
    with store.hold_month(key):
        assert list(store.read_running_runs()["is_held"]) == [True]
    assert store.abandon_run(run_id, ALERT, now=T0)
    assert not store.abandon_run(run_id, {**ALERT, "title": "again"}, now=T0)
    assert query(database_url, "select title, run_id, origin_month from ops.alert") == [
        (ALERT["title"], run_id, OCTOBER)
    ]
    assert store.read_running_runs().empty


def test_monitor_universe_keeps_its_first_month_until_its_end(store: Store, database_url: str) -> None:
    def monitor(month: date, now: datetime = T0, **changes: Any) -> list[tuple]:
        choices: dict[str, Any] = {"exchange_mics": ["XNYS"], "due_sessions": 5, **changes}
        store.monitor_universe("file", "u", **choices, origin_month=month, now=now)
        return query(
            database_url,
            "select exchange_mics, due_sessions, first_month, monitored_since, ended_at from ops.monitored_universe",
        )

    assert monitor(OCTOBER) == [(["XNYS"], 5, OCTOBER, T0, None)]
    assert monitor(NOVEMBER, T0 + DAY, due_sessions=3) == [(["XNYS"], 3, OCTOBER, T0, None)]
    store.open_alert({**ALERT, "kind": "overdue"}, now=T0)
    assert store.stop_monitoring_universe("file", "u", now=T0)
    assert not store.stop_monitoring_universe("file", "u", now=T0)
    assert query(database_url, "select count(*) from report.open_alert") == [(0,)]
    assert monitor(NOVEMBER, T0 + DAY) == [(["XNYS"], 5, NOVEMBER, T0 + DAY, None)]


def test_plan_due_months_keeps_past_due_dates(store: Store, database_url: str) -> None:
    store.monitor_universe("file", "u", exchange_mics=["XNYS"], due_sessions=5, origin_month=OCTOBER, now=T0)
    november, december = date(2026, 11, 6), date(2026, 12, 7)
    store.plan_due_months("file", "u", [(OCTOBER, november), (NOVEMBER, december)], now=T0)
    later = datetime(2026, 11, 7, tzinfo=UTC)
    store.plan_due_months("file", "u", [(OCTOBER, date(2026, 11, 30)), (NOVEMBER, date(2026, 12, 3))], now=later)
    assert query(database_url, "select origin_month, due_on from ops.due_month order by 1") == [
        (OCTOBER, november),
        (NOVEMBER, date(2026, 12, 3)),
    ]


def test_add_unreachable_stores_the_alert_once(store: Store, database_url: str) -> None:
    alert = {**ALERT, "kind": "database", "subject": "database"}
    for _ in range(2):
        store.add_unreachable(alert, [("a", "json://a", T0 + HOUR)], opened_at=T0, now=T0 + DAY)
    assert query(database_url, "select opened_at, resolved_at from ops.alert") == [(T0, T0 + DAY)]
    assert due(store, T0 + DAY, "a") == [("cleared", 0)]
    assert due(store, T0 + DAY, "b") == []


def test_upgrade_keeps_alerts_and_monitors_universes_in_service(
    empty_database_url: str,
) -> None:
    insert_run = (
        "insert into ops.run (source, universe, origin_month, as_of, known_at, status, mode, symbols_asked, "
        "parameters, software, started_at, finished_at) "
        "select 'file', universe, month, as_of, started, status, 'auto', 1, '{}', '{}', started, "
        "started + interval '1 minute' from (values "
        "('u', date '2026-09-01', date '2026-10-02', timestamptz '2026-10-03', 'published'), "
        "('u', '2026-10-01', '2026-11-02', '2026-11-03', 'failed'), "
        "('past', '2018-12-01', '2018-12-31', '2026-11-03', 'published')) "
        "as r (universe, month, as_of, started, status)"
    )
    with Store(empty_database_url) as store:
        store.upgrade("0005")
        query(empty_database_url, insert_run)
        query(
            empty_database_url,
            "insert into ops.alert (kind, subject, severity, title, detail, look_deeper_sql, run_id, opened_at) "
            "values ('failed_run', 'file/u', 'critical', 't', 'd', 'select 1', 2, '2026-11-03')",
        )
        query(
            empty_database_url,
            "insert into ops.delivery values (1, 'json://a', '2026-11-03', false, 'down'), "
            "(1, 'json://a', '2026-11-04', true, null), (1, 'json://b', '2026-11-03', false, 'down')",
        )
        store.upgrade()
        assert query(empty_database_url, "select title, origin_month, times_seen from ops.alert") == [("t", OCTOBER, 1)]
        third, fourth = datetime(2026, 11, 3, tzinfo=UTC), datetime(2026, 11, 4, tzinfo=UTC)
        assert query(
            empty_database_url,
            "select recipient, event, attempts, first_attempt_at, delivered_at, last_error from report.delivery "
            "order by recipient",
        ) == [
            ("json://a", "opened", 2, third, fourth, None),
            ("json://b", "opened", 1, third, None, "down"),
        ]
        assert query(
            empty_database_url, "select universe, newest_origin_month, next_origin_month from report.monitored_universe"
        ) == [("u", date(2026, 9, 1), OCTOBER)]


def test_alert_history_has_one_row_per_alert(store: Store) -> None:
    store.open_alert(ALERT, now=T0)
    store.open_alert({**ALERT, "subject": "file/v"}, now=T0)
    notify(store, T0, is_accepted=False)
    notify(store, T0 + HOUR, recipient_id="b")
    store.close_alert(1, now=T0 + DAY)
    shown = store.read_report("alert_history", is_all=True, limit=10)
    assert isinstance(shown, pd.DataFrame)
    assert shown[["alert_id", "recipients_notified", "messages_waiting"]].iloc[0].tolist() == [2, 1, 1]
    assert list(shown["alert_id"]) == [2, 1]
    assert list(store.read_report("alert_history", is_all=False, limit=10)["alert_id"]) == [2]
    assert list(store.read_report("alert_history", is_all=True, limit=1)["alert_id"]) == [2]
