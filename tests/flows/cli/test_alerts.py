"""The commands of `bellwether alerts`, `check-service` and `status`."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from tasks.database import get_store
from tasks.settings import get_settings
from tests.support.commands import Bellwether
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


def test_check_service_reports_and_delivers_once(
    bellwether: Bellwether,
    webhook: Webhook,
    database_url: str,
) -> None:
    raise_alert()
    since = datetime.now(UTC) - timedelta(days=90)
    month = (since - timedelta(days=31)).date().replace(day=1)
    get_store().monitor_universe("file", "u", exchange_mics=["XNYS"], due_sessions=5, origin_month=month, now=since)
    code, output, errors = bellwether("check-service")
    assert (code, errors) == (0, "")
    for expected in (
        "Monitored universes",
        "file/u",
        "Overdue months",
        ALERT["title"],
        f"json://127.0.0.1:{webhook.port}",
    ):
        assert expected in output
    assert len(webhook.titles) == 2
    assert PASSWORD not in output
    assert bellwether("check-service")[0] == 0
    assert len(webhook.titles) == 2


def test_check_service_reports_that_nothing_is_wrong(bellwether: Bellwether) -> None:
    code, output, _ = bellwether("check-service")
    assert code == 0
    assert "No universe is monitored yet" in output
    assert "No open alerts and no overdue months." in output
    assert "Alerts are not delivered" in output


def test_recipients_of_a_worker_are_known(
    bellwether: Bellwether, machine: pytest.MonkeyPatch, webhook: Webhook
) -> None:
    """The variable is set for the worker only."""
    assert bellwether("check-service")[0] == 0
    machine.delenv("BELLWETHER_ALERT_URLS")
    for command in (["status"], ["alerts", "list"], ["check-service"]):
        get_settings.cache_clear()
        code, output, _ = bellwether(*command)
        assert code == 0
        assert "Alerts are not delivered" not in output


def test_alerts_list_shows_details_and_queries(
    bellwether: Bellwether,
    webhook: Webhook,
) -> None:
    raise_alert()
    bellwether("check-service")
    code, output, _ = bellwether("alerts", "list")
    assert code == 0
    for expected in (ALERT["title"], ALERT["detail"], f"{ALERT['look_deeper_sql']};", "critical", "Recipients"):
        assert expected in output
    assert PASSWORD not in output
    assert bellwether("alerts", "close", "1")[0] == 0
    assert "No alerts." in bellwether("alerts", "list")[1]
    assert "cleared" in bellwether("alerts", "list", "--all")[1]
    bellwether("check-service")
    assert [each.partition(":")[0] for each in webhook.titles] == ["Bellwether", "Bellwether, cleared"]


def test_alerts_ack_acknowledges_all_alerts_or_none(
    bellwether: Bellwether,
    database_url: str,
) -> None:
    raise_alert()
    code, _, errors = bellwether("alerts", "ack", "1", "7")
    assert code == 4
    assert "There is no alert 7" in errors
    assert query(database_url, "select acknowledged_at from ops.alert") == [(None,)]
    code, output, _ = bellwether("alerts", "ack", "1")
    assert code == 0
    assert "no reminders from now on" in output
    assert "acknowledged already" in bellwether("alerts", "ack", "1")[1]
    assert re.search(r"acknowledged \d{4}-", bellwether("alerts", "list")[1])
    bellwether("alerts", "close", "1")
    assert "cleared already" in bellwether("alerts", "ack", "1")[1]
    assert "cleared already" in bellwether("alerts", "close", "1")[1]
    assert bellwether("alerts", "close", "9")[0] == 4


def test_alerts_test_reports_the_result_of_each_recipient(
    bellwether: Bellwether,
    machine: pytest.MonkeyPatch,
    webhook: Webhook,
    database_url: str,
) -> None:
    code, output, _ = bellwether("alerts", "test")
    assert code == 0
    assert webhook.titles == ["Bellwether: test"]
    assert "delivered" in output
    with Webhook(mood=500) as broken:
        machine.setenv("BELLWETHER_ALERT_URLS", f"{webhook.url()}, {broken.url()}")
        get_settings.cache_clear()
        code, output, errors = bellwether("alerts", "test")
    assert code == 13
    assert "1 of 2 recipients did not accept the message" in errors
    assert "HTTP status 500" in errors
    assert PASSWORD not in output + errors
    assert query(database_url, "select count(*) from ops.alert") == [(0,)]

    machine.delenv("BELLWETHER_ALERT_URLS")
    get_settings.cache_clear()
    code, _, errors = bellwether("alerts", "test")
    assert code == 4
    assert "BELLWETHER_ALERT_URLS" in errors


def test_alerts_stop_monitoring_removes_the_universe(bellwether: Bellwether, database_url: str) -> None:
    now = datetime.now(UTC)
    month = now.date().replace(day=1)
    get_store().monitor_universe("file", "u", exchange_mics=["XNYS"], due_sessions=5, origin_month=month, now=now)
    assert "file/u" in bellwether("alerts", "monitored")[1]
    code, _, errors = bellwether("alerts", "stop-monitoring", "u")
    assert code == 4
    assert "SOURCE/UNIVERSE" in errors
    assert "no longer monitored" in bellwether("alerts", "stop-monitoring", "file/u")[1]
    assert "No universe is monitored" in bellwether("alerts", "monitored")[1]


def test_status_shows_alerts_and_failing_recipients(
    bellwether: Bellwether,
    webhook: Webhook,
) -> None:
    webhook.mood = 500
    raise_alert()
    bellwether("check-service")
    code, output, _ = bellwether("status")
    assert code == 0
    for expected in (ALERT["title"], "HTTP status 500", "bellwether alerts list"):
        assert expected in output


@pytest.mark.parametrize("command", [["check-service"], ["alerts"], ["alerts", "ack"], ["alerts", "test"]])
def test_help_of_alert_commands_is_shown(bellwether: Bellwether, command: list[str]) -> None:
    code, output, _ = bellwether(*command, "--help")
    assert code == 0
    assert "Usage" in output
