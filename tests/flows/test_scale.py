"""Tests of the monthly forecast with training in processes, and with more chunks than connections."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg2
import pytest

import flows.monthly
import tasks.month.ensemble
from flows.monthly import monthly_forecast
from tasks.settings import get_settings
from tests.support.few_units import SMALL
from tests.support.rows import query


def test_monthly_forecast_trains_in_processes(machine: pytest.MonkeyPatch, database_url: str) -> None:
    """The worker processes must not receive Prefect's context, which cannot be pickled."""
    machine.setattr(tasks.month.ensemble, "WORTHWHILE_ROWS", 1)
    machine.setattr(tasks.month.ensemble, "affordable_workers", lambda step: 2)
    machine.setattr(flows.monthly, "CONFIG", replace(SMALL, seeds=(1, 2)))
    pools = []
    start = tasks.month.ensemble.worker_pool
    machine.setattr(
        tasks.month.ensemble, "worker_pool", lambda workers, **rest: pools.append(workers) or start(workers, **rest)
    )
    monthly_forecast(as_of=date(2018, 12, 31), source="sample")
    assert pools == [2]
    assert query(database_url, "select status from ops.run") == [("published",)]


def test_monthly_forecast_checks_200_chunks_on_2_connections(
    machine: pytest.MonkeyPatch, database_url: str, tmp_path: Path
) -> None:
    """The server refuses a third connection."""
    months = pd.date_range("2010-09-01", "2018-12-01", freq="MS")
    rng = np.random.default_rng(1)
    symbols = [f"S{number:03}" for number in range(200)]
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.05, (len(symbols), len(months))), axis=1)).ravel()
    bars = pd.DataFrame({"ticker": np.repeat(symbols, len(months)), "date": np.tile(months, len(symbols))})
    bars = bars.assign(open=close, high=close * 1.02, low=close * 0.98, close=close, adj_close=close, volume=1_000)
    path = tmp_path / "prices.parquet"
    bars.to_parquet(path, index=False)
    machine.setenv("BELLWETHER_DATABASE_CONNECTIONS", "2")
    get_settings.cache_clear()
    name = database_url.rpartition("/")[2]
    with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute(f"alter database {name} connection limit 2")
    connection.close()
    summary = monthly_forecast(as_of=date(2018, 12, 31), source=f"file:{path}", chunk_symbols=1)
    assert not summary.is_already_done
    assert query(database_url, "select count(*) from ops.symbol_outcome where outcome = 'ok'") == [(200,)]
