"""Hooks of the monthly flow: alerts about failed unattended runs, and delivery after every run.

An attended run was started by hand, and its errors are on the screen: an invalid request raises no alert. An unattended
run was started by a deployment or with `unattended=True`: every failure raises an alert, also a failure before the run
has a row in the ledger, such as refused parameters.

Prefect calls hooks in the process of the run; in the worker if that process was killed, was cancelled, or could not
bind its parameters. The subflows of a catch-up have no hooks, so a catch-up counts as one run. An error in a hook never
fails the run.
"""

import inspect
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import ParameterBindError, ParameterTypeError, SignatureMismatchError
from prefect.flows import Flow
from prefect.runtime import deployment

from sql.store import Store
from tasks.alerts.delivery import deliver_alerts, notify_without_database
from tasks.alerts.due_months import monitor_unstarted_universe
from tasks.alerts.messages import unstarted_run_alert
from tasks.alerts.redaction import describe_error, redact
from tasks.alerts.service_check import find_killed_runs
from tasks.alerts.unattended import mark_reported
from tasks.database import database_errors, get_store
from tasks.errors import BadRequestError, DatabaseUnavailableError, RunInProgressError
from tasks.plans.universe import name_universe
from tasks.settings import get_settings

# An invalid request may name a universe by mistake, so its months are not monitored.
_INVALID_REQUEST = (BadRequestError, ParameterBindError, ParameterTypeError, SignatureMismatchError)


@dataclass(frozen=True, kw_only=True)
class _Request:
    """The parameters of a flow run that alerts depend on; read before Prefect has validated them."""

    source: str
    universe: str
    due_sessions: Any
    is_unattended: bool
    unknown_parameters: list[str]


def is_unattended(*, unattended: bool) -> bool:
    """Return whether the flow run in progress is unattended.

    Args:
        unattended: The flow's parameter of that name.
    """
    return unattended or deployment.id is not None


def deliver_pending_alerts(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Deliver pending alerts: the hook for completed runs."""
    deliver_alerts(get_store(), get_settings())


def alert_and_deliver(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Raise an alert about an unattended run, then deliver pending alerts: the hook for all other final states.

    No alert is raised if the ledger already has the failure with its own alert. After an attended run, alerts are
    delivered only if the ledger has the failure.
    """
    request, error = _read_request(flow, flow_run), _read_error(state)
    if request.is_unattended:
        try:
            _handle_unattended(request, flow_run, state, error)
        except DatabaseUnavailableError as unavailable:
            notify_without_database(get_settings(), describe_error(unavailable))
        mark_reported(error)
    elif isinstance(error, Exception) and not isinstance(error, DatabaseUnavailableError):
        with suppress(DatabaseUnavailableError), database_errors():
            store = get_store()
            if _is_in_ledger(store, flow_run.id, error):
                deliver_alerts(store, get_settings())


def _handle_unattended(request: _Request, flow_run: FlowRun, state: State[Any], error: BaseException | None) -> None:
    with database_errors():
        store = get_store()
        if not isinstance(error, Exception):
            find_killed_runs(store)
        if not isinstance(error, RunInProgressError) and not _is_in_ledger(store, flow_run.id, error):
            scheduled_for = flow_run.expected_start_time or datetime.now(UTC)
            message = _describe_end(request, state, error)
            store.open_alert(
                unstarted_run_alert(request.source, request.universe, message, scheduled_for), now=datetime.now(UTC)
            )
            if error is not None and not isinstance(error, _INVALID_REQUEST):
                monitor_unstarted_universe(
                    store, request.source, request.universe, int(request.due_sessions), scheduled_for
                )
    deliver_alerts(store, get_settings())


def _read_request(flow: Flow[..., Any], flow_run: FlowRun) -> _Request:
    """Read the parameters of a flow run, which may be of any type, complemented by the flow's defaults."""
    signature = inspect.signature(flow.fn).parameters
    given = {name: parameter.default for name, parameter in signature.items()} | flow_run.parameters
    source, symbols, universe = str(given["source"]), given["symbols"], given["universe"]
    if symbols is not None:
        symbols = [str(symbol) for symbol in symbols] if isinstance(symbols, list) else [str(symbols)]
    return _Request(
        source=source.partition(":")[0],
        universe=name_universe(source, symbols, None if universe is None else str(universe)),
        due_sessions=given["due_sessions"],
        is_unattended=bool(given["unattended"]) or flow_run.deployment_id is not None,
        unknown_parameters=sorted(set(flow_run.parameters) - set(signature)),
    )


def _read_error(state: State[Any]) -> BaseException | None:
    """Return the exception that ended a run; None if the run's process did not leave one."""
    if isinstance(state.data, BaseException):
        return state.data
    if not state.is_failed():
        return None
    error = state.result(raise_on_failure=False)
    return error if isinstance(error, BaseException) else None


def _is_in_ledger(store: Store, flow_run_id: UUID, error: BaseException | None) -> bool:
    """Return whether `ops.run` has the failure of a flow run.

    A catch-up has several rows. The row of an error has its message; an interruption is always in the newest row.
    """
    runs = store.read_report("runs_of_flow_run", flow_run_id=str(flow_run_id))
    if isinstance(error, Exception):
        return bool(((runs["status"] == "failed") & (runs["message"] == describe_error(error))).any())
    return len(runs) > 0 and runs["status"].iloc[-1] != "published"


def _describe_end(request: _Request, state: State[Any], error: BaseException | None) -> str:
    if error is not None:
        return describe_error(error)
    if request.unknown_parameters:
        return f"The flow has no parameter {', '.join(request.unknown_parameters)}."
    return redact(state.message or "The run ended without a message.")
