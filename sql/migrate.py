"""Brings a database to the newest schema: migrations, then views, then what readers may see, in one transaction.

Views hold no data, so they are dropped and rebuilt whenever a migration ran or a view's text changed:
`create or replace` can neither drop nor rename a column.
"""

import hashlib
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from sql.copy import open_cursor

_HERE = Path(__file__).parent
_ADVISORY_LOCK = 0x62656C6C  # "bell": one upgrade at a time, whoever starts it


def newest_revision() -> str:
    """The revision a database must have for this program."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RuntimeError("sql/migrations/versions holds no step; the installation is incomplete")
    return head


def is_current(connection: Connection) -> bool:
    """Whether the schema and the views are the newest; a few milliseconds."""
    return _revision(connection) == newest_revision() and _views_in_place(connection) == _views_fingerprint()


def upgrade(connection: Connection, revision: str = "head") -> bool:
    """Bring the database to `revision`; the caller commits.

    Args:
        connection: In a transaction, as a role that owns the database.
        revision: A revision of `migrations/versions`, or `head`. Views are only built at the head.

    Returns:
        Whether anything had to be done.
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


def _view_files() -> list[Path]:
    return sorted((_HERE / "views").glob("*.sql"))


def _views_fingerprint() -> str:
    digest = hashlib.sha256()
    for path in _view_files():
        digest.update(path.read_bytes())
    return f"views {digest.hexdigest()[:16]}"


def _views_in_place(connection: Connection) -> str | None:
    # The fingerprint closes the schema's comment: it is gone with the schema and needs no table of its own.
    comment = connection.execute(text("select obj_description(to_regnamespace('report'), 'pg_namespace')")).scalar()
    return None if comment is None else f"views {comment.rpartition('views ')[2]}"


def _drop_views(connection: Connection) -> None:
    names = connection.execute(
        text(
            "select quote_ident(viewname) from pg_views where schemaname = 'report' "
            "order by (select oid from pg_class where oid = to_regclass('report.' || quote_ident(viewname))) desc"
        )
    ).scalars()
    for name in names.all():
        # Not cascade: somebody's own view on ours must be reported, never dropped. The name is quoted by Postgres.
        connection.exec_driver_sql("drop view report." + name)


def _build_views(connection: Connection) -> None:
    with open_cursor(connection) as cursor:
        for path in _view_files():
            cursor.execute(path.read_text(encoding="utf-8"))
        cursor.execute(
            "select format('comment on schema report is %%L', %s::text)",
            (f"What an analyst reads: views only. {_views_fingerprint()}",),
        )
        statement = cursor.fetchone()
        assert statement is not None  # noqa: S101  a select of one row
        cursor.execute(statement[0])
