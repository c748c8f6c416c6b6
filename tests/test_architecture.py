"""The structure of the product: rooms, floors and arrows, and which imports are allowed.

A room is a folder with an `__init__.py`. A module's floor is the length of its longest chain of imports within its
package. An arrow is an import of one module by another. `python -m tests.test_architecture` prints all of them.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("flows", "tasks", "model", "sql")
MAX_MODULES = 12
"""Modules in a folder, without its `__init__`."""
MAY_IMPORT = {"flows": {"flows", "tasks"}, "tasks": {"tasks", "model", "sql"}, "model": {"model"}, "sql": {"sql"}}
KEPT_IN = {
    "prefect": ("flows/", "tasks/"),
    "yfinance": ("tasks/sources/yahoo/",),
    "apprise": ("tasks/alerts/sender.py",),
    "sqlalchemy": ("sql/",),
    "psycopg2": ("sql/",),
    "alembic": ("sql/",),
    "tensorflow": ("model/",),
    "keras": ("model/",),
}
"""Libraries and the only places that may import them."""
FLOORS = {
    "tasks": (("",), ("failures",), ("sources",), ("plans",), ("alerts",), ("month",), ("research",), ("report",)),
    "model": (("",), ("bars", "pretrained"), ("quality",), ("forecaster",), ("evaluation",), ("drift", "paper")),
}
"""Wings of a package from the lowest floor up; "" are the modules at its top. A wing imports lower floors only."""
ALEMBIC = "sql/migrations"
"""Folder of numbered revisions, run by Alembic: it is no package of ours and grows with every change of the schema."""
COMPUTED = "a computed name"


def read_sources(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Read all modules, as paths relative to the root and their sources."""
    paths = sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def module_name(path: str) -> str:
    """Convert a path to a dotted name; a package's `__init__.py` has the name of its folder."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported_names(path: str, source: str) -> Iterator[str]:
    """Yield the dotted name of every import: those in functions, relative ones and those by a string included.

    `from a import b` yields both `a` and `a.b`, since b may be a module.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                folder = path.rpartition("/")[0].split("/")
                folder = folder[: len(folder) - node.level + 1]
                base = ".".join([*folder, base]).rstrip(".")
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            is_constant = bool(node.args) and isinstance(node.args[0], ast.Constant)
            yield str(node.args[0].value) if is_constant else COMPUTED  # type: ignore[attr-defined]


def find_violations(path: str, source: str) -> list[str]:
    """List packages and libraries that the module at `path` must not import."""
    package = path.partition("/")[0]
    names = sorted({name.partition(".")[0] for name in imported_names(path, source)})
    foreign = [name for name in names if name in PACKAGES and name not in MAY_IMPORT[package]]
    misplaced = [name for name in names if name in KEPT_IN and not path.startswith(KEPT_IN[name])]
    return foreign + misplaced + [name for name in names if name == COMPUTED]


def import_graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Map every module to the modules among `sources` that it imports.

    An import of a name from a package's `__init__` counts as an import of that package.
    """
    modules = {module_name(path): path for path in sources}
    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        targets = {target for target in imported_names(path, sources[path]) if target in modules}
        # `from a import b` of a module b is no import of the package a, apart from its `__init__` being executed.
        implied = {target.rpartition(".")[0] for target in targets}
        explicit = {
            target for target in targets if target not in implied or _takes_names(path, sources[path], target, modules)
        }
        graph[name] = explicit - {name}
    return graph


def _takes_names(path: str, source: str, package: str, modules: Mapping[str, str]) -> bool:
    """Whether a module imports a package itself, or a name from it that is no module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import) and any(alias.name == package for alias in node.names):
            return True
        if isinstance(node, ast.ImportFrom):
            names = list(imported_names(path, ast.unparse(node)))
            if names[0] == package and any(name not in modules for name in names[1:]):
                return True
    return False


def find_circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the modules of an import circle, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [str(name) for name in error.args[1]]
    return []


def floors_of(graph: Mapping[str, set[str]]) -> dict[str, int]:
    """Map every module to its floor; a module that imports none is on floor 1."""
    floors: dict[str, int] = {}
    for name in TopologicalSorter(graph).static_order():
        floors[name] = 1 + max((floors[target] for target in graph.get(name, ())), default=0)
    return floors


