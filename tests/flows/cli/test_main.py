"""The command line as a user types it: what is right works, what is wrong is one line and an exit code."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psycopg2
import pytest

from tasks.database import get_store
from tasks.report.summaries import EXAMPLE_QUERIES
from tasks.settings import get_settings
from tests.flows.cli.conftest import Bellwether
from tests.support.database import snapshot, write_prices
from tests.support.rows import query

RUN = ("run", "--source")


def test_run_shows_forecasts_scores_and_queries_that_work(bellwether: Bellwether, database_url: str) -> None:
    code, printed, complained = bellwether(*RUN, "sample", "--as-of", "2018-12-31", "--catch-up", "1")
    assert (code, complained) == (0, "")
    for expected in ("2,506.85 USD", "2019-12", "persistence", "Drift:", "2 of 2 symbols have 2018-12"):
        assert expected in printed
    assert database_url.split(":")[2].split("@")[0] not in printed  # the password
    for statement in EXAMPLE_QUERIES.values():
        assert statement in printed
        assert query(database_url, statement)

    code, printed, _ = bellwether(*RUN, "sample", "--as-of", "2018-12-31")
    assert code == 0
    assert "2018-12 is already done" in printed

    code, printed, _ = bellwether("status")
    assert code == 0
    assert "published" in printed
    assert "No open alert" in printed


def _wrong_columns(directory: Path, _bars: pd.DataFrame) -> list[str]:
    (directory / "wrong.csv").write_text("day,price\n2018-01-02,1\n")
    return [f"file:{directory / 'wrong.csv'}"]


def _no_symbols(directory: Path, _bars: pd.DataFrame) -> list[str]:
    (directory / "empty.csv").write_text("symbol\n")
    return ["sample", "--universe", str(directory / "empty.csv")]


def _young(directory: Path, bars: pd.DataFrame) -> list[str]:
    return [write_prices(directory / "young.csv", bars[bars["date"] > "2015-01-01"])]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["sample", "--symbols", "^GSPC,NOPE"], 4, "has no symbol NOPE; it has ^GSPC, ^IXIC"),
        (["sample", "--symbols", " , "], 4, "The universe is empty"),
        (_no_symbols, 4, "names no symbol"),
        (["sample", "--universe", "/no/such/file.csv"], 4, "cannot be read: No such file or directory"),
        (["sample", "--symbols", "^GSPC", "--universe", "x.csv"], 4, "either symbols or a universe file"),
        (["sample", "--as-of", "2999-01-31"], 4, "must not be in the future: received 2999-01-31"),
        (["sample", "--as-of", "1998-12-31"], 4, "must not be before the first bar: received 1998-12-31"),
        (["sample", "--as-of", "2003-12-31"], 7, "at least 96 complete months are needed"),
        (["sample", "--catch-up", "180"], 7, "at least 96 complete months are needed"),
        (_young, 7, "there are 48"),
        (["file:/no/such/prices.csv"], 4, "cannot be read: No such file or directory"),
        (_wrong_columns, 4, "must have the columns date, open"),
        (["nasdaq"], 4, "Unknown price source 'nasdaq'; choose 'sample', 'file:PATH' or 'yahoo'"),
        (["yahoo"], 4, "cannot list its symbols: name them with --symbols"),
        (["sample", "--mode", "best"], 4, "must be one of auto, keep, fine-tune, retrain, baseline; received 'best'"),
        (["sample", "--mode", "keep"], 4, "has no model to keep yet"),
        (["sample", "--mode", "fine-tune"], 4, "has no model to fine-tune yet"),
    ],
)
def test_run_answers_a_request_that_cannot_be_with_one_line_and_changes_nothing(
    bellwether: Bellwether,
    database_url: str,
    tmp_path: Path,
    index_bars: pd.DataFrame,
    arguments: list[str] | Callable[[Path, pd.DataFrame], list[str]],
    code: int,
    sentence: str,
) -> None:
    given = arguments if isinstance(arguments, list) else arguments(tmp_path, index_bars)
    before = snapshot(database_url)
    ended, printed, complained = bellwether(*RUN, *given)
    assert ended == code
    assert sentence in complained
    assert complained.startswith("bellwether: ")
    assert complained.count("\n") == 1
    assert "Traceback" not in printed + complained
    assert snapshot(database_url) == before


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://someone:s3cret@127.0.0.1:1/nowhere", "is unreachable"),
        ("mysql://someone:s3cret@127.0.0.1/nowhere", "must start with postgresql://"),
        ("s3cret", "must be a URL such as"),
    ],
)
def test_run_says_that_the_database_is_unreachable_without_its_password(
    bellwether: Bellwether, machine: pytest.MonkeyPatch, url: str, sentence: str
) -> None:
    machine.setenv("DATABASE_URL", url)
    get_settings.cache_clear()
    get_store.cache_clear()
    code, printed, complained = bellwether(*RUN, "sample")
    assert code == 9
    assert sentence in complained
    assert complained.count("\n") == 1
    assert "s3cret" not in printed + complained


def test_db_url_is_one_that_a_client_can_connect_to(bellwether: Bellwether) -> None:
    code, printed, _ = bellwether("db", "url")
    assert code == 0
    with psycopg2.connect(printed.strip()) as connection, connection.cursor() as cursor:
        cursor.execute("select 1")
    connection.close()


def test_db_stop_leaves_a_database_that_is_not_ours_alone(bellwether: Bellwether) -> None:
    code, _, complained = bellwether("db", "stop")
    assert code == 4
    assert "not Bellwether's to stop" in complained


@pytest.mark.parametrize("command", [[], ["run"], ["status"], ["db"], ["db", "shell"]])
def test_help_shows_every_command(bellwether: Bellwether, command: list[str]) -> None:
    code, printed, _ = bellwether(*command, "--help")
    assert code == 0
    assert "Usage" in printed
