"""How a test asks a database, past the door that it tests."""

from contextlib import closing

import psycopg2


def query(url: str, statement: str) -> list[tuple]:
    """Run a statement in a transaction of its own; its rows, if it gives any."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []
