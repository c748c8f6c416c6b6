"""Alerts about unattended commands that fail where no hook of Prefect runs: before, after and without a flow run.

The alert is stored and delivered; without a database it is sent directly. Nothing here imports Prefect, whose failure
may be the reason.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from sql.store import Store
from tasks.alerts.delivery import deliver_alerts, notify_directly, notify_without_database
from tasks.alerts.messages import Alert, failed_check_alert, unstarted_run_alert
from tasks.alerts.redaction import describe_error
from tasks.database import database_errors, get_store
from tasks.errors import DatabaseUnavailableError, RunInProgressError
from tasks.plans.universe import name_universe
from tasks.settings import get_alert_settings

CHECK = "service check"
"""Subject of the alert about a service check that failed."""
_REPORTED = "bellwether_is_reported"  # attribute of an error that a hook has handled


def report_run(error: Exception, source: str, symbols: Sequence[str] | None, universe: str | None) -> None:
    """Raise an alert about an unattended run that failed, unless the hooks of the flow have handled it; never raises.

    Args:
        error: The error that ended the run.
        source: `yahoo`, `file:PATH` or `sample`.
        symbols: Symbols of the request, if given.
        universe: Universe file, if given.
    """
    if not is_reported(error) and not isinstance(error, RunInProgressError):
        name, now = name_universe(source, symbols, universe), datetime.now(UTC)
        _report(error, unstarted_run_alert(source.partition(":")[0], name, describe_error(error), now))


def report_check(error: Exception) -> None:
    """Raise an alert about a service check that failed, unless it was handled; never raises.

    The next check that does not fail clears the alert.
    """
    if not is_reported(error):
        _report(error, failed_check_alert(CHECK, describe_error(error)))


def clear_failed_check(store: Store) -> None:
    """Clear the alert about a failed service check."""
    with database_errors():
        store.resolve_alert("failed_run", CHECK, now=datetime.now(UTC))


def _report(error: Exception, alert: Alert) -> None:
    """Store and deliver an alert about an error, or send it without a database."""
    mark_reported(error)
    settings = get_alert_settings()
    if isinstance(error, DatabaseUnavailableError):
        notify_without_database(settings, describe_error(error))
        return
    try:
        with database_errors():
            store = get_store()
            store.open_alert(alert, now=datetime.now(UTC))
    except Exception:  # the error is the one to report
        notify_directly(settings, alert)
    else:
        deliver_alerts(store, settings)


def mark_reported(error: BaseException | None) -> None:
    """Remember that an alert about an error was raised, or that it needs none."""
    if error is not None:
        setattr(error, _REPORTED, True)


def is_reported(error: BaseException) -> bool:
    """Return whether an error was marked by `mark_reported`."""
    return bool(getattr(error, _REPORTED, False))
