"""The command line as a function."""

import sys
from collections.abc import Callable

import pytest

from flows.cli import main as cli

Bellwether = Callable[..., tuple[int, str, str]]
"""Takes the arguments of a command; returns its exit code, standard output and standard error."""


def make_bellwether(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bellwether:
    """Make a function that runs a command in this process."""

    def run_command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bellwether", *arguments])
        with pytest.raises(SystemExit) as exit_info:
            cli.main()
        captured = capsys.readouterr()
        return int(exit_info.value.code or 0), captured.out, captured.err

    return run_command
