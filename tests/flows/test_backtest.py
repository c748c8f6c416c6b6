"""The backtest against a real Postgres and a real Prefect, with a network of two units."""

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import flows.backtest
import tasks.research.backtest
from flows.backtest import backtest
from flows.cli import main as cli
from model import quantile_names
from tasks.errors import NotEnoughHistoryError
from tests.support.database import snapshot, write_prices
from tests.support.few_units import SMALL
from tests.support.rows import query

COLUMNS = [
    "symbol",
    "origin_month",
    "target_month",
    "horizon",
    "forecaster",
    *quantile_names(SMALL.quantile_levels),
    "actual_log_return",
]
KEYS = ["symbol", "origin_month", "horizon", "forecaster"]
SPAN = {"first_origin": date(2015, 11, 1), "last_origin": date(2016, 12, 1), "source": "sample"}


@pytest.fixture(autouse=True)
def small(machine: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine whose networks are small enough for tests."""
    machine.setattr(flows.backtest, "CONFIG", SMALL)
    return machine


def run(out: Path, **changes: Any) -> pd.DataFrame:
    backtest(**{**SPAN, "workers": 1, "out": out, **changes})
    return pd.read_parquet(out)


def test_backtest_writes_one_row_a_symbol_origin_horizon_and_forecaster(
    database_url: str, tmp_path: Path, index_bars: pd.DataFrame
) -> None:
    everyone = ["ets", "garch", "drift", "persistence", "baseline", "hybrid"]
    found = run(tmp_path / "f.parquet", forecasters=everyone)
    assert list(found.columns) == COLUMNS
    assert len(found) == 2 * 14 * 12 * 6
    assert not found.duplicated(KEYS).any()
    assert set(found["forecaster"]) == set(everyone)
    quantiles = found[quantile_names(SMALL.quantile_levels)].to_numpy()
    assert (np.diff(quantiles, axis=1) > 0).all()
    months = (found["target_month"].dt.year - found["origin_month"].dt.year) * 12
    assert (months + found["target_month"].dt.month - found["origin_month"].dt.month == found["horizon"]).all()
    close = index_bars[index_bars["ticker"] == "SPX"].set_index("date")["close"]
    close = close.groupby(close.index.to_period("M")).last()
    own = found[(found["symbol"] == "^GSPC") & (found["horizon"] == 5) & (found["forecaster"] == "hybrid")]
    before, after = (close[own[name].dt.to_period("M")].to_numpy() for name in ("origin_month", "target_month"))
    assert own["actual_log_return"].tolist() == pytest.approx(np.log(after / before))
    assert list(tmp_path.glob(".*")) == []
    assert query(database_url, "select refit, symbols, cardinality(forecasters) from forecast.backtest") == [
        ("yearly", 2, 6)
    ]
    assert query(database_url, "select count(*), sum(symbols) from forecast.backtest_error") == [
        (14 * 12 * 6, len(found))
    ]
    ((crps, months_scored),) = query(
        database_url,
        "select crps, months from report.backtest_scorecard "
        "where window_months is null and horizon = 1 and forecaster = 'persistence'",
    )
    assert months_scored == 14
    one = found[(found["horizon"] == 1) & (found["forecaster"] == "persistence")]
    levels = np.array(SMALL.quantile_levels)
    miss = one["actual_log_return"].to_numpy()[:, None] - one[quantile_names(SMALL.quantile_levels)].to_numpy()
    assert crps == pytest.approx(2 * np.maximum(levels * miss, (levels - 1) * miss).mean())


def test_backtest_touches_nothing_that_a_run_writes(database_url: str) -> None:
    before = snapshot(database_url)
    backtest(**SPAN, forecasters=["drift"])
    after = snapshot(database_url)
    changed = {table for table in before if before[table] != after[table]}
    assert changed == {
        "market.instrument",
        "market.daily_bar",
        "ops.download",
        "forecast.backtest_error",
    }


def test_backtest_has_no_actual_of_what_is_not_over(tmp_path: Path) -> None:
    found = run(
        tmp_path / "f.parquet",
        first_origin=date(2018, 10, 1),
        last_origin=date(2018, 12, 1),
        forecasters=["persistence"],
    )
    over = found["target_month"] <= "2018-12-01"
    assert len(found) == 2 * 3 * 12
    assert found.loc[over, "actual_log_return"].notna().all()
    assert found.loc[~over, "actual_log_return"].isna().all()


def test_backtest_never_sees_what_came_after_an_origin(
    database_url: str, index_bars: pd.DataFrame, tmp_path: Path
) -> None:
    """The canary: other days after an origin change no bit of what is forecast from it.

    The days' moves are shuffled, not their prices, which the checks of bars would rightly refuse.
    """
    origin = pd.Timestamp("2016-06-01")
    bars = index_bars.assign(adj_close=index_bars["close"])
    parts = []
    for seed, (_, own) in enumerate(bars.groupby("ticker", sort=False)):
        later = (own["date"] >= origin + pd.DateOffset(months=1)).to_numpy()
        moves = np.diff(np.log(own["close"].to_numpy()), prepend=0.0)[later]
        last = own["close"].to_numpy()[~later][-1]
        close = last * np.exp(np.cumsum(np.random.default_rng(seed).permutation(moves)))
        factor = pd.Series(1.0, index=own.index)
        factor[later] = close / own.loc[later, "close"].to_numpy()
        prices = ["open", "high", "low", "close", "adj_close"]
        parts.append(own.assign(**{name: own[name] * factor for name in prices}))
    found = []
    for name, frame in (("truth", bars), ("shuffled", pd.concat(parts))):
        query(database_url, "truncate market.daily_bar, market.instrument, market.corporate_action, ops.download")
        source = write_prices(tmp_path / f"{name}.csv", frame)
        everyone = ["hybrid", "baseline", "persistence", "drift", "garch", "ets"]
        found.append(run(tmp_path / f"{name}.parquet", source=source, forecasters=everyone))
    truth, shuffled = (each.drop(columns="actual_log_return") for each in found)
    until = truth["origin_month"] <= origin
    assert until.sum() == 2 * 8 * 12 * 6
    pd.testing.assert_frame_equal(truth[until], shuffled[until])
    assert not truth[~until].equals(shuffled[~until])


def test_backtest_in_processes_gives_the_same_numbers(database_url: str, tmp_path: Path) -> None:
    span = {"last_origin": date(2015, 12, 1), "refit": "monthly", "forecasters": ["hybrid", "baseline", "drift"]}
    one, two = (run(tmp_path / f"{n}.parquet", workers=n, **span) for n in (1, 2))
    pd.testing.assert_frame_equal(one, two)
    errors = "select origin_month, horizon, forecaster, crps from forecast.backtest_error where backtest_id = {}"
    ids = [n for (n,) in query(database_url, "select backtest_id from forecast.backtest order by 1")]
    assert sorted(query(database_url, errors.format(ids[0]))) == sorted(query(database_url, errors.format(ids[1])))


@pytest.mark.parametrize("step", ["forecast_folds", "score_folds", "keep_backtest"])
def test_backtest_interrupted_leaves_no_trace_of_itself(
    small: pytest.MonkeyPatch, database_url: str, tmp_path: Path, step: str
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "f.parquet").write_text("of an earlier one")
    small.setattr(flows.backtest, step, fail)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "f.parquet", forecasters=["drift"])
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir() if each.is_file()] == [
        ("f.parquet", "of an earlier one")
    ]
    assert query(database_url, "select count(*) from forecast.backtest") == [(0,)]
    assert query(database_url, "select count(*) from forecast.backtest_error") == [(0,)]


def test_backtest_names_who_has_no_forecast_of_a_symbol(
    small: pytest.MonkeyPatch, tmp_path: Path, index_bars: pd.DataFrame
) -> None:
    young = index_bars[(index_bars["ticker"] == "SPX") & (index_bars["date"] > "2014-01-01")].assign(ticker="YOUNG")
    lines: list[str] = []
    small.setattr(tasks.research.backtest, "log_line", lambda step, line: lines.append(f"{step}: {line}"))
    source = write_prices(tmp_path / "p.csv", pd.concat([index_bars, young]))
    found = run(tmp_path / "f.parquet", source=source, forecasters=["persistence", "garch"])
    assert set(found.loc[found["forecaster"] == "garch", "symbol"]) == {"COMP", "SPX"}
    assert set(found.loc[found["forecaster"] == "persistence", "symbol"]) == {"COMP", "SPX", "YOUNG"}
    (warning,) = [line for line in lines if line.startswith("warning")]
    assert warning == "warning: garch has no forecast of YOUNG from 14 of 14 origins: too few returns, or no fit"


def test_backtest_without_forecasts_fails(tmp_path: Path, index_bars: pd.DataFrame) -> None:
    """A long history with a hole in it: too few returns for a fit of a symbol's own."""
    early = index_bars["date"].between("2007-11-01", "2008-01-31")
    source = write_prices(tmp_path / "p.csv", index_bars[early | (index_bars["date"] > "2013-01-01")])
    with pytest.raises(NotEnoughHistoryError, match="No forecaster has a forecast from 2015-11 to 2016-10"):
        run(tmp_path / "f.parquet", source=source, forecasters=["garch"])


Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bellwether(small: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Types a backtest; gives back the exit code, what it printed and what it complained of."""

    def type_command(*arguments: str) -> tuple[int, str, str]:
        small.setattr(sys, "argv", ["bellwether", "backtest", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return type_command


def test_the_command_shows_scores_and_where_the_forecasts_are(bellwether: Typed, tmp_path: Path) -> None:
    out = tmp_path / "f.parquet"
    given = ("--source", "sample", "--first-origin", "2007-12", "--last-origin", "2017-12", "--out", str(out))
    code, printed, complained = bellwether(*given, "--forecasters", "persistence,drift")
    assert (code, complained) == (0, "")
    for expected in ("2 symbols from 2007-12 to 2017-12", "all origins", "2007-12 … 2012-12", "p vs baseline", "121"):
        assert expected in printed
    assert f"5,808 forecasts are in {out}" in printed
    assert len(pd.read_parquet(out)) == 5808


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        ({"--last-origin": "2030-01"}, 4, "must not be after the last complete month, 2018-12; received 2030-01"),
        ({"--first-origin": "2018-12", "--last-origin": "2018-12"}, 4, "must be before the last complete month"),
        ({"--first-origin": "2017-01"}, 4, "received 2017-01 and 2016-12"),
        ({"--first-origin": "2003-01"}, 4, "the earliest possible is 2006-12; received 2003-01"),
        ({"--refit": "daily"}, 4, "must be monthly, yearly or never; received 'daily'"),
        ({"--forecasters": "hybrid,oracle"}, 4, "received oracle"),
        ({"--forecasters": " , "}, 4, "received none"),
        ({"--source": "nasdaq"}, 4, "Unknown price source"),
        ({"--out": "forecasts.csv"}, 4, "must name a file that ends in .parquet; received forecasts.csv"),
        ({"--out": "/no/such/directory/f.parquet"}, 4, "cannot be written: No such file or directory"),
        ({"--first-origin": "2015"}, 2, "does not match the format"),
    ],
    ids=str,
)
def test_the_command_refuses_before_the_work_what_cannot_be(
    bellwether: Typed, database_url: str, changes: dict[str, str], code: int, sentence: str
) -> None:
    given = {"--source": "sample", "--first-origin": "2015-11", "--last-origin": "2016-12"} | changes
    before = snapshot(database_url)
    ended, printed, complained = bellwether(*[word for pair in given.items() for word in pair])
    assert ended == code
    assert sentence in " ".join(complained.replace("│", " ").split())
    assert "Traceback" not in printed + complained
    if code != 2:
        assert complained.startswith("bellwether: ")
        assert complained.count("\n") == 1
    assert snapshot(database_url) == before


def test_the_query_of_the_page_on_backtests_runs(database_url: str) -> None:
    backtest(**SPAN, forecasters=["persistence", "drift"])
    page = (Path(__file__).resolve().parents[2] / "docs/backtest.md").read_text(encoding="utf-8")
    (statement,) = re.findall(r"```sql\n(.*?);\n```", page, re.S)
    found = {row[:3] for row in query(database_url, statement)}
    assert found == {(horizon, name, 14) for horizon in (1, 6) for name in ("persistence", "drift")}


def test_what_the_command_line_imports_at_first_does_not_wait_for_prefect() -> None:
    """Prefect reads its environment when it is imported, and that is set later."""
    script = "import flows.cli.main, flows.cli.views, flows.cli.service_views, sys; assert 'prefect' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).resolve().parents[2])
