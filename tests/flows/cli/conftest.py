"""The command line as a fixture."""

import pytest

from tests.support.commands import Bellwether, make_bellwether


@pytest.fixture
def bellwether(machine: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bellwether:
    """Run a command on the machine; returns exit code, standard output and standard error."""
    return make_bellwether(machine, capsys)
