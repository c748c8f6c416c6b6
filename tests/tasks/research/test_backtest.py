"""The steps of a backtest by themselves: the file that appears at the end, and how many processes there may be."""

from pathlib import Path

import pytest

from tasks.errors import BadRequestError
from tasks.research.backtest import reserved_output


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
