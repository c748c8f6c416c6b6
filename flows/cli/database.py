"""The commands of `bellwether db`."""

import os

import typer

from flows.cli.options import RoleOption
from tasks.settings import get_settings

db = typer.Typer(help="Manage the database: the embedded server, or the one in `DATABASE_URL`.", no_args_is_help=True)


@db.command("url")
def db_url(role: RoleOption = "owner") -> None:
    """Print the database URL, including the password.

    For example:

        psql "$(bellwether db url)"
    """
    from tasks.database import database_url

    if role == "analyst":
        _upgraded_address()
    typer.echo(database_url(get_settings(), role=role))


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
def db_stop() -> None:
    """Stop the embedded server."""
    from tasks.database import stop_database

    typer.echo("Stopped." if stop_database(get_settings()) else "The server is not running.")


@db.command("upgrade")
def db_upgrade() -> None:
    """Upgrade tables and views to the latest version. All rows are kept."""
    typer.echo(f"Up to date at {_upgraded_address()}")


def _upgraded_address() -> str:
    """Start the server if necessary, upgrade the schema, and return the address without the password."""
    from tasks.database import get_store

    return get_store().address
