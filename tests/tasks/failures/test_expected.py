"""Errors of other libraries and of the system as errors of the program."""

import errno
import os
from pathlib import Path

import httpx
import pytest
from prefect.exceptions import ParameterTypeError

from tasks.errors import (
    BadRequestError,
    BellwetherError,
    HomeUnusableError,
    InterruptedByUserError,
    PrefectUnavailableError,
    ResourcesExhaustedError,
)
from tasks.failures.expected import expected_error, shorten
from tasks.settings import Settings


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def handled(error: Exception, context: Exception) -> Exception:
    error.__context__ = context
    return error


def of_system(number: int, path: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), path)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BadRequestError("x"), BadRequestError),
        (caused(ValueError("x"), BadRequestError("y")), BadRequestError),
        (KeyboardInterrupt(), InterruptedByUserError),
        (MemoryError(), ResourcesExhaustedError),
        (caused(RuntimeError("x"), MemoryError()), ResourcesExhaustedError),
        (RuntimeError("can't start new thread"), ResourcesExhaustedError),
        (ImportError("x.so: failed to map segment from shared object"), ResourcesExhaustedError),
        (of_system(errno.ENOSPC), ResourcesExhaustedError),
        (of_system(errno.EDQUOT, "/home/b/x"), ResourcesExhaustedError),
        (of_system(errno.EMFILE), ResourcesExhaustedError),
        (of_system(errno.ENOTDIR, "/home/b/prefect"), HomeUnusableError),
        (of_system(errno.EROFS, "/home/b/logs/x"), HomeUnusableError),
        (of_system(errno.EACCES, "/home/b"), HomeUnusableError),
        (of_system(errno.ENOENT, "/home/b"), HomeUnusableError),
        (of_system(errno.ENOENT, "/home"), HomeUnusableError),
        (httpx.ConnectError("x"), PrefectUnavailableError),
        (httpx.ReadTimeout("x"), PrefectUnavailableError),
        (
            RuntimeError("Timed out while attempting to connect to ephemeral Prefect API server."),
            PrefectUnavailableError,
        ),
        (ParameterTypeError("x: Input should be 1"), BadRequestError),
        # Faults of the program:
        (ValueError("x"), None),
        (of_system(errno.ENOENT, "/home/b/models/x"), None),
        (of_system(errno.EACCES, "/home/bb/x"), None),
        (of_system(errno.EACCES, "/etc/x"), None),
        (handled(ValueError("x"), BadRequestError("handled before")), None),
    ],
)
def test_expected_error_knows_the_kind(error: BaseException, kind: type[BellwetherError] | None) -> None:
    expected = expected_error(error, Settings(home=Path("/home/b")))
    assert type(expected) is (type(None) if kind is None else kind)
    assert "\n" not in str(expected)


def test_expected_error_ends_with_a_circle_of_causes() -> None:
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    assert expected_error(first, None) is None


def test_shorten_abbreviates_long_words() -> None:
    text = shorten(f"Unknown source\n {'a' * 5000}; choose one")
    assert text == f"Unknown source {'a' * 80}…{'a' * 19}; choose one"
