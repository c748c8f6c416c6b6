"""What every process that we start is held to, whoever pools it; imports nothing that a child would wait for."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children


@contextmanager
def ending_children() -> Iterator[None]:
    """When the block fails, end the processes that it started: a pool would wait for what they are at.

    Also on Ctrl-C, and for a pool that would go on with what is queued.
    """
    others = set(active_children())
    try:
        yield
    except BaseException:
        for process in set(active_children()) - others:
            process.terminate()
        raise


def leave_interrupts() -> None:
    """Ctrl-C reaches every process, and is the first one's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
