"""The environment of a local Prefect, and alerts about commands that fail before or without it.

No account, no telemetry, files in Bellwether's home. Prefect reads its environment when it is imported, so this module
must run first.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.errors import HomeUnusableError, PrefectUnavailableError
from tasks.failures.expected import shorten, unusable_home
from tasks.failures.orphans import mark_children

_DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "60",  # the first start creates Prefect's database
    "TF_CPP_MIN_LOG_LEVEL": "3",  # hides TensorFlow's start-up messages about CPU features and missing GPUs
}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HEALTH_SECONDS = 10.0


def prepare_prefect(home: Path, *, log_level: str) -> None:
    """Set Prefect's environment variables, except those already set.

    An operator's own server (`PREFECT_API_URL` or a profile) therefore stays in use. Loopback addresses are exempted
    from proxies.

    Args:
        home: Bellwether's home; Prefect's files go to `home/prefect`.
        log_level: Prefect's log level on the screen.

    Raises:
        HomeUnusableError: if the home is no directory or cannot be written.
    """
    try:
        if not home.exists():
            home.mkdir(parents=True)
            home.chmod(0o711 if os.geteuid() == 0 else 0o700)  # root's server runs as another user
        (home / "prefect").mkdir(parents=True, exist_ok=True)  # Prefect creates no parent directories
        _make_private(home / "prefect")
        probe = home / f"probe-{os.getpid()}"  # permissions do not bind root, a read-only disk does
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise HomeUnusableError(unusable_home(home, error)) from error
    variables = {**_DEFAULTS, "PREFECT_HOME": str(home / "prefect"), "PREFECT_LOGGING_LEVEL": log_level}
    for name, value in variables.items():
        os.environ.setdefault(name, value)
    exempt_loopback()
    mark_children(home)


def _make_private(folder: Path) -> None:
    """Close Prefect's files to other users: its database has the parameters and log lines of all runs."""
    folder.chmod(0o700)
    for name in ("prefect.db", "prefect.db-wal", "prefect.db-shm"):
        if name == "prefect.db" or (folder / name).exists():
            (folder / name).touch(mode=0o600)
            (folder / name).chmod(0o600)


def exempt_loopback() -> None:
    """Complete `NO_PROXY`: Prefect's server, Postgres and webhooks on this machine are never reached by a proxy."""
    configured = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = [host.strip() for host in configured.split(",") if host.strip()]
    if "*" not in hosts:
        hosts += [host for host in _LOOPBACK if host not in hosts]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(hosts)


def require_prefect_server() -> None:
    """Check that Prefect's server responds; without a configured server, start a temporary one.

    Raises:
        PrefectUnavailableError: if the server does not respond, or the temporary one does not start.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import (
        PREFECT_API_REQUEST_TIMEOUT,
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        temporary_settings,
    )

    from tasks.alerts.redaction import redact

    limits = temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: _HEALTH_SECONDS})
    _shield_server_from_interrupts()
    with limits, get_client(sync_client=True) as client:
        failure = client.api_healthcheck()
    if failure is not None:
        reason = str(failure).strip().partition("\n")[0] or type(failure).__name__
        raise PrefectUnavailableError(
            f"Prefect's server at {redact(str(PREFECT_API_URL.value()))} does not respond ({shorten(redact(reason))}); "
            "start it, or correct or unset `PREFECT_API_URL` (without it, the command starts a temporary server)."
        ) from failure


def _shield_server_from_interrupts() -> None:
    """Start temporary servers with SIGINT blocked: Ctrl-C reaches every process, and the command ends its server."""
    from prefect.server.api.server import SubprocessASGIServer

    start = SubprocessASGIServer._run_uvicorn_command
    if getattr(start, "is_shielded", False):
        return

    def start_shielded(server: Any) -> Any:
        earlier = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # a child inherits the mask
        try:
            return start(server)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, earlier)

    start_shielded.is_shielded = True  # type: ignore[attr-defined]
    SubprocessASGIServer._run_uvicorn_command = start_shielded  # type: ignore[assignment,method-assign]


@contextmanager
def alerting(request: tuple[str, list[str] | None, str | None] | None) -> Iterator[None]:
    """Raise an alert if the block fails.

    Args:
        request: Source, symbols and universe file of an unattended run; None for an attended one.
    """
    try:
        yield
    except Exception as error:
        if request is not None:
            # Imported on failure: the imports take a second, and may be the fault.
            from tasks.alerts.unattended import report_run

            report_run(error, *request)
        raise


@contextmanager
def alerting_about_check() -> Iterator[None]:
    """Raise an alert if the block, a service check, fails."""
    try:
        yield
    except Exception as error:
        from tasks.alerts.unattended import report_check

        report_check(error)
        raise
