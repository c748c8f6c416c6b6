"""Upgrades from every revision, comments of all objects, and the permissions of readers."""

import re
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
    """All definitions of the schema, in the representation of Postgres."""
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
def test_upgrade_from_every_revision_equals_a_new_database(
    empty_database_url: str, database_url: str, revision: str
) -> None:
    """Only an upgrade to the newest revision builds the views."""
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


def test_upgrade_keeps_rows(empty_database_url: str) -> None:
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


ROWS_OF_0009 = """
insert into ops.run
    (source, universe, origin_month, as_of, known_at, mode, symbols_asked, parameters, software, started_at)
values ('file', 'u', '2020-01-01', '2020-01-31', now(), 'auto', 3, '{}', '{}', now());
insert into forecast.model_version
    (source, universe, kind, run_id, trained_through, judged_from, judged_through, seed, config, data_fingerprint,
    software, weights, weights_sha256, verdict, verdict_reason, verdict_numbers, created_at)
values ('file', 'u', 'retrain', 1, '2018-01-01', '2018-02-01', '2019-12-01', 1,
    '{"units": 2, "judged_months": 36, "centre_shrinkage": 0.03}',
    '', '{}', '', repeat('0', 64), 'hybrid', '', '[]', now());
insert into forecast.baseline_coefficient values (1, 1, 'centre', 0.01), (1, 1, 'intercept', 0.5);
insert into forecast.candidate values (1, 'retrain', 1, 24, 0.1, 0.2, 0.3, 0.01, true, '');
insert into forecast.watch_reference values (1, 'hybrid', '2019-01-01', 1, 'loss', 3, -0.02);
insert into ops.watched_month values (1, 1, 'loss', 'hybrid', 3, 0.07, 0.01, 0.02, 1);
insert into ops.watched_universe values ('file', 'u', array['XNYS'], 5, '2020-01-01', '2020-02-03', null);
insert into ops.due_month values ('file', 'u', '2020-02-01', '2020-03-06');
insert into ops.address (address_id, address, first_used_at, last_used_at) values ('a', 'json://a', now(), now());
insert into ops.alert (kind, subject, severity, title, detail, look_deeper_sql, opened_at) values
    ('drift', 'file/u', 'warning', '', '',
     'select horizon, value, usual, surprise from report.drift_month where true', now()),
    ('delivery', 'a', 'warning', '', '',
     $$select * from report.delivery where state = 'waiting' and address = 'json://a'$$, now());
insert into ops.delivery (alert_id, address_id, event, attempts, first_attempt_at, last_attempt_at)
values (1, 'a', 'opened', 1, now(), now());
"""


def test_upgrade_from_0009_renames_columns_values_and_queries(empty_database_url: str) -> None:
    with Store(empty_database_url) as store:
        store.upgrade("0009")
        query(empty_database_url, ROWS_OF_0009)
        store.upgrade()
        rows = {
            "select symbols_requested, config from ops.run": (3, None),
            "select holdout_start, holdout_end from forecast.model_version": (date(2018, 2, 1), date(2019, 12, 1)),
            "select config from forecast.model_version": (
                {"units": 2, "holdout_months": 36, "location_shrinkage": 0.03},
            ),
            "select holdout_months from forecast.candidate": (24,),
            "select measure, value from forecast.drift_expectation": ("loss", -0.02),
            "select value, expected, checked_by_run_id from ops.drift_month": (0.07, 0.01, 1),
            "select first_month, monitored_since::date from ops.monitored_universe": (
                date(2020, 1, 1),
                date(2020, 2, 3),
            ),
            "select due_on from ops.due_month": (date(2020, 3, 6),),
            "select recipient_id, recipient from report.recipient": ("a", "json://a"),
            "select recipient, state from report.delivery": ("json://a", "waiting"),
        }
        assert {statement: query(empty_database_url, statement) for statement in rows} == {
            statement: [row] for statement, row in rows.items()
        }
        terms = "select term, value from forecast.baseline_coefficient order by term"
        assert query(empty_database_url, terms) == [("intercept", 0.5), ("location", 0.01)]
        queries = [statement for (statement,) in query(empty_database_url, "select look_deeper_sql from ops.alert")]
        assert len(queries) == 2
        for statement in queries:
            query(empty_database_url, statement)


def test_constraints_follow_the_names_of_tables_and_columns(database_url: str) -> None:
    constraints = query(
        database_url,
        f"select conname from pg_constraint where connamespace::regnamespace::text in {SCHEMAS}",
    )
    old = re.compile("watch|address|judged|_usual_|asked")
    assert [name for (name,) in constraints if old.search(name)] == []


STALE = "comment on schema report is 'Views for analysts. (fingerprint 0000000000000000)'"


