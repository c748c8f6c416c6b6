"""The commands of `bellwether alerts`."""

from typing import Annotated

import typer

from flows.cli.options import LimitOption
from flows.cli.progress import make_console
from flows.cli.runtime import prepare_prefect
from tasks.settings import get_settings

alerts = typer.Typer(help="Manage alerts, recipients and monitored universes.", no_args_is_help=True)


@alerts.command("list")
def alerts_list(
    everything: Annotated[bool, typer.Option("--all", help="Include cleared alerts.")] = False,
    limit: LimitOption = 20,
) -> None:
    """List open alerts, what to do about them, and the recipients.

    For example:

        bellwether alerts list --all --limit 50
    """
    from flows.cli.service_views import is_notified_elsewhere, show_alerts
    from tasks.database import database_errors, get_store

    store = get_store()
    with database_errors():
        rows = store.read_report("alert_history", is_all=everything, limit=limit)
        recipients = store.read_report("recipients")
    has_recipients = get_settings().alert_urls is not None or is_notified_elsewhere(recipients)
    show_alerts(make_console(), rows, recipients, has_recipients=has_recipients)


@alerts.command("ack")
def alerts_ack(
    alert_ids: Annotated[list[int], typer.Argument(metavar="ID...", min=1, help="Alert numbers.")],
) -> None:
    """Acknowledge alerts: no more reminders. Recipients are still notified when the alerts clear.

    For example:

        bellwether alerts ack 12 13
    """
    from tasks.alerts.commands import acknowledge

    for line in acknowledge(alert_ids):
        typer.echo(line)


@alerts.command("close")
def alerts_close(
    alert_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="Alert number.")],
) -> None:
    """Clear an alert whose cause is fixed but that no run will clear.

    For example:

        bellwether alerts close 12
    """
    from tasks.alerts.commands import close

    typer.echo(close(alert_id))


@alerts.command("test")
def alerts_test() -> None:
    """Send a test message to every recipient in `BELLWETHER_ALERT_URLS` and show the results."""
    prepare_prefect(get_settings().home, log_level="CRITICAL")
    from flows.cli.service_views import show_test
    from tasks.alerts.commands import require_all_delivered, test_recipients

    results = test_recipients(get_settings())
    show_test(make_console(), results)
    require_all_delivered(results)


@alerts.command("monitored")
def alerts_monitored() -> None:
    """List monitored universes and when their next month is due."""
    from flows.cli.service_views import show_monitored
    from tasks.database import database_errors, get_store

    store = get_store()
    with database_errors():
        universes = store.read_report("monitored_universes")
    show_monitored(make_console(), universes)


@alerts.command("stop-monitoring")
def alerts_stop_monitoring(
    universe: Annotated[
        str, typer.Argument(metavar="SOURCE/UNIVERSE", help="As `bellwether alerts monitored` shows it.")
    ],
) -> None:
    """Stop monitoring a universe for overdue months. Its next scheduled run starts monitoring again.

    For example:

        bellwether alerts stop-monitoring yahoo/us_large
    """
    from tasks.alerts.commands import stop_monitoring

    typer.echo(stop_monitoring(universe))
