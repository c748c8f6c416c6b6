"""Two processes on one month: one publishes it, the other one ends with one sentence."""

from contextlib import ExitStack
from pathlib import Path

from tests.support.month_process import (
    ended,
    finish,
    start_command,
    start_month,
    wait_for_writer,
    writes_blocked,
)
from tests.support.rows import query

AS_OF = "2018-12-31"


def test_second_process_on_a_month_in_progress_fails(prefect_server: None, database_url: str, tmp_path: Path) -> None:
    """The first process is held at its first forecast row while the second one runs."""
    with ExitStack() as processes:
        with writes_blocked(database_url, "forecast.forecast"):
            first = processes.enter_context(ended(start_month(AS_OF, database_url=database_url, home=tmp_path / "1")))
            wait_for_writer(database_url, "forecast.forecast", first)
            arguments = ("run", "--source", "sample", "--as-of", AS_OF)
            second = start_command(*arguments, database_url=database_url, home=tmp_path / "2")
            code, _, errors = finish(processes.enter_context(ended(second)))
            assert code == 8
            assert errors.strip() == (
                "bellwether: The run of sample for 2018-12 is in progress in another process; wait until it ends, or "
                "see `bellwether status`."
            )
            assert query(database_url, "select status from ops.run") == [("running",)]
        code, _, errors = finish(first)
        assert code == 0, errors
    assert query(database_url, "select run_id, status from ops.run") == [(1, "published")]
    assert query(database_url, "select count(*), count(distinct run_id) from forecast.forecast") == [(72, 1)]
