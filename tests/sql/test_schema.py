"""`schema.sql`: equal to the migrated database, loadable, and readable."""

import psycopg2
import pytest

from sql.schema import PATH, dump_schema
from sql.store import Store
from tests.support.rows import query


def test_schema_file_equals_the_migrated_database(store: Store) -> None:
    if dump_schema(store) != PATH.read_text(encoding="utf-8"):
        pytest.fail("sql/schema.sql is outdated: regenerate it with `python -m sql.schema`", pytrace=False)


def test_schema_file_builds_the_same_database(empty_database_url: str) -> None:
    text = PATH.read_text(encoding="utf-8")
    # Functions may refer to tables that follow them.
    query(empty_database_url, f"set check_function_bodies = off; {text}")
    with Store(empty_database_url) as built:
        assert dump_schema(built) == text


def test_schema_file_contains_no_session_settings() -> None:
    lines = PATH.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith(("SET ", "SELECT pg_catalog", "\\", "-- Name:"))] == []


def test_dump_schema_reports_the_error_of_pg_dump(database_url: str) -> None:
    with Store(database_url.rpartition("/")[0] + "/absent") as absent, pytest.raises(RuntimeError, match="absent"):
        dump_schema(absent)
    with pytest.raises(psycopg2.OperationalError):
        query(database_url.rpartition("/")[0] + "/absent", "select 1")
