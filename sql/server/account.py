"""The operating-system account that runs the server: permissions, commands and private files.

PostgreSQL refuses to run as root, so root runs it as `nobody`. Every other user runs it as himself.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO


class ServerError(RuntimeError):
    """A failure of the embedded server; the message names the requirement, the observation and the remedy."""


def server_account() -> pwd.struct_passwd | None:
    """Return the account that replaces root, or None if the current user runs the server.

    Raises:
        ServerError: if the current user is root and the system has no user `nobody`.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        message = "PostgreSQL does not run as root and requires the user `nobody`, which does not exist: add that user."
        raise ServerError(message) from None


def is_reachable(path: Path, account: pwd.struct_passwd) -> bool:
    """Return whether `account` may enter or execute `path` and every folder above it; absent parts do not count."""
    for part in (path, *path.parents):
        with contextlib.suppress(FileNotFoundError):
            status = part.stat()
            is_owner, is_member = status.st_uid == account.pw_uid, status.st_gid == account.pw_gid
            if not status.st_mode & (0o100 if is_owner else 0o010 if is_member else 0o001):
                return False
    return True


def run_command(
    *command: str | Path, text: str = "", inherit: Sequence[int] = (), output: IO[bytes] | int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Run a command as the server's account in a minimal environment, without PG* variables and secrets.

    Args:
        *command: Program and arguments.
        text: Standard input.
        inherit: File descriptors to pass on.
        output: Destination of standard output and standard error.

    Returns:
        The completed process, for any exit code.
    """
    account = server_account()
    return subprocess.run(
        command,
        input=text,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd="/",  # the account may have no access to the current directory
        env={name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ} | {"LC_ALL": "C"},
        user=account and account.pw_uid,
        group=account and account.pw_gid,
        extra_groups=[] if account else None,
        pass_fds=inherit,
    )


def write_private(path: Path, text: str, owner: pwd.struct_passwd | None = None) -> None:
    """Replace `path` atomically by a file that only its owner can read."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if owner:
        os.chown(fresh, owner.pw_uid, owner.pw_gid)
    fresh.replace(path)
