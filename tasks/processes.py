"""Processes beside this one: as many as memory allows, known to Prefect, and gone when their work is.

Processes, not threads: TensorFlow's seed and Prefect's context are a process's own.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from prefect.client.base import ServerType
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import ProcessPoolTaskRunner

from tasks.children import ending_children, leave_interrupts
from tasks.progress import log_line

MOST_WORKERS = 2  # processes unless told otherwise: each of them uses several cores by itself
WORKER_BYTES = 1_500_000_000  # what a process needs at 128 symbols and 57 years, with TensorFlow


def affordable_workers(step: str, asked: int | None = None) -> int:
    """Processes that memory allows, of those asked for or, by default, of two where there are the cores."""
    wanted = min(MOST_WORKERS, os.cpu_count() or 1) if asked is None else asked
    free = _free_bytes()
    allowed = wanted if free is None else max(1, free // WORKER_BYTES)
    if asked is not None and allowed < asked:
        log_line(step, f"{allowed} instead of {asked} processes: that is what memory allows")
    return int(min(wanted, allowed))


def _free_bytes() -> int | None:
    """Memory that this process may still take, of the machine and of its control group; None where nobody says."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")))
        group = Path("/sys/fs/cgroup")
        limit, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        if limit != "max":
            found.append(int(limit) - int(used))
    except (OSError, StopIteration, ValueError):
        pass  # not a Linux, or no control group: what was found so far stands
    return min(found, default=None)


@contextmanager
def process_pool(workers: int) -> Iterator[ProcessPoolTaskRunner]:
    """Prefect's processes: spawned, as a fork of one that has TensorFlow hangs, and gone with the block."""
    with get_client(sync_client=True) as client:
        url, is_ephemeral = str(client.api_url), client.server_type == ServerType.EPHEMERAL
    # Without an address each process would start a Prefect server of its own.
    shared = temporary_settings({PREFECT_API_URL: url}) if is_ephemeral else nullcontext()
    with shared, ProcessPoolTaskRunner(workers, initializer=leave_interrupts) as runner, ending_children():
        yield runner
