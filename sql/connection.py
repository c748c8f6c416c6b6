"""The base of all verbs: connections, locks, statements with parameters, frames as results, and error messages."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Self

import numpy as np
import pandas as pd
import psycopg2
import sqlalchemy as sa
from psycopg2.errors import DependentObjectsStillExist, LockNotAvailable
from psycopg2.extensions import AsIs, register_adapter
from psycopg2.extensions import cursor as Cursor  # noqa: N812  a class under a lower-case name
from sqlalchemy.exc import ArgumentError, DBAPIError

from sql.copy import copy_out, open_cursor
from sql.queries import statement

# Column types by the type's oid in pg_type. Integers and booleans are converted only if no value is null.
_FRAME_TYPES = {701: "float64", 1082: "datetime64[ns]"}
_FRAME_TYPES_WITHOUT_NULLS = {16: "bool", 20: "int64", 21: "int64", 23: "int64"}

# Frames yield numpy scalars, which the driver cannot adapt.
register_adapter(np.float64, lambda value: AsIs("'NaN'::float8" if np.isnan(value) else repr(float(value))))
register_adapter(np.int64, lambda value: AsIs(int(value)))
register_adapter(np.bool_, lambda value: AsIs(bool(value)))


class StoreUnavailableError(RuntimeError):
    """The database is unreachable or unusable; the message is one sentence without secrets."""


CONNECTIONS = 8
"""Default maximum of open connections: half for transactions, half for locks."""
_WAIT_SECONDS = 600
"""Maximum wait of a thread for a free connection; longer than any transaction."""


class Database:
    """A database with one transaction per verb.

    Args:
        url: URL of the database, `postgresql://user:password@host:port/name`.
        connections: Maximum number of open connections, at least 2. A held lock occupies a connection, so locks have a
            separate pool: threads that hold locks never wait for the transactions of other threads.

    Raises:
        ValueError: if `connections` is below 2.
        StoreUnavailableError: if `url` is invalid.
    """

    def __init__(self, url: str, *, connections: int = CONNECTIONS) -> None:
        if connections < 2:
            raise ValueError(f"`connections` must be at least 2, received {connections}.")
        try:
            parsed = sa.make_url(url)
            if parsed.get_backend_name() in ("postgres", "postgresql"):
                parsed = parsed.set(drivername="postgresql+psycopg2")
            else:
                raise StoreUnavailableError(
                    f"`DATABASE_URL` must start with postgresql://, received {parsed.drivername}://."
                )
            if "@" in (parsed.host or ""):
                # The driver would take the rest of the password for the host, and messages would show it.
                raise StoreUnavailableError(
                    "`DATABASE_URL` must contain only one @: in a password, write %40 for @, %3A for : and %2F for /."
                )
            self._engine, self._lock_engine = (
                sa.create_engine(
                    parsed,
                    pool_pre_ping=True,
                    pool_size=size,
                    max_overflow=0,
                    pool_timeout=_WAIT_SECONDS,
                    # COPY requires UTF-8, for every value of PGCLIENTENCODING.
                    connect_args={"connect_timeout": 10, "application_name": "bellwether", "client_encoding": "utf8"},
                )
                for size in (connections // 2, connections - connections // 2)
            )
            for engine in (self._engine, self._lock_engine):
                sa.event.listen(engine, "connect", _use_session_settings)
        except (ArgumentError, ValueError):
            # The text may contain a password: it is not repeated.
            raise StoreUnavailableError(
                "`DATABASE_URL` must be a URL such as postgresql://user:password@host:5432/name."
            ) from None

    def __repr__(self) -> str:
        return f"Store({self.address})"

    @property
    def address(self) -> str:
        """URL of the database with a masked password."""
        url = self._engine.url
        # The driver also accepts a password in the query part.
        query = {name: "***" if "password" in name else value for name, value in url.query.items()}
        return url.set(drivername="postgresql", query=query).render_as_string(hide_password=True)

    def connection_environment(self) -> dict[str, str]:
        """Return the environment variables that connect psql and pg_dump to this database, including the password."""
        url = self._engine.url
        parts = {
            "PGHOST": url.host,
            "PGPORT": url.port,
            "PGUSER": url.username,
            "PGPASSWORD": url.password,
            "PGDATABASE": url.database,
            **{f"PG{name.upper()}": value for name, value in url.query.items() if isinstance(value, str)},
        }
        return {name: str(value) for name, value in parts.items() if value is not None}

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()
        self._lock_engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        with translate_errors(self.address), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        with self._connection() as connection, open_cursor(connection) as cursor:
            yield cursor

    @contextmanager
    def _hold(self, name: str, *, wait_seconds: float | None = None) -> Iterator[bool]:
        """Lock a name for this process; yields False if another process holds it, after `wait_seconds` if given.

        The lock belongs to a separate connection, so Postgres releases it at the end of the process, even a killed one.
        """
        with translate_errors(self.address):
            connection = self._lock_engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        # Closed instead of returned to the pool: this ends the lock and the timeout.
        try:
            with translate_errors(self.address):
                is_held = _lock(connection, name, wait_seconds)
            yield is_held
        finally:
            # Postgres notices a closed connection later: without this, the next process could find the name locked.
            with suppress(DBAPIError):
                connection.execute(sa.text("select pg_advisory_unlock_all()"))
            connection.invalidate()
            connection.close()

    def _copy_out(self, name: str, types: Mapping[str, str], **parameters: object) -> pd.DataFrame:
        with self._cursor() as cursor:
            return copy_out(cursor, statement(name), parameters, types)

    def _read(self, name: str, **parameters: object) -> pd.DataFrame:
        with self._cursor() as cursor:
            cursor.execute(statement(name), parameters)
            assert cursor.description is not None  # noqa: S101  the statement is a select
            oids = {column.name: column.type_code for column in cursor.description}
            frame = pd.DataFrame(cursor.fetchall(), columns=list(oids))
        types = {name: _FRAME_TYPES[oid] for name, oid in oids.items() if oid in _FRAME_TYPES}
        whole = frame.columns[frame.notna().all()]
        types |= {name: kind for name in whole if (kind := _FRAME_TYPES_WITHOUT_NULLS.get(oids[name]))}
        return frame.astype(types)

    def _read_one(self, name: str, **parameters: object) -> dict[str, Any] | None:
        with self._cursor() as cursor:
            cursor.execute(statement(name), parameters)
            row = cursor.fetchone()
            assert cursor.description is not None  # noqa: S101  the statement is a select
            return None if row is None else dict(zip((c.name for c in cursor.description), row, strict=True))


@contextmanager
def translate_errors(address: str) -> Iterator[None]:
    """Raise errors of connection and schema as `StoreUnavailableError` with one sentence; others pass unchanged.

    Args:
        address: URL of the database without its password, for the message.
    """
    try:
        yield
    except (DBAPIError, psycopg2.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, DependentObjectsStillExist):
            message = (
                f"The schema of the database at {address} could not be upgraded and is unchanged: {first_line(cause)} "
                f"({cause.diag.message_detail}); drop foreign objects, upgrade, and recreate them."
            )
        elif isinstance(cause, psycopg2.ProgrammingError):
            message = (
                f"The database at {address} rejected a statement: {first_line(cause)}; "
                "try `bellwether db upgrade` as the role that owns the database."
            )
        elif isinstance(cause, (psycopg2.OperationalError, psycopg2.InterfaceError)):
            message = f"The database at {address} is unreachable: {first_line(cause)}."
        else:
            raise
        raise StoreUnavailableError(message.replace("\n", "; ")) from error


def _use_session_settings(connection: psycopg2.extensions.connection, _: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement("use_session_settings"))
    connection.commit()  # a rollback would restore the earlier settings


def _lock(connection: sa.Connection, name: str, wait_seconds: float | None) -> bool:
    if wait_seconds is None:
        attempt = sa.text("select pg_try_advisory_lock(hashtextextended(:name, 0))")
        return bool(connection.execute(attempt, {"name": name}).scalar())
    timeout = sa.text("select set_config('lock_timeout', :milliseconds, false)")
    connection.execute(timeout, {"milliseconds": f"{int(wait_seconds * 1000)}"})
    try:
        connection.execute(sa.text("select pg_advisory_lock(hashtextextended(:name, 0))"), {"name": name})
    except DBAPIError as error:
        if isinstance(error.orig, LockNotAvailable):
            return False
        raise
    return True


def first_line(error: BaseException | None) -> str:
    """Return the first line of an error's message."""
    return str(error).strip().partition("\n")[0]


def returned_id(cursor: Cursor) -> int:
    """Return the id of the row that the last statement inserted."""
    row = cursor.fetchone()
    assert row is not None  # noqa: S101  `insert … returning` of one row
    return int(row[0])
