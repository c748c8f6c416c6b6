"""How a step says what it did, and a long one how far it is: to whoever watches, and to Prefect's log of the run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Listener(Protocol):
    """Somebody watching: the command line's screen."""

    def on_progress(self, step: str, done: int, total: int) -> None:
        """`done` of `total` parts of a step are done."""

    def on_line(self, step: str, line: str) -> None:
        """A step has said what it did."""


# One list a process: steps run in threads of the flow's process, and there is one screen.
_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have `listener` told for as long as the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def show_progress(step: str, done: int, total: int) -> None:
    """Say how far a step is; costs next to nothing when nobody watches."""
    for listener in _listeners:
        listener.on_progress(step, done, total)


def log_line(step: str, line: str) -> None:
    """The one line a step leaves: what, how many, for which key."""
    for listener in _listeners:
        listener.on_line(step, line)
    from prefect.exceptions import MissingContextError  # here, as worker processes import this module
    from prefect.logging import get_run_logger

    try:
        get_run_logger().info("%s: %s", step, line)
    except MissingContextError:
        return  # called outside of a run, as tests of a step's rule do
