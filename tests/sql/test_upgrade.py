"""Upgrades of databases that others use too: idle analysts, foreign tables and views, roles and search paths."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from sql import store as store_module
from sql.store import Store, StoreUnavailableError
from tests.sql.test_migrate import REVISIONS, STALE, describe
from tests.support.postgres import HOME, superuser_url
from tests.support.rows import query
from tests.support.server import reader_url

ALEMBIC = "create table public.alembic_version (version_num varchar(32) primary key)"


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LOCK_TIMEOUT_SECONDS", 0.4)
    monkeypatch.setattr(store_module, "PAUSE_SECONDS", 0.1)


@pytest.mark.usefixtures("_impatient")
def test_upgrade_names_the_session_that_blocks_it(store: Store, database_url: str) -> None:
    query(database_url, STALE)
    before = describe(database_url)
    reader = reader_url(HOME, database_url)
    with closing(psycopg2.connect(reader, application_name="notebook")) as analyst, analyst.cursor() as cursor:
        cursor.execute("select count(*) from report.run_history")
        words = rf"unchanged: it is in use by pid {analyst.info.backend_pid} \(user analyst, application notebook"
        with pytest.raises(StoreUnavailableError, match=words) as error:
            store.upgrade()
        assert "\n" not in str(error.value)
        query(reader, "select count(*) from report.run_history")  # no reader waits after the last attempt
        assert describe(database_url) == before
    assert store.upgrade() is True
    assert store.is_current()


@pytest.mark.usefixtures("_impatient")
def test_upgrade_succeeds_once_the_session_ends(store: Store, database_url: str) -> None:
    query(database_url, STALE)
    with closing(psycopg2.connect(reader_url(HOME, database_url))) as analyst, analyst.cursor() as cursor:
        cursor.execute("set idle_in_transaction_session_timeout = '600ms'")
        cursor.execute("select count(*) from report.run_history")
        assert store.upgrade() is True


def test_upgrade_moves_the_revision_of_an_earlier_release(empty_database_url: str, database_url: str) -> None:
    with Store(empty_database_url) as store:
        store.upgrade("0011")
        assert query(empty_database_url, "select version_num from public.alembic_version") == [("0011",)]
        store.upgrade()
    assert query(empty_database_url, "select to_regclass('public.alembic_version')") == [(None,)]
    assert query(empty_database_url, "select revision from ops.schema_version") == [(REVISIONS[-1],)]
    assert describe(empty_database_url) == describe(database_url)


@pytest.mark.parametrize("revision", ["0003", "8f2a91c0d4e7"])
def test_upgrade_leaves_the_revision_of_another_application(
    empty_database_url: str, database_url: str, revision: str
) -> None:
    query(empty_database_url, f"{ALEMBIC}; insert into public.alembic_version values ('{revision}')")
    with Store(empty_database_url) as store:
        assert store.upgrade() is True
        assert store.is_current()
        assert store.upgrade() is False
    assert query(empty_database_url, "select version_num from public.alembic_version") == [(revision,)]
    assert describe(empty_database_url) == describe(database_url)


@pytest.mark.parametrize("path", ["''", "market", "elsewhere, public"])
def test_upgrade_is_complete_under_any_search_path(empty_database_url: str, database_url: str, path: str) -> None:
    name = empty_database_url.rpartition("/")[2]
    query(empty_database_url, f"create schema elsewhere; alter database {name} set search_path = {path}")
    with Store(empty_database_url) as store:
        assert store.upgrade() is True
        assert store.is_current()
    query(empty_database_url, f"alter database {name} reset search_path")
    assert describe(empty_database_url) == describe(database_url)


def test_upgrade_leaves_foreign_views_in_the_schema_report(store: Store, database_url: str) -> None:
    query(database_url, "create view report.mine as select 1 as one; create table report.notes (a int)")
    query(database_url, STALE)
    assert store.upgrade() is True
    assert query(database_url, "select one from report.mine") == [(1,)]
    assert query(database_url, "select count(*) from report.notes") == [(0,)]


def test_upgrade_refuses_a_foreign_view_with_a_name_of_ours(store: Store, database_url: str) -> None:
    query(database_url, "drop view report.paper_result; create view report.paper_result as select 1 as one")
    query(database_url, "delete from ops.report_view where view_name = 'paper_result'")
    query(database_url, STALE)
    with pytest.raises(StoreUnavailableError, match=r"must not contain foreign views .*, but contains paper_result: "):
        store.upgrade()
    assert query(database_url, "select one from report.paper_result") == [(1,)]


def test_upgrade_drops_views_of_releases_without_a_record(empty_database_url: str, database_url: str) -> None:
    with Store(empty_database_url) as store:
        store.upgrade("0011")
        query(empty_database_url, "create schema report; create view report.address as select 1 as one")
        query(empty_database_url, "create view report.overdue as select 1 as one")
        query(empty_database_url, "create view report.mine as select 1 as one")
        store.upgrade()
    query(empty_database_url, "drop view report.mine")
    assert describe(empty_database_url) == describe(database_url)


def test_upgrade_of_a_superuser_closes_large_objects(empty_database_url: str) -> None:
    name, reader = empty_database_url.rpartition("/")[2], reader_url(HOME, empty_database_url)
    run_as_superuser(empty_database_url, f"alter database {name} owner to postgres")
    with Store(f"{superuser_url().rpartition('/')[0]}/{name}") as store:
        store.upgrade()
    for statement in ("select lo_create(0)", "select lo_creat(-1)", "select lo_from_bytea(0, 'x')"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            query(reader, statement)
    query(reader, "select * from report.overdue")


@pytest.fixture
def plain_owner_url(empty_database_url: str) -> Iterator[str]:
    """URL of an empty database for an owner without the right to create roles; its server has no reader role."""
    name = empty_database_url.rpartition("/")[2]
    yield empty_database_url
    run_as_superuser(empty_database_url, f"drop owned by readers_of_{name}; drop role readers_of_{name}")


def run_as_superuser(database_url: str, statement: str) -> None:
    query(f"{superuser_url().rpartition('/')[0]}/{database_url.rpartition('/')[2]}", statement)


def test_grants_follow_a_reader_role_that_is_made_later(plain_owner_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another name stands for a server without the role, which all databases of the test run share."""
    role = f"readers_of_{plain_owner_url.rpartition('/')[2]}"
    replace_reader_role(monkeypatch, role)
    with Store(plain_owner_url) as store:
        assert store.upgrade() is True
        assert store.is_current()  # runs need no readers
        hint = store.reader_hint()
        assert hint is not None
        assert f"must run `create role {role} nologin`" in hint
        run_as_superuser(plain_owner_url, f"create role {role} nologin")
        assert not store.is_current()
        assert store.upgrade() is True
        assert store.is_current()
        assert store.reader_hint() is None
        assert query(plain_owner_url, f"select has_table_privilege('{role}', 'report.overdue', 'select')") == [(True,)]
        query(plain_owner_url, f"revoke select on report.overdue from {role}")
        assert not store.is_current()
        assert store.upgrade() is True
        assert store.is_current()


def replace_reader_role(monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    """Give the reader role another name, in the statements too."""
    from sql import migrate

    execute = migrate._execute_file

    class Renamed:
        """A file with the other name in its text."""

        def __init__(self, path: object) -> None:
            self.path = path

        def read_text(self, encoding: str) -> str:
            text: str = self.path.read_text(encoding=encoding)  # type: ignore[attr-defined]
            return text.replace(migrate_readers, role)

    migrate_readers = migrate.READERS
    monkeypatch.setattr(migrate, "READERS", role)
    monkeypatch.setattr(migrate, "_execute_file", lambda connection, path: execute(connection, Renamed(path)))
