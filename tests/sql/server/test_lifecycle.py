"""Start and stop of the embedded server, including killed servers and taken ports."""

import fcntl
import shutil
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]
import psycopg2
import pytest

from sql.server import account
from sql.server import lifecycle as server
from tests.support.server import (
    finish,
    kill_server,
    only_as_root,
    postmaster_pid,
    query_value,
    remove,
    spawn,
    superuser_url,
)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("server_encoding", "UTF8"),
        ("data_checksums", "on"),
        ("fsync", "on"),
        ("listen_addresses", "127.0.0.1"),
        ("password_encryption", "scram-sha-256"),
        ("timezone", "UTC"),
        ("unix_socket_directories", ""),
        ("jit", "off"),
        ("max_wal_size", "2GB"),
        ("max_connections", "40"),
    ],
)
def test_start_applies_its_settings(running: Path, setting: str, expected: str) -> None:
    assert query_value(superuser_url(running), f"show {setting}") == expected


def test_start_listens_on_loopback_only(running: Path) -> None:
    listening = {c.laddr.ip for c in psutil.Process(postmaster_pid(running)).net_connections() if c.status == "LISTEN"}
    assert listening == {"127.0.0.1"}


def test_url_rejects_an_unknown_role_and_a_stopped_server(running: Path, home: Path) -> None:
    with pytest.raises(ValueError, match="`owner`, `analyst`"):
        server.url(running, "admin")  # type: ignore[arg-type]
    with pytest.raises(account.ServerError, match="start it first"):
        server.url(home)


