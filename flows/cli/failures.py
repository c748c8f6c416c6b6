"""The border of the command line: a failure of any layer becomes one sentence and an exit code, without a traceback."""

import contextlib
import os
import sys
import threading
import warnings
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from tasks.alerts.redaction import describe_error, format_traceback
from tasks.errors import BellwetherError, UnexpectedError
from tasks.failures.error_logs import write_error_log
from tasks.failures.expected import expected_error, require_address_space
from tasks.failures.orphans import remove_orphans
from tasks.settings import find_settings, get_settings

_TERMINATED_EXIT_CODE = 143


class CommandGroup(TyperGroup):
    """The commands; keeps Ctrl-C for the border, because Typer ends without a word."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command, after the leftovers of killed commands are removed."""
        try:
            require_address_space()
            with contextlib.suppress(BellwetherError, OSError):
                remove_orphans(get_settings().home)
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _Interruption from error


class _Interruption(BaseException):
    """Ctrl-C, hidden from Typer."""


def run_program(app: typer.Typer, arguments: list[str]) -> int:
    """Run the program; every failure is printed as one sentence.

    Args:
        app: The commands.
        arguments: The command line; with `--verbose` tracebacks are printed.

    Returns:
        The exit code.
    """
    is_verbose = "--verbose" in arguments
    if not is_verbose:
        _silence_background_failures()
    try:
        app(standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except _Interruption as interruption:
        return _report(interruption.__cause__ or interruption, is_verbose=is_verbose)
    except BaseException as error:
        return _report(error, is_verbose=is_verbose)
    return 0


def _report(error: BaseException, *, is_verbose: bool) -> int:
    """Print an error as one sentence; return its exit code."""
    sentence, code = _describe(error)
    with contextlib.suppress(Exception):  # the screen may be the fault
        if is_verbose:
            print(format_traceback(error), file=sys.stderr)  # noqa: T201  requested
        text = escape(" ".join(sentence.split()))
        Console(stderr=True).print(f"[bold red]bellwether:[/] {text}", highlight=False, soft_wrap=True)
    _discard_output_that_cannot_be_written()
    return code


def _describe(error: BaseException) -> tuple[str, int]:
    """Return the sentence about an error and its exit code, also if memory or the home is the fault."""
    try:
        settings = find_settings()
        expected = expected_error(error, settings)
        if expected is not None:
            return describe_error(expected) if expected.exit_code != 130 else str(expected), expected.exit_code
        if not isinstance(error, Exception):  # Prefect raises a SIGTERM as an exception
            return "terminated; the same command again completes the work.", _TERMINATED_EXIT_CODE
        return describe_error(error), UnexpectedError.exit_code
    except Exception:  # the description must not fail
        return f"An unexpected error ({type(error).__name__}) ended the command.", UnexpectedError.exit_code


def _discard_output_that_cannot_be_written() -> None:
    """Redirect a standard stream that cannot be flushed: the interpreter would print a traceback at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _silence_background_failures() -> None:
    """Write tracebacks of threads and destructors to a log file instead of the screen: the command reports its end."""
    warnings.filterwarnings("ignore", message=".*was never awaited", category=RuntimeWarning)

    def log_thread(failure: threading.ExceptHookArgs) -> None:
        if failure.exc_value is not None:
            _log(failure.exc_value)

    def log_unraisable(failure: Any) -> None:
        if failure.exc_value is not None:
            _log(failure.exc_value)

    threading.excepthook = log_thread
    sys.unraisablehook = log_unraisable


def _log(error: BaseException) -> None:
    with contextlib.suppress(Exception):
        settings = find_settings()
        if settings is not None:
            write_error_log(settings.home, format_traceback(error))
