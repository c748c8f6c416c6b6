"""The directory and the environment of one test run, shared by all its processes.

pytest's main process creates the directory and removes it at the end; the workers of pytest-xdist find it in the
environment. Import this module before Prefect, which reads its environment on import.
"""

import fcntl
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_VARIABLE = "TEST_RUN_DIRECTORY"

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
"""Name of this process among those of the run: gw0, gw1, …, or main."""
IS_MAIN = WORKER == "main"
"""Whether this is the process that started the run, and not one of its workers."""


def _open_directory() -> Path:
    if not IS_MAIN:
        return Path(os.environ[_VARIABLE])
    # Not pytest's directory: root runs Postgres as `nobody`, who cannot enter it. The path tests that spaces work.
    directory = Path(tempfile.mkdtemp(prefix="bellwether tests "))
    directory.chmod(0o755)
    os.environ[_VARIABLE] = str(directory)
    # A terminated run cleans up like an interrupted one.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return directory


DIRECTORY = _open_directory()
"""Directory of the run; `main` removes it."""


def set_environment() -> None:
    """Set a separate Prefect home, and unset the database, the recipients and telemetry."""
    home = DIRECTORY / f"prefect-{WORKER}"
    home.mkdir(exist_ok=True)
    os.environ.update(
        {
            "PREFECT_HOME": str(home),
            "PREFECT_LOGGING_LEVEL": "CRITICAL",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            # The processors are shared by workers, and each computes with arrays too small for threads.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "TF_NUM_INTRAOP_THREADS": "1",
        }
    )
    for name in ("PREFECT_API_URL", "DATABASE_URL", "BELLWETHER_ALERT_URLS"):
        os.environ.pop(name, None)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock that one process of the run can have at a time; a killed process releases it."""
    with (DIRECTORY / f"{name}.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
