"""Log files of unexpected errors: private, bounded, and never half-written."""

from pathlib import Path

from tasks.failures.error_logs import MOST_LOGS, write_error_log


def test_logs_are_private_and_bounded(tmp_path: Path) -> None:
    paths = [write_error_log(tmp_path, f"traceback {number}") for number in range(MOST_LOGS + 3)]
    kept = sorted((tmp_path / "logs").iterdir())
    assert kept == paths[3:]
    assert kept[-1].read_text() == f"traceback {MOST_LOGS + 2}"
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700


def test_log_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert write_error_log(tmp_path / "file" / "home", "x") is None
    assert write_error_log(Path("/proc/none"), "x") is None
