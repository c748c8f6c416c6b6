"""Pools of worker processes: limited by memory, and terminated with the process that started them.

Trainings run in processes rather than threads because TensorFlow's seed is global to a process. A worker imports
neither Prefect nor the database, and functions are sent to it by name.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path

from tasks.errors import BellwetherError
from tasks.progress import log_line

DEFAULT_WORKERS = 2
"""Largest default number of workers: each of them uses several cores."""
WORKER_BYTES = 1_500_000_000
"""Memory of one worker with TensorFlow, and 57 years of months of 128 symbols."""


def affordable_workers(step: str, requested: int | None = None) -> int:
    """Compute the number of workers that free memory allows, at least one.

    Args:
        step: Step that starts them, for the log line about a smaller number.
        requested: Upper limit; default: `DEFAULT_WORKERS`, and at most one a core.
    """
    limit = min(DEFAULT_WORKERS, os.cpu_count() or 1) if requested is None else requested
    free = _free_bytes()
    allowed = limit if free is None else max(1, free // WORKER_BYTES)
    if requested is not None and allowed < requested:
        log_line(step, f"{allowed} processes instead of {requested}, limited by free memory")
    return int(min(limit, allowed))


@contextmanager
def worker_pool(
    workers: int, *, advice: str, initializer: Callable[[], None] | None = None
) -> Iterator[ProcessPoolExecutor]:
    """Start a pool of worker processes, and terminate them if the block fails or is interrupted.

    Args:
        workers: Number of processes.
        advice: What to try if a worker is killed; the end of the error's sentence.
        initializer: Function without arguments that each worker calls at its start.

    Raises:
        BellwetherError: if a worker is killed, usually because memory ran out.
    """
    # Spawned: a fork of a process with TensorFlow loaded hangs.
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(initializer,)
    )
    try:
        with _terminate_on_failure():
            yield pool
    except BrokenProcessPool as error:
        raise BellwetherError(
            f"One of {workers} worker processes was killed, probably because memory ran out; {advice}."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _terminate_on_failure() -> Iterator[None]:
    """Terminate the processes that the block started if it fails: a pool would wait for their current work."""
    others = set(active_children())
    try:
        yield
    except BaseException:
        for process in set(active_children()) - others:
            process.terminate()
        raise


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Discard the messages of native code to stderr while TensorFlow loads; TensorFlow has no setting for it."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(os.devnull, "w") as null:
            os.dup2(null.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _start_worker(initializer: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent handles it
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # silences native code; exceptions are returned to the parent
    if initializer is not None:
        initializer()


def _exit_with_parent() -> None:
    """Exit once the parent is gone: a killed parent cannot terminate its workers."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _free_bytes() -> int | None:
    """Read the free memory of the machine and of the process's control group; None if unknown."""
    limits = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        limits.append(1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")))
        group = Path("/sys/fs/cgroup")
        limit, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        if limit != "max":
            limits.append(int(limit) - int(used))
    except (OSError, StopIteration, ValueError):
        pass  # not Linux, or no control group
    return min(limits, default=None)
