"""The border of the command line: one sentence and an exit code for a failure of any layer."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flows.cli.service_views
import flows.monthly
import flows.service_check
from tasks.errors import BadRequestError
from tests.support.commands import Bellwether
from tests.support.loopback import Webhook
from tests.support.rows import query

RUN = ("run", "--source", "sample")


@pytest.fixture(autouse=True)
def hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the hooks for background failures that a command sets."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (ValueError("root:x:0:0 s3cret"), 14, "An unexpected error (ValueError) ended the run; its traceback is in "),
        (MemoryError(), 17, "Memory or threads ran out"),
        (OSError(28, "No space left on device"), 17, "No space is left (No space left on device)"),
        (KeyboardInterrupt(), 130, "interrupted; the same command again completes the work."),
        (GeneratorExit(), 143, "terminated; the same command again completes the work."),
    ],
    ids=["unexpected", "memory", "space", "Ctrl-C", "SIGTERM"],
)
def test_failure_is_one_sentence(
    bellwether: Bellwether, machine: pytest.MonkeyPatch, error: BaseException, code: int, sentence: str
) -> None:
    machine.setattr(flows.monthly, "monthly_forecast", raising(error))
    received, output, errors = bellwether(*RUN)
    assert received == code
    assert errors.startswith(f"bellwether: {sentence}")
    assert errors.count("\n") == 1
    assert "Traceback" not in output + errors
    assert "s3cret" not in output + errors


def test_failure_of_the_output_is_one_sentence(bellwether: Bellwether, machine: pytest.MonkeyPatch) -> None:
    machine.setattr(flows.cli.service_views, "show_status", raising(RuntimeError("x")))
    code, _, errors = bellwether("status")
    assert code == 14
    assert errors.count("\n") == 1


def test_verbose_shows_the_traceback(bellwether: Bellwether, machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine.setattr(flows.cli.service_views, "show_status", raising(RuntimeError("x")))
    code, _, errors = bellwether("--verbose", "status")
    assert code == 14
    assert "RuntimeError: x" in errors
    assert errors.splitlines()[-1].startswith("bellwether: An unexpected error (RuntimeError)")
    (log,) = (tmp_path / "home" / "logs").iterdir()
    assert "RuntimeError: x" in log.read_text()


def test_failure_of_an_unattended_run_is_one_alert(
    bellwether: Bellwether, machine: pytest.MonkeyPatch, webhook: Webhook, database_url: str
) -> None:
    machine.setattr(flows.monthly, "monthly_forecast", raising(ValueError("x")))
    assert bellwether(*RUN)[0] == 14
    assert webhook.titles == []
    assert bellwether(*RUN, "--unattended")[0] == 14
    assert webhook.titles == ["Bellwether: A run of sample could not start"]
    assert query(database_url, "select kind, subject, times_seen from ops.alert") == [
        ("failed_run", "sample/sample", 1)
    ]


def test_failure_that_a_hook_reported_is_no_second_alert(
    bellwether: Bellwether, machine: pytest.MonkeyPatch, webhook: Webhook, database_url: str
) -> None:
    machine.setattr(flows.monthly, "plan_month", raising(BadRequestError("The plan is impossible.")))
    code, _, errors = bellwether(*RUN, "--unattended")
    assert (code, errors) == (4, "bellwether: The plan is impossible.\n")
    assert query(database_url, "select times_seen from ops.alert") == [(1,)]
    assert len(webhook.titles) == 1


def test_failed_service_check_is_an_alert_until_one_ends(
    bellwether: Bellwether, machine: pytest.MonkeyPatch, webhook: Webhook
) -> None:
    with machine.context() as failing:
        failing.setattr(flows.service_check, "find_stuck_runs", raising(ValueError("x")))
        assert bellwether("check-service")[0] == 14
    assert bellwether("check-service")[0] == 0
    assert webhook.titles == ["Bellwether: The service check failed", "Bellwether, cleared: The service check failed"]


def test_thread_that_fails_writes_a_log_and_no_traceback(
    bellwether: Bellwether, machine: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def start_thread(*_: object, **__: object) -> None:
        thread = threading.Thread(target=raising(ValueError("in a thread")))
        thread.start()
        thread.join()

    machine.setattr(flows.cli.service_views, "show_status", start_thread)
    code, _, errors = bellwether("status")
    assert (code, errors) == (0, "")
    (log,) = (tmp_path / "home" / "logs").iterdir()
    assert "in a thread" in log.read_text()
