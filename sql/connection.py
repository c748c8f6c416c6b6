"""The base of all verbs: connections, locks, statements with parameters, frames as results, and error messages."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Self, cast

import numpy as np
import pandas as pd
import sqlalchemy as sa
from psycopg2 import Error
from psycopg2.extensions import AsIs, register_adapter
from psycopg2.extensions import connection as DriverConnection  # noqa: N812  a class under a lower-case name
from psycopg2.extensions import cursor as Cursor  # noqa: N812  a class under a lower-case name
from sqlalchemy.exc import ArgumentError

from sql.copy import copy_out, open_cursor
from sql.queries import statement
from sql.session.errors import LockLostError, StoreUnavailableError, translate_errors
from sql.session.lock import Lock
from sql.session.requirements import require_connection

# Column types by the type's oid in pg_type. Integers and booleans are converted only if no value is null.
_FRAME_TYPES = {701: "float64", 1082: "datetime64[ns]"}
_FRAME_TYPES_WITHOUT_NULLS = {16: "bool", 20: "int64", 21: "int64", 23: "int64"}

# Frames yield numpy scalars, which the driver cannot adapt.
register_adapter(np.float64, lambda value: AsIs("'NaN'::float8" if np.isnan(value) else repr(float(value))))
register_adapter(np.int64, lambda value: AsIs(int(value)))
register_adapter(np.bool_, lambda value: AsIs(bool(value)))


CONNECTIONS = 8
"""Default maximum of open connections: half for transactions, half for locks."""
_WAIT_SECONDS = 600
"""Maximum wait of a thread for a free connection; longer than any transaction."""
_CONNECT_ARGUMENTS = {
    "connect_timeout": 10,
    "application_name": "bellwether",
    # A firewall or load balancer must not end an idle connection, and a lost one must be noticed; seconds.
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds
}
"""Parameters of every connection that the URL does not set."""


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
            arguments = {name: value for name, value in _CONNECT_ARGUMENTS.items() if name not in parsed.query}
            self._engine, self._lock_engine = (
                sa.create_engine(
                    parsed,
                    isolation_level="READ COMMITTED",  # for every default of the database
                    pool_pre_ping=True,
                    pool_size=size,
                    max_overflow=0,
                    pool_timeout=_WAIT_SECONDS,
                    # COPY requires UTF-8, for every value of PGCLIENTENCODING.
                    connect_args=arguments | {"client_encoding": "utf8"},
                )
                for size in (connections // 2, connections - connections // 2)
            )
            self._locks: dict[str, Lock] = {}
            for engine in (self._engine, self._lock_engine):
                # First: SQLAlchemy sends statements on connecting.
                sa.event.listen(
                    engine, "connect", lambda opened, _: require_connection(opened, self.address), insert=True
                )
            sa.event.listen(self._engine, "begin", _begin)
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
    def _hold(
        self, name: str, *, wait_seconds: float | None = None, on_loss: Callable[[], None] | None = None
    ) -> Iterator[bool]:
        """Lock a name for this process; yields False if another process holds it, after `wait_seconds` if given.

        The lock belongs to a separate connection, so Postgres releases it at the end of the process, even a killed one.

        Args:
            name: The name.
            wait_seconds: Longest wait for another holder.
            on_loss: Called from another thread if the connection ends within the block.
        """
        with translate_errors(self.address):
            connection = self._lock_engine.raw_connection()
        try:
            lock = Lock(cast("DriverConnection", connection.driver_connection), name, on_loss=on_loss)
            with translate_errors(self.address):
                is_ours = lock.take(wait_seconds)
            if is_ours:
                self._locks[name] = lock
            try:
                yield is_ours
            finally:
                if is_ours:
                    del self._locks[name]
                with suppress(Error):
                    lock.release()
        finally:
            connection.invalidate()  # closed, so that it takes no connection of the server while no lock is held
            connection.close()

    def _require_lock(self, name: str) -> None:
        """Check that this process still holds a name of `_hold`.

        Raises:
            LockLostError: if it does not.
        """
        lock = self._locks.get(name)
        if lock is None or not lock.is_held():
            raise LockLostError(f"The database connection that held the lock of {name} has ended.")

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


def _begin(connection: sa.Connection) -> None:
    with open_cursor(connection) as cursor:
        cursor.execute(statement("use_settings"))


def returned_id(cursor: Cursor) -> int:
    """Return the id of the row that the last statement inserted."""
    row = cursor.fetchone()
    assert row is not None  # noqa: S101  `insert … returning` of one row
    return int(row[0])
