"""The account of the embedded server, tested on real servers."""

import os
import pwd
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from sql.server import cluster
from sql.server import lifecycle as server
from tests.support.server import finish, only_as_root, postmaster_pid, query_value, spawn


def test_run_command_drops_the_callers_environment(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGDATA": "/nowhere", "PGPORT": "1", "PGHOST": "example.org", "SMTP_PASSWORD": "hush"}.items():
        monkeypatch.setenv(name, value)
    url = server.start(stopped)
    environment = psutil.Process(postmaster_pid(stopped)).environ()
    assert not {"PGPORT", "PGHOST", "SMTP_PASSWORD"} & environment.keys()
    assert environment.get("PGDATA") != "/nowhere"
    assert query_value(url, "select 1") == 1


@only_as_root
def test_root_runs_the_server_as_nobody(running: Path) -> None:
    assert cluster.Cluster.at(running).data == running / "postgres" / "data"
    process = psutil.Process(postmaster_pid(running))
    nobody = pwd.getpwnam("nobody")
    assert set(process.uids()) == {nobody.pw_uid}
    assert set(process.gids()) == {nobody.pw_gid}


@only_as_root
def test_ordinary_user_runs_the_server(open_folder: Path) -> None:
    """The user may have no access to the interpreter: load modules first, then drop privileges."""
    nobody = pwd.getpwnam("nobody")
    home = open_folder / "ordinary user"
    home.mkdir(mode=0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    script = f"""
cluster.wheel_folder()
os.setgroups([]); os.setgid({nobody.pw_gid}); os.setuid({nobody.pw_uid})
url = server.start(home)
assert server.start(home) == server.url(home) == url
assert server.is_running(home)
print((home / "postgres").stat().st_mode & 0o777, (home / "postgres" / "data").stat().st_uid)
assert server.stop(home)
assert not server.is_running(home)
"""
    assert finish(spawn(script, home)) == f"{0o700} {nobody.pw_uid}"
