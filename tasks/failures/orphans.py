"""Processes and directories that a killed command left behind: found and removed by the next command of its home.

A command marks its environment, which its child processes inherit: Prefect's temporary server and the workers. The mark
has the process id and start time of the command, so that a reused id is no proof that it lives. Requires `/proc`; on
other systems nothing is removed.
"""

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_VARIABLE = "BELLWETHER_STARTED_BY"
_PROC = Path("/proc")
_PROGRAMS = (b"prefect.server.api.server", b"multiprocessing")
"""Parts of the command lines of processes that may be ended."""
_GRACE_SECONDS = 5.0
_SCRATCH = "scratch"


@dataclass(frozen=True)
class Orphan:
    """A process whose command is gone."""

    pid: int
    start_time: str


def mark_children(home: Path) -> None:
    """Mark this process's environment, and so that of all processes it starts from now on.

    Args:
        home: Home directory of the command.
    """
    os.environ[_VARIABLE] = f"{_own_name()}@{home}"


def find_orphans(home: Path) -> list[Orphan]:
    """Find the processes that a command of a home started and that outlived it."""
    orphans = []
    with contextlib.suppress(OSError):
        for folder in _PROC.iterdir():
            if folder.name.isdecimal() and _is_orphan(folder, home):
                start_time = _start_time(int(folder.name))
                if start_time is not None:
                    orphans.append(Orphan(int(folder.name), start_time))
    return orphans


def remove_orphans(home: Path) -> int:
    """End the orphans of a home, by SIGKILL if they do not end in time, and delete directories of killed commands.

    Returns:
        The number of processes ended.
    """
    orphans = find_orphans(home)
    for orphan in orphans:
        _signal(orphan, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < deadline and any(_start_time(each.pid) == each.start_time for each in orphans):
        time.sleep(0.05)
    for orphan in orphans:
        _signal(orphan, signal.SIGKILL)
    with contextlib.suppress(OSError):
        for folder in (home / _SCRATCH).iterdir():
            if not _lives(folder.name.partition("-")[0]):
                shutil.rmtree(folder, ignore_errors=True)
    return len(orphans)


@contextmanager
def scratch_directory(home: Path) -> Iterator[Path]:
    """Make a directory for the block; if the process is killed, the next command of the home deletes it."""
    parent = home / _SCRATCH
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{_own_name()}-", dir=parent) as directory:
        yield Path(directory)


def _is_orphan(folder: Path, home: Path) -> bool:
    try:
        # The command line is checked first: the environment of other programs is not read.
        if not any(program in (folder / "cmdline").read_bytes() for program in _PROGRAMS):
            return False
        variables = (folder / "environ").read_bytes().split(b"\0")
    except OSError:  # ended, or of another user
        return False
    prefix = f"{_VARIABLE}=".encode()
    for variable in variables:
        if variable.startswith(prefix):
            name, _, marked_home = variable.removeprefix(prefix).decode(errors="surrogateescape").partition("@")
            return marked_home == str(home) and not _lives(name)
    return False


def _own_name() -> str:
    return f"{os.getpid()}:{_start_time(os.getpid())}"


def _lives(name: str) -> bool:
    """Return whether the process of a name, `pid:start time`, lives."""
    pid, _, start_time = name.partition(":")
    return pid.isdecimal() and _start_time(int(pid)) == start_time


def _start_time(pid: int) -> str | None:
    """Read the start time of a process, in clock ticks since the boot; None if it has ended."""
    try:
        # The second field, the name of the program, may contain spaces and parentheses.
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _signal(orphan: Orphan, number: signal.Signals) -> None:
    if _start_time(orphan.pid) == orphan.start_time:
        with contextlib.suppress(OSError):
            os.kill(orphan.pid, number)
