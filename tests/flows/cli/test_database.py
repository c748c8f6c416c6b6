"""The commands of `bellwether db` on an embedded server."""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from sql.server import lifecycle as server
from sql.store import Store
from tests.support.commands import Bellwether, make_bellwether
from tests.support.fixtures import reset_process
from tests.support.publications import KEY, begin
from tests.support.rows import query
from tests.support.server import remove


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home that every account may enter, with a started server; tests leave it usable."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="bellwether-db-"))
    folder.chmod(0o755)
    with Store(server.start(folder)) as store:
        store.upgrade()
    yield folder
    remove(folder)


@pytest.fixture
def command(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Bellwether]:
    """Run a command with the home."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("BELLWETHER_HOME", str(home))
    reset_process()
    run = make_bellwether(monkeypatch, capsys)

    def fresh(*arguments: str) -> tuple[int, str, str]:
        reset_process()
        return run(*arguments)

    yield fresh
    reset_process()
    server.start(home)


def test_db_url_of_the_analyst_can_only_read(command: Bellwether, home: Path) -> None:
    code, output, _ = command("db", "url", "--role", "analyst")
    assert code == 0
    url = output.strip()
    assert urlsplit(url).username == "analyst"
    query(url, "select * from report.run_history")
    query(url, "alter role analyst password 'changed'")
    assert command("db", "url", "--role", "analyst")[0] == 0
    query(url, "select 1")


def test_db_url_of_the_analyst_never_prints_the_owner_of_another_database(
    command: Bellwether, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://owner:s3cret@127.0.0.1:1/db")
    code, output, errors = command("db", "url", "--role", "analyst")
    assert (code, output) == (4, "")
    assert "in role bellwether_reader" in errors
    assert errors.count("\n") == 1
    assert "s3cret" not in errors


def test_db_stop_and_delete_refuse_while_a_month_is_running(command: Bellwether, home: Path) -> None:
    with Store(server.start(home)) as store, store.hold_month(KEY):
        run_id = begin(store)
        for arguments in (("stop",), ("delete", "--yes")):
            code, output, errors = command("db", *arguments)
            assert (code, output) == (8, "")
            assert f"Run {run_id} of test for 2019-12 is in progress; wait until it ends, or `bellwether db" in errors
            assert errors.count("\n") == 1
        assert server.is_running(home)
        assert command("db", "stop", "--force")[:2] == (0, "Stopped.\n")
    assert command("db", "start")[0] == 0
    assert command("db", "stop")[:2] == (0, "Stopped.\n")  # the run's row has no holder
    assert command("db", "stop")[:2] == (0, "The server is not running.\n")


def test_db_start_names_a_port_that_has_moved(command: Bellwether, home: Path) -> None:
    port = urlsplit(server.start(home)).port
    server.stop(home)
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taker.bind(("127.0.0.1", port))
        taker.listen()
        code, output, errors = command("db", "url")
    assert code == 0
    assert urlsplit(output.strip()).port != port
    assert errors.startswith(f"bellwether: The database now uses port {urlsplit(output.strip()).port}, because another")
    assert errors.count("\n") == 1
    assert command("db", "url")[2] == ""


def test_db_upgrade_names_what_readers_lack(command: Bellwether, home: Path) -> None:
    code, output, errors = command("db", "upgrade")
    assert (code, errors) == (0, "")
    assert output.startswith("Up to date at postgresql://bellwether:***@")
    with closing(psycopg2.connect(server.url(home))) as connection, connection, connection.cursor() as cursor:
        cursor.execute("revoke select on report.overdue from bellwether_reader")
    code, output, _ = command("db", "upgrade")
    assert output.startswith("Up to date at ")
    (granted,) = query(server.url(home), "select has_table_privilege('bellwether_reader', 'report.overdue', 'select')")
    assert granted == (True,)


def test_db_delete_requires_consent_and_removes_the_database(command: Bellwether, home: Path) -> None:
    code, _, errors = command("db", "delete")
    assert code == 4
    assert "for good and requires `--yes`" in errors
    assert server.is_running(home)
    assert command("db", "delete", "--yes")[:2] == (0, f"Deleted {home / 'postgres'}\n")
    assert not (home / "postgres").exists()
    assert command("db", "delete", "--yes")[:2] == (0, "There is no database.\n")
