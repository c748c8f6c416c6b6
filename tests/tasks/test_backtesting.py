"""The steps of a backtest by themselves: the file that appears at the end, and how many processes there may be."""

from pathlib import Path

import pytest

import tasks.backtesting
from tasks.backtesting import WORKER_BYTES, _affordable_workers, reserved_output
from tasks.errors import BadRequestError


def test_reserved_output_takes_its_place_when_all_is_written(tmp_path: Path) -> None:
    out = tmp_path / "f.parquet"
    out.write_text("old")
    with reserved_output(out) as partial:
        assert partial is not None
        partial.write_text("new")
        assert out.read_text() == "old"
    assert out.read_text() == "new"
    assert list(tmp_path.iterdir()) == [out]


def test_reserved_output_leaves_what_was_there_when_the_work_fails(tmp_path: Path) -> None:
    out = tmp_path / "f.parquet"
    out.write_text("old")

    def work() -> None:
        with reserved_output(out) as partial:
            assert partial is not None
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]


def test_reserved_output_of_nothing_is_nothing() -> None:
    with reserved_output(None) as partial:
        assert partial is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [("no/such/f.parquet", "No such file"), ("taken.parquet", "it is a directory"), ("file/f.parquet", "Not a dir")],
)
def test_reserved_output_refuses_where_no_file_can_be(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "taken.parquet").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(BadRequestError, match=f"cannot be written: {reason}"), reserved_output(tmp_path / name):
        pass


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
    monkeypatch.setattr(tasks.backtesting, "_free_bytes", lambda: available)
    monkeypatch.setattr(tasks.backtesting.os, "cpu_count", lambda: cores)
    assert _affordable_workers(asked) == expected


def test_free_memory_of_this_machine_is_known_or_not_claimed() -> None:
    free = tasks.backtesting._free_bytes()
    assert free is None or 0 < free < 1 << 50
