"""Tests of monitored universes and the due dates of their months."""

from datetime import UTC, date, datetime

import pandas as pd

from sql.store import Store
from tasks.alerts.due_months import extend_due_months, monitor_unstarted_universe
from tests.support.rows import query


def months_ago(months: int) -> date:
    return (pd.Timestamp(datetime.now(UTC).date()).replace(day=1) - pd.DateOffset(months=months)).date()


def test_extend_due_months_skips_a_universe_with_an_unknown_exchange(store: Store, database_url: str) -> None:
    for universe, mics in (("u", ["XLON", "NONE"]), ("v", ["XLON"])):
        store.monitor_universe(
            "file",
            universe,
            exchange_mics=mics,
            due_sessions=3,
            origin_month=months_ago(1),
            now=datetime.now(UTC),
        )
    extend_due_months(store)
    assert query(database_url, "select distinct universe from ops.due_month") == [("v",)]
    assert query(database_url, f"select count(*) > 20 from ops.due_month where due_on > '{months_ago(0)}'") == [(True,)]


def test_monitor_unstarted_universe_leaves_a_monitored_one_unchanged(store: Store, database_url: str) -> None:
    first, second = datetime(2026, 3, 3, tzinfo=UTC), datetime(2026, 5, 3, tzinfo=UTC)
    for scheduled_for, due_sessions in ((first, 5), (second, 9)):
        monitor_unstarted_universe(store, "file", "u", due_sessions, scheduled_for)
    assert query(database_url, "select first_month, due_sessions, exchange_mics from ops.monitored_universe") == [
        (date(2026, 2, 1), 5, ["XNYS"])
    ]
