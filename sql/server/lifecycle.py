"""The life cycle of the embedded server: start, stop, state and URL of one home's server."""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from sql.server.account import ServerError, run_command, server_account, write_private
from sql.server.cluster import (
    LOGINS,
    Cluster,
    Postmaster,
    client_path,
    find_ready,
    is_alive,
    make_url,
    read_postmaster,
    tail_log,
)
from sql.server.initialise import provide_binaries, provide_data
from sql.server.logins import reset_logins

__all__ = [
    "Cluster",
    "ServerError",
    "delete",
    "is_running",
    "psql_path",
    "remembered_port",
    "secure",
    "start",
    "stop",
    "url",
]

START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 60
LOCK_TIMEOUT_SECONDS = 90  # longer than a start: a second caller must outlast a slow first one
LOG_ROTATION_BYTES = 10_000_000
_UNSAFE = frozenset('"$`\\') | frozenset(map(chr, range(32))) | {"\x7f"}
PORTS = range(15_432, 32_768)  # below the range of outgoing connections, so the port stays free across restarts

SETTINGS = {  # name: (value, reason)
    "listen_addresses": ("127.0.0.1", "no connections from the network"),
    "unix_socket_directories": ("", "socket paths are limited to about 100 bytes"),
    "max_connections": ("40", "one batch, its workers and a few analysts"),
    "shared_buffers": ("256MB", "enough for the hot tables; the rest of the memory is for training"),
    "work_mem": ("32MB", "window functions over daily bars sort in memory"),
    "maintenance_work_mem": ("128MB", "faster index builds after bulk loads"),
    "max_wal_size": ("2GB", "a bulk load should not force checkpoints"),
    "checkpoint_timeout": ("15min", "a bulk load should not force checkpoints"),
    "random_page_cost": ("1.1", "solid-state disks"),
    "jit": ("off", "compilation costs more than these queries"),
    "timezone": ("UTC", "independent of the machine's time zone"),
    "log_timezone": ("UTC", "independent of the machine's time zone"),
    "log_checkpoints": ("off", "routine; the log is for errors"),
    "log_line_prefix": ("%m [%p] %q%u@%d ", "login and database of an error"),
    "client_connection_check_interval": ("5s", "release the locks of a killed client's query"),
}


def start(home: Path) -> str:
    """Start the server of `home`, creating it if necessary, and return the owner's database URL.

    The server outlives the caller. Repeated and concurrent calls return the same URL.

    Raises:
        ServerError: if the server cannot start; the message ends with the last lines of its log, if any.
    """
    cluster = Cluster.at(home)
    if postmaster := find_ready(cluster):
        return make_url(cluster, postmaster.port, "owner")
    _require_safe_path(cluster)
    try:
        if not cluster.home.exists():
            cluster.home.mkdir(parents=True)
            cluster.home.chmod(0o711 if server_account() else 0o700)
        cluster.folder.mkdir(exist_ok=True)
        cluster.folder.chmod(0o755 if server_account() else 0o700)
        with _lock(cluster) as lock:
            cluster = Cluster.at(home)  # another process may have created it during the wait
            postmaster = _await_ready_or_gone(cluster)
            if postmaster is None:
                provide_binaries(cluster)
                provide_data(cluster, lock)
                postmaster = _launch(cluster)
                with contextlib.suppress(ServerError):  # `secure` reports it
                    reset_logins(cluster, postmaster.port)
            return make_url(cluster, postmaster.port, "owner")
    except OSError as error:
        raise ServerError(f"The database in `{cluster.folder}` cannot be started: {error}.") from error


def stop(home: Path) -> bool:
    """Stop the server of `home`: roll back open transactions and leave clean files.

    Returns:
        Whether a server was running.

    Raises:
        ServerError: if the server does not stop.
    """
    cluster = Cluster.at(home)
    if not cluster.folder.exists():
        return False
    with _lock(cluster):
        if not is_alive(cluster):
            return False
        pg_ctl = cluster.binaries / "pg_ctl"
        done = run_command(
            pg_ctl, "stop", "-D", cluster.data, "-m", "fast", "-w", "-t", str(STOP_TIMEOUT_SECONDS), "-s"
        )
        # pg_ctl also fails if the server ended in the meantime.
        if _await_ready_or_gone(cluster):
            raise ServerError(f"The server of `{cluster.home}` did not stop: {done.stdout.strip()}")
        return True


def delete(home: Path) -> list[Path]:
    """Stop the server of `home` and delete its database, wherever its data are.

    Also deletes data that outlived a deleted home, see `Cluster.at`.

    Returns:
        The deleted folders.

    Raises:
        ServerError: if the server does not stop, or a folder cannot be deleted.
    """
    cluster = Cluster.at(home)
    paths = [cluster.data, cluster.data.with_name(f"{cluster.data.name}.partial"), cluster.folder]
    found = [path for path in paths if path.exists()]
    try:
        if cluster.data.exists():
            cluster.folder.mkdir(parents=True, exist_ok=True)  # the server may have outlived it
            stop(home)
        for path in paths:
            if path.exists():
                shutil.rmtree(path)
    except OSError as error:
        raise ServerError(f"The database in `{cluster.folder}` cannot be deleted: {error}.") from error
    return [path for path in found if path.parent != cluster.folder]


