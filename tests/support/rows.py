"""SQL statements for tests, executed without the store."""

from contextlib import closing

import psycopg2


def query(url: str, statement: str) -> list[tuple]:
    """Execute a statement in one transaction and return its rows; an empty list if it returns none."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []
