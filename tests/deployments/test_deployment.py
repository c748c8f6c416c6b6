"""Tests of the deployments: the commands of docs/operations.md with a real Prefect server and a real worker."""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.calendars import has_calendar
from tasks.plans.universe import read_universe
from tests.support.rows import query

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", RUNBOOK, re.S)
TRIGGER = "prefect deployment run 'monthly_forecast/monthly'"
SAMPLE = {"source": "sample", "universe": "deployments/universes/sample.csv"}


def documented_block(command: str) -> str:
    """Return the first code block of docs/operations.md that has a line with this start."""
    return next(block for block in BLOCKS if any(line.startswith(command) for line in block.splitlines()))


def documented_line(command: str) -> str:
    """Return the first line of docs/operations.md with this start."""
    return next(line for line in documented_block(command).splitlines() if line.startswith(command))


@dataclass(frozen=True)
class Machine:
    """A Prefect server, and the environment of its operator's shell."""

    api: str
    environment: dict[str, str]

    def run_commands(self, commands: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run commands in a new shell, which ends with the first failure."""
        return subprocess.run(
            ["/bin/bash", "-e", "-c", commands],
            env=self.environment | variables,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def start_worker(self, command: str, database_url: str, home: Path) -> None:
        """Run a worker until it has done the due runs."""
        worker = subprocess.run(
            [*shlex.split(command), "--run-once"],
            env=self.environment | {"DATABASE_URL": database_url, "BELLWETHER_HOME": str(home)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert worker.returncode == 0, worker.stderr

    def request(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the server's response; None if it is not up."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, data, {"Content-Type": "application/json"})  # noqa: S310  ours
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310  same
                return json.load(response)
        except urllib.error.HTTPError as error:
            error.close()
            raise
        except OSError:
            return None

    @property
    def deployment(self) -> dict[str, Any]:
        """The monthly deployment on the server."""
        return dict(self.request("/deployments/name/monthly_forecast/monthly"))

    @property
    def check(self) -> dict[str, Any]:
        """The service check's deployment on the server."""
        return dict(self.request("/deployments/name/check_service/check"))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Start a server and create the deployments by the commands of docs/operations.md, except for the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    home = tmp_path_factory.mktemp("prefect")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_API_PORT": port,
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "NO_COLOR": "1",
    }
    start = documented_block("prefect server start").replace("4200", port)
    with (home / "server.log").open("w") as log:
        shell = subprocess.Popen(
            ["/bin/bash", "-e", "-c", f"{start}\nwait"],
            env=environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            server = Machine(environment["PREFECT_API_URL"], environment)
            _wait_for(lambda: server.request("/health") is True, seconds=300)
            deployed = server.run_commands(documented_block("prefect --no-prompt deploy"))
            assert deployed.returncode == 0, deployed.stderr
            yield server
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
            try:
                shell.wait(20)
            finally:
                _kill_group(shell.pid)


def _kill_group(group: int) -> None:
    deadline = time.monotonic() + 20
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.1)
        os.killpg(group, signal.SIGKILL)


def _wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.3)


def test_monthly_deployment_has_schedule_and_limit(machine: Machine) -> None:
    deployment = machine.deployment
    (schedule,) = deployment["schedules"]
    assert schedule["schedule"]["cron"] == "0 6 3 * *"
    assert schedule["schedule"]["timezone"] == "America/New_York"
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert (ROOT / deployment["parameters"]["universe"]).is_file()


def test_check_deployment_has_schedule_and_limit(machine: Machine) -> None:
    (schedule,) = machine.check["schedules"]
    assert schedule["schedule"]["cron"] == "0 7 * * *"
    assert machine.check["global_concurrency_limit"]["limit"] == 1
    assert machine.check["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"


def test_deployments_have_no_absolute_path(machine: Machine) -> None:
    """Paths are relative to the worker's directory, which may differ from the deploying one."""
    assert str(ROOT) not in json.dumps([machine.deployment, machine.check])


def test_scheduler_creates_runs(machine: Machine) -> None:
    """Some versions of SQLAlchemy break the scheduler without an error."""
    deployments = {"id": {"any_": [machine.deployment["id"]]}}
    wanted = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}, "deployments": deployments}
    _wait_for(lambda: bool(machine.request("/flow_runs/filter", wanted)), seconds=200)
    starts = sorted(run["expected_start_time"] for run in machine.request("/flow_runs/filter", wanted))
    assert all(
        re.match(r"\d{4}-\d\d-03T1[01]:00:00", start) for start in starts
    )  # UTC, with and without daylight saving time


@pytest.mark.parametrize(
    ("parameter", "bound"),
    [("catch_up=1000", "240"), ("min_coverage=0.1", "0.5"), ("mode=best", "auto"), ("chunk_symbols=0", "1")],
)
def test_trigger_out_of_bounds_is_refused(machine: Machine, parameter: str, bound: str) -> None:
    name, _, value = parameter.partition("=")
    given = {"parameters": {name: value if name == "mode" else float(value)}}
    with pytest.raises(urllib.error.HTTPError) as refused:
        machine.request(f"/deployments/{machine.deployment['id']}/create_flow_run", given)
    assert refused.value.code == 409
    if name == "catch_up":  # also by the documented command, once because it takes seconds
        command = machine.run_commands(f"{documented_line(TRIGGER)} -p {parameter}")
        assert command.returncode != 0
        assert bound in command.stdout + command.stderr


def test_manual_trigger_runs_the_flow(machine: Machine, database_url: str, tmp_path: Path) -> None:
    given = {**SAMPLE, "as_of": "2008-12-31", "mode": "baseline"}  # ten years, and one training, take less time
    command = documented_line(TRIGGER) + "".join(f" -p {name}={value}" for name, value in given.items())
    triggered = machine.run_commands(command)
    assert triggered.returncode == 0, triggered.stderr
    machine.start_worker(documented_line("prefect worker start"), database_url, tmp_path)
    # The deployment catches up on the two months before, as after an outage.
    assert query(
        database_url,
        "select status, origin_month::text, symbols_forecast, flow_run_id is not null from ops.run order by run_id",
    ) == [("published", month, 2, True) for month in ("2008-10-01", "2008-11-01", "2008-12-01")]
    assert query(database_url, "select count(*) from report.latest_forecast") == [(24,)]
    assert query(database_url, "select count(distinct flow_run_id) from ops.run") == [(1,)]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"as_of": "2999-01-31"}, "received 2999-01-31"),
        ({"chunk_symbols": 0}, "chunk_symbols: Input should be greater than or equal to 1"),
        # The process cannot bind the parameter and crashes; the worker itself runs the hook.
        ({"as_at": "2018-12-31"}, "The flow has no parameter as_at."),
    ],
)
def test_run_that_cannot_start_is_an_alert(
    machine: Machine, database_url: str, tmp_path: Path, parameters: dict[str, Any], expected: str
) -> None:
    given = {
        "parameters": SAMPLE | parameters,
        "state": {"type": "SCHEDULED"},
        "enforce_parameter_schema": False,  # as if the trigger had accepted the parameters
    }
    assert machine.request(f"/deployments/{machine.deployment['id']}/create_flow_run", given)
    machine.start_worker(documented_line("prefect worker start"), database_url, tmp_path)
    ((kind, subject, detail),) = query(database_url, "select kind, subject, detail from report.open_alert")
    assert (kind, subject) == ("failed_run", "sample/sample")
    assert expected in detail
    assert query(database_url, "select count(*) from ops.run") == [(0,)]


@pytest.mark.parametrize(
    ("end", "status", "title"),
    [
        ("kill", "abandoned", "Run 1 of sample from 2018-12 was killed"),
        ("cancel", "failed", "No forecast for sample from 2018-12"),
    ],
)
def test_ended_run_is_an_alert(
    machine: Machine, database_url: str, tmp_path: Path, end: str, status: str, title: str
) -> None:
    """The process of the run cannot run the hook; the worker does."""
    parameters = {**SAMPLE, "as_of": "2018-12-31", "catch_up": 0}
    given = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
    flow_run_id = machine.request(f"/deployments/{machine.deployment['id']}/create_flow_run", given)["id"]
    worker = threading.Thread(
        target=machine.start_worker, args=(documented_line("prefect worker start"), database_url, tmp_path)
    )
    worker.start()
    try:
        _wait_for(lambda: query(database_url, "select status from ops.run") == [("running",)], seconds=400)
        if end == "kill":
            pid = machine.request(f"/flow_runs/{flow_run_id}")["infrastructure_pid"]
            os.kill(int(pid.rpartition(":")[2]), signal.SIGKILL)
        else:
            cancelling = {"state": {"type": "CANCELLING"}, "force": True}
            machine.request(f"/flow_runs/{flow_run_id}/set_state", cancelling)
    finally:
        worker.join()
    assert query(database_url, "select status from ops.run") == [(status,)]
    assert query(database_url, "select title from report.open_alert") == [(title,)]


def test_check_deployment_runs_with_a_worker(machine: Machine, database_url: str, tmp_path: Path) -> None:
    given = {"parameters": {}, "state": {"type": "SCHEDULED"}}
    assert machine.request(f"/deployments/{machine.check['id']}/create_flow_run", given)
    machine.start_worker(documented_line("prefect worker start"), database_url, tmp_path)
    completed = {
        "deployments": {"id": {"any_": [machine.check["id"]]}},
        "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
    }
    assert len(machine.request("/flow_runs/filter", completed)) == 1


@pytest.mark.parametrize("universe", sorted((ROOT / "deployments/universes").glob("*.csv")), ids=lambda path: path.stem)
def test_shipped_universe_has_unique_symbols_on_known_exchanges(universe: Path) -> None:
    instruments = read_universe(str(universe))
    rows = [line for line in universe.read_text().splitlines() if not line.startswith("#")][1:]
    assert len(rows) == len({instrument.symbol for instrument in instruments}) == len(instruments)
    assert all(has_calendar(instrument.exchange_mic) for instrument in instruments)


def test_containers_have_no_password_and_the_documented_commands() -> None:
    text = (ROOT / "deployments/compose.yaml").read_text(encoding="utf-8")
    services = yaml.safe_load(text)["services"]
    assert services["worker"]["command"] == shlex.split(documented_line("prefect worker start"))
    deployed = services["deploy"]["command"][-1]
    assert documented_line("prefect work-pool create") in deployed
    assert documented_line("prefect --no-prompt deploy") in deployed
    for line in text.splitlines():
        assert "PASSWORD" not in line or line.startswith("#") or "${POSTGRES_PASSWORD" in line
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", []))
    image = (ROOT / "deployments/Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER (?!root)", image, re.M)
    for source in re.findall(r"^COPY (.+) \S+$", image, re.M):
        assert all((ROOT / name).exists() for name in source.split())
