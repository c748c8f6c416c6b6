"""A month run in a process that a test can stop, and database locks that hold such a process at one step.

As a script, `python month_process.py SOURCE AS_OF` runs `monthly_forecast` with the small network of `few_units`. The
database, the home directory and Prefect's server are in its environment.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

import psycopg2

from tests.support.rows import query

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 240
"""Bounds a wait that never ends; a slow machine is no failure."""

Process = subprocess.Popen[str]


def start_month(as_of: str, *, database_url: str, home: Path, source: str = "sample") -> Process:
    """Start a run of the month in a process, with the small network."""
    return start([__file__, source, as_of], database_url=database_url, home=home)


def start_command(*arguments: str, database_url: str, home: Path) -> Process:
    """Start `bellwether` with some arguments."""
    script = "import sys; from flows.cli.main import main; sys.argv[0] = 'bellwether'; main()"
    return start(["-c", script, *arguments], database_url=database_url, home=home)


def start(arguments: Sequence[str], *, database_url: str, home: Path) -> Process:
    """Start Python with some arguments, on a database and on the Prefect server of this process."""
    from prefect.settings import PREFECT_API_URL

    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": database_url,
        "BELLWETHER_HOME": str(home),
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
    }
    return subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: Process) -> tuple[int, str, str]:
    """Wait for a process; return its exit code, output and errors."""
    output, errors = process.communicate(timeout=DEADLINE_SECONDS)
    return process.returncode, output, errors


@contextmanager
def ended(process: Process) -> Iterator[Process]:
    """Kill the process at the end of the block if it still runs."""
    with process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def writes_blocked(database_url: str, table: str) -> Iterator[None]:
    """Let every write to a table wait until the block ends; reads continue."""
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"lock table {table} in share mode")
        yield


def wait_for_writer(database_url: str, table: str, process: Process | None = None) -> None:
    """Wait until a transaction waits to write to the table; fail if the process ends before."""
    statement = (
        "select count(*) from pg_locks where not granted "
        f"and database = (select oid from pg_database where datname = current_database()) "
        f"and relation = '{table}'::regclass"
    )
    wait_until(database_url, statement, process=process)


def wait_until_disconnected(database_url: str) -> None:
    """Wait until nobody else is connected to the database."""
    others = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    wait_until(database_url, f"select (count(*) = 0)::integer {others}")


def wait_until(database_url: str, statement: str, *, process: Process | None = None) -> None:
    """Wait until a statement returns a positive number."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while query(database_url, statement)[0][0] == 0:
        if process is not None and process.poll() is not None:
            raise AssertionError(f"The process ended with code {process.returncode}: {process.communicate()}")
        if time.monotonic() > deadline:
            raise AssertionError(f"The wait took too long: {statement}")
        time.sleep(0.05)


def main() -> None:
    """Run the month of the command line."""
    import flows.monthly
    from tests.support.few_units import SMALL

    flows.monthly.CONFIG = SMALL
    source, as_of = sys.argv[1:]
    flows.monthly.monthly_forecast(as_of=date.fromisoformat(as_of), source=source)


if __name__ == "__main__":
    main()
