"""The commands of `bellwether alerts`."""

from typing import Annotated

import typer

from flows.runtime import prepare_prefect
from tasks.settings import get_settings

alerts = typer.Typer(help="Alerts: what is wrong, who was told, and that you know.", no_args_is_help=True)


@alerts.command("list")
def alerts_list(
    everything: Annotated[bool, typer.Option("--all", help="Also those that have cleared.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Alerts to show.")] = 20,
) -> None:
    """Show open alerts with what to do about them, and the addresses they go to."""
    from flows.screen import make_console
    from flows.service_screen import show_alerts
    from tasks.database import database_errors, get_store

    store = get_store()
    with database_errors():
        found = store.read_report("alert_history", is_all=everything, limit=limit)
        addresses = store.read_report("addresses")
    show_alerts(make_console(), found, addresses, is_told=get_settings().alert_urls is not None)


@alerts.command("ack")
def alerts_ack(
    alert_ids: Annotated[list[int], typer.Argument(metavar="ID...", min=1, help="Numbers of alerts.")],
) -> None:
    """Take note of alerts: no reminders from now on. That they clear is told all the same."""
    from tasks.acting import acknowledge

    for line in acknowledge(alert_ids):
        typer.echo(line)


@alerts.command("close")
def alerts_close(
    alert_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="Number of the alert.")],
) -> None:
    """Clear an alert by hand, when what it is about is gone and no run will clear it."""
    from tasks.acting import close

    typer.echo(close(alert_id))


@alerts.command("test")
def alerts_test() -> None:
    """Send a test message to every address of `BELLWETHER_ALERT_URLS` and say what became of it."""
    prepare_prefect(get_settings().home, log_level="CRITICAL")
    from flows.screen import make_console
    from flows.service_screen import show_test
    from tasks.acting import require_all_delivered, test_addresses

    answers = test_addresses(get_settings())
    show_test(make_console(), answers)
    require_all_delivered(answers)


@alerts.command("watched")
def alerts_watched() -> None:
    """Show the universes in regular service and when their next month is due."""
    from flows.screen import make_console
    from flows.service_screen import show_watched
    from tasks.database import database_errors, get_store

    store = get_store()
    with database_errors():
        found = store.read_report("watched")
    show_watched(make_console(), found)


@alerts.command("unwatch")
def alerts_unwatch(
    universe: Annotated[
        str, typer.Argument(metavar="SOURCE/UNIVERSE", help="As `bellwether alerts watched` shows it.")
    ],
) -> None:
    """Take a universe out of regular service: its months are no longer waited for. The next run of it is."""
    from tasks.acting import unwatch

    typer.echo(unwatch(universe))
