"""The commands of `bellwether db`."""

import os
from typing import Annotated

import typer

from flows.cli.options import RoleOption
from tasks.errors import BadRequestError
from tasks.settings import get_settings

db = typer.Typer(help="Manage the database: the embedded server, or the one in `DATABASE_URL`.", no_args_is_help=True)


@db.command("url")
def db_url(role: RoleOption = "owner") -> None:
    """Print the database URL, including the password.

    The analyst's URL can only read. In the database of `DATABASE_URL`, the administrator makes a login for analysts.

    For example:

        psql "$(bellwether db url)"
    """
    from tasks.database import database_url

    address = database_url(get_settings(), role=role)
    if role == "analyst":
        _upgraded_address()
    typer.echo(address)


@db.command("shell", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def db_shell(context: typer.Context) -> None:
    """Open psql. Further arguments are passed to it.

    For example:

        bellwether db shell -c "select * from report.run_history"
    """
    from tasks.database import psql_command

    program, environment = psql_command(get_settings())
    os.execve(program, [program, *context.args], {**os.environ, **environment})  # noqa: S606  our own binary, no shell


@db.command("start")
def db_start() -> None:
    """Start the embedded server and upgrade its schema."""
    typer.echo(f"Running at {_upgraded_address()}")


@db.command("stop")
def db_stop(
    force: Annotated[
        bool, typer.Option("--force", help="Stop it also while a month is running, which then fails.")
    ] = False,
) -> None:
    """Stop the embedded server, unless a month is running."""
    from tasks.database import stop_database

    typer.echo("Stopped." if stop_database(get_settings(), force=force) else "The server is not running.")


@db.command("delete")
def db_delete(
    yes: Annotated[bool, typer.Option("--yes", help="Confirm the deletion; required.")] = False,
) -> None:
    """Delete the embedded database: all prices, models and forecasts of the home.

    Refused while a month is running. Also deletes data in /var/lib/bellwether of a home that no longer exists.

    For example:

        bellwether db delete --yes
    """
    from tasks.database import delete_database

    if not yes:
        raise BadRequestError(
            f"`bellwether db delete` deletes the database of {get_settings().home} for good and requires `--yes`."
        )
    deleted = delete_database(get_settings())
    typer.echo("\n".join(f"Deleted {path}" for path in deleted) or "There is no database.")


@db.command("upgrade")
def db_upgrade() -> None:
    """Upgrade tables, views and readers' grants to the latest version. All rows are kept."""
    from tasks.database import database_errors, get_store

    with database_errors():
        store = get_store()
        hint = store.reader_hint()
    if hint is None:
        typer.echo(f"Up to date at {store.address}")
    else:
        typer.echo(f"Tables and views at {store.address} are the newest.")
        typer.echo(f"bellwether: {hint}", err=True)


def _upgraded_address() -> str:
    """Start the server if necessary, upgrade the schema, and return the address without the password."""
    from tasks.database import get_store

    return get_store().address
