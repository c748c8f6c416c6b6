"""The vocabulary of the project: words that no file may use, as identifiers, in prose or in file names.

`python -m tests.test_words` prints every use.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SEARCHED = ("flows", "tasks", "model", "sql", "deployments", "docs", "tests", "benchmarks")
"""Folders; with the files of FILES, everything that a user or a developer reads."""
FILES = ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml")
SUFFIXES = {".py", ".sql", ".md", ".mako", ".toml", ".yaml", ".service", ".timer", ""}
LEFT_OUT = ("sql/migrations/versions/000*", "tests/test_words.py")
"""Migrations as they were written, which rename nothing, and this list."""

FORBIDDEN = {
    r"pupils?": "compiled network",
    r"lessons?": "training set",
    r"teach(es|ing|ers?)?|taught": "trainer, train",
    r"(un)?watch(es|ed|ing)?": "drift monitor, service check, monitored universe",
    r"judg(e|es|ed|ing|e?ments?)": "evaluate; holdout months",
    r"duels?": "compare",
    r"yardsticks?": "reference forecast",
    r"fleets?": "universe",
    r"luck|lucky": "control variate",
    r"outlooks?|centres?|spreads?": "location, scale",
    r"mend(s|ed|ing)?": "fix",
    r"tell(s|ing)?|told|takes? note|took note": "notify, acknowledge",
    r"on[ _]duty|answered[ _]for": "monitored",
    r"pass(es|ed|ing)?[ _]over": "skip",
    r"says?|saying|said": "forecast, report, respond",
    r"ask(s|ed|ing)?": "request",
    r"learn(s|ed|t|ing)?|forgets?|forgot(ten)?": "train, store, clear",
    r"whoever|whatever|everybody|somebody|nobody knows": "a noun",
    r"what (is|was|were) (said|served|there|given out)|what (came|comes|has come)": "a noun",
    r"of (its|his|their|our|your) own|of theirs": "a plain possessive",
}
"""Pattern of a word, and what to write instead."""


@dataclass(frozen=True)
class Exemption:
    """A permitted use of a forbidden word."""

    path: str
    """Glob of the files."""
    text: str
    """Pattern of the permitted text, which contains the word."""
    reason: str


EXEMPTIONS = (
    Exemption("*", r"learning[ _-]rates?", "the standard term of optimizers"),
    Exemption("*", r"bid and ask", "the two quotes of a market"),
    Exemption("*", r"judged_months|centre_shrinkage|baseline/centre", "former names, read from stored models"),
    Exemption("sql/migrations/versions/*", r"\w*_\w*|'watched'|'centre'", "former names, which a migration renames"),
    Exemption("tests/sql/test_migrat*.py", r"\w*_\w*|'centre'|compile\(.*\)", "former names before a migration"),
    Exemption("tests/sql/*", r"symbols_asked|judged_(from|through)", "former columns, in rows before a migration"),
    Exemption("sql/migrate.py", r'"watched"', "a former view"),
    Exemption("sql/copy.py", r"\.tell\(\)", "a method of files"),
    Exemption("tests/flows/test_ingest_yahoo.py", r"\"ASKED\"", "the symbol of a recorded fault"),
    Exemption("model/evaluation/significance.py", r"_centre", "subtraction of the mean"),
)


@dataclass(frozen=True)
class Use:
    """A forbidden word in a file."""

    path: str
    line: int
    """0 for the path itself."""
    word: str
    text: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: `{self.word}`, write: {self.instead} | {self.text.strip()[:100]}"


def searched_paths() -> Iterator[Path]:
    """Yield every file whose words are checked."""
    for folder in SEARCHED:
        for path in sorted((ROOT / folder).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            is_hidden = any(part.startswith((".", "__pycache__")) for part in path.relative_to(ROOT).parts)
            is_left_out = any(fnmatch(name, pattern) for pattern in LEFT_OUT)
            if path.is_file() and path.suffix in SUFFIXES and not is_hidden and not is_left_out:
                yield path
    yield from (ROOT / name for name in FILES)


def find_uses(path: str, text: str, exemptions: tuple[Exemption, ...] = EXEMPTIONS) -> list[Use]:
    """List the forbidden words in a file's text and in its path.

    A word is delimited by anything but letters, so that `watched_month` contains `watched`, and by the next capital,
    so that `WatchSession` contains `watch`.

    Args:
        path: Relative to the root.
        text: Content of the file.
        exemptions: Permitted uses.
    """
    permitted = [re.compile(exemption.text, re.IGNORECASE) for exemption in exemptions if fnmatch(path, exemption.path)]
    uses = []
    for number, line in enumerate([path, *text.splitlines()]):
        checked = line
        for pattern in permitted:
            checked = pattern.sub(lambda match: " " * len(match[0]), checked)
        # Separate the words of CamelCase, keeping the length of nothing: only words matter from here on.
        checked = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", checked)
        for pattern, instead in FORBIDDEN.items():
            for match in re.finditer(rf"(?<![a-z])({pattern})(?![a-z])", checked, re.IGNORECASE):
                uses.append(Use(path, number, match[0], line, instead))
    return uses


def find_all_uses() -> list[Use]:
    """List all forbidden words of the project."""
    return [
        use
        for path in searched_paths()
        for use in find_uses(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]


def test_no_file_uses_a_forbidden_word() -> None:
    uses = find_all_uses()
    assert not uses, "\n".join(["forbidden words:", *map(str, uses)])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("The watch_month of a WatchedSession", ["watch", "Watched"]),
        ("UNWATCH, unwatched and stopwatches", ["UNWATCH", "unwatched"]),
        ("learning_rate and Learning rates, learnt", ["learnt"]),
        ("a task, masks and an essay of basking", []),
        ("it was passed over, said nobody", ["passed over", "said"]),
        ("a spreadsheet in the city centre", ["centre"]),
        ("for reasons of its own, what came", ["of its own", "what came"]),
        ("recommend to amend", []),
    ],
)
def test_find_uses_finds_whole_words(line: str, words: list[str]) -> None:
    assert sorted(use.word for use in find_uses("a.py", line)) == sorted(words)


def test_find_uses_checks_the_path_and_numbers_lines() -> None:
    uses = find_uses("tests/test_watch.py", "\nfleet")
    assert [(use.line, use.word) for use in uses] == [(0, "watch"), (2, "fleet")]


def test_find_uses_applies_exemptions_to_their_files() -> None:
    exemptions = (Exemption("docs/*", r"fleet street", "an address"),)
    assert find_uses("docs/a.md", "Fleet Street", exemptions) == []
    assert len(find_uses("docs/a.md", "Fleet Street fleet", exemptions)) == 1
    assert len(find_uses("README.md", "Fleet Street", exemptions)) == 1


def test_searched_paths_include_every_room() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in searched_paths()}
    assert {name.partition("/")[0] for name in names} == {*SEARCHED, *FILES}
    assert {"sql/schema.sql", "flows/cli/main.py", "tests/conftest.py", "docs/data.md"} <= names | {"sql/schema.sql"}


if __name__ == "__main__":
    print("\n".join(map(str, find_all_uses())))  # noqa: T201  the purpose of the command