def test_upgrade_rebuilds_changed_views(store: Store, database_url: str) -> None:
    before = describe(database_url)
    query(database_url, STALE)
    query(database_url, "drop view report.run_history")
    query(database_url, "create view report.of_an_earlier_release as select 1 as one")
    query(database_url, "insert into ops.report_view values ('of_an_earlier_release')")
    assert not store.is_current()
    assert store.upgrade() is True
    assert store.is_current()
    assert describe(database_url) == before


def test_upgrade_does_not_drop_foreign_views(store: Store, database_url: str) -> None:
    query(database_url, "create view public.mine as select * from report.published_run")
    query(database_url, STALE)
    before = describe(database_url)
    with pytest.raises(StoreUnavailableError) as caught:
        store.upgrade()
    message = str(caught.value)
    assert "view mine depends on view report.published_run" in message
    assert "is unchanged" in message
    assert "\n" not in message
    # The rollback restores dropped views, and the next attempt still upgrades.
    assert describe(database_url) == before
    assert not store.is_current()
    query(database_url, "drop view public.mine")
    assert store.upgrade() is True


def test_upgrade_rejects_a_schema_of_a_newer_release(store: Store, database_url: str) -> None:
    before = describe(database_url)
    query(database_url, "update ops.schema_version set revision = '9999'")
    with pytest.raises(StoreUnavailableError, match=r"belongs to a newer Bellwether: .*'9999'; install"):
        store.upgrade()
    assert describe(database_url) == before


def test_concurrent_upgrades_of_threads_build_one_schema(empty_database_url: str, database_url: str) -> None:
    def upgrade(_: int) -> bool:
        with Store(empty_database_url) as store:
            return store.upgrade()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(upgrade, range(2))) == [False, True]
    assert describe(empty_database_url) == describe(database_url)


def test_concurrent_upgrades_of_processes_build_one_schema(empty_database_url: str, database_url: str) -> None:
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
    for process in both:  # both import first, then wait for this
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    assert sorted(process.communicate(timeout=60)[0].strip() for process in both) == ["False", "True"]
    assert describe(empty_database_url) == describe(database_url)


def test_every_schema_table_view_and_column_has_a_comment(database_url: str) -> None:
    uncommented = query(
        database_url,
        f"select nspname from pg_namespace where nspname in {SCHEMAS} and obj_description(oid, 'pg_namespace') is null "
        "union all select oid::regclass::text from pg_class where relkind in ('r', 'v') and "
        f"relnamespace::regnamespace::text in {SCHEMAS} and obj_description(oid, 'pg_class') is null "
        "union all select format('%s.%s', c.oid::regclass, a.attname) from pg_class c "
        "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "where c.relkind in ('r', 'v') and c.relnamespace::regnamespace::text in "
        f"{SCHEMAS} "
        "and col_description(c.oid, a.attnum) is null",
    )
    assert uncommented == []


def test_comments_of_tables_live_in_the_comment_files(database_url: str) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "sql/comments").glob("*.sql"))
    files = set(re.findall(r"comment on (?:table|column) ([a-z0-9_.]+) is", text))
    database = query(
        database_url,
        "select c.oid::regclass::text || coalesce('.' || a.attname, '') from pg_class c "
        "left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "where c.relkind = 'r' and c.relnamespace::regnamespace::text in ('market', 'forecast', 'ops')",
    )
    tables = {name.rpartition(".")[0] for (name,) in database}
    assert files == {name for (name,) in database} | tables


@pytest.fixture
def analyst_url(postgres_home: Path, database_url: str) -> str:
    password = (postgres_home / "postgres" / "analyst.password").read_text().strip()
    address = server_url(postgres_home).rpartition("@")[2].rpartition("/")[0]
    return f"postgresql://analyst:{quote(password, safe='')}@{address}/{database_url.rpartition('/')[2]}"


def test_analyst_reads_every_view(analyst_url: str) -> None:
    views = query(analyst_url, "select viewname from pg_views where schemaname = 'report'")
    assert {"latest_forecast", "forecast_vs_actual", "scorecard", "drift_status", "data_quality", "overdue"} < {
        view for (view,) in views
    }
    for (view,) in views:
        query(analyst_url, f"select * from report.{view}")


def test_analyst_can_only_read(analyst_url: str, database_url: str) -> None:
    """Every table and view is tried, as Postgres passes writes through simple views."""
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
    assert [statement for statement in statements if not is_rejected(analyst_url, statement)] == []


def is_rejected(url: str, statement: str) -> bool:
    try:
        query(url, statement)
    except (psycopg2.errors.InsufficientPrivilege, psycopg2.errors.ObjectNotInPrerequisiteState):
        return True
    except psycopg2.errors.FeatureNotSupported:  # views with joins or groups reject writes of any role
        return " into report." in statement or " from report." in statement
    return False
