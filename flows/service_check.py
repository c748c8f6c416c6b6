"""The daily watch: has every run ended, is every month there, and does everybody know?"""

from typing import Annotated

from prefect import flow
from pydantic import Field

from tasks.alerts.delivery import deliver_alerts
from tasks.alerts.duty import reporting_unreachable
from tasks.alerts.service_check import (
    ServiceCheckSummary,
    extend_due_months,
    find_killed_runs,
    find_overdue,
    summarise_service_check,
)
from tasks.database import get_store
from tasks.settings import get_settings


@flow(name="check_service")
def check_service(stuck_hours: Annotated[int, Field(ge=1, le=240)] = 12) -> ServiceCheckSummary:
    """Look for runs that were killed or do not end and for months that are overdue, and deliver what there is to tell.

    Needs Postgres alone; `bellwether watch` calls it without Prefect. Running it again tells nothing twice.

    Args:
        stuck_hours: A run that has not ended after so many hours is an alert.

    Returns:
        How things stand.

    Raises:
        DatabaseUnavailableError: if the database cannot be reached, which the addresses are told of.
    """
    with reporting_unreachable():
        store = get_store()
        extend_due_months(store)
        found = find_killed_runs(store, stuck_hours)
        find_overdue(store)
        rounds = deliver_alerts(store, get_settings())
        return summarise_service_check(store, found, rounds)
