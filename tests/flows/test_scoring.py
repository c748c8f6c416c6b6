"""Scoring, month after month: outcomes restated, symbols that left, and symbols that are gone."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.monthly import monthly_forecast
from tests.support.rows import query

ERRORS = "select * from forecast.forecast_error order by scored_by_run_id, run_id, symbol, horizon, forecaster"
RESTATED = (
    "select origin_month, symbol, horizon, n.revision, n.actual_log_return - e.actual_log_return "
    "from forecast.restated_error n join forecast.forecast_error e using (run_id, symbol, horizon, forecaster) "
    "join ops.run using (run_id) where forecaster = 'baseline' order by 1, 2, 3, 4"
)
OCTOBER, NOVEMBER, DECEMBER = date(2018, 10, 31), date(2018, 11, 30), date(2018, 12, 31)


def write_prices(path: Path, bars: pd.DataFrame) -> str:
    bars.to_csv(path, index=False)
    return f"file:{path}"


def test_a_restated_close_is_scored_again_beside_the_first_score(
    machine: None, database_url: str, index_bars: pd.DataFrame, tmp_path: Path
) -> None:
    """November's last close of one index turns out one per cent higher, after November was scored."""
    path = tmp_path / "p.csv"
    for as_of in (OCTOBER, NOVEMBER):
        # What is stored already is not requested again, so the file must not run ahead.
        until_then = index_bars[index_bars["date"] <= pd.Timestamp(as_of)]
        monthly_forecast(as_of=as_of, source=write_prices(path, until_then))
    first = query(database_url, ERRORS)
    assert len(first) == 2 * 3  # two symbols, three forecasters

    is_it = (index_bars["ticker"] == "SPX") & (index_bars["date"] == pd.Timestamp(NOVEMBER))
    corrected, prices = index_bars.copy(), ["open", "high", "low", "close", "adj_close"]
    corrected.loc[is_it, prices] *= 1.01
    monthly_forecast(as_of=DECEMBER, source=write_prices(path, corrected))
    assert query(database_url, ERRORS)[: len(first)] == first
    # The forecast of October for November: the log return is higher by log 1.01. The way to December is not.
    expected = [(date(2018, 10, 1), "SPX", 1, 1, pytest.approx(np.log(1.01)))]
    assert query(database_url, RESTATED) == expected
    assert query(
        database_url,
        "select restated from report.scorecard where horizon = 1 and forecaster = 'served' and window_months is null "
        "and model_version_id is null and symbol_group = 'all'",
    ) == [(1,)]

    # A correction of the month finds nothing new: what happened has not changed again.
    monthly_forecast(as_of=DECEMBER, source=f"file:{path}", rerun=True)
    assert query(database_url, RESTATED) == expected
    assert query(database_url, ERRORS)[: len(first)] == first


def test_forecasts_of_symbols_that_left_are_scored_and_of_those_that_are_gone_counted(
    machine: None, database_url: str, index_bars: pd.DataFrame, tmp_path: Path
) -> None:
    copies = [index_bars[index_bars["ticker"] == "COMP"].assign(ticker=name) for name in ("GONE", "LEFT")]
    bars = pd.concat([index_bars, *copies])
    bars = bars[(bars["ticker"] != "GONE") | (bars["date"] < "2018-11-15")]
    source, universe = write_prices(tmp_path / "p.csv", bars), tmp_path / "mine.csv"
    universe.write_text("symbol,sector\nSPX,Large\nCOMP,\nLEFT,Large\nGONE,\n")
    monthly_forecast(as_of=OCTOBER, source=source, universe=str(universe))
    universe.write_text("symbol,sector\nSPX,Large\nCOMP,\nGONE,\n")
    monthly_forecast(as_of=NOVEMBER, source=source, universe=str(universe), min_coverage=0.6)
    scored = query(database_url, "select distinct symbol from forecast.forecast_error order by 1")
    assert scored == [("COMP",), ("LEFT",), ("SPX",)]
    assert query(
        database_url,
        "select symbol_group, forecasts, unscored from report.scorecard where forecaster = 'served' "
        "and model_version_id is null and window_months is null order by 1",
    ) == [("all", 3, 1), ("sector: Large", 2, 0)]
