"""Who answers for a run: what goes wrong in one that nobody watches becomes an alert, wherever it goes wrong.

A run is watched by the person who typed it: a wrong symbol is one line on the screen, and no alert. A run that a
deployment started, or `--unattended`, has nobody: whatever ends it is an alert, even before the ledger has a row.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import ParamSpec, TypeVar

import pandas as pd
from prefect.runtime import deployment, flow_run

from sql.store import MonthKey, Store
from tasks.alerts.delivery import deliver_alerts, notify_without_database
from tasks.alerts.messages import MISSING_MONTH, unstarted_run_alert
from tasks.calendars import due_days
from tasks.database import database_errors, get_store
from tasks.errors import (
    BadRequestError,
    DatabaseUnavailableError,
    NotEnoughHistoryError,
    PricesIncompleteError,
    RunInProgressError,
)
from tasks.month.run import describe_error, is_recorded
from tasks.plans.month import MonthPlan
from tasks.plans.universe import DEFAULT_EXCHANGE, name_universe
from tasks.progress import log_line
from tasks.settings import get_settings

MONTHS_AHEAD = 24
"""For so many months due dates are written ahead: the database alone knows of a month that nobody ran."""
_REGULAR_WITHIN = timedelta(days=31)  # as `ops.run.is_retrospective` has it

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Duty:
    """What was asked for, and who would notice that it failed."""

    source: str
    universe: str
    is_ad_hoc: bool
    """Its symbols were typed by hand: nobody waits for the next month of them."""
    is_unattended: bool
    due_sessions: int


_on_duty: ContextVar[Duty | None] = ContextVar("on_duty", default=None)


def answered_for(run: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """SendResult for a run, a function of `source`, `symbols`, `universe`, `due_sessions` and `unattended` among others.

    What fails unseen becomes an alert, and at its end everybody is told what they have not been told. Delivery never
    fails a run. A run within a run, as in a catch-up, is answered for by the outer one.
    """
    signature = inspect.signature(run)

    @functools.wraps(run)
    def answered(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        if _on_duty.get() is not None:
            return run(*args, **kwargs)
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        asked = given.arguments
        duty = Duty(
            source=asked["source"].partition(":")[0],
            universe=name_universe(asked["source"], asked["symbols"], asked["universe"]),
            is_ad_hoc=asked["symbols"] is not None,
            is_unattended=asked["unattended"] or deployment.id is not None,
            due_sessions=asked["due_sessions"],
        )
        token = _on_duty.set(duty)
        try:
            result = run(*args, **kwargs)
        except BaseException as error:
            if duty.is_unattended:
                _answer_for(error, duty)
            elif isinstance(error, Exception) and is_recorded(error):
                with suppress(DatabaseUnavailableError):
                    deliver_alerts(get_store(), get_settings())
            raise
        finally:
            _on_duty.reset(token)
        deliver_alerts(get_store(), get_settings())
        return result

    return answered


def is_unattended() -> bool:
    """Whether nobody watches the run under way."""
    duty = _on_duty.get()
    return duty is not None and duty.is_unattended


@contextmanager
def skip_unpublishable(day: date) -> Iterator[None]:
    """Go on, and say so, when the month that ends on `day` lacks prices; unattended, also when it lacks history.

    A person who asks for more months than the source can teach is told so instead.
    """
    try:
        yield
    except (PricesIncompleteError, NotEnoughHistoryError) as error:
        if isinstance(error, NotEnoughHistoryError) and not is_unattended():
            raise
        log_line("warning", f"{day:%Y-%m} was passed over: {error}")


def expect_months(store: Store, plan: MonthPlan) -> None:
    """Wait for the months of a universe in regular service from now on; see `report.monitored_universe`.

    In regular service is what is run for its newest month, by a deployment or from a universe file. Months of the past
    made by hand are not. A month that is published is missing no longer, whatever was said of it.
    """
    duty = _on_duty.get()
    if duty is None:
        return
    with database_errors():
        if plan.published_run_id is not None:
            subject, now = f"{plan.key.source}/{plan.key.universe}", datetime.now(UTC)
            for kind in MISSING_MONTH:
                store.resolve_alert(kind, subject, now=now, origin_month=plan.key.origin_month)
        is_regular = plan.prices.requested_at.date() <= plan.as_of + _REGULAR_WITHIN
        if is_regular and (duty.is_unattended or not duty.is_ad_hoc):
            mics = sorted({each.exchange_mic for each in plan.instruments})
            monitor_universe(store, plan.key, mics, duty.due_sessions)


@contextmanager
def reporting_unreachable() -> Iterator[None]:
    """Tell the recipients when the database cannot be reached: then no row can, and no run will."""
    try:
        yield
    except DatabaseUnavailableError as error:
        notify_without_database(get_settings(), describe_error(error))
        raise


def monitor_universe(store: Store, key: MonthKey, mics: Sequence[str], due_sessions: int) -> None:
    """Put a universe on the watch list, from the key's month on, with the days its next months are due."""
    now = datetime.now(UTC)
    store.monitor_universe(
        key.source,
        key.universe,
        exchange_mics=mics,
        due_sessions=due_sessions,
        origin_month=key.origin_month,
        now=now,
    )
    plan_due_months(store, key, mics, due_sessions, now)


def plan_due_months(store: Store, key: MonthKey, mics: Sequence[str], due_sessions: int, now: datetime) -> None:
    """Write ahead when the months from the key's on are due."""
    first = min(key.origin_month, now.date().replace(day=1))
    months: list[date] = [
        day.date() for day in pd.date_range(first, now.date() + timedelta(days=31 * MONTHS_AHEAD), freq="MS")
    ]
    store.plan_due_months(key.source, key.universe, due_days(mics, months, due_sessions), now=now)


def _answer_for(error: BaseException, duty: Duty) -> None:
    """Raise an alert about a run that failed unseen, unless the ledger has it, and deliver; never raises."""
    settings = get_settings()
    try:
        with database_errors():
            store = get_store()
            if not is_recorded(error) and not isinstance(error, RunInProgressError):
                now = datetime.now(UTC)
                scheduled_for = flow_run.get_scheduled_start_time()
                alert = unstarted_run_alert(duty.source, duty.universe, describe_error(error), scheduled_for)
                store.open_alert(alert, now=now)
                if not isinstance(error, BadRequestError):  # whose universe may be a slip of the pen
                    _expect_unbegun(store, duty, scheduled_for)
        deliver_alerts(store, settings)
    except DatabaseUnavailableError as unreachable:
        notify_without_database(settings, describe_error(unreachable))
    except Exception:  # noqa: S110  the error that led here is the one to report
        pass


def _expect_unbegun(store: Store, duty: Duty, scheduled_for: datetime) -> None:
    """Watch a universe whose first regular run never came as far as a plan; one that is watched is left as it is."""
    watched = store.read_report("monitored_universes")
    if ((watched["source"] == duty.source) & (watched["universe"] == duty.universe)).any():
        return
    month = (pd.Timestamp(scheduled_for.date()).replace(day=1) - pd.DateOffset(months=1)).date()
    key = MonthKey(source=duty.source, universe=duty.universe, origin_month=month)
    monitor_universe(store, key, [DEFAULT_EXCHANGE], duty.due_sessions)
