"""The environment of a local Prefect: proxies, the home and its private files, and a server that does not respond."""

import os
import stat
import time
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.cli import runtime
from flows.cli.runtime import exempt_loopback, prepare_prefect, require_prefect_server
from tasks.errors import HomeUnusableError, PrefectUnavailableError


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "intra.example, localhost"}, "intra.example,localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "ignored", "no_proxy": "intra.example"}, "intra.example,127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "*"}, "*"),
    ],
)
def test_loopback_is_never_proxied(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, variables.get(name, ""))
    exempt_loopback()
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == expected


@pytest.mark.parametrize("part", ["", "x", "x/y"])
def test_home_at_or_below_a_file_is_refused(tmp_path: Path, part: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeUnusableError, match=r"must be a directory .* \(Not a directory\)|File exists"):
        prepare_prefect(tmp_path / "file" / part, log_level="CRITICAL")


def test_server_that_is_down_is_reported_within_seconds() -> None:
    start = time.monotonic()
    with (
        temporary_settings({PREFECT_API_URL: "http://op:s3cret@127.0.0.1:1/api"}),
        pytest.raises(PrefectUnavailableError, match="does not respond") as failure,
    ):
        require_prefect_server()
    assert time.monotonic() - start < 60  # retries would take minutes
    assert "s3cret" not in str(failure.value)


def test_server_that_responds_is_accepted(prefect_server: None) -> None:
    require_prefect_server()


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
