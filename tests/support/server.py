"""Helpers for tests of real embedded servers: SQL values, processes and removal."""

import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]
import psycopg2
import pytest

import sql
from sql.server import lifecycle as server

ROOT = Path(sql.__file__).parents[1]
IS_ROOT = os.geteuid() == 0
only_as_root = pytest.mark.skipif(not IS_ROOT, reason="only root runs the server under another account")


def query_value(url: str, statement: str) -> Any:
    """First value of the first row, if any."""
    with closing(psycopg2.connect(url, connect_timeout=5)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def superuser_url(home: Path) -> str:
    """URL of the database for the superuser."""
    parts = urlsplit(server.url(home))
    password = (home / "postgres" / "postgres.password").read_text()
    return f"postgresql://postgres:{password}@127.0.0.1:{parts.port}/bellwether"


def postmaster_pid(home: Path) -> int:
    """Process id of the server."""
    return int((server.Cluster.at(home).data / "postmaster.pid").read_text().split("\n")[0])


def spawn(script: str, home: Path) -> subprocess.Popen[str]:
    """Start another Python process that runs `script` with `home` and the server's modules."""
    # From the root of the project: elsewhere `sql` may be another package, such as that of the tests.
    preamble = (
        "import os, sys, pathlib; from sql.server import cluster, initialise, lifecycle as server; "
        "home = pathlib.Path(sys.argv[1])\n"
    )
    command = [sys.executable, "-c", preamble + script, str(home)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    """Output of a process that must succeed."""
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output.strip()


def kill_server(home: Path) -> int:
    """Kill the postmaster by SIGKILL; returns its process id."""
    process = psutil.Process(postmaster_pid(home))
    process.kill()
    process.wait(10)
    return int(process.pid)


def remove(home: Path) -> None:
    """Stop the server of a home and delete its files."""
    cluster = server.Cluster.at(home)
    server.stop(home)
    shutil.rmtree(cluster.data, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)


def reader_url(home: Path, url: str) -> str:
    """URL of a database of the server for the login `analyst`."""
    parts = urlsplit(server.url(home, "analyst"))
    return f"postgresql://{parts.netloc}/{url.rpartition('/')[2]}"