def count_floors(graph: Mapping[str, set[str]]) -> str:
    """Describe the number of floors, which a circle makes impossible to count."""
    return "floors in a circle" if find_circle(graph) else f"{max(floors_of(graph).values())} floors"


def folder_graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Map every folder to the folders whose modules its own modules import."""
    folder = {module_name(path): path.rpartition("/")[0].replace("/", ".") if "/" in path else path for path in sources}
    graph: dict[str, set[str]] = {name: set() for name in folder.values()}
    for name, targets in import_graph(sources).items():
        graph[folder[name]] |= {folder[target] for target in targets} - {folder[name]}
    return graph


def wing_of(package: str, module: str) -> str:
    """Name the folder below the package that a module belongs to; "" for the package's own modules."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (ROOT / package / parts[1]).is_dir() else ""


def find_upward_imports(package: str, graph: Mapping[str, set[str]]) -> list[str]:
    """List imports of a wing by another one that is not on a higher floor; a wing without floor may neither."""
    floor = {wing: number for number, wings in enumerate(FLOORS[package]) for wing in wings}
    upward = []
    for name, targets in graph.items():
        for target in targets:
            upper, lower = wing_of(package, name), wing_of(package, target)
            is_allowed = upper in floor and lower in floor and floor[lower] < floor[upper]
            if upper != lower and package not in (name, target) and not is_allowed:
                upward.append(f"{name} -> {target}")
    return sorted(upward)


def folders(sources: Mapping[str, str]) -> dict[str, list[str]]:
    """Map every folder to its modules and packages by name, without `__init__`."""
    contents: dict[str, set[str]] = {path.rpartition("/")[0]: set() for path in sources}
    for path in sources:
        folder, _, file = path.rpartition("/")
        if file != "__init__.py":
            contents[folder].add(file.removesuffix(".py"))
        elif "/" in folder:
            contents[folder.rpartition("/")[0]].add(folder.rpartition("/")[2])
    return {folder: sorted(names) for folder, names in sorted(contents.items())}


def unnamed_modules(docstring: str, names: Iterable[str]) -> list[str]:
    """List the modules that a package's docstring does not name in a line "- `module`: …", and names of none."""
    lines = re.findall(r"^- (`[^:]+`): \S", docstring, re.M)
    named = [name for line in lines for name in re.findall(r"`(\w+)`", line)]
    return sorted(set(names) ^ set(named))


def describe() -> str:
    """Describe each package: its rooms with their sizes, its floors and its arrows."""
    lines = []
    for package in PACKAGES:
        sources = read_sources([package])
        graph = import_graph(sources)
        by_folder = folder_graph(sources)
        arrows = sum(len(targets) for targets in graph.values())
        folder_arrows = sum(len(targets) for targets in by_folder.values())
        circle = find_circle(graph)
        floors, folder_floors = count_floors(graph), count_floors(by_folder)
        contents = folders(sources)
        lines.append(
            f"{package}: {len(sources)} modules on {floors}, {arrows} arrows; "
            f"{len(contents)} rooms on {folder_floors}, {folder_arrows} arrows"
        )
        for folder in contents:
            count = sum(path.rpartition("/")[0] == folder and not path.endswith("__init__.py") for path in sources)
            targets = ", ".join(sorted(by_folder[folder.replace("/", ".")])) or "none"
            lines.append(f"  {folder:<24} {count:>2} modules; imports {targets}")
        if circle:
            lines.append(f"  circle: {' -> '.join(circle)}")
    return "\n".join(lines)


SOURCES = read_sources()
FOLDERS = {folder: names for folder, names in folders(SOURCES).items() if not folder.startswith(ALEMBIC)}


def test_structure_is_printed() -> None:
    text = describe()
    print(f"\n{text}")  # noqa: T201  shown with `pytest -s`
    assert all(f"{package}: " in text for package in PACKAGES)


@pytest.mark.parametrize("path", SOURCES)
def test_module_imports_only_what_it_may(path: str) -> None:
    assert find_violations(path, SOURCES[path]) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_folder_has_at_most_twelve_modules(folder: str) -> None:
    modules = [path for path in SOURCES if path.rpartition("/")[0] == folder and not path.endswith("__init__.py")]
    assert len(modules) <= MAX_MODULES


