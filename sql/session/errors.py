"""Errors of the database as one sentence without secrets."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2.errors import DependentObjectsStillExist, ReadOnlySqlTransaction
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

DRIVER_ERRORS = (DBAPIError, psycopg2.Error)
"""Errors of the driver, as it and SQLAlchemy raise them."""


class StoreUnavailableError(RuntimeError):
    """The database is unreachable or unusable; the message is one sentence without secrets."""


class LockLostError(RuntimeError):
    """The connection that held a lock has ended; another process may hold the name now."""


@contextmanager
def translate_errors(address: str) -> Iterator[None]:
    """Raise errors of connection and schema as `StoreUnavailableError` with one sentence; others pass unchanged.

    Args:
        address: URL of the database without its password, for the message.

    Raises:
        StoreUnavailableError: if the database is unreachable, read-only, full or has another schema. Rows that break a
            constraint raise the driver's own error, see `describe_driver_error`.
    """
    try:
        yield
    except DRIVER_ERRORS as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, DependentObjectsStillExist):
            message = (
                f"The schema of the database at {address} could not be upgraded and is unchanged: {first_line(cause)} "
                f"({cause.diag.message_detail}); drop foreign objects, upgrade, and recreate them."
            )
        elif isinstance(cause, ReadOnlySqlTransaction):
            message = (
                f"The database at {address} must accept writes, but is read-only: {first_line(cause)}; connect to the "
                "primary server, or unset `default_transaction_read_only`."
            )
        elif isinstance(cause, psycopg2.ProgrammingError):
            message = (
                f"The database at {address} rejected a statement: {first_line(cause)}; "
                "try `bellwether db upgrade` as the role that owns the database."
            )
        elif isinstance(cause, psycopg2.OperationalError) and (cause.pgcode or "").startswith("53"):
            message = (
                f"The database at {address} has too few resources: {first_line(cause)}; "
                "free disk space, memory or connections of its server."
            )
        elif isinstance(cause, (psycopg2.OperationalError, psycopg2.InterfaceError)):
            message = f"The database at {address} is unreachable: {first_line(cause)}."
        else:
            raise
        raise StoreUnavailableError(message.replace("\n", "; ")) from error
    except PoolTimeoutError as error:
        message = f"No connection to the database at {address} became free: raise `BELLWETHER_DATABASE_CONNECTIONS`."
        raise StoreUnavailableError(message) from error


def describe_driver_error(error: BaseException) -> str:
    """Describe an error of `DRIVER_ERRORS` that `translate_errors` passed on, in one sentence."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return f"The database rejected rows: {first_line(cause)}; nothing of this step was stored."


def first_line(error: BaseException | None) -> str:
    """Return the first line of an error's message."""
    return str(error).strip().partition("\n")[0]
