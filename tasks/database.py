"""Store of this process: the database of `DATABASE_URL` if it is set, else the embedded server, started on demand."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from model.evaluation import scores
from sql import store
from sql.server import lifecycle as server
from sql.store import ScoreFunctions, Store
from tasks.errors import AlreadyPublishedError, BadRequestError, BellwetherError, DatabaseUnavailableError
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
        role: `owner`, or `analyst` with read access only. An external database has one URL for both.

    Raises:
        DatabaseUnavailableError: if the embedded server does not start.
    """
    with database_errors():
        if settings.database_url is not None:
            return settings.database_url.get_secret_value()
        owner_url = server.start(settings.home)
        return owner_url if role == "owner" else server.url(settings.home, "analyst")


@functools.cache
def get_store() -> Store:
    """Return the store of this process, and migrate its schema if it is old."""
    settings = get_settings()
    url = database_url(settings)
    with database_errors():
        opened = Store(url, connections=settings.database_connections, score_functions=SCORE_FUNCTIONS)
        if not opened.is_current():
            opened.upgrade()
        return opened


def stop_database(settings: Settings) -> bool:
    """Stop the embedded server.

    Returns:
        Whether it was running.

    Raises:
        BadRequestError: if `DATABASE_URL` is set.
    """
    if settings.database_url is not None:
        raise BadRequestError(
            "Only the embedded database can be stopped, and `DATABASE_URL` names another one; unset it first."
        )
    with database_errors():
        return server.stop(settings.home)


def psql_command(settings: Settings) -> tuple[str, dict[str, str]]:
    """Return the path of psql and the environment variables that connect it.

    The password is not part of the command line, which every user of the machine can read.
    """
    url = database_url(settings)
    with database_errors():
        return str(server.psql_path()), Store(url).connection_environment()
