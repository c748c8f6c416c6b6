"""The run's row in the ledger: opened before the first step, closed by publication or by failure."""

import importlib.metadata
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from prefect.runtime import flow_run
from pydantic_core import to_jsonable_python

from sql.store import Store
from tasks.alerts.messages import failed_run_alert
from tasks.alerts.redaction import describe_error
from tasks.database import database_errors, get_store
from tasks.errors import AlreadyPublishedError, RunInProgressError
from tasks.plans.month import MonthPlan

# Libraries that affect the numbers; recorded with every run and model.
_LIBRARIES = ("bellwether", "tensorflow", "keras", "numpy", "pandas", "scipy", "exchange_calendars")


@dataclass
class OpenRun:
    """A run in progress."""

    run_id: int
    plan: MonthPlan
    outcomes: pd.DataFrame | None = field(default=None, repr=False)
    """Outcomes of the symbols, once they are checked: stored even if the run fails later."""

    def freeze_known_at(self) -> MonthPlan:
        """Set the run's `known_at` to the present: later downloads do not affect this run.

        Returns:
            The plan with its final `known_at`.
        """
        with database_errors():
            self.plan = replace(self.plan, known_at=get_store().freeze_known_at(self.run_id))
        return self.plan


@contextmanager
def open_run(
    store: Store, plan: MonthPlan, parameters: dict[str, Any], *, is_unattended: bool = False
) -> Iterator[OpenRun]:
    """Lock the plan's month, and keep a running row in the ledger, while the block runs.

    If the block fails, the row is closed with the error, and an alert is opened unless an attended run was interrupted.
    If the process is killed, the next run of the month or the service check marks the row as abandoned.

    Args:
        store: The database.
        plan: The month.
        parameters: Parameters of the flow, stored with the run.
        is_unattended: Whether an interruption raises an alert.

    Raises:
        RunInProgressError: if another process is running the same month.
        AlreadyPublishedError: if another process has published it since the plan was made.
    """
    with database_errors(), store.hold_month(plan.key) as is_ours:
        if not is_ours:
            raise RunInProgressError(
                f"The run of {plan.key.universe} for {plan.key.origin_month:%Y-%m} is in progress in another process; "
                "wait until it ends, or see `bellwether status`."
            )
        published = store.find_published(plan.key)
        if published is not None and published["correction"] >= plan.correction:
            raise AlreadyPublishedError(
                f"{plan.key.origin_month:%Y-%m} was published by run {published['run_id']} in the meantime."
            )
        run = OpenRun(
            store.begin_run(
                plan.key,
                correction=plan.correction,
                as_of=plan.as_of,
                known_at=plan.known_at,
                mode=plan.mode,
                symbols_requested=len(plan.instruments),
                flow_run_id=flow_run.get_root_flow_run_id(),  # the id that the failure hooks receive
                parameters=to_jsonable_python(parameters),
                software=software_versions(),
                started_at=plan.known_at,
            ),
            plan,
        )
        try:
            yield run
        except BaseException as error:  # Ctrl-C and Prefect's cancellation included: no row may stay "running"
            with suppress(Exception):  # the first error is the one to report
                _fail(store, run, error, is_unattended=is_unattended)
            raise


def software_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that affect the numbers, by name."""
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **versions}


def _fail(store: Store, run: OpenRun, error: BaseException, *, is_unattended: bool) -> None:
    message = describe_error(error)
    alert = None
    if is_unattended or isinstance(error, Exception):
        alert = failed_run_alert(run.plan.key, message, error, correction=run.plan.correction)
    store.fail_run(run.run_id, message=message, finished_at=datetime.now(UTC), outcomes=run.outcomes, alert=alert)
