"""The command line as a fixture."""

import sys
from collections.abc import Callable

import pytest

from flows.cli import main as cli

Bellwether = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bellwether(machine: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bellwether:
    """Types a command; gives back the exit code, what it printed and what it complained of."""

    def type_command(*arguments: str) -> tuple[int, str, str]:
        machine.setattr(sys, "argv", ["bellwether", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return type_command
