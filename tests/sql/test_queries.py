"""The statement files: lookup by name and a comment of purpose in each."""

from pathlib import Path

import pytest

from sql import queries
from sql.queries import statement

FILES = sorted(Path(queries.__file__).parent.glob("*/*.sql"))


def test_statement_returns_the_text_of_its_file() -> None:
    assert statement("clock").endswith("select clock_timestamp() as moment\n")


def test_statement_rejects_an_unknown_name() -> None:
    with pytest.raises(ValueError, match="'absent' has 0 files"):
        statement("absent")


def test_every_statement_has_a_unique_name_and_a_comment() -> None:
    assert len(FILES) == len({path.name for path in FILES}) > 70
    assert [path.name for path in FILES if not path.read_text(encoding="utf-8").startswith("-- ")] == []
