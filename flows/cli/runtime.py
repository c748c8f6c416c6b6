"""Prefect for a machine of its own: no account, nothing sent anywhere, its files beside the database's.

Must run before Prefect is imported: it reads its environment then.
"""

import os
from pathlib import Path

_DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "60",  # the first start makes its database
    "TF_CPP_MIN_LOG_LEVEL": "3",  # TensorFlow introduces itself at length, and misses a GPU nobody promised
}


def prepare_prefect(home: Path, *, log_level: str) -> None:
    """Set what is not set: whoever has a Prefect server keeps it, with `PREFECT_API_URL` or a profile of their own.

    Args:
        home: Directory of everything local; Prefect's is `home/prefect`.
        log_level: What Prefect itself may say on the screen.
    """
    (home / "prefect").mkdir(parents=True, exist_ok=True)  # Prefect makes no parents, and warns instead
    for name, value in {
        **_DEFAULTS,
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_LOGGING_LEVEL": log_level,
    }.items():
        os.environ.setdefault(name, value)
