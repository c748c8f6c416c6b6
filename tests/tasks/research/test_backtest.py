"""The output file of a backtest."""

from pathlib import Path

import pytest

from tasks.errors import BadRequestError
from tasks.research.backtest import reserved_output


def test_reserved_output_replaces_the_file_on_success(tmp_path: Path) -> None:
    out = tmp_path / "f.parquet"
    out.write_text("old")
    with reserved_output(out) as partial:
        assert partial is not None
        partial.write_text("new")
        assert out.read_text() == "old"
    assert out.read_text() == "new"
    assert list(tmp_path.iterdir()) == [out]


def test_reserved_output_keeps_the_file_on_failure(tmp_path: Path) -> None:
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


def test_reserved_output_without_a_path_yields_none() -> None:
    with reserved_output(None) as partial:
        assert partial is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [("no/such/f.parquet", "No such file"), ("taken.parquet", "it is a directory"), ("file/f.parquet", "Not a dir")],
)
def test_reserved_output_rejects_unwritable_paths(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "taken.parquet").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(BadRequestError, match=f"cannot be written: {reason}"), reserved_output(tmp_path / name):
        pass
