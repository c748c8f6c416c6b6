"""Store of this process: the database of `DATABASE_URL` if it is set, else the embedded server, started on demand."""

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd

from model.evaluation import scores
from sql import store
from sql.server import lifecycle as server
from sql.store import ScoreFunctions, Store
from tasks.errors import (
    AlreadyPublishedError,
    BadRequestError,
    BellwetherError,
    DatabaseUnavailableError,
    RunInProgressError,
)
from tasks.settings import Settings, get_settings

SCORE_FUNCTIONS = ScoreFunctions(
    month_scores=scores.month_scores,
    scorecard=scores.scorecard,
    backtest_scorecard=scores.backtest_scorecard,
    windows=[months for months in scores.WINDOWS if months is not None],
)
"""The arithmetic of scores for every store that writes errors: `sql` computes none."""


@contextmanager
def database_errors() -> Iterator[None]:
    """Convert errors of `sql` and of the driver to errors of `tasks.errors`."""
    try:
        yield
    except store.LockLostError as error:
        raise BellwetherError(str(error)) from error
    except store.DRIVER_ERRORS as error:
        raise BellwetherError(store.describe_driver_error(error)) from error
    except (store.StoreUnavailableError, server.ServerError) as error:
        raise DatabaseUnavailableError(str(error)) from error
    except store.AlreadyPublishedError as error:
        raise AlreadyPublishedError(str(error)) from error


def records_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Convert the rows of a frame to dictionaries by column name, nulls as None."""
    rows = frame.astype(object).where(frame.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def database_url(settings: Settings, *, role: str = "owner") -> str:
    """Return the URL of the database with its password, and start the embedded server if necessary.

    Args:
        settings: Home directory or URL of the database.
        role: `owner`, or `analyst` with read access only.

    Raises:
        BadRequestError: if the analyst's URL of an external database is requested: only its administrator knows it.
        DatabaseUnavailableError: if the embedded server does not start.
    """
    with database_errors():
        if settings.database_url is not None:
            if role != "owner":
                raise BadRequestError(
                    "Bellwether has a login for analysts in the embedded database only, and `DATABASE_URL` names "
                    "another one; let its administrator run `create role NAME login password '…' in role "
                    f"{store.READERS}`, and give the analyst the address with that name and password."
                )
            return settings.database_url.get_secret_value()
        before = server.remembered_port(settings.home)
        owner_url = server.start(settings.home)
        after = server.remembered_port(settings.home)
        if before not in (None, after):
            _notice(
                f"The database now uses port {after}, because another program has taken port {before}: "
                "saved addresses need the new one, see `bellwether db url`."
            )
        if role == "owner":
            return owner_url
        server.secure(settings.home)
        return server.url(settings.home, "analyst")


def _notice(sentence: str) -> None:
    """Write a sentence to standard error, where it does not disturb the output of a command."""
    sys.stderr.write(f"bellwether: {sentence}\n")


@functools.cache
def get_store() -> Store:
    """Return the store of this process, and migrate its schema if it is old."""
    settings = get_settings()
    url = database_url(settings)
    with database_errors():
        opened = Store(url, connections=settings.database_connections, score_functions=SCORE_FUNCTIONS)
        if not opened.is_current():
            opened.upgrade()
        if settings.database_url is None:
            with suppress(server.ServerError):  # runs do not depend on the analyst's login
                server.secure(settings.home)
        return opened


def stop_database(settings: Settings, *, force: bool = False) -> bool:
    """Stop the embedded server.

    Args:
        settings: Home directory.
        force: Stop it also while a month is running, which then fails.

    Returns:
        Whether it was running.

    Raises:
        BadRequestError: if `DATABASE_URL` is set.
        RunInProgressError: if a month is running.
    """
    _require_embedded(settings, "stopped")
    if not force:
        _require_no_run(settings, "`bellwether db stop --force` stops the server and fails the run")
    with database_errors():
        return server.stop(settings.home)


def delete_database(settings: Settings) -> list[Path]:
    """Stop the embedded server and delete its database, also if its data outlived a deleted home.

    Returns:
        The deleted folders.

    Raises:
        BadRequestError: if `DATABASE_URL` is set.
        RunInProgressError: if a month is running.
    """
    _require_embedded(settings, "deleted")
    _require_no_run(settings, "`bellwether db stop --force` fails the run")
    with database_errors():
        return server.delete(settings.home)


def _require_embedded(settings: Settings, verb: str) -> None:
    if settings.database_url is not None:
        raise BadRequestError(
            f"Only the embedded database can be {verb}, and `DATABASE_URL` names another one; unset it first."
        )


def _require_no_run(settings: Settings, advice: str) -> None:
    """Raise an error if a month is running; a database that cannot be read has none."""
    with suppress(store.StoreUnavailableError, server.ServerError):
        if not server.is_running(settings.home):
            return
        with Store(server.url(settings.home)) as opened:
            running = [row for row in records_of(opened.read_running_runs()) if row["is_held"]]
        if running:
            run = running[0]
            raise RunInProgressError(
                f"Run {run['run_id']} of {run['universe']} for {pd.Timestamp(run['origin_month']):%Y-%m} is in "
                f"progress; wait until it ends, or {advice}."
            )


def psql_command(settings: Settings) -> tuple[str, dict[str, str]]:
    """Return the path of psql and the environment variables that connect it.

    The password is not part of the command line, which every user of the machine can read.
    """
    url = database_url(settings)
    with database_errors():
        return str(server.psql_path()), Store(url).connection_environment()
