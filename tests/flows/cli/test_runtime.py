"""The environment of a local Prefect: private files."""

import stat
from pathlib import Path

import pytest

from flows.cli import runtime


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("user", "expected"), [(0, 0o711), (1000, 0o700)])
def test_prepare_prefect_creates_private_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, expected: int
) -> None:
    monkeypatch.setattr(runtime.os, "geteuid", lambda: user)
    home = tmp_path / "new" / "home"
    for name in ("PREFECT_HOME", "PREFECT_LOGGING_LEVEL", *runtime._DEFAULTS):
        monkeypatch.setenv(name, "")  # restored after the test
    runtime.prepare_prefect(home, log_level="CRITICAL")
    assert mode(home) == expected
    assert mode(home / "prefect") == 0o700
    assert mode(home / "prefect" / "prefect.db") == 0o600


def test_prepare_prefect_closes_the_files_of_an_earlier_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "prefect"
    folder.mkdir()
    for name in ("prefect.db", "prefect.db-wal"):
        (folder / name).write_text("kept")
        (folder / name).chmod(0o644)
    folder.chmod(0o755)
    for name in ("PREFECT_HOME", "PREFECT_LOGGING_LEVEL", *runtime._DEFAULTS):
        monkeypatch.setenv(name, "")
    runtime.prepare_prefect(tmp_path, log_level="CRITICAL")
    assert mode(folder) == 0o700
    assert [mode(folder / name) for name in ("prefect.db", "prefect.db-wal")] == [0o600, 0o600]
    assert (folder / "prefect.db").read_text() == "kept"
