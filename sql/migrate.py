"""Upgrade of a database to the newest schema: migrations, comments, views and grants, in one transaction.

Views hold no data. They are dropped and rebuilt after a migration and after any change of `comments/` or `views/`, as
`create or replace` can neither drop nor rename a column. Foreign views in the schema `report` are left alone.
"""

import hashlib
import re
from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from sql.copy import open_cursor
from sql.session.errors import StoreUnavailableError

READERS = "bellwether_reader"
"""Group role of the analysts' logins."""
_HERE = Path(__file__).parent
_ADVISORY_LOCK = 0x62656C6C  # "bell": one upgrade of an empty database at a time
_FINGERPRINT = re.compile(r" \(fingerprint ([0-9a-f]{16})\)$")
_CREATE_VIEW = re.compile(r"^create view report\.(\w+)", re.MULTILINE)
_GRANTS = _HERE / "views" / "90_grants.sql"
_TABLE = "ops.schema_version"
_EARLIER_TABLE = "public.alembic_version"
# Views of releases that stored no names of views.
_EARLIER_VIEWS = frozenset({"address", "drift_check", "drift_month", "watched"})


def newest_revision() -> str:
    """Return the revision that this program requires of a database."""
    head = _steps().get_current_head()
    if head is None:
        raise RuntimeError("`sql/migrations/versions` must contain migrations, but is empty: reinstall Bellwether.")
    return head


def is_current(connection: Connection) -> bool:
    """Return whether migrations, comments, views and grants are the newest; takes a few milliseconds."""
    return _is_built(connection) and find_missing_grants(connection) is None


def find_missing_grants(connection: Connection) -> str | None:
    """Return the name of the group role if it exists and cannot read the views, else None."""
    is_missing = connection.execute(
        text(
            "select not has_schema_privilege(r.oid, 'report', 'usage') or exists ("
            "    select from pg_class c where c.relnamespace = 'report'::regnamespace and c.relkind in ('v', 'm', 'r')"
            "    and pg_has_role(c.relowner, 'usage') and not has_table_privilege(r.oid, c.oid, 'select')"
            ") from pg_roles r where r.rolname = :readers"
        ),
        {"readers": READERS},
    ).scalar()
    return READERS if is_missing else None


def has_readers(connection: Connection) -> bool:
    """Return whether the group role of the analysts exists."""
    statement = text("select exists (select from pg_roles where rolname = :readers)")
    return bool(connection.execute(statement, {"readers": READERS}).scalar())


def upgrade(connection: Connection, revision: str = "head") -> bool:
    """Upgrade the database to `revision`; the caller commits.

    Args:
        connection: In a transaction that has called `lock_upgrades`, as a role that owns the database.
        revision: A revision of `migrations/versions`, or `head`. Comments and views are built only at the head.

    Returns:
        Whether anything changed.

    Raises:
        CommandError: if the database's revision is unknown.
        StoreUnavailableError: if a foreign view has the name of a new one.
    """
    table = _version_table(connection)
    current, newest = _revision(connection), newest_revision()
    target = newest if revision == "head" else revision
    if current not in {None, *_revisions()}:
        raise CommandError(f"unknown revision '{current}'")
    if current == target and (target != newest or is_current(connection)):
        return False
    if _is_built(connection):
        _execute_file(connection, _GRANTS)
        return True
    _drop_views(connection)
    steps = [step for step in _steps().iterate_revisions(target, current or "base") if step.revision != current]
    with Operations.context(MigrationContext.configure(connection)):
        for step in reversed(steps):
            step.module.upgrade()
    if table == _EARLIER_TABLE:
        connection.exec_driver_sql(f"drop table {_EARLIER_TABLE}")
    _store_revision(connection, target)
    if target == newest:
        _build_views(connection)
    return True


def lock_upgrades(connection: Connection) -> None:
    """Wait until no other process upgrades the database, and keep others waiting until the end of the transaction.

    Readers cannot lock the table of the revision. An empty database has none, and no readers.
    """
    locked = None
    while locked != (table := _version_table(connection)):
        if table:
            connection.exec_driver_sql(f"lock table {table} in exclusive mode")
        else:
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        locked = table