def test_start_of_a_running_server_needs_no_process_and_no_time(running: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("without /proc, start runs ps")
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        server.start(running)
        seconds.append(time.perf_counter() - begin)
    assert min(seconds) < 0.05


def test_start_keeps_port_and_data_across_restarts(home: Path) -> None:
    """Loose bounds for busy machines: a first start takes about 0.7 s, a restart 0.1 s."""
    assert not server.is_running(home)
    assert server.stop(home) is False
    begin = time.perf_counter()
    url = server.start(home)
    assert time.perf_counter() - begin < 6
    assert server.is_running(home)
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("create table kept as select 3 as n")
    assert server.stop(home) is True
    assert not server.is_running(home)
    assert server.stop(home) is False
    assert (home / "postgres" / "server.log").read_text().rstrip().endswith("database system is shut down")
    begin = time.perf_counter()
    assert server.start(home) == url
    assert time.perf_counter() - begin < 2
    assert query_value(url, "select n from kept") == 3


def test_stop_does_not_wait_for_open_sessions(stopped: Path) -> None:
    with closing(psycopg2.connect(server.start(stopped))) as connection, connection.cursor() as cursor:
        cursor.execute("select 1")
        begin = time.perf_counter()
        assert server.stop(stopped)
        assert time.perf_counter() - begin < 5


def test_server_survives_the_kill_of_its_caller(stopped: Path) -> None:
    process = spawn("server.start(home); os.kill(os.getpid(), 9)", stopped)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert server.is_running(stopped)
    pid = postmaster_pid(stopped)
    assert query_value(server.start(stopped), "select 1") == 1
    assert postmaster_pid(stopped) == pid


def test_start_recovers_from_a_killed_server(stopped: Path) -> None:
    url = server.start(stopped)
    with closing(psycopg2.connect(url)) as open_session:  # its backend must end before the next server starts
        killed = kill_server(stopped)
        assert server.start(stopped) == url
        assert postmaster_pid(stopped) != killed
        assert query_value(url, "select 1") == 1
        with pytest.raises(psycopg2.OperationalError):
            open_session.cursor().execute("select 1")


def test_concurrent_starts_launch_one_server(home: Path) -> None:
    processes = [spawn("print(server.start(home))", home) for _ in range(2)]
    urls = {finish(process) for process in processes}
    assert urls == {server.url(home)}
    assert (home / "postgres" / "server.log").read_text().count("starting PostgreSQL") == 1


def test_start_waits_a_bounded_time_for_the_lock(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LOCK_TIMEOUT_SECONDS", 0.1)
    (home / "postgres").mkdir()
    with (home / "postgres" / "start.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(account.ServerError, match=r"must be free within 0\.1 s"):
            server.start(home)


def test_start_rejects_a_server_of_another_container(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two containers on one volume: the other's process and port are invisible here, but its lock is visible."""
    monkeypatch.setattr(server, "START_TIMEOUT_SECONDS", 0.1)
    (home / "postgres").mkdir()
    with (home / "postgres" / "server.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(account.ServerError, match="another container"):
            server.start(home)


def test_start_uses_a_new_port_while_its_own_is_taken(stopped: Path) -> None:
    old = urlsplit(server.start(stopped)).port
    assert old is not None
    server.stop(stopped)
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taker.bind(("127.0.0.1", old))
        taker.listen()
        url = server.start(stopped)
        assert urlsplit(url).port != old
        assert query_value(url, "select 1") == 1
    server.stop(stopped)
    assert server.start(stopped) == url


def test_start_retries_when_its_port_is_taken_meanwhile(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        choose, offers = server._choose_port, [taker.getsockname()[1]]
        monkeypatch.setattr(server, "_choose_port", lambda files: offers.pop() if offers else choose(files))
        assert query_value(server.start(stopped), "select 1") == 1
        assert not offers


@pytest.mark.parametrize("name", ["a$(touch evil)", 'a"b', "a`id`", "a\\b", "a\nb"])
def test_start_refuses_a_path_with_a_meaning_to_the_shell(open_folder: Path, name: str) -> None:
    begin = time.perf_counter()
    with pytest.raises(account.ServerError, match="must be a path without quotes, ") as error:
        server.start(open_folder / name)
    assert "\n" not in str(error.value)
    assert time.perf_counter() - begin < 10
    assert not (open_folder / name).exists()


@pytest.mark.parametrize("name", ["it's ünusual; & (here) * #1", "50% = half?"])
def test_start_accepts_other_characters_in_the_path(open_folder: Path, name: str) -> None:
    home = open_folder / name
    try:
        assert query_value(server.start(home), "select 1") == 1
    finally:
        remove(home)


def test_delete_removes_the_database_and_keeps_the_home(home: Path) -> None:
    assert server.delete(home) == []
    server.start(home)
    (home / "kept").touch()
    assert server.delete(home) == [home / "postgres"]
    assert not server.is_running(home)
    assert [path.name for path in home.iterdir()] == ["kept"]
    assert query_value(server.start(home), "select 1") == 1


@only_as_root
def test_delete_removes_data_that_outlived_their_home(private_home: Path) -> None:
    """The server still runs."""
    server.start(private_home)
    data = server.Cluster.at(private_home).data
    pid = postmaster_pid(private_home)
    shutil.rmtree(private_home)
    private_home.mkdir(mode=0o700)
    with pytest.raises(account.ServerError, match=r"`bellwether db delete --yes`"):
        server.start(private_home)
    assert server.delete(private_home) == [data]
    assert not data.exists()
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert query_value(server.start(private_home), "select 1") == 1


def test_start_shows_the_end_of_the_log_on_failure(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(server.SETTINGS, "shared_buffers", ("nonsense", "to fail"))
    with pytest.raises(account.ServerError, match='invalid value for parameter "shared_buffers": "nonsense"') as error:
        server.start(stopped)
    for file in (stopped / "postgres").glob("*.password"):
        assert file.read_text() not in str(error.value)
    monkeypatch.undo()
    assert query_value(server.start(stopped), "select 1") == 1


def test_start_rotates_a_large_log(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LOG_ROTATION_BYTES", 10)
    (stopped / "postgres" / "server.log").write_text("an old, long log")
    server.start(stopped)
    assert (stopped / "postgres" / "server.log.1").read_text() == "an old, long log"
    assert "an old" not in (stopped / "postgres" / "server.log").read_text()
