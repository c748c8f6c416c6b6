"""Runs that nobody watches, the daily watch, and who is told: real runs, real Postgres, a webhook on loopback."""

import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from prefect.settings import PREFECT_API_URL

import flows.monthly
from flows.monthly import monthly_forecast
from flows.service_check import check_service
from sql.store import MonthKey, Store
from tasks.alerts import delivery as delivering
from tasks.alerts import duty
from tasks.database import get_store
from tasks.errors import (
    BadRequestError,
    DatabaseUnavailableError,
    PricesIncompleteError,
    SourceUnavailableError,
)
from tasks.settings import get_settings
from tests.support.database import snapshot, write_prices
from tests.support.loopback import Webhook
from tests.support.rows import query

LAST_DAY = date(2018, 12, 31)
FAILED = "Bellwether: No forecast for p from 2018-12"


@pytest.fixture
def too_few(index_bars: pd.DataFrame, tmp_path: Path) -> str:
    """A source in which one of two symbols has its month."""
    bars = index_bars[(index_bars["ticker"] == "SPX") | (index_bars["date"] < "2018-06-15")]
    return write_prices(tmp_path / "p.csv", bars)


def kinds(database_url: str) -> list[tuple]:
    return query(database_url, "select kind, subject from report.open_alert order by alert_id")


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


def test_a_month_that_fails_twice_while_nobody_listens_is_told_once_and_then_that_it_is_there(
    webhook: Webhook, database_url: str, too_few: str, index_bars: pd.DataFrame, tmp_path: Path
) -> None:
    webhook.mood = "no answer"
    for _ in range(2):
        with pytest.raises(PricesIncompleteError):
            monthly_forecast(as_of=LAST_DAY, source=too_few)
    webhook.mood = 200
    with pytest.raises(PricesIncompleteError):
        monthly_forecast(as_of=LAST_DAY, source=too_few)
    assert webhook.titles == [FAILED]
    message = webhook.accepted[0]["message"]
    for part in ("1 of 2 symbols do", "Since ", "Severity: critical", "select ", "bellwether alerts ack 1"):
        assert part in message

    monthly_forecast(as_of=LAST_DAY, source=write_prices(tmp_path / "p.csv", index_bars))
    assert webhook.titles[1:] == ["Bellwether, cleared: No forecast for p from 2018-12"]
    assert kinds(database_url) == []


@pytest.mark.parametrize("mood", [500, "hang"])
def test_a_month_is_published_whatever_its_addresses_do(webhook: Webhook, database_url: str, mood: Any) -> None:
    webhook.mood = mood
    alert = {"kind": "drift", "subject": "x/y", "severity": "warning", "title": "t", "detail": "d"}
    get_store().open_alert({**alert, "look_deeper_sql": "select 1"}, now=datetime.now(UTC))
    summary = monthly_forecast(as_of=LAST_DAY, source="sample")
    assert not summary.is_already_done
    assert len(webhook.received) == 1
    assert query(database_url, "select status from ops.run") == [("published",)]


def test_a_typo_at_the_command_line_is_nobody_elses_business(webhook: Webhook, database_url: str) -> None:
    before = snapshot(database_url)
    with pytest.raises(BadRequestError):
        monthly_forecast(as_of=date(2999, 1, 31), source="sample")
    assert snapshot(database_url) == before
    assert webhook.received == []


@pytest.mark.parametrize("how", ["deployment", "flag"])
def test_a_run_that_nobody_watches_and_cannot_begin_is_an_alert_until_one_can(
    webhook: Webhook, machine: pytest.MonkeyPatch, database_url: str, how: str
) -> None:
    if how == "deployment":
        machine.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "5d0fe9b9-0000-4000-8000-000000000000")
    options: dict[str, Any] = {"source": "sample", "unattended": how == "flag"}
    for _ in range(2):
        with pytest.raises(BadRequestError):
            monthly_forecast(as_of=date(2999, 1, 31), **options)
    assert kinds(database_url) == [("failed_run", "sample/sample")]
    assert webhook.titles == ["Bellwether: A run of sample could not begin"]
    assert "must not be in the future: received 2999-01-31" in webhook.accepted[0]["message"]
    # It may be a slip of the pen: nobody waits for months of it.
    assert query(database_url, "select count(*) from report.monitored_universe") == [(0,)]
    monthly_forecast(as_of=LAST_DAY, **options)
    assert webhook.titles[1:] == ["Bellwether, cleared: A run of sample could not begin"]

    # A month that is there already shows as well that runs begin again.
    with pytest.raises(BadRequestError):
        monthly_forecast(as_of=date(2999, 1, 31), **options)
    assert len(kinds(database_url)) == 1
    monthly_forecast(as_of=LAST_DAY, **options)
    assert kinds(database_url) == []


