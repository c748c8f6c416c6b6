"""The paper's experiment from the command to the tables and pictures, with networks of two units."""

import struct
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import flows.paper
import tasks.research.paper
from flows.cli import main as cli
from flows.paper import paper
from model.paper.experiment import PaperConfig
from tasks.errors import BadRequestError, NotEnoughHistoryError
from tests.support.rows import query

SMALL = PaperConfig(window=6, units=2, epochs=2, batch_windows=1024, seeds=(1,))
ERRORS = "scaler, forecaster, seed, best_epoch, epochs, mae, mse, rmse, mae_points, train_rmse, misplaced_rmse"


@pytest.fixture
def small(machine: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine whose networks are small."""
    machine.setattr(flows.paper, "CONFIGS", dict.fromkeys(("daily", "monthly"), SMALL))
    machine.setattr(tasks.research.paper, "MOST_PROCESSES", 1)  # starting one takes longer than its trainings
    return machine


def errors_of(url: str) -> list[tuple]:
    return query(url, f"select {ERRORS} from forecast.paper_result order by experiment, scaler, forecaster, seed")


def test_paper_on_days_keeps_every_error_and_draws(
    small: pytest.MonkeyPatch, database_url: str, tmp_path: Path
) -> None:
    summary = paper(seeds=1, directory=tmp_path)
    assert len(errors_of(database_url)) == 2 * (3 + 2)
    # Measured elsewhere, see docs/paper.md.
    naive = query(database_url, "select scaler, mae, rmse from report.paper_result where forecaster = 'persistence'")
    assert {scaler: (round(mae, 4), round(rmse, 4)) for scaler, mae, rmse in naive} == {
        "everything": (0.0060, 0.0089),
        "training": (0.0095, 0.0141),
    }
    for picture in summary.pictures:
        head = picture.read_bytes()[:24]
        assert head.startswith(b"\x89PNG")
        assert min(struct.unpack(">II", head[16:])) > 800


def test_the_command_again_prints_the_same_table_and_adds_no_row(
    small: pytest.MonkeyPatch, database_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    printed = []
    for _ in range(2):
        small.setattr(
            sys, "argv", ["bellwether", "paper", "--interval", "monthly", "--seeds", "2", "--out", str(tmp_path)]
        )
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code
        printed.append(capsys.readouterr().out)
        rows = query(database_url, f"select ctid::text, xmin::text, {ERRORS} from forecast.paper_result order by 1")
        printed.append(str(rows))
    for expected in ("as published", "MAE, scaled", "RMSE, points", "mean absolute error", "times its RMSE."):
        assert expected in printed[0]
    assert "16 results added, 0 unchanged, 0 changed" in printed[0]
    assert "0 results added, 16 unchanged, 0 changed" in printed[2]
    assert printed[0].partition("as published")[2] == printed[2].partition("as published")[2]
    assert printed[1] == printed[3]
    assert (tmp_path / "GSPC-monthly-training.png").exists()

    # The report: mean and deviation over seeds, beside what was published.
    own = query(database_url, "select rmse from forecast.paper_result where scaler = 'training' and forecaster = 'gru'")
    (low,), (high,) = sorted(own)
    shown = query(
        database_url,
        "select seeds, rmse, rmse_sd, published_rmse, test_targets from report.paper_result "
        "where scaler = 'training' and forecaster = 'gru'",
    )
    assert shown == [(2, pytest.approx((low + high) / 2), pytest.approx((high - low) / 2**0.5), 0.027, 48)]
    assert query(
        database_url,
        "select published_mae, published_mse, published_rmse from report.paper_result "
        "where scaler = 'everything' and forecaster = 'hybrid'",
    ) == [(0.012, 0.0004, 0.02)]
    # Months of the same index; persistence measured elsewhere.
    assert query(
        database_url, "select round(mae::numeric, 4)::float8 from report.paper_result where forecaster = 'persistence'"
    ) == [(0.0265,), (0.0434,)]


def test_paper_on_recorded_months_since_1952_fills_what_is_missing(
    small: pytest.MonkeyPatch, database_url: str, shared_data: Path, tmp_path: Path
) -> None:
    """66 years of months, whose opens are missing from 1962 to 1982."""
    source = f"file:{shared_data / 'monthly_long.csv.gz'}"
    since = pd.Timestamp("1952-12-01").date()
    paper(source, interval="monthly", seeds=1, first=since, directory=tmp_path)
    span = query(database_url, "select distinct first_session, last_session, test_targets from forecast.paper_result")
    assert [(str(first), str(last), n) for first, last, n in span] == [("1952-12-01", "2018-11-01", 159)]
    with pytest.raises(BadRequestError, match="one bar a month of \\^GSPC: use `--interval monthly`"):
        paper(source, directory=tmp_path)


def test_paper_rejects_invalid_requests(small: pytest.MonkeyPatch, database_url: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="has no symbol NOPE; it has \\^GSPC, \\^IXIC"):
        paper(symbol="NOPE")
    with pytest.raises(NotEnoughHistoryError, match="received 6 bars"):
        paper(interval="monthly", first=pd.Timestamp("2018-07-01").date())
    assert errors_of(database_url) == []


def test_the_command_refuses_another_interval(small: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    small.setattr(sys, "argv", ["bellwether", "paper", "--interval", "weekly"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "'weekly'" in capsys.readouterr().err


def test_the_default_experiment_is_the_papers() -> None:
    config = PaperConfig()
    assert (config.units, config.window, config.test_share, len(config.seeds)) == (50, 60, 0.2, 5)
    assert config.dropout > 0
    assert replace(config, seeds=(1,)).to_dict()["seeds"] == [1]
