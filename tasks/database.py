"""The store of this process: `DATABASE_URL` when it is set, else the embedded server, started on demand."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from model.evaluation import scores
from sql import store
from sql.server import lifecycle as server
from sql.store import ScoreFunctions, Store
from tasks.errors import AlreadyPublishedError, BadRequestError, DatabaseUnavailableError
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
    """Errors of the database's room, as errors of ours: one sentence and an exit code."""
    try:
        yield
    except (store.StoreUnavailableError, server.ServerError) as error:
        raise DatabaseUnavailableError(str(error)) from error
    except store.AlreadyPublishedError as error:
        raise AlreadyPublishedError(str(error)) from error


def records_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows by column name, nulls as None."""
    whole = frame.astype(object).where(frame.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in whole.to_dict("records")]


def database_url(settings: Settings, *, role: str = "owner") -> str:
    """Recipient of the database, with its password; the embedded server is started if need be.

    Args:
        settings: Where it is.
        role: `owner`, or `analyst`, who can only read; an external database knows no `analyst` of ours.
    """
    with database_errors():
        if settings.database_url is not None:
            return settings.database_url.get_secret_value()
        owner_url = server.start(settings.home)
        return owner_url if role == "owner" else server.url(settings.home, "analyst")


@functools.cache
def get_store() -> Store:
    """The store of this process, its schema the newest."""
    settings = get_settings()
    url = database_url(settings)
    with database_errors():
        opened = Store(url, connections=settings.database_connections, score_functions=SCORE_FUNCTIONS)
        if not opened.is_current():
            opened.upgrade()
        return opened


def stop_database(settings: Settings) -> bool:
    """Stop the embedded server; returns whether it was running.

    Raises:
        BadRequestError: if the database is not the embedded one.
    """
    if settings.database_url is not None:
        raise BadRequestError(
            "`DATABASE_URL` is set: that database is not Bellwether's to stop; unset it to stop its own."
        )
    with database_errors():
        return server.stop(settings.home)


def psql_command(settings: Settings) -> tuple[str, dict[str, str]]:
    """Psql's path and the environment that connects it; a command line is for every user of the machine to read."""
    url = database_url(settings)
    with database_errors():
        return str(server.psql_path()), Store(url).connection_environment()
