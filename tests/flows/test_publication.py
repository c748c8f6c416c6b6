"""What a reader of `report` sees while a month is published: the state before or the state after, never a part."""

import threading
from collections.abc import Callable
from datetime import date

import pytest

from flows.monthly import monthly_forecast
from tests.support.month_process import wait_for_writer, writes_blocked
from tests.support.rows import query

VIEWS = ("latest_forecast", "forecast_vs_actual", "scorecard", "drift_status", "data_quality", "published_run")
READ = "select " + ", ".join(
    f"(select md5(string_agg(v::text, ',' order by v::text)) from report.{view} v) as {view}" for view in VIEWS
)
READS_WHILE_BLOCKED = 5


@pytest.mark.parametrize("table", ["forecast.forecast", "ops.symbol_outcome"])
def test_readers_see_a_published_month_as_a_whole(machine: None, database_url: str, table: str) -> None:
    """The publication is held at one table, after its rows of earlier tables and before those of later ones."""
    monthly_forecast(as_of=date(2018, 11, 30), source="sample")
    (before,) = query(database_url, READ)
    states = []

    def read_while_blocked() -> None:
        wait_for_writer(database_url, table)
        states.extend(query(database_url, READ)[0] for _ in range(READS_WHILE_BLOCKED))

    reader, is_done = start_reader(database_url, table, read_while_blocked, states)
    monthly_forecast(as_of=date(2018, 12, 31), source="sample")
    is_done.set()
    reader.join()
    (after,) = query(database_url, READ)
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert len(states) > READS_WHILE_BLOCKED
    assert set(states) <= {before, after}


def start_reader(
    url: str, table: str, read_while_blocked: Callable[[], None], states: list[tuple]
) -> tuple[threading.Thread, threading.Event]:
    """Start a thread that blocks writes to the table, reads, and goes on reading after it lets the writer continue."""
    is_blocked, is_done = threading.Event(), threading.Event()

    def read() -> None:
        with writes_blocked(url, table):
            is_blocked.set()
            read_while_blocked()
        while not is_done.is_set():
            states.append(query(url, READ)[0])

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    is_blocked.wait()
    return reader, is_done
