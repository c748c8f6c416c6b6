"""The logins of the embedded server: an analyst can read, and can neither exhaust nor disturb the server.

Every login may change its password and its settings. Those of the shared analyst are therefore set again at every
start, upgrade and request for the address.
"""

from __future__ import annotations

from contextlib import closing

import psycopg2
from psycopg2 import sql

from sql.server.account import ServerError
from sql.server.cluster import DATABASE, LOGINS, Cluster

ANALYST_CONNECTIONS = 10
"""Largest number of connections of the analyst's login, of the 40 of the server."""

_ADVISORY_LOCK = 0x6C6F67696E  # "login"; closed to the analyst

# Large objects have no schema and no owner's grant, and every login may create them. Advisory locks have no limit for a
# login, and fill the memory that all locks share.
_CLOSED_FUNCTIONS = """
select format('revoke execute on function %s from public; grant execute on function %s to {owner}', f, f)
from (
    select oid::regprocedure as f from pg_proc
    where pronamespace = 'pg_catalog'::regnamespace
      and proname ~ '^(lo_|loread$|lowrite$|pg_advisory_|pg_try_advisory_)'
      and has_function_privilege('{analyst}', oid, 'execute')
) functions
"""


def reset_logins(cluster: Cluster, port: int) -> None:
    """Set the rights, limits, settings and password of the analyst's login.

    Args:
        cluster: The cluster; its server runs.
        port: Port of the server.

    Raises:
        ServerError: if the superuser's password is not readable, or was changed.
    """
    analyst, owner = LOGINS["analyst"], LOGINS["owner"]
    try:
        passwords = {name: (cluster.folder / f"{name}.password").read_text() for name in ("postgres", analyst)}
        with (
            closing(
                psycopg2.connect(
                    host="127.0.0.1",
                    port=port,
                    user="postgres",
                    password=passwords["postgres"].strip(),
                    dbname=DATABASE,
                    connect_timeout=10,
                    application_name="bellwether",
                )
            ) as connection,
            connection,
            connection.cursor() as cursor,
        ):
            # One process at a time: concurrent changes of a role fail.
            cursor.execute("set local lock_timeout = '10s'; select pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
            cursor.execute(_CLOSED_FUNCTIONS.format(owner=owner, analyst=analyst))
            for (statement,) in cursor.fetchall():
                cursor.execute(statement)
            # Names of sessions that delay an upgrade, and since when.
            cursor.execute(sql.SQL("grant pg_read_all_stats to {}").format(sql.Identifier(owner)))
            _reset(cursor, analyst, passwords[analyst].strip())
    except OSError as error:
        raise ServerError(f"The passwords in `{cluster.folder}` must be readable: {error}; restore them.") from error
    except psycopg2.Error as error:
        line = str(error).strip().partition("\n")[0]
        raise ServerError(
            f"The login `{analyst}` of the server in `{cluster.folder}` could not be secured: {line}; the password in "
            "`postgres.password` must be that of the superuser."
        ) from error


def _reset(cursor: psycopg2.extensions.cursor, login: str, password: str) -> None:
    name = sql.Identifier(login)
    cursor.execute(
        sql.SQL(
            "alter role {} with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls "
            "connection limit %s valid until 'infinity' password %s"
        ).format(name),
        (ANALYST_CONNECTIONS, password),
    )
    cursor.execute(sql.SQL("alter role {} reset all").format(name))
    cursor.execute(sql.SQL("alter role {} in database {} reset all").format(name, sql.Identifier(DATABASE)))
