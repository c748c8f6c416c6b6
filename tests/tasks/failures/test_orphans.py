"""Processes and directories that a killed command left behind."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tasks.failures.orphans import Orphan, find_orphans, mark_children, remove_orphans, scratch_directory

ROOT = Path(__file__).resolve().parents[3]
_COMMAND = """
import os, subprocess, sys, time
from pathlib import Path
from tasks.failures.orphans import mark_children, scratch_directory
home = Path(sys.argv[1])
mark_children(home)
# The name of Prefect's server is part of the command line; `other` is a program that is none of ours.
server = [sys.executable, "-c", "import time; time.sleep(600)"]
pids = [subprocess.Popen([*server, name]).pid for name in ("prefect.server.api.server", "other")]
with scratch_directory(home) as directory:
    (directory / "x").touch()
    print(*pids, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def command(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Start a command with two child processes."""
    process = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    yield process, pids
    process.kill()
    process.wait()
    process.stdout.close()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_orphans_of_a_killed_command_are_removed(
    command: tuple[subprocess.Popen[str], list[int]], tmp_path: Path
) -> None:
    process, (server, other) = command
    assert find_orphans(tmp_path) == []  # its command lives
    assert remove_orphans(tmp_path) == 0
    assert len(list((tmp_path / "scratch").iterdir())) == 1
    process.kill()
    process.wait()
    assert find_orphans(tmp_path / "elsewhere") == []
    assert [orphan.pid for orphan in find_orphans(tmp_path)] == [server]
    assert remove_orphans(tmp_path) == 1
    assert not psutil.pid_exists(server) or psutil.Process(server).status() == "zombie"
    assert psutil.pid_exists(other)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert remove_orphans(tmp_path) == 0


def test_reused_process_id_is_not_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Between the search and the signal, the id may have become that of another process."""
    monkeypatch.setattr("tasks.failures.orphans.find_orphans", lambda home: [Orphan(os.getpid(), "1")])
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a signal was sent"))
    assert remove_orphans(tmp_path) == 1


def test_scratch_directory_is_deleted_at_the_end(tmp_path: Path) -> None:
    with scratch_directory(tmp_path) as directory:
        assert directory.is_dir()
        remove_orphans(tmp_path)
        assert directory.is_dir()
    assert not directory.exists()


def test_mark_names_the_process_and_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BELLWETHER_STARTED_BY", "")
    mark_children(tmp_path)
    assert os.environ["BELLWETHER_STARTED_BY"].startswith(f"{os.getpid()}:")
    assert os.environ["BELLWETHER_STARTED_BY"].endswith(f"@{tmp_path}")
