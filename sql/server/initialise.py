"""Creation of a cluster: reachable binaries, data directory, roles and database."""

from __future__ import annotations

import functools
import os
import secrets
import shutil
from pathlib import Path

from sql.server.account import ServerError, is_reachable, run_command, server_account, write_private
from sql.server.cluster import BINARIES, DATABASE, LOGINS, MAJOR_VERSION, SHARED, Cluster, client_path, wheel_folder

# The single-user backend reads one statement per line.
ROLES = f"""\
ALTER ROLE postgres PASSWORD '{{postgres}}'
CREATE ROLE bellwether LOGIN PASSWORD '{{bellwether}}'
CREATE ROLE bellwether_reader NOLOGIN
CREATE ROLE analyst LOGIN PASSWORD '{{analyst}}' IN ROLE bellwether_reader
CREATE DATABASE {DATABASE} OWNER bellwether
REVOKE ALL ON DATABASE {DATABASE}, postgres, template1 FROM PUBLIC
GRANT CONNECT ON DATABASE {DATABASE} TO bellwether_reader
"""


def provide_binaries(cluster: Cluster) -> None:
    """Copy the wheel's server to the cluster's binaries, unless they are the wheel's own or already copied."""
    client_path("psql")
    source, target = (wheel_folder() / BINARIES).parents[1], cluster.binaries.parents[1]
    if target == source or target.exists():
        return
    _make_shared()
    fresh = target.parent.with_name(f"{target.parent.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    # The binaries load their libraries from beside the package (Linux) or from inside it (macOS).
    for part in (source / f"pginstall{MAJOR_VERSION}", source / ".dylibs", source.with_name(f"{source.name}.libs")):
        if part.exists():
            ignored = shutil.ignore_patterns("include", "pgxs", "*.a")
            shutil.copytree(part, fresh / part.relative_to(source.parent), symlinks=True, ignore=ignored)
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    try:
        fresh.rename(target.parent)
    except OSError:  # the start of another home was faster
        shutil.rmtree(fresh)
        if not target.exists():
            raise


def provide_data(cluster: Cluster, lock: int) -> None:
    """Check the data directory, or create it under a temporary name and rename it once complete.

    Args:
        cluster: The cluster.
        lock: File descriptor of the held `start.lock`.

    Raises:
        ServerError: if the data directory belongs to another version, is not accessible, is lost or cannot be created.
    """
    link, data, account = cluster.folder / "data", cluster.data, server_account()
    if (data / "PG_VERSION").exists() and os.path.lexists(link):
        _check_data(data)
        return
    if data.exists():
        raise ServerError(
            f"`{data}` must not exist before its first start, but it does: it belongs to an earlier home of this path; "
            "move or delete it, with `bellwether db delete --yes`."
        )
    if (cluster.folder / "port").exists():
        raise ServerError(f"`{data}` must exist after a first start: restore it, or delete `{cluster.folder}`.")
    if data != link:
        _make_shared()
        if not link.is_symlink():
            link.symlink_to(data)
    partial = data.with_name(f"{data.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)  # an earlier start was interrupted
    partial.mkdir(mode=0o700)
    if account:
        os.chown(partial, account.pw_uid, account.pw_gid)
    _initialise(cluster, partial, lock)
    write_private(partial / "pg_hba.conf", "host all all 127.0.0.1/32 scram-sha-256\n", account)
    conf = partial / "postgresql.conf"
    settings = f"{conf.read_text()}\ninclude 'bellwether.conf'  # rewritten at every start\n"
    write_private(conf, settings, account)
    partial.rename(data)


def _check_data(data: Path) -> None:
    account = server_account()
    version = (data / "PG_VERSION").read_text().strip()
    if version != str(MAJOR_VERSION):
        raise ServerError(
            f"A data directory of PostgreSQL {MAJOR_VERSION} is required, but `{data}` belongs to PostgreSQL "
            f"{version}: dump it with pg_dump {version} under a server of that version and restore it into a new home."
        )
    if account and not is_reachable(data, account):
        raise ServerError(f"User `{account.pw_name}` must be able to enter `{data}`: chmod o+x the folders above it.")


def _initialise(cluster: Cluster, partial: Path, lock: int) -> None:
    passwords = {login: secrets.token_urlsafe(24) for login in ("postgres", *LOGINS.values())}
    for login, password in passwords.items():
        write_private(cluster.folder / f"{login}.password", password)
    initdb: list[str | Path] = [cluster.binaries / "initdb", "-D", partial, "-U", "postgres", "--no-instructions"]
    # The built-in locale is the same on every machine. `reject` holds until `pg_hba.conf` is written with passwords.
    initdb += ["-E", "UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    initdb += ["--data-checksums", "--auth=reject"]
    single = [cluster.binaries / "postgres", "--single", "-D", partial, "-c", "exit_on_error=on", "postgres"]
    for command, text in ((initdb, ""), (single, ROLES.format(**passwords))):
        # Children inherit the lock: if this process is killed, no other process starts before they have ended.
        done = run_command(*command, text=text, inherit=[lock])
        if done.returncode:
            output = functools.reduce(lambda text, word: text.replace(word, "***"), passwords.values(), done.stdout)
            raise ServerError(
                f"`{partial}` could not be created: check free space and permissions.\n{output[-2000:].strip()}"
            )


def _make_shared() -> None:
    SHARED.mkdir(parents=True, exist_ok=True)
    SHARED.chmod(0o755)