@cache
def _steps() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(_HERE / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


def _revisions() -> set[str]:
    return {step.revision for step in _steps().walk_revisions()}


def _is_built(connection: Connection) -> bool:
    return _revision(connection) == newest_revision() and _stored_fingerprint(connection) == _fingerprint()


def _version_table(connection: Connection) -> str:
    """Name the table with the database's revision; "" without one.

    Earlier releases stored it in `public.alembic_version`, which may also belong to another application.
    """
    has_table, has_earlier, has_schemas = connection.exec_driver_sql(
        "select to_regclass('ops.schema_version') is not null, to_regclass('public.alembic_version') is not null, "
        "to_regnamespace('market') is not null"
    ).one()
    if has_table:
        return _TABLE
    if has_earlier and has_schemas:
        stored = connection.exec_driver_sql(f"select version_num from {_EARLIER_TABLE}").scalars().all()
        if len(stored) == 1 and stored[0] in _revisions():
            return _EARLIER_TABLE
    return ""


def _revision(connection: Connection) -> str | None:
    table = _version_table(connection)
    if not table:
        return None
    revision: str | None = connection.exec_driver_sql(f"select * from {table}").scalar()
    return revision


def _store_revision(connection: Connection, revision: str) -> None:
    table = _TABLE
    if connection.exec_driver_sql("select to_regclass('ops.schema_version') is null").scalar():
        table = _EARLIER_TABLE  # the revision of an earlier release
        connection.exec_driver_sql(f"create table if not exists {table} (version_num text primary key)")
    connection.exec_driver_sql(f"delete from {table}")
    connection.execute(text(f"insert into {table} values (:revision)"), {"revision": revision})


def _rebuilt_files() -> list[Path]:
    """Files to execute after the migrations, in order: comments, then views and grants."""
    return [path for folder in ("comments", "views") for path in sorted((_HERE / folder).glob("*.sql"))]


@cache
def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in _rebuilt_files():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _stored_fingerprint(connection: Connection) -> str | None:
    # At the end of the schema's comment: it needs no table and is dropped with the schema.
    comment = connection.execute(text("select obj_description(to_regnamespace('report'), 'pg_namespace')")).scalar()
    match = _FINGERPRINT.search(comment or "")
    return match and match[1]


def _view_names() -> list[str]:
    """Return the names of the views in `views/`, in the order of their creation."""
    return [name for path in _rebuilt_files() for name in _CREATE_VIEW.findall(path.read_text(encoding="utf-8"))]


def _drop_views(connection: Connection) -> None:
    """Drop the views that this or an earlier release has built, the newest first."""
    if connection.exec_driver_sql("select to_regclass('ops.report_view') is null").scalar():
        built = {*_view_names(), *_EARLIER_VIEWS}
    else:
        built = set(connection.exec_driver_sql("select view_name from ops.report_view").scalars())
    views = connection.execute(
        text(
            "select relname, quote_ident(relname) from pg_class "
            "where relnamespace = to_regnamespace('report') and relkind = 'v' order by oid desc"
        )
    ).all()
    for name, quoted in views:
        if name in built:
            # Without cascade: a foreign view on one of these must cause an error, not be dropped. Postgres quoted it.
            connection.exec_driver_sql("drop view report." + quoted)


def _build_views(connection: Connection) -> None:
    names = _view_names()
    taken = connection.execute(
        text("select relname from pg_class where relnamespace = to_regnamespace('report') and relname = any(:names)"),
        {"names": names},
    ).scalars()
    if foreign := sorted(taken):
        raise StoreUnavailableError(
            f"The schema `report` must not contain foreign views with the names of Bellwether's, but contains "
            f"{', '.join(foreign)}: rename them and upgrade again; nothing was changed."
        )
    for path in _rebuilt_files():
        _execute_file(connection, path)
    connection.exec_driver_sql("delete from ops.report_view")
    connection.execute(text("insert into ops.report_view select unnest(cast(:names as text[]))"), {"names": names})
    with open_cursor(connection) as cursor:
        cursor.execute(
            "select format('comment on schema report is %%L', %s::text)",
            (f"Views for analysts. Other schemas are closed to readers. (fingerprint {_fingerprint()})",),
        )
        statement = cursor.fetchone()
        assert statement is not None  # noqa: S101  a select of one row
        cursor.execute(statement[0])


def _execute_file(connection: Connection, path: Path) -> None:
    with open_cursor(connection) as cursor:
        cursor.execute(path.read_text(encoding="utf-8"))
