"""Processes beside this one."""

import pytest

import tasks.processes
from tasks.processes import WORKER_BYTES, affordable_workers


@pytest.mark.parametrize(
    ("asked", "cores", "free", "expected"),
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
def test_workers_are_no_more_than_memory_allows(
    monkeypatch: pytest.MonkeyPatch, asked: int | None, cores: int | None, free: float | None, expected: int
) -> None:
    """`free` counts what one process needs."""
    available = None if free is None else int(free * WORKER_BYTES)
    monkeypatch.setattr(tasks.processes, "_free_bytes", lambda: available)
    monkeypatch.setattr(tasks.processes.os, "cpu_count", lambda: cores)
    assert affordable_workers("folds", asked) == expected


def test_free_memory_of_this_machine_is_known_or_not_claimed() -> None:
    free = tasks.processes._free_bytes()
    assert free is None or 0 < free < 1 << 50
