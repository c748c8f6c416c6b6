"""Worker processes: how many memory allows, how they start, and that they end with the process that started them.

Processes, not threads: TensorFlow's seed is global to a process. They know nothing of Prefect or the database, so a
worker imports neither, and what is sent to it is pickled by name and never by value.
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
"""Upper bound when none is requested: each worker uses several cores by itself."""
WORKER_BYTES = 1_500_000_000
"""Memory of one worker with TensorFlow, 128 symbols and 57 years of months."""


def affordable_workers(step: str, requested: int | None = None) -> int:
    """Number of workers that memory allows: at most `requested`, by default `DEFAULT_WORKERS` and one a core."""
    wanted = min(DEFAULT_WORKERS, os.cpu_count() or 1) if requested is None else requested
    free = _free_bytes()
    allowed = wanted if free is None else max(1, free // WORKER_BYTES)
    if requested is not None and allowed < requested:
        log_line(step, f"{allowed} processes instead of {requested}, because of free memory")
    return int(min(wanted, allowed))


@contextmanager
def worker_pool(
    workers: int, *, advice: str, initializer: Callable[[], None] | None = None
) -> Iterator[ProcessPoolExecutor]:
    """Start a pool of worker processes, and end them with the block, also when it fails or is interrupted.

    Args:
        workers: Number of processes.
        advice: What to try when a worker is killed; the end of the error's sentence.
        initializer: Function without arguments that each worker calls first.

    Raises:
        BellwetherError: if a worker is killed, usually because memory ran out.
    """
    # Spawned: a fork of a process that has loaded TensorFlow hangs.
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(initializer,)
    )
    try:
        with ending_children():
            yield pool
    except BrokenProcessPool as error:
        raise BellwetherError(
            f"One of {workers} worker processes was killed, probably because memory ran out; {advice}."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def ending_children() -> Iterator[None]:
    """When the block fails, terminate the processes that it started: a pool would wait for their current work."""
    others = set(active_children())
    try:
        yield
    except BaseException:
        for process in set(active_children()) - others:
            process.terminate()
        raise


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Discard what native code writes to stderr while TensorFlow is loaded; no setting of TensorFlow does."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _start_worker(initializer: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one handles it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # native code only: exceptions travel back by themselves
    if initializer is not None:
        initializer()


def _end_with_parent() -> None:
    """End when the parent is gone: a killed parent cannot end its workers."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _free_bytes() -> int | None:
    """Memory that this process may still take, by the machine and by its control group; None where unknown."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")))
        group = Path("/sys/fs/cgroup")
        limit, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        if limit != "max":
            found.append(int(limit) - int(used))
    except (OSError, StopIteration, ValueError):
        pass  # not Linux, or no control group
    return min(found, default=None)
