"""Tests of alerts about monthly runs: real flow runs and a real Postgres, with a webhook on loopback."""

import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from prefect.client.orchestration import get_client
from prefect.exceptions import ParameterTypeError
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_API_URL, temporary_settings

import flows.monthly
from flows.monthly import monthly_forecast
from flows.service_check import check_service
from tasks.alerts import failure_hooks
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
UNSTARTED = "A run of sample could not start"


@pytest.fixture
def too_few(index_bars: pd.DataFrame, tmp_path: Path) -> str:
    """Price source in which one of two symbols lacks the month."""
    bars = index_bars[(index_bars["ticker"] == "SPX") | (index_bars["date"] < "2018-06-15")]
    return write_prices(tmp_path / "p.csv", bars)


def kinds(database_url: str) -> list[tuple]:
    return query(database_url, "select kind, subject from report.open_alert order by alert_id")


def run_flow_of(how: str, **parameters: Any) -> Any:
    """Run the flow as a deployment does, or with `unattended`."""
    if how == "flag":
        return monthly_forecast(**parameters, unattended=True)
    with get_client(sync_client=True) as client:
        deployment_id = client.create_deployment(client.create_flow(monthly_forecast), "monthly")
        values = {name: str(value) if isinstance(value, date) else value for name, value in parameters.items()}
        flow_run = client.create_flow_run_from_deployment(deployment_id, parameters=values)
    return run_flow(monthly_forecast, flow_run=flow_run)


