"""Alerts at the command line: seen, noted, closed, tried; and the watch as cron calls it."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from tasks.database import get_store
from tasks.settings import get_settings
from tests.flows.cli.conftest import Bellwether
from tests.support.loopback import PASSWORD, Webhook
from tests.support.rows import query

ALERT = {
    "kind": "failed_run",
    "subject": "file/[u]",
    "severity": "critical",
    "title": "No forecast for [u] from 2026-10",
    "detail": "The source is down. [dim]Look at it.",
    "look_deeper_sql": "select * from report.run_history where universe = '[u]' limit 5",
}


def raise_alert() -> None:
    get_store().open_alert(ALERT, now=datetime.now(UTC))


def test_watch_says_how_things_stand_and_delivers_once(
    bellwether: Bellwether,
    webhook: Webhook,
    database_url: str,
) -> None:
    raise_alert()
    since = datetime.now(UTC) - timedelta(days=90)
    month = (since - timedelta(days=31)).date().replace(day=1)
    get_store().monitor_universe("file", "u", exchange_mics=["XNYS"], due_sessions=5, origin_month=month, now=since)
    code, printed, complained = bellwether("watch")
    assert (code, complained) == (0, "")
    for expected in ("In regular service", "file/u", "Overdue", ALERT["title"], f"json://127.0.0.1:{webhook.port}"):
        assert expected in printed
    assert len(webhook.titles) == 2
    assert PASSWORD not in printed
    assert bellwether("watch")[0] == 0
    assert len(webhook.titles) == 2


def test_watch_with_nothing_to_do_says_so(bellwether: Bellwether) -> None:
    code, printed, _ = bellwether("watch")
    assert code == 0
    assert "No universe is in regular service yet" in printed
    assert "No open alert, nothing overdue." in printed
    assert "nobody is told of alerts" in printed


def test_alerts_list_shows_what_to_do_and_where_to_look(
    bellwether: Bellwether,
    webhook: Webhook,
) -> None:
    raise_alert()
    bellwether("watch")
    code, printed, _ = bellwether("alerts", "list")
    assert code == 0
    for expected in (ALERT["title"], ALERT["detail"], f"{ALERT['look_deeper_sql']};", "critical", "Recipients"):
        assert expected in printed
    assert PASSWORD not in printed
    assert bellwether("alerts", "close", "1")[0] == 0
    assert "No alert." in bellwether("alerts", "list")[1]
    assert "cleared" in bellwether("alerts", "list", "--all")[1]
    bellwether("watch")
    assert [each.partition(":")[0] for each in webhook.titles] == ["Bellwether", "Bellwether, cleared"]


def test_alerts_ack_takes_note_of_each_once_and_of_none_when_one_is_unknown(
    bellwether: Bellwether,
    database_url: str,
) -> None:
    raise_alert()
    code, _, complained = bellwether("alerts", "ack", "1", "7")
    assert code == 4
    assert "There is no alert 7" in complained
    assert query(database_url, "select acknowledged_at from ops.alert") == [(None,)]
    code, printed, _ = bellwether("alerts", "ack", "1")
    assert code == 0
    assert "no reminders from now on" in printed
    assert "acknowledged already" in bellwether("alerts", "ack", "1")[1]
    assert re.search(r"acknowledged \d{4}-", bellwether("alerts", "list")[1])
    bellwether("alerts", "close", "1")
    assert "cleared already" in bellwether("alerts", "ack", "1")[1]
    assert "cleared already" in bellwether("alerts", "close", "1")[1]
    assert bellwether("alerts", "close", "9")[0] == 4


def test_alerts_test_sends_to_each_address_and_says_which_did_not_take_it(
    bellwether: Bellwether,
    machine: pytest.MonkeyPatch,
    webhook: Webhook,
    database_url: str,
) -> None:
    code, printed, _ = bellwether("alerts", "test")
    assert code == 0
    assert webhook.titles == ["Bellwether: test"]
    assert "delivered" in printed
    with Webhook(mood=500) as broken:
        machine.setenv("BELLWETHER_ALERT_URLS", f"{webhook.url()}, {broken.url()}")
        get_settings.cache_clear()
        code, printed, complained = bellwether("alerts", "test")
    assert code == 13
    assert "1 of 2 recipients did not accept it" in complained
    assert "HTTP status 500" in complained
    assert PASSWORD not in printed + complained
    assert query(database_url, "select count(*) from ops.alert") == [(0,)]

    machine.delenv("BELLWETHER_ALERT_URLS")
    get_settings.cache_clear()
    code, _, complained = bellwether("alerts", "test")
    assert code == 4
    assert "BELLWETHER_ALERT_URLS" in complained


def test_alerts_unwatch_ends_the_watch(bellwether: Bellwether, database_url: str) -> None:
    now = datetime.now(UTC)
    month = now.date().replace(day=1)
    get_store().monitor_universe("file", "u", exchange_mics=["XNYS"], due_sessions=5, origin_month=month, now=now)
    assert "file/u" in bellwether("alerts", "monitored_universes")[1]
    code, _, complained = bellwether("alerts", "stop_monitoring", "u")
    assert code == 4
    assert "SOURCE/UNIVERSE" in complained
    assert "no longer monitored" in bellwether("alerts", "stop_monitoring", "file/u")[1]
    assert "No universe is in regular service" in bellwether("alerts", "monitored_universes")[1]


def test_status_shows_alerts_overdue_months_and_addresses_that_fail(
    bellwether: Bellwether,
    webhook: Webhook,
) -> None:
    webhook.mood = 500
    raise_alert()
    bellwether("watch")
    code, printed, _ = bellwether("status")
    assert code == 0
    for expected in (ALERT["title"], "HTTP status 500", "bellwether alerts list"):
        assert expected in printed


@pytest.mark.parametrize("command", [["watch"], ["alerts"], ["alerts", "ack"], ["alerts", "test"]])
def test_help_shows_the_commands_about_alerts(bellwether: Bellwether, command: list[str]) -> None:
    code, printed, _ = bellwether(*command, "--help")
    assert code == 0
    assert "Usage" in printed
