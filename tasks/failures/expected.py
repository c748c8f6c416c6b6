"""Errors of other libraries and of the system, as errors of the program: a sentence, and an exit code.

Libraries are recognised by the name of their module, so that this module can run when they cannot be imported.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from tasks.errors import (
    BadRequestError,
    BellwetherError,
    HomeUnusableError,
    InterruptedByUserError,
    PrefectUnavailableError,
    ResourcesExhaustedError,
)
from tasks.settings import Settings

_LONGEST_CHAIN = 20
_HTTP_CLIENTS = ("httpx", "httpcore", "websockets")
_PARAMETER_ERRORS = ("ParameterTypeError", "ParameterBindError", "SignatureMismatchError")
_EPHEMERAL_SERVER = "ephemeral Prefect API server"
_UNUSABLE = (errno.ENOTDIR, errno.EROFS, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_FILES = (errno.EMFILE, errno.ENFILE)
_NO_MEMORY = ("cannot allocate memory", "failed to map segment", "can't start new thread", "unable to allocate")


def expected_error(error: BaseException, settings: Settings | None) -> BellwetherError | None:
    """Return the error of the program that an error amounts to, with its sentence; None if it is unexpected.

    Args:
        error: The error, with its causes.
        settings: For the home directory; None if the settings themselves are invalid.
    """
    if isinstance(error, BellwetherError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return InterruptedByUserError("interrupted; the same command again completes the work.")
    for cause in _causes(error):
        if isinstance(cause, BellwetherError):
            return cause
        if found := _of_home(cause, settings) or _of_prefect(cause) or _of_resources(cause):
            return found
    return None


def shorten(text: str, longest_word: int = 200) -> str:
    """Return a text on one line, with its very long words abbreviated."""
    return " ".join(word if len(word) <= longest_word else f"{word[:80]}…{word[-20:]}" for word in text.split())


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its cause, the cause of that, and so on; a cause is stated, and so no error handled before."""
    current: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if current is None:
            return
        yield current
        current = current.__cause__


def _of_resources(error: BaseException) -> BellwetherError | None:
    text = str(error).lower()
    is_memory = isinstance(error, ImportError | RuntimeError | OSError) and any(part in text for part in _NO_MEMORY)
    if isinstance(error, MemoryError) or is_memory:
        return ResourcesExhaustedError(
            "Memory or threads ran out; end other programs, raise the limits of the process (`ulimit -v`, `ulimit -u`, "
            "the container's memory), or run fewer symbols at a time."
        )
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        where = f" for {str(error.filename)!r}" if error.filename else ""
        return ResourcesExhaustedError(f"No space is left{where} ({error.strerror}); free some and run it again.")
    if isinstance(error, OSError) and error.errno in _NO_FILES:
        return ResourcesExhaustedError(f"Too many files are open ({error.strerror}); raise `ulimit -n`.")
    return None


def _of_home(error: BaseException, settings: Settings | None) -> BellwetherError | None:
    if settings is None or not isinstance(error, OSError) or not isinstance(error.filename, str):
        return None
    name, home = os.path.abspath(error.filename), str(settings.home)
    is_above = f"{home}{os.sep}".startswith(f"{name.rstrip(os.sep)}{os.sep}")
    # A file that is missing in the home is a fault of the program; the home itself is created.
    if (is_above and error.errno in (*_UNUSABLE, errno.ENOENT)) or (
        name.startswith(f"{home}{os.sep}") and error.errno in _UNUSABLE
    ):
        return HomeUnusableError(unusable_home(settings.home, error))
    return None


def unusable_home(home: Path, error: OSError) -> str:
    """Describe a home directory that cannot be used."""
    return (
        f"`BELLWETHER_HOME` must be a directory that this user can write, and {str(home)!r} cannot be used "
        f"({error.strerror}); set it to another directory."
    )


def _of_prefect(error: BaseException) -> BellwetherError | None:
    if _EPHEMERAL_SERVER in str(error):
        return PrefectUnavailableError(
            "A temporary Prefect server did not start in time; run the command again when the machine is less busy, or "
            "start a server and set `PREFECT_API_URL`."
        )
    if type(error).__name__ in _PARAMETER_ERRORS and type(error).__module__ == "prefect.exceptions":
        return BadRequestError(f"The parameters of the run are invalid: {shorten(str(error))}.")
    if type(error).__module__.partition(".")[0] in _HTTP_CLIENTS:
        return PrefectUnavailableError(
            "Prefect's server failed or does not respond; check the server in `PREFECT_API_URL`, or unset the variable "
            "to use a temporary server."
        )
    return None
