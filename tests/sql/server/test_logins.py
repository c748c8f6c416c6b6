"""What the analyst's login of the embedded server can do, and what is set again."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg2
import pytest

from sql.server import lifecycle as server
from sql.server.logins import ANALYST_CONNECTIONS
from tests.support.server import query_value


@pytest.mark.parametrize(
    "statement",
    [
        "select lo_create(0)",
        "select lo_creat(-1)",
        "select lo_from_bytea(0, 'x')",
        "select lo_put(1, 0, 'x')",
        "select lo_unlink(1)",
        "select lo_open(1, 131072)",
        "select pg_advisory_lock(1)",
        "select pg_try_advisory_lock(1, 2)",
        "select pg_advisory_xact_lock_shared(1)",
        "create temporary table a (b int)",
        "alter role bellwether password 'x'",
        "alter role analyst connection limit -1",
    ],
)
def test_analyst_cannot(running: Path, statement: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query_value(server.url(running, "analyst"), statement)


def test_owner_may_still_lock(running: Path) -> None:
    assert query_value(server.url(running), "select pg_try_advisory_xact_lock(1)") is True


def test_analyst_cannot_take_all_connections(running: Path) -> None:
    url = server.url(running, "analyst")
    with ExitStack() as stack:
        for _ in range(ANALYST_CONNECTIONS):
            stack.enter_context(closing(psycopg2.connect(url)))
        with pytest.raises(psycopg2.OperationalError, match="too many connections for role"):
            psycopg2.connect(url)
        assert query_value(server.url(running), "select 1") == 1


def test_secure_can_be_called_by_several_processes(running: Path) -> None:
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: server.secure(running), range(12)))
    query_value(server.url(running, "analyst"), "select 1")


@pytest.mark.parametrize(
    "change",
    [
        "alter role analyst password 'x'",
        "alter role analyst password null",
        "alter role analyst set search_path = ''",
        "alter role analyst in database bellwether set statement_timeout = '1ms'",
        "alter role analyst set default_transaction_read_only = on",
    ],
)
def test_secure_resets_what_the_analyst_changed(running: Path, change: str) -> None:
    url = server.url(running, "analyst")
    query_value(url, "select 1")
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(change)
    server.secure(running)
    assert query_value(url, "select current_setting('search_path')") == '"$user", public'
    assert query_value(url, "select current_setting('statement_timeout')") == "0"
    assert query_value(url, "select current_setting('default_transaction_read_only')") == "off"
