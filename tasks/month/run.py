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

from model.config import ForecasterConfig
from sql.store import LockLostError, Store
from tasks.alerts.messages import failed_run_alert
from tasks.alerts.redaction import describe_error
from tasks.database import database_errors, get_store
from tasks.errors import AlreadyPublishedError, BellwetherError, RunInProgressError
from tasks.plans.month import MonthPlan

# Libraries that affect the numbers; recorded with every run and model.
_LIBRARIES = ("bellwether", "tensorflow", "keras", "numpy", "pandas", "scipy", "exchange_calendars")


class MonthLostError(BellwetherError):
    """The month's lock was lost during the run; nothing was published. Not worth a retry of a step."""


@dataclass
class OpenRun:
    """A run in progress."""

    run_id: int
    plan: MonthPlan
    outcomes: pd.DataFrame | None = field(default=None, repr=False)
    """Outcomes of the symbols, once they are checked: stored even if the run fails later."""
    is_closed: bool = False
    """Whether the row in the ledger has the failure of the run."""

    def require_lock(self) -> None:
        """Check that this process still holds the month; called between the steps and before the publication.

        Raises:
            MonthLostError: if the connection that held its lock has ended.
        """
        try:
            get_store().require_month(self.plan.key)
        except LockLostError as error:
            raise _month_lost(self.plan) from error

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
    store: Store, plan: MonthPlan, config: ForecasterConfig, parameters: dict[str, Any], *, is_unattended: bool = False
) -> Iterator[OpenRun]:
    """Lock the plan's month, and keep a running row in the ledger, while the block runs.

    If the block fails, the row is closed with the error, and an alert is opened unless an attended run was interrupted.
    If the process is killed, the next run of the month or the service check marks the row as abandoned.

    Args:
        store: The database.
        plan: The month.
        config: The scientific choices, stored with the run.
        parameters: Parameters of the flow, stored with the run.
        is_unattended: Whether an interruption raises an alert.

    Raises:
        RunInProgressError: if another process is running the same month.
        AlreadyPublishedError: if another process has published it since the plan was made.
        MonthLostError: if the connection that holds the lock ends within the block.
    """
    opened = list[OpenRun]()

    def close() -> None:  # at once: the service check must not find a running row without a holder
        for run in opened:
            with suppress(Exception):
                _fail(store, run, _month_lost(plan), is_unattended=is_unattended)

    with database_errors(), store.hold_month(plan.key, on_loss=close) as is_ours:
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
                config=config.to_dict(),
                started_at=plan.known_at,
            ),
            plan,
        )
        opened.append(run)
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


def _month_lost(plan: MonthPlan) -> MonthLostError:
    return MonthLostError(
        f"The run of {plan.key.universe} for {plan.key.origin_month:%Y-%m} published nothing, because the database "
        "connection that held its lock has ended; look for a restart of the server or a time limit of a proxy, and run "
        "the month again."
    )


def _fail(store: Store, run: OpenRun, error: BaseException, *, is_unattended: bool) -> None:
    if run.is_closed:
        return
    message = describe_error(error)
    alert = None
    if is_unattended or isinstance(error, Exception):
        alert = failed_run_alert(run.plan.key, message, error, correction=run.plan.correction)
    store.fail_run(run.run_id, message=message, finished_at=datetime.now(UTC), outcomes=run.outcomes, alert=alert)
    run.is_closed = True
