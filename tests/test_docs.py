"""The pages against the program: commands, queries, settings, exit codes, rules and columns."""

import re
from pathlib import Path
from typing import get_args

import psycopg2
import pytest
import typer

from flows.cli.main import app
from model.drift.measures import MEASURES
from model.drift.monitor import Status
from model.quality.screening import RULES
from tasks import errors
from tasks.report.summaries import EXAMPLE_QUERIES
from tasks.settings import Settings
from tasks.sources.base import Outcome
from tasks.sources.files.prices import FINDING_RULES
from tests.support.rows import query

ROOT = Path(__file__).resolve().parent.parent
PAGES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))}
LINES = [
    line.strip().removesuffix(" &")
    for page in PAGES.values()
    for block in re.findall(r"```sh\n(.*?)```", page, re.S)
    for line in block.splitlines()
]


def test_readme_shows_the_example_queries() -> None:
    shown = re.findall(r"```sql\n(.*?);\n```", PAGES["README.md"], re.S)
    assert shown == list(EXAMPLE_QUERIES.values())


@pytest.mark.parametrize("statement", EXAMPLE_QUERIES.values(), ids=EXAMPLE_QUERIES.keys())
def test_example_query_runs(statement: str, database_url: str) -> None:
    connection = psycopg2.connect(database_url)
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


@pytest.mark.parametrize("line", [line for line in LINES if "bellwether " in line and not line.startswith("prefect")])
def test_documented_command_exists(line: str) -> None:
    words = re.sub(r'"[^"]*"', "X", line).replace(".venv/bin/", "").split()
    command = typer.main.get_command(app)
    for word in words[1:]:
        if word.startswith("-"):
            options = {option for parameter in command.params for option in parameter.opts}
            assert word in options or command.ignore_unknown_options or command.context_settings, word
        elif hasattr(command, "commands") and word in command.commands:
            command = command.commands[word]
    assert not hasattr(command, "commands")


@pytest.mark.parametrize("verb", ["setup", "run", "test", "check", "bench"])
def test_makefile_has_the_verb(verb: str) -> None:
    assert re.search(rf"^{verb}:", (ROOT / "Makefile").read_text(), re.M)


def test_operations_page_explains_every_setting() -> None:
    for name in Settings.model_fields:
        variable = "DATABASE_URL" if name == "database_url" else f"BELLWETHER_{name.upper()}"
        assert f"`{variable}`" in PAGES["operations.md"]


def test_operations_page_explains_every_exit_code() -> None:
    kinds = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    codes = {kind.exit_code for kind in kinds if kind not in (errors.BellwetherError, errors.AlreadyPublishedError)}
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGES["operations.md"], re.M)}
    assert codes <= listed


def test_links_of_the_pages_exist() -> None:
    for name, page in PAGES.items():
        base = ROOT if name == "README.md" else ROOT / "docs"
        for target in re.findall(r"\]\(([^)#:]+)\)", page):
            assert (base / target).exists(), target


def test_data_page_explains_every_rule_and_outcome() -> None:
    explained = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGES["data.md"], re.M))
    for rule, sentence in RULES.items():
        assert explained[rule] == sentence
    assert {*FINDING_RULES, *map(str, Outcome)} <= set(explained)


def test_scores_page_explains_every_column_of_the_scorecard(database_url: str) -> None:
    explained = re.findall(r"^\| `(\w+)` \|", PAGES["scores.md"], re.M)
    columns = query(
        database_url,
        "select column_name from information_schema.columns where table_name = 'scorecard' and table_schema = 'report'",
    )
    assert sorted(explained) == sorted(name for (name,) in columns)


@pytest.mark.parametrize(
    "statement",
    [
        statement
        for name in ("data.md", "drift.md", "scores.md")
        for statement in re.findall(r"```sql\n(.*?);\n```", PAGES[name], re.S)
    ],
)
def test_documented_query_runs(statement: str, database_url: str) -> None:
    query(database_url, statement)


def test_drift_page_explains_every_measure_and_status() -> None:
    explained = set(re.findall(r"`(\w+)`", PAGES["drift.md"]))
    assert {*MEASURES, *get_args(Status)} <= explained
