"""Version and encoding that a server must have."""

import psycopg2

from sql.session.errors import StoreUnavailableError, first_line

OLDEST_VERSION = 16
"""Oldest major version of Postgres with the functions that views and statements use."""
_ENCODING = "UTF8"


def require_server(version: int, encoding: str | None, address: str) -> None:
    """Check a server on connecting, before any statement.

    Args:
        version: Version of the server as a number, such as 160004.
        encoding: Encoding of the database; None if a pooler does not report it.
        address: URL of the database without its password, for the message.

    Raises:
        StoreUnavailableError: if the server is too old, or the database cannot store every character.
    """
    if version < OLDEST_VERSION * 10_000:
        raise StoreUnavailableError(
            f"Bellwether requires PostgreSQL {OLDEST_VERSION} or newer, but the server of the database at {address} is "
            f"PostgreSQL {version // 10_000}.{version % 10_000}: upgrade it, or unset `DATABASE_URL` to use the "
            "embedded server."
        )
    if encoding not in (None, _ENCODING):
        raise StoreUnavailableError(
            f"Bellwether requires a database with the encoding {_ENCODING}, but that at {address} has {encoding}: "
            f"create one with `create database NAME encoding '{_ENCODING}' locale 'C' template template0`."
        )


def require_connection(connection: psycopg2.extensions.connection, address: str) -> None:
    """Check the server of a new connection, see `require_server`, and that it accepts transactions.

    Args:
        connection: The connection, outside of a transaction.
        address: URL of the database without its password, for the message.

    Raises:
        StoreUnavailableError: if the server or a pooler in front of it is unsuitable.
    """
    encoding = connection.get_parameter_status("server_encoding")
    require_server(connection.server_version, encoding, address)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
        connection.commit()
    except psycopg2.OperationalError as error:
        raise StoreUnavailableError(
            f"The database at {address} accepts connections but no transaction: {first_line(error)}; behind a pooler "
            "such as PgBouncer, set `pool_mode` to `transaction` or `session`, or connect to the server directly."
        ) from error
