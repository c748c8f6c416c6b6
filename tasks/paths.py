"""Paths that a user names: regular files and directories, without anything that never ends or blocks."""

import os
import stat
from pathlib import Path

from tasks.errors import BadRequestError

_LONGEST = 4096
_SHOWN = 200
_KINDS = {
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a directory",
}


def show_path(path: str) -> str:
    """Shorten a path to one printable line of at most 200 characters."""
    line = "".join(character if character.isprintable() else "?" for character in path)
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def require_path(path: str, subject: str, *, is_directory_allowed: bool = False) -> None:
    """Require that a path, if it exists, names a regular file or a directory.

    Args:
        path: Path as given by the user; `~` is the home directory.
        subject: Subject of the error, such as "The price file".
        is_directory_allowed: Whether a directory is valid.

    Raises:
        BadRequestError: if the path is too long or has a NUL, or names a device, a pipe or a socket.
    """
    if "\0" in path or len(path) > _LONGEST:
        raise BadRequestError(
            f"{subject} must be a path of at most {_LONGEST:,} characters without NUL; received {len(path):,} "
            f"characters: {show_path(path)}."
        )
    allowed = "a regular file or a directory" if is_directory_allowed else "a regular file"
    kind = kind_of(path)
    if kind is not None and not (is_directory_allowed and kind == "a directory"):
        raise BadRequestError(f"{subject} {show_path(path)} must be {allowed}; it is {kind}.")


def kind_of(path: str | Path) -> str | None:
    """Return the kind of a path that is no regular file, such as "a pipe"; None for a file and for an absent path."""
    try:
        mode = os.stat(Path(path).expanduser()).st_mode
    except (OSError, RuntimeError, ValueError):  # absent, or a home directory that is unknown
        return None
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "no file")
