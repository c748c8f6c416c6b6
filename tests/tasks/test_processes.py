"""Pools of worker processes: limited by memory, and terminated with their parent."""

import os
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path

import psutil
import pytest

import tasks.processes
from tasks.errors import BellwetherError
from tasks.processes import WORKER_BYTES, affordable_workers, worker_pool

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = """
import os, time
from tasks.processes import worker_pool
if __name__ == "__main__":
    with worker_pool(1, advice="") as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(60)
"""


def is_running(pid: int) -> bool:
    """Check that a process is alive and no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_worker_exits_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, script], env=environment, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        worker = int(starter.stdout.readline())
        assert is_running(worker)
        starter.kill()
    deadline = time.monotonic() + 60
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(worker)


def test_worker_pool_terminates_its_workers_if_the_block_fails() -> None:
    before = set(active_children())

    def use_pool() -> None:
        with worker_pool(2, advice="") as pool:
            pool.submit(time.sleep, 3600)
            pool.submit(divmod, 1, 0).result()

    with pytest.raises(ZeroDivisionError):
        use_pool()
    assert set(active_children()) == before


def test_worker_pool_reports_a_killed_worker_in_one_sentence() -> None:
    with (
        pytest.raises(BellwetherError, match=r"One of 1 worker processes was killed, .* ran out; buy some\."),
        worker_pool(1, advice="buy some") as pool,
    ):
        pool.submit(os._exit, 1).result()


@pytest.mark.parametrize(
    ("requested", "cores", "free", "expected"),
    [
        (None, 8, 64, 2),
        (None, 1, 64, 1),
        (None, None, 64, 1),
        (None, 8, 1.5, 1),
        (6, 2, 64, 6),
        (6, 2, 3.5, 3),
        (6, 2, 0.1, 1),
        (6, 2, None, 6),
    ],
)
def test_affordable_workers_respects_memory(
    monkeypatch: pytest.MonkeyPatch, requested: int | None, cores: int | None, free: float | None, expected: int
) -> None:
    """`free` is a multiple of one worker's memory."""
    available = None if free is None else int(free * WORKER_BYTES)
    monkeypatch.setattr(tasks.processes, "_free_bytes", lambda: available)
    monkeypatch.setattr(tasks.processes.os, "cpu_count", lambda: cores)
    assert affordable_workers("folds", requested) == expected


def test_free_bytes_of_this_machine_is_plausible_or_unknown() -> None:
    free = tasks.processes._free_bytes()
    assert free is None or 0 < free < 1 << 50
