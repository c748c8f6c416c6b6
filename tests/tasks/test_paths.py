"""Paths that a user names."""

import os
import socket
from pathlib import Path

import pytest

from tasks.errors import BadRequestError
from tasks.paths import kind_of, require_path, show_path


def test_regular_files_and_absent_paths_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    require_path(str(tmp_path / "a"), "The file")
    require_path(str(tmp_path / "absent"), "The file")
    require_path(str(tmp_path), "The file", is_directory_allowed=True)
    assert kind_of(tmp_path / "a") is None


def test_everything_else_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        kinds = {"/dev/zero": "a device", "pipe": "a pipe", "socket": "a socket", ".": "a directory"}
        for path, kind in kinds.items():
            with pytest.raises(BadRequestError, match=rf"^The file {path} must be a regular file; it is {kind}\.$"):
                require_path(path, "The file")


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000])
def test_path_of_no_file_is_one_short_sentence(path: str) -> None:
    with pytest.raises(BadRequestError, match=r"must be a path of at most 4,096 characters without NUL") as refused:
        require_path(path, "The file")
    assert len(str(refused.value)) < 400
    assert show_path("a\nb\0") == "a?b?"
