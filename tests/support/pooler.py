"""PgBouncer on a loopback address in front of the test run's server."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextmanager
def pooler(url: str, folder: Path, *, mode: str, size: int = 20, options: str = "") -> Iterator[str]:
    """Start PgBouncer and yield the URL of the database through it.

    Args:
        url: URL of the database.
        folder: Empty folder for its files.
        mode: `session`, `transaction` or `statement`.
        size: Number of connections to the server.
        options: Further lines of its configuration.
    """
    if PROGRAM is None:
        pytest.skip("needs the program pgbouncer")
    parts = urlsplit(url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user, password = parts.username, unquote(parts.password or "")
    (folder / "users").write_text(f'"{user}" "{password}"\n')
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={parts.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {folder}/users\n"
        f"pool_mode = {mode}\ndefault_pool_size = {size}\n{options}"
    )
    if account:  # it refuses to run as root
        folder.chmod(0o755)
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)
    process = subprocess.Popen(
        [PROGRAM, folder / "pgbouncer.ini"],
        stderr=subprocess.DEVNULL,
        user=account and account.pw_uid,
        group=account and account.pw_gid,
        cwd="/",
    )
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"postgresql://{parts.netloc.rpartition(':')[0]}:{port}{parts.path}"
    finally:
        process.terminate()
        process.wait(30)
