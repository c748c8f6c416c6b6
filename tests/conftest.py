"""Configuration of the test run: environment, Hypothesis, parallel workers, and the end of the shared server."""

import os
import re
import shutil

import pytest
from hypothesis import HealthCheck, settings

from tests.support import session

# Before any test module imports Prefect, which reads its environment on import.
session.set_environment()

pytest_plugins = ["tests.support.fixtures"]
_PORT = re.compile(r"127\.0\.0\.1:\d+")

# A loaded machine is no reason to fail.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Start as many workers as there are processors, and at least two: tests also wait."""
    return max(2, os.cpu_count() or 2)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Leave ports and times out of the names of tests, on which all workers must agree."""
    if isinstance(val, str) and _PORT.search(val):
        return _PORT.sub("127.0.0.1:PORT", val)
    if isinstance(val, bytes) and val.startswith(b"\x1f\x8b"):  # gzip stores the time of compression
        return "gzip"
    return None


def pytest_unconfigure() -> None:
    """Stop the server and remove the files of the run, after an interruption too."""
    if session.IS_MAIN:
        from tests.support import postgres

        postgres.stop_server()
        shutil.rmtree(session.DIRECTORY, ignore_errors=True)
