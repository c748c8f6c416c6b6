"""Tests of the service check: killed and stuck runs, overdue months, deliveries."""

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from flows.service_check import check_service
from sql.store import MonthKey, Store
from tasks.alerts import events
from tasks.database import get_store
from tests.support.loopback import Webhook
from tests.support.rows import query


def this_month() -> date:
    return datetime.now(UTC).date().replace(day=1)


def months_ago(months: int) -> date:
    return (pd.Timestamp(this_month()) - pd.DateOffset(months=months)).date()


def begin_run(store: Store, key: MonthKey, *, started_at: datetime) -> int:
    return store.begin_run(
        key,
        correction=0,
        as_of=started_at.date(),
        known_at=started_at,
        mode="auto",
        symbols_requested=1,
        flow_run_id=None,
        parameters={},
        software={},
        started_at=started_at,
    )


def test_check_service_finds_killed_and_stuck_runs(webhook: Webhook, database_url: str) -> None:
    store, now = get_store(), datetime.now(UTC)
    killed, alive, old = (MonthKey(source="file", universe=name, origin_month=months_ago(1)) for name in "kao")
    begin_run(store, killed, started_at=now)
    with store.hold_month(alive), store.hold_month(old):
        begin_run(store, alive, started_at=now - timedelta(hours=11))
        begin_run(store, old, started_at=now - timedelta(hours=13))
        for _ in range(2):
            summary = check_service.fn()
    assert (summary.killed_run_ids, summary.stuck_run_ids) == ([], [3])  # the first check has found the killed run
    assert query(database_url, "select universe, status from ops.run order by 1") == [
        ("a", "running"),
        ("k", "abandoned"),
        ("o", "running"),
    ]
    month = f"{months_ago(1):%Y-%m}"
    assert sorted(webhook.titles) == [
        f"Bellwether: Run 1 of k from {month} was killed",
        f"Bellwether: Run 3 of o from {month} does not end",
    ]
    with store.hold_month(killed) as is_ours:
        assert is_ours


def test_check_service_raises_an_alert_until_a_month_is_published(webhook: Webhook, database_url: str) -> None:
    store, now = get_store(), datetime.now(UTC)
    store.monitor_universe(
        "file", "u", exchange_mics=["XNYS"], due_sessions=5, origin_month=months_ago(2), now=now - timedelta(days=90)
    )
    for _ in range(2):
        summary = check_service.fn()
    assert list(summary.overdue["universe"]) == ["u"]
    (title,) = webhook.titles
    assert title.startswith("Bellwether: u is overdue: no forecast from ")
    message = webhook.accepted[0]["message"]
    assert "the universe was never run" in message
    assert "bellwether alerts stop-monitoring file/u" in message

    # Both months are published late.
    for months in (2, 1):
        run_id = begin_run(
            store, MonthKey(source="file", universe="u", origin_month=months_ago(months)), started_at=now
        )
        query(
            database_url,
            "update ops.run set status = 'published', finished_at = now(), served = 'baseline' "
            f"where run_id = {run_id}",
        )
    summary = check_service.fn()
    assert summary.overdue.empty
    assert [title.partition(":")[0] for title in webhook.titles[1:]] == ["Bellwether, cleared"]


def test_check_service_emits_no_event_without_a_permanent_server(
    webhook: Webhook, machine: pytest.MonkeyPatch, database_url: str
) -> None:
    machine.setattr(events, "_has_server", lambda: False)
    machine.setattr(events, "send_event", lambda _: pytest.fail("an event was emitted"))
    get_store().open_alert(
        {
            "kind": "drift",
            "subject": "x/y",
            "severity": "warning",
            "title": "t",
            "detail": "d",
            "look_deeper_sql": "select 1",
        },
        now=datetime.now(UTC),
    )
    check_service.fn()
    assert webhook.titles == ["Bellwether: t"]
