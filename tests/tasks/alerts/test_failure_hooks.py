"""Tests of the failure hooks with flow runs and states as Prefect passes them; the tests of flows use real runs."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling, Completed, Crashed, Failed, State

from sql.store import MonthKey, Store
from tasks.alerts import failure_hooks
from tasks.alerts.failure_hooks import alert_and_deliver, deliver_pending_alerts
from tasks.database import get_store
from tasks.errors import (
    BadRequestError,
    DatabaseUnavailableError,
    PricesIncompleteError,
    RunInProgressError,
    SourceUnavailableError,
)
from tasks.settings import get_settings
from tests.support.rows import query

KEY = MonthKey(source="sample", universe="sample", origin_month=date(2018, 12, 1))
LEDGER_ALERT = {
    "kind": "coverage",
    "subject": "sample/sample",
    "severity": "critical",
    "title": "No forecast for sample from 2018-12",
    "detail": "1 of 2 symbols do.",
    "look_deeper_sql": "select 1",
}


@flow
def month(
    source: str = "yahoo",
    symbols: list[str] | None = None,
    universe: str | None = None,
    due_sessions: int = 5,
    unattended: bool = False,
) -> None:
    """Stand in for the monthly flow, with the parameters that the hooks read."""


@pytest.fixture(autouse=True)
def deliveries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[list[Any]]:
    """Use an empty database, and record deliveries."""
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", database_url)
    get_settings.cache_clear()
    get_store.cache_clear()
    made: list[Any] = []
    monkeypatch.setattr(failure_hooks, "deliver_alerts", lambda *_: made.append("stored"))
    monkeypatch.setattr(failure_hooks, "notify_without_database", lambda _, message: made.append(message))
    yield made
    get_store().close()
    get_settings.cache_clear()
    get_store.cache_clear()


def flow_run(*, is_deployed: bool = False, **parameters: Any) -> FlowRun:
    return FlowRun(
        id=uuid4(),
        flow_id=uuid4(),
        deployment_id=uuid4() if is_deployed else None,
        expected_start_time=datetime(2026, 11, 3, 11, tzinfo=UTC),
        parameters=parameters,
    )


def failed(error: Exception) -> State[Any]:
    return Failed(message=str(error), data=error)


def begin_run(store: Store, flow_run_id: UUID) -> int:
    now = datetime.now(UTC)
    return store.begin_run(
        KEY,
        correction=0,
        as_of=now.date(),
        known_at=now,
        mode="auto",
        symbols_requested=1,
        flow_run_id=str(flow_run_id),
        parameters={},
        software={},
        started_at=now,
    )


def fail_run(store: Store, flow_run_id: UUID, message: str) -> None:
    store.fail_run(begin_run(store, flow_run_id), message=message, finished_at=datetime.now(UTC), alert=LEDGER_ALERT)


def alerts(database_url: str) -> list[tuple]:
    return query(database_url, "select kind, subject, title, times_seen from ops.alert order by alert_id")


UNSTARTED = ("failed_run", "sample/sample", "A run of sample could not start", 1)


@pytest.mark.parametrize("is_deployed", [True, False])
def test_failed_unattended_run_raises_an_alert(deliveries: list[Any], database_url: str, is_deployed: bool) -> None:
    run = flow_run(is_deployed=is_deployed, source="sample", unattended=not is_deployed)
    alert_and_deliver(month, run, failed(SourceUnavailableError("The source is down")))
    assert alerts(database_url) == [UNSTARTED]
    ((detail,),) = query(database_url, "select detail from ops.alert")
    assert "scheduled for 2026-11-03 11:00 UTC failed before it had a row in `ops.run`. The source is down." in detail
    assert deliveries == ["stored"]
    assert query(database_url, "select universe, next_origin_month from report.monitored_universe") == [
        ("sample", date(2026, 10, 1))
    ]


def test_failed_attended_run_raises_no_alert(deliveries: list[Any], database_url: str) -> None:
    alert_and_deliver(month, flow_run(source="sample"), failed(BadRequestError("No such symbol.")))
    assert (alerts(database_url), deliveries) == ([], [])


@pytest.mark.parametrize("is_deployed", [True, False])
def test_failure_in_the_ledger_raises_no_second_alert(
    store: Store, deliveries: list[Any], database_url: str, is_deployed: bool
) -> None:
    run = flow_run(is_deployed=is_deployed, source="sample")
    fail_run(store, run.id, "1 of 2 symbols do.")
    alert_and_deliver(month, run, failed(PricesIncompleteError("1 of 2 symbols do.")))
    assert [row[0] for row in alerts(database_url)] == ["coverage"]
    assert deliveries == ["stored"]


def test_failure_after_a_skipped_month_raises_an_alert(store: Store, database_url: str) -> None:
    """The ledger has the failure of the skipped month, and not the one that ended the run."""
    run = flow_run(is_deployed=True, source="sample")
    fail_run(store, run.id, "1 of 2 symbols do.")
    alert_and_deliver(month, run, failed(SourceUnavailableError("The source is down.")))
    assert alerts(database_url)[1:] == [UNSTARTED]


def test_invalid_request_is_not_monitored(database_url: str) -> None:
    alert_and_deliver(month, flow_run(is_deployed=True, source="sample"), failed(BadRequestError("No such file.")))
    assert alerts(database_url) == [UNSTARTED]
    assert query(database_url, "select count(*) from report.monitored_universe") == [(0,)]


def test_run_in_progress_raises_no_alert(deliveries: list[Any], database_url: str) -> None:
    alert_and_deliver(month, flow_run(is_deployed=True), failed(RunInProgressError("In progress.")))
    assert (alerts(database_url), deliveries) == ([], ["stored"])


@pytest.mark.parametrize("symbols", ["AAPL", ["AAPL"]])
def test_refused_parameters_of_any_type_are_read(database_url: str, symbols: Any) -> None:
    run = flow_run(is_deployed=True, source="sample", symbols=symbols, due_sessions="many", universe=7)
    alert_and_deliver(month, run, failed(BadRequestError("due_sessions: not a number")))
    assert [row[1] for row in alerts(database_url)] == ["sample/AAPL"]


def test_unknown_parameter_is_named(database_url: str) -> None:
    """The process of such a run crashes, and the worker calls the hook."""
    run = flow_run(is_deployed=True, source="sample", catchup=2)
    alert_and_deliver(month, run, Crashed(message="Process exited with status code: 1."))
    assert "The flow has no parameter catchup." in query(database_url, "select detail from ops.alert")[0][0]


@pytest.mark.parametrize("state", [Crashed(message="Killed."), Cancelling()])
def test_killed_run_is_abandoned_with_one_alert(store: Store, database_url: str, state: State[Any]) -> None:
    run = flow_run(is_deployed=True, source="sample")
    begin_run(store, run.id)
    alert_and_deliver(month, run, state)
    assert query(database_url, "select status from ops.run") == [("abandoned",)]
    assert [row[2] for row in alerts(database_url)] == ["Run 1 of sample from 2018-12 was killed"]


def test_interrupted_run_in_the_ledger_raises_no_second_alert(store: Store, database_url: str) -> None:
    run = flow_run(is_deployed=True, source="sample")
    fail_run(store, run.id, "The run was interrupted.")
    alert_and_deliver(month, run, Crashed(message="Aborted.", data=KeyboardInterrupt()))
    assert len(alerts(database_url)) == 1


def test_interrupted_attended_run_delivers_nothing(deliveries: list[Any], database_url: str) -> None:
    alert_and_deliver(month, flow_run(), Crashed(message="Aborted.", data=KeyboardInterrupt()))
    assert (alerts(database_url), deliveries) == ([], [])


@pytest.mark.parametrize(("is_deployed", "expected"), [(True, ["It is down."]), (False, [])])
def test_unavailable_database_is_notified_if_unattended(
    deliveries: list[Any], monkeypatch: pytest.MonkeyPatch, is_deployed: bool, expected: list[str]
) -> None:
    def fail() -> None:
        raise DatabaseUnavailableError("It is down.")

    with monkeypatch.context() as patch:
        patch.setattr(failure_hooks, "get_store", fail)
        for error in (DatabaseUnavailableError("It is down."), ValueError("bad")):
            deliveries.clear()
            alert_and_deliver(month, flow_run(is_deployed=is_deployed), failed(error))
            assert deliveries == expected


def test_completed_run_delivers(deliveries: list[Any]) -> None:
    deliver_pending_alerts(month, flow_run(), Completed())
    assert deliveries == ["stored"]
