"""The schedule as an operator starts it: the commands of docs/operations.md, a real server and a real worker."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from tasks.calendars import has_calendar
from tasks.planning import read_universe

ROOT = Path(__file__).resolve().parents[2]
PREFECT = Path(sys.executable).with_name("prefect")
RUNBOOK = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", RUNBOOK, re.S) for line in block.splitlines()]

Prefect = Callable[..., subprocess.CompletedProcess[str]]


def as_documented(start: str) -> list[str]:
    """Arguments of the runbook's one command that starts so."""
    command = next(line for line in COMMANDS if line == start or line.startswith(start + " "))
    return command.split()[1:]


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    """A Prefect server of the module's own, and a way to type `prefect …` to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("prefect")
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "NO_COLOR": "1",
    }
    log = (home / "server.log").open("w")
    command = [str(PREFECT), *as_documented("prefect server start &")[:-1], "--port", str(port)]
    server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def type_command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(PREFECT), *arguments],
            env=environment | variables,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    type_command.url = environment["PREFECT_API_URL"]  # type: ignore[attr-defined]
    try:
        _await(lambda: _get(f"{environment['PREFECT_API_URL']}/health") is True, seconds=60)
        created = type_command(*as_documented("prefect work-pool create"))
        assert created.returncode == 0, created.stderr
        deployed = type_command(*as_documented("prefect --no-prompt deploy"))
        assert deployed.returncode == 0, deployed.stderr
        yield type_command
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def _get(url: str, body: dict[str, object] | None = None) -> object:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310  our own server
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  same
            return json.load(answer)
    except OSError:
        return None


def _await(is_so: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.3)


def test_the_deployment_is_monthly_one_at_a_time_in_the_exchanges_time(prefect: Prefect) -> None:
    deployment = _get(f"{prefect.url}/deployments/name/monthly_forecast/monthly")  # type: ignore[attr-defined]
    assert isinstance(deployment, dict)
    (schedule,) = deployment["schedules"]
    assert schedule["schedule"]["cron"] == "0 6 3 * *"
    assert schedule["schedule"]["timezone"] == "America/New_York"
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert (ROOT / deployment["parameters"]["universe"]).is_file()


def test_the_scheduler_makes_runs_of_it(prefect: Prefect) -> None:
    """A pinned version once broke this in silence."""
    wanted = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    _await(lambda: bool(_get(f"{prefect.url}/flow_runs/filter", wanted)), seconds=40)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("parameter", "bound"),
    [("catch_up=1000", "240"), ("min_coverage=0.1", "0.5"), ("mode=best", "auto"), ("chunk_symbols=0", "1")],
)
def test_a_trigger_out_of_bounds_is_refused(prefect: Prefect, parameter: str, bound: str) -> None:
    refused = prefect("deployment", "run", "monthly_forecast/monthly", "-p", parameter)
    assert refused.returncode != 0
    assert bound in refused.stdout + refused.stderr


def test_a_manual_trigger_runs_the_same_flow(prefect: Prefect, database_url: str, tmp_path: Path) -> None:
    sample = {"source": "sample", "universe": "deployments/universes/sample.csv", "as_of": "2018-12-31"}
    given = [argument for name, value in sample.items() for argument in ("-p", f"{name}={value}")]
    triggered = prefect("deployment", "run", "monthly_forecast/monthly", *given)
    assert triggered.returncode == 0, triggered.stderr
    machine = {"DATABASE_URL": database_url, "BELLWETHER_HOME": str(tmp_path)}
    worked = prefect(*as_documented("prefect worker start"), "--run-once", **machine)
    assert worked.returncode == 0, worked.stderr
    connection = psycopg2.connect(database_url)
    with connection.cursor() as cursor:
        cursor.execute("select status, origin_month::text, symbols_forecast, flow_run_id is not null from ops.run")
        assert cursor.fetchall() == [("published", "2018-12-01", 2, True)]
        cursor.execute("select count(*) from report.latest_forecast")
        assert cursor.fetchone() == (24,)
    connection.close()


@pytest.mark.parametrize("universe", sorted((ROOT / "deployments/universes").glob("*.csv")), ids=lambda path: path.stem)
def test_a_shipped_universe_names_each_symbol_once_on_a_known_exchange(universe: Path) -> None:
    instruments = read_universe(str(universe))
    rows = [line for line in universe.read_text().splitlines() if not line.startswith("#")][1:]
    assert len(rows) == len({each.symbol for each in instruments}) == len(instruments)
    assert all(has_calendar(each.exchange_mic) for each in instruments)