@pytest.mark.parametrize("folder", FOLDERS)
def test_package_docstring_names_every_module(folder: str) -> None:
    docstring = ast.get_docstring(ast.parse(SOURCES[f"{folder}/__init__.py"])) or ""
    assert unnamed_modules(docstring, FOLDERS[folder]) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_import_without_circle(package: str) -> None:
    assert find_circle(import_graph(read_sources([package]))) == []


@pytest.mark.parametrize("package", ["flows", "tasks", "model"])
def test_folders_import_without_circle(package: str) -> None:
    assert find_circle(folder_graph(read_sources([package]))) == []


@pytest.mark.parametrize("package", FLOORS)
def test_wings_import_lower_floors_only(package: str) -> None:
    assert find_upward_imports(package, import_graph(read_sources([package]))) == []


@pytest.mark.parametrize("package", FLOORS)
def test_every_wing_has_a_floor(package: str) -> None:
    wings = {wing_of(package, module_name(path)) for path in read_sources([package])}
    assert wings == {wing for wings in FLOORS[package] for wing in wings}


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
        ("model/forecaster/network.py", "def f(name):\n    return import_module(name)", [COMPUTED]),
        ("tasks/sources/yahoo/source.py", "import yfinance.data\nfrom prefect import task", []),
        ("tasks/month/train.py", "class C:\n    def f(self):\n        from keras import layers", ["keras"]),
        ("flows/monthly.py", "import psycopg2\nimport tensorflow as tf", ["psycopg2", "tensorflow"]),
    ],
)
def test_find_violations_detects_forbidden_imports(path: str, source: str, expected: list[str]) -> None:
    assert find_violations(path, source) == expected


def test_import_graph_resolves_every_kind_of_import() -> None:
    sources = {
        "p/__init__.py": "X = 1",
        "p/a.py": "from p import b",
        "p/b.py": "from p.w.c import y\nfrom p import X",
        "p/w/__init__.py": "",
        "p/w/c.py": "def f():\n    from . import d",
        "p/w/d.py": "import os\nimport p.e",
        "p/e.py": "from .w import missing",
    }
    graph = import_graph(sources)
    assert graph["p.a"] == {"p.b"}
    assert graph["p.b"] == {"p.w.c", "p"}
    assert graph["p.w.c"] == {"p.w.d"}
    assert graph["p.w.d"] == {"p.e"}
    assert graph["p.e"] == {"p.w"}
    assert floors_of({name: graph[name] for name in graph})["p.a"] == 6


def test_find_circle_returns_the_modules_of_a_circle() -> None:
    assert set(find_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}
    assert find_circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_find_upward_imports_knows_the_floors() -> None:
    graph = {
        "tasks.settings": {"tasks.month.run"},
        "tasks.month.run": {"tasks.settings", "tasks.research.replay", "tasks.month.score"},
        "tasks.research.replay": {"tasks.month.run", "tasks"},
    }
    expected = ["tasks.month.run -> tasks.research.replay", "tasks.settings -> tasks.month.run"]
    assert find_upward_imports("tasks", graph) == expected
    model = {
        "model.frames": {"model.config"},
        "model.paper.training": {"model.config", "model.bars.months", "model.drift.monitor"},
        "model.drift.monitor": {"model.evaluation.metrics", "model"},
    }
    assert find_upward_imports("model", model) == ["model.paper.training -> model.drift.monitor"]


def test_unnamed_modules_compares_docstring_and_folder() -> None:
    docstring = "A room.\n\n- `a`: first.\n- `b`, `c`: others.\n- `gone`: absent."
    assert unnamed_modules(docstring, ["a", "b", "c", "d"]) == ["d", "gone"]


def test_kept_libraries_are_imported_somewhere() -> None:
    """A misspelt library in KEPT_IN would restrict nothing."""
    used = {name.partition(".")[0] for path, source in SOURCES.items() for name in imported_names(path, source)}
    assert set(KEPT_IN) <= used


if __name__ == "__main__":
    print(describe())  # noqa: T201  the purpose of the command
