"""The environment of a local Prefect: proxies, the home, and a server that does not respond."""

import os
import time
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

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
