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
    "yfinance": ("tasks/sources/yahoo/source.py",),
    "apprise": ("tasks/alerts/sender.py",),
    "sqlalchemy": ("sql/",),
    "psycopg2": ("sql/",),
    "alembic": ("sql/",),
    "tensorflow": ("model/",),
    "keras": ("model/",),
}
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imported(source: str) -> Iterator[str]:
    """Top names of every import, also of those inside functions and of those by name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # Rooms lie side by side at the top, so a relative import cannot leave its room.
            yield "" if node.level else (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            if not node.args or not isinstance(node.args[0], ast.Constant):
                yield "a computed name"
            else:
                yield str(node.args[0].value).partition(".")[0]


def violations(path: str, source: str) -> list[str]:
    """Imports that a module at `path` (relative, with slashes) must not make."""
    room = path.partition("/")[0]
    names = sorted(set(imported(source)))
    foreign = [name for name in names if name in ROOMS and name not in MAY_ENTER[room]]
    misplaced = [name for name in names if name in KEPT_IN and not path.startswith(KEPT_IN[name])]
    return foreign + misplaced + [name for name in names if name == "a computed name"]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_one_way(module: Path) -> None:
    assert violations(module.relative_to(ROOT).as_posix(), module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("model/forecaster/network.py", "import tensorflow\nfrom model import Floats", []),
        ("model/forecaster/network.py", "def f():\n    from sql.store import Store", ["sql"]),
        ("flows/cli/main.py", "import model.evaluation.gate", ["model"]),
        ("tasks/sources/files/source.py", "import yfinance as yf", ["yfinance"]),
        ("tasks/month/score.py", "from sqlalchemy.orm import Session\nfrom flows import cli", ["flows", "sqlalchemy"]),
        ("sql/store.py", "import tasks.errors, model", ["model", "tasks"]),
        (
            "sql/store.py",
            "if True:\n    try:\n        import prefect\n    except ImportError:\n        pass",
            ["prefect"],
        ),
        ("sql/store.py", "import alembic, psycopg2\nfrom sqlalchemy import text\nfrom . import upgrade", []),
        ("model/forecaster/network.py", "import importlib\nimportlib.import_module('sql.store')", ["sql"]),
        ("model/forecaster/network.py", "__import__('tasks')", ["tasks"]),
        ("model/forecaster/network.py", "def f(name):\n    return import_module(name)", ["a computed name"]),
        ("tasks/sources/yahoo/source.py", "import yfinance.data\nfrom prefect import task", []),
        ("tasks/month/train.py", "class C:\n    def f(self):\n        from keras import layers", ["keras"]),
        ("flows/monthly.py", "import psycopg2\nimport tensorflow as tf", ["psycopg2", "tensorflow"]),
    ],
)
def test_violations_finds_what_must_not_be(path: str, source: str, expected: list[str]) -> None:
    assert violations(path, source) == expected


def test_the_checker_reads_every_room() -> None:
    assert {module.relative_to(ROOT).parts[0] for module in MODULES} == set(ROOMS)
    assert len(MODULES) > 30
    # What is kept in one place is used there: a misspelt name would keep nothing.
    used = {name for module in MODULES for name in imported(module.read_text(encoding="utf-8"))}
    assert set(KEPT_IN) <= used