def remembered_port(home: Path) -> int | None:
    """Return the port of the last start; None before the first one."""
    return _read_port(Cluster.at(home))


def is_running(home: Path) -> bool:
    """Return whether the server of `home` accepts connections."""
    return find_ready(Cluster.at(home)) is not None


def url(home: Path, role: Literal["owner", "analyst"] = "owner") -> str:
    """Return the URL of the running server's database for `role`; it contains the password.

    Raises:
        ValueError: if `role` is unknown.
        ServerError: if the server does not run.
    """
    if role not in LOGINS:
        raise ValueError(f"`role` must be one of {', '.join(f'`{name}`' for name in LOGINS)}, received `{role}`.")
    cluster = Cluster.at(home)
    postmaster = find_ready(cluster)
    if postmaster is None:
        raise ServerError(f"A URL requires a running server, but that of `{cluster.home}` is stopped: start it first.")
    return make_url(cluster, postmaster.port, role)


def secure(home: Path) -> None:
    """Set the password, limits and settings of the analyst's login, which can change them; needs a running server.

    Raises:
        ServerError: if the superuser's password is not readable, or was changed.
    """
    cluster = Cluster.at(home)
    if postmaster := find_ready(cluster):
        reset_logins(cluster, postmaster.port)


def psql_path() -> Path:
    """Return the `psql` of the server's version."""
    return client_path("psql")


def _require_safe_path(cluster: Cluster) -> None:
    """Refuse a path with a meaning to the shell that Postgres' own programs use."""
    unsafe = sorted({character for character in str(cluster.data) if character in _UNSAFE})
    if unsafe:
        raise ServerError(
            "`BELLWETHER_HOME` must be a path without quotes, $, backticks, backslashes and line breaks, because the "
            f"database is started through a shell; received {str(cluster.home)!r}: choose another directory."
        )


@contextlib.contextmanager
def _lock(cluster: Cluster) -> Iterator[int]:
    """Hold `start.lock`, so that only one process at a time starts or stops the server."""
    with (cluster.folder / "start.lock").open("ab") as file:
        deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ServerError(
                        f"`{file.name}` must be free within {LOCK_TIMEOUT_SECONDS} s, but another process still "
                        "starts or stops the server: end that process or try again."
                    ) from None
            time.sleep(0.02)
        yield file.fileno()


def _await_ready_or_gone(cluster: Cluster) -> Postmaster | None:
    """Wait for a starting, stopping or dying server; return it once ready, or None once all its processes ended."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while is_alive(cluster):
        if postmaster := find_ready(cluster):
            return postmaster
        if time.monotonic() > deadline:
            raise ServerError(
                f"The server of `{cluster.home}` is alive but not reachable on 127.0.0.1: if another container runs "
                f"it, connect to that one; if it is recovering, try again later.{tail_log(cluster)}"
            )
        time.sleep(0.02)
    return None


def _launch(cluster: Cluster) -> Postmaster:
    """Start the server on the previous port, or on another one if that port is taken."""
    (cluster.data / "postmaster.pid").unlink(missing_ok=True)  # stale: its process id may belong to another program
    log = cluster.folder / "server.log"
    if log.exists() and log.stat().st_size > LOG_ROTATION_BYTES:
        log.replace(log.with_name("server.log.1"))
    for _ in range(10):
        port = _choose_port(cluster)
        lines = [f"{name} = '{value}'  # {reason}\n" for name, (value, reason) in SETTINGS.items()]
        write_private(cluster.data / "bellwether.conf", f"port = {port}\n{''.join(lines)}", server_account())
        with log.open("ab") as output, (cluster.folder / "server.lock").open("ab") as lock:
            log.chmod(0o600)
            begin = log.stat().st_size
            fcntl.flock(lock, fcntl.LOCK_EX)  # other processes only probe it, for microseconds
            command = (cluster.binaries / "pg_ctl", "start", "-D", cluster.data, "-w", "-t", str(START_TIMEOUT_SECONDS))
            done = run_command(*command, "-s", inherit=[lock.fileno()], output=output)
        postmaster = read_postmaster(cluster)
        if done.returncode == 0 and postmaster:
            write_private(cluster.folder / "port", str(postmaster.port))
            return postmaster
        with log.open("rb") as file:
            file.seek(begin)
            if b"could not bind" not in file.read():
                break
    raise ServerError(
        f"The server of `{cluster.home}` must be ready within {START_TIMEOUT_SECONDS} s, but is not: "
        f"see the end of `{log}`.{tail_log(cluster)}"
    )


def _read_port(cluster: Cluster) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int((cluster.folder / "port").read_text())
    return None


def _choose_port(cluster: Cluster) -> int:
    """Return the previous port if it is free, else any free one of `PORTS`."""
    remembered = _read_port(cluster)
    for port in ([] if remembered is None else [remembered]) + [secrets.choice(PORTS) for _ in range(100)]:
        with socket.socket() as probe, contextlib.suppress(OSError, OverflowError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections linger on a port
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerError(f"A free port from {PORTS.start} to {PORTS.stop - 1} is required: end a program that uses one.")
