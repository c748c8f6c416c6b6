"""The rooms and who may enter them: imports point one way."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("flows", "tasks", "model", "sql")
MAY_ENTER = {"flows": {"flows", "tasks"}, "tasks": {"tasks", "model", "sql"}, "model": {"model"}, "sql": {"sql"}}
KEPT_IN = {
    "prefect": ("flows/", "tasks/"),
    "yfinance": ("tasks/sources/yahoo.py",),
    "sqlalchemy": ("sql/",),
    "psycopg2": ("sql/",),
    "alembic": ("sql/",),
    "tensorflow": ("model/",),
    "keras": ("model/",),
}
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imported(source: str) -> Iterator[str]:
    """Top names of every import, also of those inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def violations(path: str, source: str) -> list[str]:
    """Imports that a module at `path` (relative, with slashes) must not make."""
    room = path.partition("/")[0]
    names = sorted(set(imported(source)))
    foreign = [name for name in names if name in ROOMS and name not in MAY_ENTER[room]]
    misplaced = [name for name in names if name in KEPT_IN and not path.startswith(KEPT_IN[name])]
    return foreign + misplaced


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_one_way(module: Path) -> None:
    assert violations(module.relative_to(ROOT).as_posix(), module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("model/network.py", "import tensorflow\nfrom model import Floats", []),
        ("model/network.py", "def f():\n    from sql.store import Store", ["sql"]),
        ("flows/cli.py", "import model.gate", ["model"]),
        ("tasks/sources/files.py", "import yfinance as yf", ["yfinance"]),
        ("tasks/scoring.py", "from sqlalchemy.orm import Session\nfrom flows import cli", ["flows", "sqlalchemy"]),
        ("sql/store.py", "import tasks.errors, model", ["model", "tasks"]),
    ],
)
def test_violations_finds_what_must_not_be(path: str, source: str, expected: list[str]) -> None:
    assert violations(path, source) == expected


def test_the_rooms_are_not_empty() -> None:
    assert len(MODULES) > 30
