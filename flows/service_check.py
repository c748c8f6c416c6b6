"""Daily service check: killed and stuck runs, overdue months, pending alerts."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from tasks.alerts.delivery import deliver_alerts, notify_of_database_errors
from tasks.alerts.due_months import extend_due_months, find_overdue_months
from tasks.alerts.service_check import (
    ServiceCheckSummary,
    find_killed_runs,
    find_stuck_runs,
    summarise_service_check,
)
from tasks.alerts.unattended import clear_failed_check
from tasks.database import get_store
from tasks.settings import get_settings


@flow(name="check_service")
def check_service(stuck_hours: Annotated[int, Field(ge=1, le=240)] = 12) -> ServiceCheckSummary:
    """Raise alerts about killed runs, stuck runs and overdue months, and deliver all pending alerts.

    Requires only Postgres: `bellwether check-service` calls the function without Prefect. Repeating the check delivers
    nothing twice.

    Args:
        stuck_hours: Hours after which a run that has not ended counts as stuck.

    Returns:
        The state of the service.

    Raises:
        DatabaseUnavailableError: if the database is unavailable; the recipients are notified.
    """
    with notify_of_database_errors():
        store = get_store()
        extend_due_months(store)
        killed = find_killed_runs(store)
        stuck = find_stuck_runs(store, stuck_hours)
        find_overdue_months(store)
        clear_failed_check(store)
        rounds = deliver_alerts(store, get_settings())
        return summarise_service_check(store, killed, stuck, rounds)
