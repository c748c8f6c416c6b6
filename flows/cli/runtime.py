"""The environment of a local Prefect: no account, no telemetry, files in Bellwether's home.

Prefect reads its environment when it is imported, so this module must run first.
"""

import os
from pathlib import Path

_DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "60",  # the first start creates Prefect's database
    "TF_CPP_MIN_LOG_LEVEL": "3",  # hides TensorFlow's start-up messages about CPU features and missing GPUs
}


def prepare_prefect(home: Path, *, log_level: str) -> None:
    """Set Prefect's environment variables, except those already set.

    An operator's own server (`PREFECT_API_URL` or a profile) therefore stays in use.

    Args:
        home: Bellwether's home; Prefect's files go to `home/prefect`.
        log_level: Prefect's log level on the screen.
    """
    if not home.exists():
        home.mkdir(parents=True)
        home.chmod(0o711 if os.geteuid() == 0 else 0o700)  # root's server runs as another user
    (home / "prefect").mkdir(parents=True, exist_ok=True)  # Prefect creates no parent directories
    _make_private(home / "prefect")
    variables = {**_DEFAULTS, "PREFECT_HOME": str(home / "prefect"), "PREFECT_LOGGING_LEVEL": log_level}
    for name, value in variables.items():
        os.environ.setdefault(name, value)


def _make_private(folder: Path) -> None:
    """Close Prefect's files to other users: its database has the parameters and log lines of all runs."""
    folder.chmod(0o700)
    for name in ("prefect.db", "prefect.db-wal", "prefect.db-shm"):
        if name == "prefect.db" or (folder / name).exists():
            (folder / name).touch(mode=0o600)
            (folder / name).chmod(0o600)
