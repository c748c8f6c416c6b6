"""The schema: the same from nothing and from every earlier revision, explained, and closed to those who only read."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pytest

from sql.server.lifecycle import url as server_url
from sql.store import Store, StoreUnavailableError
from tests.support.rows import query

ROOT = Path(__file__).parents[2]
REVISIONS = sorted(path.stem[:4] for path in (ROOT / "sql/migrations/versions").glob("*.sql"))
SCHEMAS = "('market', 'forecast', 'ops', 'report')"
OURS_OF_KIND = f"relnamespace::regnamespace::text in {SCHEMAS} and relkind in ('r', 'v')"


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
            f"(select oid from pg_class where relnamespace::regnamespace::text in {SCHEMAS}) "
            "union all select nspname, 0, obj_description(oid, 'pg_namespace') from pg_namespace "
            f"where nspname in {SCHEMAS} order by 1, 2",
        ),
        "rights": query(url, f"select oid::regclass::text, relacl::text from pg_class where {OURS_OF_KIND} order by 1"),
    }


@pytest.mark.parametrize("revision", REVISIONS)
def test_upgrade_from_every_revision_gives_what_a_new_database_has(
    empty_database_url: str, database_url: str, revision: str
) -> None:
    """The newest revision alone has its views built at once; from the earlier ones there is a step to do."""
    with Store(empty_database_url) as store:
        store.upgrade(revision)
        assert store.upgrade() is (revision != REVISIONS[-1])
        assert store.is_current()
    described = describe(empty_database_url)
    assert all(described.values())
    assert described == describe(database_url)


def test_upgrade_again_does_nothing(empty_database_url: str) -> None:
    with Store(empty_database_url) as store:
        for revision in (*REVISIONS, "head"):
            is_last = revision == "head"
            assert store.upgrade(revision) is not is_last
            assert store.upgrade(revision) is False
        assert store.is_current()


def test_upgrade_keeps_the_rows_that_are_there(empty_database_url: str) -> None:
    with Store(empty_database_url) as store:
        store.upgrade("0001")
        query(empty_database_url, "insert into market.daily_bar values ('A', '2020-01-02', 1, 2, 1, 2, 5, now())")
        store.upgrade("0002")
        query(
            empty_database_url,
            "insert into ops.run (source, universe, origin_month, as_of, known_at, mode, symbols_asked, parameters, "
            "software, started_at) "
            "values ('file', 'u', '2020-01-01', '2020-01-31', now(), 'auto', 1, '{}', '{}', now())",
        )
        store.upgrade()
    assert query(
        empty_database_url, "select symbol, session, open, high, low, close, volume from market.daily_bar"
    ) == [("A", date(2020, 1, 2), 1.0, 2.0, 1.0, 2.0, 5)]
    assert query(empty_database_url, "select universe, status from report.run_history") == [("u", "running")]


STALE = "comment on schema report is 'Views for analysts. (fingerprint 0000000000000000)'"


def test_upgrade_rebuilds_views_whose_text_has_changed(store: Store, database_url: str) -> None:
    before = describe(database_url)
    query(database_url, STALE)
    query(database_url, "drop view report.run_history")
    query(database_url, "create view report.of_an_earlier_release as select 1 as one")
    assert not store.is_current()
    assert store.upgrade() is True
    assert store.is_current()
    assert describe(database_url) == before


def test_upgrade_refuses_to_drop_a_view_of_somebody_elses(store: Store, database_url: str) -> None:
    query(database_url, "create view public.mine as select * from report.published_run")
    query(database_url, STALE)
    before = describe(database_url)
    with pytest.raises(StoreUnavailableError) as caught:
        store.upgrade()
    message = str(caught.value)
    assert "view mine depends on view report.published_run" in message
    assert "left as it is" in message
    assert "\n" not in message
    # Views that could be dropped before that one are back, and the next attempt still knows that there is work.
    assert describe(database_url) == before
    assert not store.is_current()
    query(database_url, "drop view public.mine")
    assert store.upgrade() is True


def test_upgrade_refuses_a_schema_newer_than_the_program(store: Store, database_url: str) -> None:
    before = describe(database_url)
    query(database_url, "update alembic_version set version_num = '9999'")
    with pytest.raises(StoreUnavailableError, match="'9999'; it was made by a newer Bellwether"):
        store.upgrade()
    assert describe(database_url) == before


def test_upgrade_by_two_threads_at_once_gives_one_schema(empty_database_url: str, database_url: str) -> None:
    def upgrade(_: int) -> bool:
        with Store(empty_database_url) as store:
            return store.upgrade()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(upgrade, range(2))) == [False, True]
    assert describe(empty_database_url) == describe(database_url)


def test_upgrade_by_two_processes_at_once_gives_one_schema(empty_database_url: str, database_url: str) -> None:
    script = "import sys; from sql.store import Store; sys.stdin.read(); print(Store(sys.argv[1]).upgrade())"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script, empty_database_url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:  # both have their imports to do, and wait for this
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    assert sorted(process.communicate(timeout=60)[0].strip() for process in both) == ["False", "True"]
    assert describe(empty_database_url) == describe(database_url)


def test_every_schema_table_column_and_view_is_explained(database_url: str) -> None:
    silent = query(
        database_url,
        f"select nspname from pg_namespace where nspname in {SCHEMAS} and obj_description(oid, 'pg_namespace') is null "
        "union all select oid::regclass::text from pg_class where relkind in ('r', 'v') and "
        f"relnamespace::regnamespace::text in {SCHEMAS} and obj_description(oid, 'pg_class') is null "
        "union all select format('%s.%s', c.oid::regclass, a.attname) from pg_class c "
        "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "where c.relnamespace::regnamespace::text in ('market', 'forecast', 'ops') and c.relkind = 'r' "
        "and col_description(c.oid, a.attnum) is null",
    )
    assert silent == []


@pytest.fixture
def analyst_url(postgres_home: Path, database_url: str) -> str:
    password = (postgres_home / "postgres" / "analyst.password").read_text().strip()
    address = server_url(postgres_home).rpartition("@")[2].rpartition("/")[0]
    return f"postgresql://analyst:{quote(password, safe='')}@{address}/{database_url.rpartition('/')[2]}"


def test_an_analyst_reads_every_report(analyst_url: str) -> None:
    views = query(analyst_url, "select viewname from pg_views where schemaname = 'report'")
    assert {"latest_forecast", "forecast_vs_actual", "scorecard", "drift_status", "data_quality", "overdue"} < {
        view for (view,) in views
    }
    for (view,) in views:
        query(analyst_url, f"select * from report.{view}")


def test_an_analyst_can_only_read(analyst_url: str, database_url: str) -> None:
    """By trying it, table by table and view by view; a view's own columns could otherwise let a write through."""
    tables = [name for (name,) in query(database_url, f"select oid::regclass::text from pg_class where {OURS_OF_KIND}")]
    assert len(tables) > 20
    statements = [
        *(f"select * from {name}" for name in tables if not name.startswith("report.")),
        *(f"insert into {name} default values" for name in tables),
        *(f"delete from {name}" for name in tables),
        *(f"truncate {name}" for name in tables if not name.startswith("report.")),
        "update report.open_alert set severity = 'warning'",
        "update ops.run set status = 'failed'",
        "create table report.mine (a int)",
        "create view report.mine as select 1 as one",
        "create table public.mine (a int)",
        "create temporary table mine (a int)",
        "create schema mine",
        "drop view report.scorecard",
        "alter view report.scorecard rename to mine",
        "comment on view report.scorecard is 'mine'",
        "set role bellwether",
        "copy (select 1) to program 'true'",
        "select lo_import('/etc/hostname')",
    ]
    assert [statement for statement in statements if not is_refused(analyst_url, statement)] == []


def is_refused(url: str, statement: str) -> bool:
    try:
        query(url, statement)
    except (psycopg2.errors.InsufficientPrivilege, psycopg2.errors.ObjectNotInPrerequisiteState):
        return True
    except psycopg2.errors.FeatureNotSupported:  # no write goes through a view that joins or groups, whoever asks
        return " into report." in statement or " from report." in statement
    return False