def test_failed_month_is_delivered_once_and_cleared_once(
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
def test_failing_delivery_does_not_fail_the_run(webhook: Webhook, database_url: str, mood: Any) -> None:
    webhook.mood = mood
    alert = {"kind": "drift", "subject": "x/y", "severity": "warning", "title": "t", "detail": "d"}
    get_store().open_alert({**alert, "look_deeper_sql": "select 1"}, now=datetime.now(UTC))
    summary = monthly_forecast(as_of=LAST_DAY, source="sample")
    assert not summary.is_already_done
    assert len(webhook.received) == 1
    assert query(database_url, "select status from ops.run") == [("published",)]


def test_invalid_attended_request_raises_no_alert(webhook: Webhook, database_url: str) -> None:
    before = snapshot(database_url)
    with pytest.raises(BadRequestError):
        monthly_forecast(as_of=date(2999, 1, 31), source="sample")
    with pytest.raises(ParameterTypeError):
        monthly_forecast(source="sample", chunk_symbols=0)
    assert snapshot(database_url) == before
    assert webhook.received == []


@pytest.mark.parametrize("how", ["deployment", "flag"])
def test_unstarted_unattended_run_is_an_alert_until_a_run_starts(webhook: Webhook, database_url: str, how: str) -> None:
    for _ in range(2):
        with pytest.raises(BadRequestError):
            run_flow_of(how, as_of=date(2999, 1, 31), source="sample")
    assert kinds(database_url) == [("failed_run", "sample/sample")]
    assert webhook.titles == [f"Bellwether: {UNSTARTED}"]
    assert "must not be in the future: received 2999-01-31" in webhook.accepted[0]["message"]
    # The request may be a mistake, so its universe is not monitored.
    assert query(database_url, "select count(*) from report.monitored_universe") == [(0,)]
    run_flow_of(how, as_of=LAST_DAY, source="sample")
    assert webhook.titles[1:] == [f"Bellwether, cleared: {UNSTARTED}"]

    # A run for a month that is already published clears the alert, too.
    with pytest.raises(BadRequestError):
        run_flow_of(how, as_of=date(2999, 1, 31), source="sample")
    assert len(kinds(database_url)) == 1
    run_flow_of(how, as_of=LAST_DAY, source="sample")
    assert kinds(database_url) == []


@pytest.mark.parametrize("how", ["deployment", "flag"])
def test_refused_parameters_of_an_unattended_run_are_an_alert(webhook: Webhook, database_url: str, how: str) -> None:
    """Prefect ends the run before the flow's function is called."""
    with pytest.raises(ParameterTypeError):
        run_flow_of(how, source="sample", chunk_symbols=0)
    assert webhook.titles == [f"Bellwether: {UNSTARTED}"]
    assert "chunk_symbols: Input should be greater than or equal to 1" in webhook.accepted[0]["message"]
    assert query(database_url, "select count(*) from report.monitored_universe") == [(0,)]


def test_universe_is_monitored_after_a_first_run_without_source(
    webhook: Webhook, machine: pytest.MonkeyPatch, database_url: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise SourceUnavailableError("Yahoo is down.")

    machine.setattr(flows.monthly, "plan_month", fail)
    with pytest.raises(SourceUnavailableError):
        monthly_forecast(source="yahoo", universe="deployments/universes/us_large.csv", unattended=True)
    assert query(
        database_url, "select source, universe, newest_origin_month, next_origin_month from report.monitored_universe"
    ) == [
        (
            "yahoo",
            "us_large",
            None,
            (pd.Timestamp(datetime.now(UTC).date()).replace(day=1) - pd.DateOffset(months=1)).date(),
        )
    ]
    assert "Yahoo is down." in webhook.accepted[0]["message"]
    # Due dates are stored two years ahead.
    assert query(database_url, "select count(*) >= 24 from ops.due_month") == [(True,)]


@pytest.mark.parametrize(("unattended", "expected"), [(False, []), (True, [("failed_run", "sample/sample")])])
def test_interruption_is_an_alert_if_unattended(
    webhook: Webhook, machine: pytest.MonkeyPatch, database_url: str, unattended: bool, expected: list[tuple]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    machine.setattr(flows.monthly, "train_candidates", interrupt)
    with pytest.raises(KeyboardInterrupt):
        monthly_forecast(as_of=LAST_DAY, source="sample", unattended=unattended)
    assert query(database_url, "select status, message from ops.run") == [("failed", "The run was interrupted.")]
    assert kinds(database_url) == expected
    assert len(webhook.titles) == len(expected)


def test_unavailable_database_is_notified_once_by_run_and_check(
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
        monthly_forecast(source="sample")  # attended
    assert webhook.titles == ["Bellwether: The database is unavailable"]
    assert "sw0rdfish" not in webhook.accepted[0]["message"]

    machine.setenv("DATABASE_URL", database_url)
    get_settings.cache_clear()
    get_store.cache_clear()
    check_service.fn()
    assert webhook.titles[1:] == ["Bellwether, cleared: The database is unavailable"]


def test_catch_up_delivers_once(webhook: Webhook, machine: pytest.MonkeyPatch, too_few: str, database_url: str) -> None:
    rounds = []
    machine.setattr(failure_hooks, "deliver_alerts", lambda *_: rounds.append(1))
    with pytest.raises(PricesIncompleteError):
        monthly_forecast(as_of=LAST_DAY, source=too_few, catch_up=1, unattended=True)
    assert len(rounds) == 1
    assert kinds(database_url) == [("coverage", "file/p")]


def test_earlier_month_does_not_clear_the_alert_of_a_later_one(
    webhook: Webhook, database_url: str, index_bars: pd.DataFrame, tmp_path: Path, too_few: str
) -> None:
    with pytest.raises(PricesIncompleteError):
        monthly_forecast(as_of=LAST_DAY, source=too_few)
    source = write_prices(tmp_path / "p.csv", index_bars)
    monthly_forecast(as_of=date(2018, 11, 30), source=source)
    assert kinds(database_url) == [("coverage", "file/p")]
    monthly_forecast(as_of=LAST_DAY, source=source)
    assert kinds(database_url) == []


def test_alert_is_an_event_on_the_prefect_server(webhook: Webhook, database_url: str) -> None:
    with pytest.raises(BadRequestError):
        monthly_forecast(as_of=date(2999, 1, 31), source="sample", unattended=True)
    check_service.fn()
    delivered = query(
        database_url, "select recipient, event, attempts, state from report.delivery where recipient like 'Prefect%'"
    )
    assert delivered == [("Prefect events", "opened", 1, "delivered")]
    ((alert_id,),) = query(database_url, "select alert_id from report.open_alert")
    wanted = {"filter": {"event": {"prefix": ["bellwether.alert"]}}, "limit": 10}
    deadline = time.monotonic() + 60
    events: list[dict[str, Any]] = []
    while not events:
        assert time.monotonic() < deadline
        response = httpx.post(f"{PREFECT_API_URL.value()}/events/filter", json=wanted, timeout=10).json()
        events = [event for event in response["events"] if event["payload"]["detail"].startswith("The run scheduled")]
        time.sleep(0.2)
    assert events[0]["event"] == "bellwether.alert.opened"
    assert events[0]["resource"]["prefect.resource.id"] == f"bellwether.alert.{alert_id}"
    assert events[0]["resource"]["bellwether.kind"] == "failed_run"


def test_event_waits_until_the_prefect_server_accepts_it(webhook: Webhook, database_url: str) -> None:
    alert = {"kind": "drift", "subject": "x/y", "severity": "warning", "title": "t", "detail": "d"}
    get_store().open_alert({**alert, "look_deeper_sql": "select 1"}, now=datetime.now(UTC))
    state = "select attempts, state, last_error from report.delivery where recipient like 'Prefect%'"
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        check_service.fn()
    assert query(database_url, state) == [(1, "waiting", "Prefect's server does not respond")]
    check_service.fn()
    assert query(database_url, state) == [(2, "delivered", None)]
