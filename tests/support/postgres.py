"""One embedded server per test run and a database per test."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg2

from sql.server import lifecycle as server
from sql.store import Store
from tests.support.session import DIRECTORY, WORKER, locked

HOME = DIRECTORY / "home"
TEMPLATE = "bellwether_template"
_SETTINGS = {
    "max_connections": "200",  # every worker opens pools of connections
    "fsync": "off",  # no test of this server survives a power failure
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",  # databases live for seconds
}
_numbers = itertools.count(1)


def start_server() -> Path:
    """Start the server of the run with an empty template database, if no process has; return its home."""
    ready = HOME / "ready"
    with locked("postgres"):
        if not ready.exists():
            HOME.mkdir()
            HOME.chmod(0o755)
            server.start(HOME)
            _execute(*(f"alter system set {name} = '{value}'" for name, value in _SETTINGS.items()))
            server.stop(HOME)
            server.start(HOME)
            with Store(_create(TEMPLATE, "template0")) as store:
                store.upgrade()
            ready.touch()
    return HOME


def stop_server() -> None:
    """Stop the server of the run, if it was started, and delete its data."""
    data = HOME / "postgres" / "data"
    if data.exists():
        server.stop(HOME)
        shutil.rmtree(data.resolve(), ignore_errors=True)  # may be a link to a directory outside of the home


@contextmanager
def temporary_database(template: str = TEMPLATE) -> Iterator[str]:
    """Create a database and yield its URL for the owner; drop it afterwards.

    Args:
        template: `TEMPLATE` for the latest schema without rows, `template0` for nothing.
    """
    name = f"test_{WORKER}_{next(_numbers)}"
    yield _create(name, template)
    _execute(f"drop database {name} with (force)")


def superuser_url() -> str:
    """URL of the running server for its superuser, the only login that may create databases."""
    password = (HOME / "postgres" / "postgres.password").read_text().strip()
    host = server.url(HOME).rpartition("@")[2].rpartition("/")[0]
    return f"postgresql://postgres:{quote(password, safe='')}@{host}/postgres"


def _create(name: str, template: str) -> str:
    _execute(
        f"create database {name} owner bellwether template {template}",
        f"revoke all on database {name} from public",
        f"grant connect on database {name} to bellwether_reader",
    )
    return f"{server.url(HOME).rpartition('/')[0]}/{name}"


def _execute(*statements: str) -> None:
    with closing(psycopg2.connect(superuser_url())) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