def test_a_universe_whose_first_run_finds_no_source_is_watched(
    webhook: Webhook, machine: pytest.MonkeyPatch, database_url: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise SourceUnavailableError("Yahoo does not answer.")

    machine.setattr(flows.monthly, "plan_month", fail)
    with pytest.raises(SourceUnavailableError):
        monthly_forecast(source="yahoo", universe="deployments/universes/us_large.csv", unattended=True)
    assert query(
        database_url, "select source, universe, newest_origin_month, next_origin_month from report.monitored_universe"
    ) == [("yahoo", "us_large", None, months_ago(1))]
    assert "Yahoo does not answer." in webhook.accepted[0]["message"]
    # Two years from now the database alone knows what is due.
    assert query(database_url, "select count(*) >= 24 from ops.due_month") == [(True,)]


@pytest.mark.parametrize(("unattended", "expected"), [(False, []), (True, [("failed_run", "sample/sample")])])
def test_an_interruption_is_an_alert_only_when_nobody_did_it(
    webhook: Webhook, machine: pytest.MonkeyPatch, database_url: str, unattended: bool, expected: list[tuple]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    machine.setattr(flows.monthly, "train_candidates", interrupt)
    with pytest.raises(KeyboardInterrupt):
        monthly_forecast(as_of=LAST_DAY, source="sample", unattended=unattended)
    assert query(database_url, "select status, message from ops.run") == [("failed", "It was interrupted.")]
    assert kinds(database_url) == expected
    assert len(webhook.titles) == len(expected)


def test_a_database_that_does_not_answer_is_told_by_run_and_watch_once(
    webhook: Webhook, machine: pytest.MonkeyPatch, database_url: str
) -> None:
    machine.setenv("DATABASE_URL", "postgresql://op:sw0rdfish@127.0.0.1:1/nowhere")
    get_settings.cache_clear()
    get_store.cache_clear()
    with pytest.raises(DatabaseUnavailableError):
        monthly_forecast(source="sample", unattended=True)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailableError):
            check_service.fn()
    with pytest.raises(DatabaseUnavailableError):
        monthly_forecast(source="sample")  # typed by somebody who sees it
    assert webhook.titles == ["Bellwether: The database does not answer"]
    assert "sw0rdfish" not in webhook.accepted[0]["message"]

    machine.setenv("DATABASE_URL", database_url)
    get_settings.cache_clear()
    get_store.cache_clear()
    check_service.fn()
    assert webhook.titles[1:] == ["Bellwether, cleared: The database does not answer"]


def test_a_catch_up_is_answered_for_once(
    webhook: Webhook, machine: pytest.MonkeyPatch, too_few: str, database_url: str
) -> None:
    rounds = []
    machine.setattr(duty, "deliver_alerts", lambda *_: rounds.append(1))
    with pytest.raises(PricesIncompleteError):
        monthly_forecast(as_of=LAST_DAY, source=too_few, catch_up=1, unattended=True)
    assert len(rounds) == 1
    assert kinds(database_url) == [("coverage", "file/p")]


def test_an_earlier_month_does_not_clear_what_is_said_of_a_later_one(
    webhook: Webhook, database_url: str, index_bars: pd.DataFrame, tmp_path: Path, too_few: str
) -> None:
    with pytest.raises(PricesIncompleteError):
        monthly_forecast(as_of=LAST_DAY, source=too_few)
    source = write_prices(tmp_path / "p.csv", index_bars)
    monthly_forecast(as_of=date(2018, 11, 30), source=source)
    assert kinds(database_url) == [("coverage", "file/p")]
    monthly_forecast(as_of=LAST_DAY, source=source)
    assert kinds(database_url) == []


def test_a_run_that_was_killed_is_found_and_its_month_left_free(webhook: Webhook, database_url: str) -> None:
    store, now = get_store(), datetime.now(UTC)
    killed, alive, old = (MonthKey(source="file", universe=name, origin_month=months_ago(1)) for name in "kao")
    begin_run(store, killed, started_at=now)
    with store.hold_month(alive), store.hold_month(old):
        begin_run(store, alive, started_at=now - timedelta(hours=11))
        begin_run(store, old, started_at=now - timedelta(hours=13))
        for _ in range(2):
            summary = check_service.fn()
    assert (summary.killed_run_ids, summary.stuck_run_ids) == ([], [3])  # the first was found the first time
    assert query(database_url, "select universe, status from ops.run order by 1") == [
        ("a", "running"),
        ("k", "abandoned"),
        ("o", "running"),
    ]
    month = f"{months_ago(1):%Y-%m}"
    assert sorted(webhook.titles) == [
        f"Bellwether: Run 1 of k from {month} lost its process",
        f"Bellwether: Run 3 of o from {month} does not end",
    ]
    with store.hold_month(killed) as is_ours:
        assert is_ours


def test_a_month_that_nobody_ran_is_overdue_until_it_is_published(webhook: Webhook, database_url: str) -> None:
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
    assert "no run of it was ever begun" in message
    assert "bellwether alerts stop_monitoring file/u" in message

    # Both months are published, by hand and late.
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
    assert [each.partition(":")[0] for each in webhook.titles[1:]] == ["Bellwether, cleared"]


def test_the_watch_writes_due_dates_ahead_for_what_was_in_service_before(webhook: Webhook, database_url: str) -> None:
    get_store().monitor_universe(
        "file", "u", exchange_mics=["XLON", "NONE"], due_sessions=3, origin_month=months_ago(1), now=datetime.now(UTC)
    )
    get_store().monitor_universe(
        "file", "v", exchange_mics=["XLON"], due_sessions=3, origin_month=months_ago(1), now=datetime.now(UTC)
    )
    check_service.fn()  # an exchange nobody knows spoils it for its own universe alone
    assert query(database_url, "select distinct universe from ops.due_month") == [("v",)]
    assert query(database_url, f"select count(*) > 20 from ops.due_month where due_on > '{months_ago(0)}'") == [(True,)]


def test_an_alert_is_an_event_that_prefects_automations_can_see(webhook: Webhook, database_url: str) -> None:
    with pytest.raises(BadRequestError):
        monthly_forecast(as_of=date(2999, 1, 31), source="sample", unattended=True)
    check_service.fn()
    told = query(
        database_url, "select recipient, event, attempts, state from report.delivery where recipient like 'Prefect%'"
    )
    assert told == [("Prefect events", "opened", 1, "delivered")]
    ((alert_id,),) = query(database_url, "select alert_id from report.open_alert")
    wanted = {"filter": {"event": {"prefix": ["bellwether.alert"]}}, "limit": 10}
    deadline = time.monotonic() + 60
    found: list[dict[str, Any]] = []
    while not found:
        assert time.monotonic() < deadline
        answer = httpx.post(f"{PREFECT_API_URL.value()}/events/filter", json=wanted, timeout=10).json()
        found = [each for each in answer["events"] if each["payload"]["detail"].startswith("The run due at")]
        time.sleep(0.2)
    assert found[0]["event"] == "bellwether.alert.opened"
    assert found[0]["resource"]["prefect.resource.id"] == f"bellwether.alert.{alert_id}"
    assert found[0]["resource"]["bellwether.kind"] == "failed_run"


def test_no_event_is_sent_where_no_prefect_server_lasts(
    webhook: Webhook, machine: pytest.MonkeyPatch, database_url: str
) -> None:
    machine.setattr(delivering, "PREFECT_API_URL", type("Unset", (), {"value": staticmethod(lambda: None)}))
    machine.setattr(delivering, "emit_event", lambda **_: pytest.fail("an event was sent"))
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
