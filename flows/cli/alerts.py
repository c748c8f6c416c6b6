"""The commands of `bellwether alerts`."""

from typing import Annotated

import typer

from flows.cli.runtime import prepare_prefect
from tasks.settings import get_settings

alerts = typer.Typer(help="Alerts: what is wrong, who was told, and that you know.", no_args_is_help=True)


@alerts.command("list")
def alerts_list(
    everything: Annotated[bool, typer.Option("--all", help="Also those that have cleared.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Alerts to show.")] = 20,
) -> None:
    """Show open alerts with what to do about them, and the recipients they go to."""
    from flows.cli.service_views import show_alerts
    from flows.cli.views import make_console
    from tasks.database import database_errors, get_store

    store = get_store()
    with database_errors():
        found = store.read_report("alert_history", is_all=everything, limit=limit)
        recipients = store.read_report("recipients")
    show_alerts(make_console(), found, recipients, has_recipients=get_settings().alert_urls is not None)


@alerts.command("ack")
def alerts_ack(
    alert_ids: Annotated[list[int], typer.Argument(metavar="ID...", min=1, help="Numbers of alerts.")],
) -> None:
    """Take note of alerts: no reminders from now on. That they clear is told all the same."""
    from tasks.alerts.commands import acknowledge

    for line in acknowledge(alert_ids):
        typer.echo(line)


@alerts.command("close")
def alerts_close(
    alert_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="Number of the alert.")],
) -> None:
    """Clear an alert by hand, when what it is about is gone and no run will clear it."""
    from tasks.alerts.commands import close

    typer.echo(close(alert_id))


@alerts.command("test")
def alerts_test() -> None:
    """Send a test message to every recipient of `BELLWETHER_ALERT_URLS` and say what became of it."""
    prepare_prefect(get_settings().home, log_level="CRITICAL")
    from flows.cli.service_views import show_test
    from flows.cli.views import make_console
    from tasks.alerts.commands import require_all_delivered, test_recipients

    answers = test_recipients(get_settings())
    show_test(make_console(), answers)
    require_all_delivered(answers)


@alerts.command("monitored_universes")
def alerts_monitored() -> None:
    """Show the universes in regular service and when their next month is due."""
    from flows.cli.service_views import show_monitored
    from flows.cli.views import make_console
    from tasks.database import database_errors, get_store

    store = get_store()
    with database_errors():
        found = store.read_report("monitored_universes")
    show_monitored(make_console(), found)


@alerts.command("stop_monitoring")
def alerts_stop_monitoring(
    universe: Annotated[
        str, typer.Argument(metavar="SOURCE/UNIVERSE", help="As `bellwether alerts watched` shows it.")
    ],
) -> None:
    """Take a universe out of regular service: its months are no longer waited for. The next run of it is."""
    from tasks.alerts.commands import stop_monitoring

    typer.echo(stop_monitoring(universe))
