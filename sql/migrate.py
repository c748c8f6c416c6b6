"""Upgrade of a database to the newest schema: migrations, comments, views and grants, in one transaction.

Views hold no data. They are dropped and rebuilt after a migration and after any change of `comments/` or `views/`, as
`create or replace` can neither drop nor rename a column.
"""

import hashlib
import re
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from sql.copy import open_cursor

_HERE = Path(__file__).parent
_ADVISORY_LOCK = 0x62656C6C  # "bell": one upgrade at a time per database
_FINGERPRINT = re.compile(r" \(fingerprint ([0-9a-f]{16})\)$")


def newest_revision() -> str:
    """Return the revision that this program requires of a database."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RuntimeError("`sql/migrations/versions` must contain migrations, but is empty: reinstall Bellwether.")
    return head


def is_current(connection: Connection) -> bool:
    """Return whether migrations, comments and views are the newest; takes a few milliseconds."""
    return _revision(connection) == newest_revision() and _stored_fingerprint(connection) == _fingerprint()


def upgrade(connection: Connection, revision: str = "head") -> bool:
    """Upgrade the database to `revision`; the caller commits.

    Args:
        connection: In a transaction, as a role that owns the database.
        revision: A revision of `migrations/versions`, or `head`. Comments and views are built only at the head.

    Returns:
        Whether anything changed.
    """
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    if is_current(connection) or _revision(connection) == revision != newest_revision():
        return False
    _drop_views(connection)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    if _revision(connection) == newest_revision():
        _build_views(connection)
    return True


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _rebuilt_files() -> list[Path]:
    """Files to execute after the migrations, in order: comments, then views and grants."""
    return [path for folder in ("comments", "views") for path in sorted((_HERE / folder).glob("*.sql"))]


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


def _drop_views(connection: Connection) -> None:
    names = connection.execute(
        text(
            "select quote_ident(viewname) from pg_views where schemaname = 'report' "
            "order by (select oid from pg_class where oid = to_regclass('report.' || quote_ident(viewname))) desc"
        )
    ).scalars()
    for name in names.all():
        # Without cascade: a foreign view on one of these must cause an error, not be dropped. Postgres quoted the name.
        connection.exec_driver_sql("drop view report." + name)


def _build_views(connection: Connection) -> None:
    with open_cursor(connection) as cursor:
        for path in _rebuilt_files():
            cursor.execute(path.read_text(encoding="utf-8"))
        cursor.execute(
            "select format('comment on schema report is %%L', %s::text)",
            (f"Views for analysts. Other schemas are closed to readers. (fingerprint {_fingerprint()})",),
        )
        statement = cursor.fetchone()
        assert statement is not None  # noqa: S101  a select of one row
        cursor.execute(statement[0])
