"""A process that is killed while it publishes a month, and the run that completes the month."""

import json
from datetime import date
from pathlib import Path

import pytest

from flows.monthly import monthly_forecast
from tasks.database import get_store
from tasks.settings import get_settings
from tests.support.database import TABLES
from tests.support.month_process import ended, start_month, wait_for_writer, wait_until_disconnected, writes_blocked
from tests.support.rows import query

AS_OF = date(2018, 12, 31)
ATTEMPTS = {"ops.run", "ops.download"}
"""Tables with a row per attempt."""


def test_rerun_after_sigkill_equals_an_undisturbed_run(
    machine: pytest.MonkeyPatch, database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    """The process is killed in the transaction that publishes the month, when it has written all but the last tables."""
    table = "ops.symbol_outcome"
    with writes_blocked(database_url, table):
        process = start_month(f"{AS_OF}", database_url=database_url, home=tmp_path / "killed")
        with ended(process):
            wait_for_writer(database_url, table, process)
            process.kill()
            assert process.wait() == -9
    wait_until_disconnected(database_url)
    assert query(database_url, "select status from ops.run") == [("running",)]
    assert query(database_url, "select count(*) from forecast.model_version") == [(0,)]
    assert query(database_url, "select count(*) from forecast.forecast_origin") == [(0,)]

    monthly_forecast(as_of=AS_OF, source="sample")
    assert query(database_url, "select status from ops.run order by run_id") == [("abandoned",), ("published",)]

    get_store().close()
    machine.setenv("DATABASE_URL", empty_database_url)
    get_settings.cache_clear()
    get_store.cache_clear()
    monthly_forecast(as_of=AS_OF, source="sample")
    completed, undisturbed = read_rows(database_url), read_rows(empty_database_url)
    assert len(completed["forecast.forecast"]) == 72
    for name, rows in undisturbed.items():
        assert completed[name] == rows, name


def read_rows(url: str) -> dict[str, list[str]]:
    """Read the rows of a month by table, without numbers of runs and models, and without times."""
    tables = {}
    for table in TABLES:
        if table not in ATTEMPTS:
            rows = [row for (row,) in query(url, f"select to_jsonb(t) from {table} t")]
            tables[table] = sorted(
                json.dumps({name: value for name, value in row.items() if not name.endswith(("_id", "_at"))})
                for row in rows
            )
    return tables
