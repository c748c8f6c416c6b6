"""Files, processes and URLs of a cluster, tested on real servers."""

import hashlib
import os
import pwd
import subprocess
from pathlib import Path

from sql.server import account, cluster
from sql.server import lifecycle as server
from tests.support.server import IS_ROOT, postmaster_pid, query_value


def test_make_url_quotes_passwords(running: Path) -> None:
    file = running / "postgres" / "analyst.password"
    kept = file.read_text()
    try:
        file.write_text("a/b@c:d %")
        assert server.url(running, "analyst").startswith("postgresql://analyst:a%2Fb%40c%3Ad%20%25@127.0.0.1:")
    finally:
        file.write_text(kept)


def test_client_path_returns_an_executable_psql(running: Path) -> None:
    command = [str(cluster.client_path("psql")), "-XAt", "-c", "select 40 + 2", server.url(running)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "42\n"


def test_is_alive_ignores_a_reused_process_id(stopped: Path) -> None:
    url = server.start(stopped)
    file = cluster.Cluster.at(stopped).data / "postmaster.pid"
    lines = file.read_text().split("\n")
    server.stop(stopped)
    # Under the server's account: Postgres itself ignores only the processes of other accounts.
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


def test_is_alive_detects_a_server_started_by_hand(stopped: Path) -> None:
    """Such a server holds no lock of ours: only its process identifies it."""
    files_of = cluster.Cluster.at(stopped)
    command = (files_of.binaries / "pg_ctl", "start", "-D", files_of.data, "-w")
    assert account.run_command(*command, output=subprocess.DEVNULL).returncode == 0
    pid = postmaster_pid(stopped)
    assert query_value(server.start(stopped), "select 1") == 1
    assert postmaster_pid(stopped) == pid
    assert server.stop(stopped)
    assert not server.is_running(stopped)


def test_cluster_of_a_private_home_keeps_its_data_location(private_home: Path) -> None:
    url = server.start(private_home)
    data = cluster.Cluster.at(private_home).data
    if IS_ROOT:
        assert data == cluster.SHARED / hashlib.sha256(os.fsencode(private_home)).hexdigest()[:12]
        assert data.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    else:
        assert data == private_home / "postgres" / "data"
    server.stop(private_home)
    private_home.chmod(0o755)  # later permissions do not change the location of the data
    assert server.start(private_home) == url
    assert cluster.Cluster.at(private_home).data == data
    private_home.chmod(0o700)
