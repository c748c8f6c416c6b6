"""Progress and log lines of the steps, for the command line's screen and for Prefect's log of the run."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Listener(Protocol):
    """Receiver of progress and log lines, such as the command line's screen."""

    def on_progress(self, step: str, done: int, total: int) -> None:
        """Receive the progress of a step: `done` of `total` parts."""

    def on_line(self, step: str, line: str) -> None:
        """Receive a log line of a step."""


# One list for the process: steps run in threads of the flow's process.
_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send progress and log lines to `listener` while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def show_progress(step: str, done: int, total: int) -> None:
    """Report the progress of a step to the listeners."""
    for listener in _listeners:
        listener.on_progress(step, done, total)


def log_line(step: str, line: str) -> None:
    """Log the line of a step: what it did, how many, for which key."""
    for listener in _listeners:
        listener.on_line(step, line)
    # Worker processes and checks without Prefect do not import it; where it is not imported, no run is in progress.
    if "prefect" not in sys.modules:
        return
    from prefect.exceptions import MissingContextError
    from prefect.logging import get_run_logger

    try:
        get_run_logger().info("%s: %s", step, line)
    except MissingContextError:
        return  # called outside of a run, as in a test of a step
