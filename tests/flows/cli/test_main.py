"""The commands about months and databases: output, error lines and exit codes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pandas as pd
import psycopg2
import pytest

import flows.monthly
import tasks.plans.backtest
from flows.cli.options import Refit, Role
from tasks.database import get_store
from tasks.errors import BadRequestError
from tasks.report.summaries import EXAMPLE_QUERIES
from tasks.settings import Interval, Mode, get_settings
from tests.support.commands import Bellwether
from tests.support.database import snapshot, write_prices
from tests.support.rows import query

ROOT = Path(__file__).resolve().parents[3]
RUN = ("run", "--source")


def test_run_shows_forecasts_scores_and_working_queries(bellwether: Bellwether, database_url: str) -> None:
    code, output, errors = bellwether(*RUN, "sample", "--as-of", "2018-12-31", "--catch-up", "1")
    assert (code, errors) == (0, "")
    for expected in ("2,506.85 USD", "2019-12", "persistence", "Drift:", "2018-12 complete for 2 of 2 symbols"):
        assert expected in output
    assert database_url.split(":")[2].split("@")[0] not in output  # the password
    for statement in EXAMPLE_QUERIES.values():
        assert statement in output
        assert query(database_url, statement)

    code, output, _ = bellwether(*RUN, "sample", "--as-of", "2018-12-31")
    assert code == 0
    assert "2018-12 is already published" in output

    code, output, _ = bellwether("status")
    assert code == 0
    assert "published" in output
    assert "No open alerts" in output


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
        (["sample", "--catch-up", "180"], 7, "The 180 months to catch up before 2018-12 include 2003-12"),
        (
            ["sample", "--as-of", "2008-12-31", "--catch-up", "240"],
            4,
            "The 240 months to catch up before 2008-12 include 1988-12, which cannot be forecast",
        ),
        (_young, 7, "there are 48"),
        (["file:/no/such/prices.csv"], 4, "cannot be read: No such file or directory"),
        (_wrong_columns, 4, "must have the columns date, open"),
        (["nasdaq"], 4, "Unknown price source 'nasdaq'; choose 'sample', 'file:PATH' or 'yahoo'"),
        (["yahoo"], 4, "cannot list its symbols: name them with --symbols"),
        (["sample", "--mode", "keep"], 4, "has no model to keep yet"),
        (["sample", "--mode", "fine-tune"], 4, "has no model to fine-tune yet"),
    ],
)
def test_run_rejects_an_invalid_request_with_one_line(
    bellwether: Bellwether,
    database_url: str,
    tmp_path: Path,
    index_bars: pd.DataFrame,
    arguments: list[str] | Callable[[Path, pd.DataFrame], list[str]],
    code: int,
    sentence: str,
) -> None:
    options = arguments if isinstance(arguments, list) else arguments(tmp_path, index_bars)
    before = snapshot(database_url)
    exit_code, output, errors = bellwether(*RUN, *options)
    assert exit_code == code
    assert sentence in errors
    assert errors.startswith("bellwether: ")
    assert errors.count("\n") == 1
    assert "Traceback" not in output + errors
    assert snapshot(database_url) == before


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://someone:s3cret@127.0.0.1:1/nowhere", "is unreachable"),
        ("mysql://someone:s3cret@127.0.0.1/nowhere", "must start with postgresql://"),
        ("s3cret", "must be a URL such as"),
    ],
)
def test_run_reports_an_unreachable_database_without_its_password(
    bellwether: Bellwether, machine: pytest.MonkeyPatch, url: str, sentence: str
) -> None:
    machine.setenv("DATABASE_URL", url)
    get_settings.cache_clear()
    get_store.cache_clear()
    code, output, errors = bellwether(*RUN, "sample")
    assert code == 9
    assert sentence in errors
    assert errors.count("\n") == 1
    assert "s3cret" not in output + errors


def test_db_url_can_be_connected_to(bellwether: Bellwether) -> None:
    code, output, _ = bellwether("db", "url")
    assert code == 0
    with psycopg2.connect(output.strip()) as connection, connection.cursor() as cursor:
        cursor.execute("select 1")
    connection.close()


def test_db_stop_rejects_an_external_database(bellwether: Bellwether) -> None:
    code, _, errors = bellwether("db", "stop")
    assert code == 4
    assert "Only the embedded database can be stopped" in errors


@pytest.mark.parametrize(
    ("arguments", "option", "choices"),
    [
        (["run", "--mode", "best"], "--mode", get_args(Mode)),
        (
            ["backtest", "--first-origin", "2008-12", "--last-origin", "2009-12", "--refit", "daily"],
            "--refit",
            get_args(Refit),
        ),
        (["paper", "--interval", "hourly"], "--interval", get_args(Interval)),
        (["db", "url", "--role", "root"], "--role", get_args(Role)),
    ],
    ids=["mode", "refit", "interval", "role"],
)
def test_command_rejects_an_unknown_choice(
    bellwether: Bellwether, arguments: list[str], option: str, choices: tuple[str, ...]
) -> None:
    code, _, errors = bellwether(*arguments)
    assert code == 2
    assert option in errors
    for choice in choices:
        assert choice in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("share", ["0.4", "1.1", "most"])
def test_run_rejects_a_coverage_out_of_range(bellwether: Bellwether, share: str) -> None:
    code, _, errors = bellwether(*RUN, "sample", "--min-coverage", share)
    assert code == 2
    assert "--min-coverage" in errors


def test_run_passes_its_options_to_the_flow(bellwether: Bellwether, machine: pytest.MonkeyPatch) -> None:
    received = {}

    def fail(**parameters: object) -> None:
        received.update(parameters)
        raise BadRequestError("This run ends here.")

    machine.setattr(flows.monthly, "monthly_forecast", fail)
    assert bellwether(*RUN, "sample", "--symbols", "A, B", "--min-coverage", "0.75", "--mode", "retrain")[0] == 4
    assert received == {
        "as_of": None,
        "source": "sample",
        "symbols": ["A", "B"],
        "universe": None,
        "mode": "retrain",
        "rerun": False,
        "catch_up": 0,
        "min_coverage": 0.75,
        "due_sessions": 5,
        "unattended": False,
    }


def test_run_interrupted_prints_one_line(bellwether: Bellwether, machine: pytest.MonkeyPatch) -> None:
    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    machine.setattr(flows.monthly, "monthly_forecast", interrupt)
    code, _, errors = bellwether(*RUN, "sample")
    assert code == 130
    assert errors == "bellwether: interrupted; the same command again completes the work.\n"


def test_refit_has_the_choices_of_the_plan() -> None:
    assert get_args(Refit) == get_args(tasks.plans.backtest.Refit)


@pytest.mark.parametrize("command", [[], ["run"], ["status"], ["db"], ["db", "shell"]])
def test_help_is_shown(bellwether: Bellwether, command: list[str]) -> None:
    code, output, _ = bellwether(*command, "--help")
    assert code == 0
    assert "Usage" in output


def test_help_imports_no_slow_library() -> None:
    program = (
        "import sys\n"
        "from flows.cli.main import main\n"
        "sys.argv = ['bellwether', 'run', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit:\n"
        "    sys.exit(','.join({'prefect', 'tensorflow', 'pandas', 'sqlalchemy'} & set(sys.modules)) or 0)\n"
    )
    process = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
