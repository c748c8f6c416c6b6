"""Log files with the tracebacks of unexpected errors, in `logs` of the home: private, and a bounded number of them."""

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

MOST_LOGS = 20
"""Log files that are kept. The oldest are deleted."""
_PREFIX = "error-"


def write_error_log(home: Path, text: str) -> Path | None:
    """Write a traceback to a new log file that only its owner can read, and delete the oldest ones.

    Args:
        home: Home directory of the program.
        text: The traceback, without secrets.

    Returns:
        The path of the file; None if it could not be written.
    """
    folder = home / "logs"
    path = folder / f"{_PREFIX}{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{os.getpid()}.log"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)  # nothing half-written, for example on a full disk
        return None
    _delete_oldest(folder)
    return path


def _delete_oldest(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for old in sorted(folder.glob(f"{_PREFIX}*.log"))[:-MOST_LOGS]:  # the names sort by time
            old.unlink(missing_ok=True)
