"""Universe names, paths that are no files, and files that are no prices: one sentence, and nothing of their content."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from flows.ingest import ingest_prices
from tasks.database import get_store
from tasks.errors import BadRequestError
from tasks.plans.month import MonthPlan, plan_month
from tasks.settings import get_settings
from tests.support.commands import Bellwether
from tests.support.few_units import SMALL
from tests.support.rows import query

SECRET = "Xy7-s3cret/of#the@server"


@pytest.mark.parametrize(
    "content",
    [SECRET, f"{SECRET}\nroot:x:0\n", f"date,{SECRET}\n2018-01-02,1\n", f"{SECRET};{SECRET}\n1;2\n", f'"{SECRET}\n'],
)
def test_file_that_holds_no_prices_is_never_quoted(
    bellwether: Bellwether, database_url: str, tmp_path: Path, content: str
) -> None:
    (tmp_path / "postgres.password").write_text(content)
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "A.csv").write_text(content)
    for spec in (f"file:{tmp_path / 'postgres.password'}", f"file:{tmp_path / 'dir'}"):
        code, output, error = bellwether("ingest", "--source", spec)
        assert code != 0
        assert SECRET not in output + error
    stored = query(database_url, "select reason from ops.download union all select reason from market.finding")
    assert not [reason for (reason,) in stored if SECRET in reason or "root" in reason]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("file:/dev/zero", "must be a regular file or a directory; it is a device"),
        ("file:PIPE", "must be a regular file or a directory; it is a pipe"),
        ("file:a\0b", "without NUL"),
        (f"file:{'x' * 5000}", "at most 4,096 characters"),
        (f"file:{'x' * 300}", "File name too long"),
        ("file:~nobody-of-that-name/x.csv", "cannot be read"),
        ("x" * 5000, "Unknown price source"),
        ("file:.csv", "must have a name before its ending"),
    ],
)
def test_source_that_is_no_file_is_one_sentence(
    bellwether: Bellwether, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("PIPE")
    Path(".csv").write_text("ticker,date,open,high,low,close,volume\nA,2018-01-02,1,1,1,1,1\n")
    code, output, error = bellwether("ingest", "--source", spec)
    assert (code, output.strip()) == (4, "")
    assert words in " ".join(error.split())
    assert len(error) < 600


def test_pipe_among_good_files_is_the_outcome_of_its_symbol(machine: None, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "GOOD.csv").write_text("date,open,high,low,close,volume\n2018-01-02,1,1,1,1,1\n")
    (tmp_path / "ZIP.csv.gz").write_bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x04garbage")
    os.mkfifo(tmp_path / "PIPE.csv")
    (tmp_path / "JSON.csv").write_text('{"a": 1,\n' * 50)
    ingest_prices(source=f"file:{tmp_path}")
    outcomes = dict(query(database_url, "select symbol, outcome from ops.download"))
    assert outcomes == {"GOOD": "ok", "ZIP": "source_error", "PIPE": "source_error", "JSON": "source_error"}


def test_two_sets_of_symbols_under_one_name_are_an_error(machine: None, database_url: str, tmp_path: Path) -> None:
    """The name of a universe is its whole file name, and a set of symbols is published under it once."""
    days = pd.bdate_range("2010-01-01", "2018-12-31")
    table = pd.concat(
        [
            pd.DataFrame(
                {"ticker": name, "date": days, **dict.fromkeys(["open", "high", "low", "close"], 10.0), "volume": 1}
            )
            for name in "ABCDEF"
        ]
    )
    table.to_csv(tmp_path / "prices.all.csv", index=False)
    for folder, symbols in (("one", "ABC"), ("two", "DEF"), ("three", "ABCD")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "us.csv").write_text("symbol\n" + "\n".join(symbols) + "\n")

    def plan(folder: str) -> MonthPlan:
        now = datetime(2019, 1, 15, tzinfo=UTC)
        return plan_month(
            get_store(),
            get_settings(),
            SMALL,
            source_spec=f"file:{tmp_path / 'prices.all.csv'}",
            as_of=None,
            symbols=None,
            universe_file=str(tmp_path / folder / "us.csv"),
            mode="auto",
            rerun=False,
            min_coverage=0.9,
            scheduled_for=now,
            now=now,
        )

    assert plan("one").key.universe == "us"
    run_id = query(
        database_url,
        "insert into ops.run (source, universe, origin_month, as_of, known_at, mode, symbols_requested, status, "
        "served, started_at, finished_at, parameters, software) "
        f"values ('file', 'us', '2018-11-01', '2018-11-30', now(), 'auto', 3, 'published', 'baseline', now(), now(), "
        f"'{{\"universe\": \"{tmp_path}/one/us.csv\"}}', '{{}}') returning run_id",
    )[0][0]
    query(
        database_url,
        "insert into ops.symbol_outcome (run_id, symbol, outcome, reason) "
        f"select {run_id}, s, 'ok', '' from unnest(array['A', 'B', 'C']) s",
    )
    with pytest.raises(BadRequestError, match=r"'us' had 3 in its last published month \(2018-11\), and 0 of the 3"):
        plan("two")
    assert len(plan("three").instruments) == 4
