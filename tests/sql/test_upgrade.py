"""The schema: the same from nothing and from every earlier revision, explained, and closed to those who only read."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pytest

from sql.server import url as server_url
from sql.store import Store, StoreUnavailableError

REVISIONS = sorted(path.stem[:4] for path in (Path(__file__).parents[2] / "sql/migrations/versions").glob("*.sql"))
SCHEMAS = "('market', 'forecast', 'ops', 'report')"


def query(url: str, statement: str) -> list[tuple]:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


def describe(url: str) -> dict[str, list[tuple]]:
    """Everything that makes the schema, in words of Postgres' own."""
    return {
        "columns": query(
            url,
            "select table_schema, table_name, column_name, data_type, is_nullable, column_default, "
            "generation_expression "
            f"from information_schema.columns where table_schema in {SCHEMAS} order by 1, 2, ordinal_position",
        ),
        "constraints": query(
            url,
            "select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint "
            f"where connamespace in (select oid from pg_namespace where nspname in {SCHEMAS}) order by 1, 2",
        ),
        "indexes": query(url, f"select indexdef from pg_indexes where schemaname in {SCHEMAS} order by 1"),
        "views": query(url, f"select viewname, definition from pg_views where schemaname in {SCHEMAS} order by 1"),
        "comments": query(
            url,
            "select objoid::regclass::text, objsubid, description from pg_description "
            "where classoid = 'pg_class'::regclass and objoid in "
            f"(select oid from pg_class where relnamespace::regnamespace::text in {SCHEMAS}) order by 1, 2",
        ),
    }


@pytest.mark.parametrize("revision", REVISIONS)
def test_upgrade_from_every_revision_gives_what_a_new_database_has(
    empty_database_url: str, database_url: str, revision: str
) -> None:
    with Store(empty_database_url) as store:
        store.upgrade(revision)
        assert store.upgrade() or revision == REVISIONS[-1]
        assert store.is_current()
    assert describe(empty_database_url) == describe(database_url)


def test_upgrade_of_the_newest_does_nothing(store: Store) -> None:
    assert store.is_current()
    assert store.upgrade() is False


def test_upgrade_keeps_the_rows_that_are_there(empty_database_url: str) -> None:
    with Store(empty_database_url) as store:
        store.upgrade(REVISIONS[0])
        query(empty_database_url, "insert into market.daily_bar values ('A', '2020-01-02', 1, 2, 1, 2, 5, now())")
        store.upgrade()
    assert query(empty_database_url, "select symbol, close from market.daily_bar") == [("A", 2.0)]


def test_upgrade_rebuilds_views_whose_text_has_changed(store: Store, database_url: str) -> None:
    query(database_url, "comment on schema report is 'What an analyst reads. views 0000000000000000'")
    query(database_url, "drop view report.run_history")
    assert not store.is_current()
    assert store.upgrade() is True
    assert query(database_url, "select count(*) from report.run_history") == [(0,)]


def test_upgrade_refuses_to_drop_a_view_of_somebody_elses(store: Store, database_url: str) -> None:
    query(database_url, "create view public.mine as select * from report.run_history")
    query(database_url, "comment on schema report is 'What an analyst reads. views 0000000000000000'")
    with pytest.raises(StoreUnavailableError, match="other objects depend on it"):
        store.upgrade()
    assert query(database_url, "select count(*) from public.mine") == [(0,)]


def test_upgrade_by_two_at_once_gives_one_schema(empty_database_url: str) -> None:
    def upgrade(_: int) -> bool:
        with Store(empty_database_url) as store:
            return store.upgrade()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(upgrade, range(2))) == [False, True]


def test_every_table_column_and_view_is_explained(database_url: str) -> None:
    bare = query(
        database_url,
        "select c.oid::regclass::text, a.attname from pg_class c "
        "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "where c.relnamespace::regnamespace::text in ('market', 'forecast', 'ops') and c.relkind = 'r' "
        "and col_description(c.oid, a.attnum) is null",
    )
    assert bare == []
    silent = query(
        database_url,
        "select oid::regclass::text from pg_class where relkind in ('r', 'v') and "
        f"relnamespace::regnamespace::text in {SCHEMAS} and obj_description(oid, 'pg_class') is null",
    )
    assert silent == []
    schemas = query(database_url, f"select obj_description(oid) from pg_namespace where nspname in {SCHEMAS}")
    assert all(comment for (comment,) in schemas)


@pytest.fixture
def analyst_url(postgres_home: Path, database_url: str) -> str:
    password = (postgres_home / "postgres" / "analyst.password").read_text().strip()
    address = server_url(postgres_home).rpartition("@")[2].rpartition("/")[0]
    return f"postgresql://analyst:{quote(password, safe='')}@{address}/{database_url.rpartition('/')[2]}"


def test_an_analyst_reads_every_report(analyst_url: str) -> None:
    views = query(analyst_url, "select viewname from pg_views where schemaname = 'report'")
    assert len(views) >= 8
    for (view,) in views:
        query(analyst_url, f"select * from report.{view}")


@pytest.mark.parametrize(
    "statement",
    [
        "select * from market.daily_bar",
        "select * from forecast.forecast",
        "select * from ops.run",
        "delete from report.run_history",
        "create table report.mine (a int)",
        "create table public.mine (a int)",
        "create temporary table mine (a int)",
        "drop view report.scorecard",
    ],
)
def test_an_analyst_can_only_read(analyst_url: str, statement: str) -> None:
    with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.errors.ObjectNotInPrerequisiteState)):
        query(analyst_url, statement)
