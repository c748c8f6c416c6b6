"""The schedule as an operator starts it: the commands of docs/operations.md, a real server and a real worker."""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml

from tasks.calendars import has_calendar
from tasks.plans.universe import read_universe

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", RUNBOOK, re.S)
TRIGGER = "prefect deployment run 'monthly_forecast/monthly'"
SAMPLE = {"source": "sample", "universe": "deployments/universes/sample.csv"}


def documented_block(command: str) -> str:
    """The runbook's block of commands in which a line starts so."""
    return next(block for block in BLOCKS if any(line.startswith(command) for line in block.splitlines()))


def documented_line(command: str) -> str:
    """The runbook's first command that starts so."""
    return next(line for line in documented_block(command).splitlines() if line.startswith(command))


@dataclass(frozen=True)
class Machine:
    """A checkout with a Prefect server of its own, and the shell of its operator."""

    api: str
    environment: dict[str, str]

    def type_commands(self, commands: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Type commands into a fresh shell; the first that fails ends it."""
        return subprocess.run(
            ["/bin/bash", "-e", "-c", commands],
            env=self.environment | variables,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def work(self, command: str, database_url: str, home: Path) -> None:
        """Have a worker do what is due, and end."""
        worked = subprocess.run(
            [*shlex.split(command), "--run-once"],
            env=self.environment | {"DATABASE_URL": database_url, "BELLWETHER_HOME": str(home)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert worked.returncode == 0, worked.stderr

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """What the server answers; None while it does not."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, data, {"Content-Type": "application/json"})  # noqa: S310  ours
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  same
                return json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            raise
        except OSError:
            return None

    @property
    def deployment(self) -> dict[str, Any]:
        """The monthly deployment as the server keeps it."""
        return dict(self.ask("/deployments/name/monthly_forecast/monthly"))

    @property
    def watch(self) -> dict[str, Any]:
        """The daily watch as the server keeps it."""
        return dict(self.ask("/deployments/name/check_service/watch"))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A server started and a deployment made by the commands of the runbook, but for the port."""
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
            made = Machine(environment["PREFECT_API_URL"], environment)
            _await(lambda: made.ask("/health") is True, seconds=60)
            deployed = made.type_commands(documented_block("prefect --no-prompt deploy"))
            assert deployed.returncode == 0, deployed.stderr
            yield made
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
            try:
                shell.wait(20)
            finally:
                _kill_what_is_left(shell.pid)


def _kill_what_is_left(group: int) -> None:
    deadline = time.monotonic() + 20
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.1)
        os.killpg(group, signal.SIGKILL)


def _await(is_so: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.3)


def test_the_deployment_is_monthly_one_at_a_time_in_the_exchanges_time(machine: Machine) -> None:
    deployment = machine.deployment
    (schedule,) = deployment["schedules"]
    assert schedule["schedule"]["cron"] == "0 6 3 * *"
    assert schedule["schedule"]["timezone"] == "America/New_York"
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert (ROOT / deployment["parameters"]["universe"]).is_file()


def test_the_watch_is_daily_and_one_at_a_time(machine: Machine) -> None:
    (schedule,) = machine.watch["schedules"]
    assert schedule["schedule"]["cron"] == "0 7 * * *"
    assert machine.watch["global_concurrency_limit"]["limit"] == 1
    assert machine.watch["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"


def test_the_deployment_holds_in_any_checkout(machine: Machine) -> None:
    """Only paths that count from the worker's directory: whoever deploys may work elsewhere."""
    assert str(ROOT) not in json.dumps([machine.deployment, machine.watch])


def test_the_scheduler_makes_runs_of_it(machine: Machine) -> None:
    """A pinned version once broke this in silence."""
    ours = {"id": {"any_": [machine.deployment["id"]]}}
    wanted = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}, "deployments": ours}
    _await(lambda: bool(machine.ask("/flow_runs/filter", wanted)), seconds=40)
    starts = sorted(run["expected_start_time"] for run in machine.ask("/flow_runs/filter", wanted))
    assert all(re.match(r"\d{4}-\d\d-03T1[01]:00:00", start) for start in starts)  # UTC, with and without summer time


@pytest.mark.parametrize(
    ("parameter", "bound"),
    [("catch_up=1000", "240"), ("min_coverage=0.1", "0.5"), ("mode=best", "auto"), ("chunk_symbols=0", "1")],
)
def test_a_trigger_out_of_bounds_is_refused(machine: Machine, parameter: str, bound: str) -> None:
    name, _, value = parameter.partition("=")
    given = {"parameters": {name: value if name == "mode" else float(value)}}
    with pytest.raises(urllib.error.HTTPError) as refused:
        machine.ask(f"/deployments/{machine.deployment['id']}/create_flow_run", given)
    assert refused.value.code == 409
    if name == "catch_up":  # once as it is typed, too: each command starts for seconds
        typed = machine.type_commands(f"{documented_line(TRIGGER)} -p {parameter}")
        assert typed.returncode != 0
        assert bound in typed.stdout + typed.stderr


def test_a_manual_trigger_runs_the_same_flow(machine: Machine, database_url: str, tmp_path: Path) -> None:
    given = {**SAMPLE, "as_of": "2018-12-31"}
    typed = documented_line(TRIGGER) + "".join(f" -p {name}={value}" for name, value in given.items())
    triggered = machine.type_commands(typed)
    assert triggered.returncode == 0, triggered.stderr
    machine.work(documented_line("prefect worker start"), database_url, tmp_path)
    connection = psycopg2.connect(database_url)
    with connection.cursor() as cursor:
        cursor.execute(
            "select status, origin_month::text, symbols_forecast, flow_run_id is not null from ops.run order by run_id"
        )
        # The two months before are missing, as after an outage, and the deployment makes up for them.
        assert cursor.fetchall() == [
            ("published", month, 2, True) for month in ("2018-10-01", "2018-11-01", "2018-12-01")
        ]
        cursor.execute("select count(*) from report.latest_forecast")
        assert cursor.fetchone() == (24,)
    connection.close()


def test_a_triggered_run_that_cannot_begin_is_an_alert(machine: Machine, database_url: str, tmp_path: Path) -> None:
    """The worker's own output is all that would tell otherwise; and the watch runs under a worker, too."""
    for deployment, parameters in (
        (machine.deployment, {**SAMPLE, "as_of": "2999-01-31"}),
        (machine.watch, {}),
    ):
        given = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        assert machine.ask(f"/deployments/{deployment['id']}/create_flow_run", given)
    machine.work(documented_line("prefect worker start").replace("--limit 1", "--limit 2"), database_url, tmp_path)
    connection = psycopg2.connect(database_url)
    with connection.cursor() as cursor:
        cursor.execute("select kind, subject, detail like '%received 2999-01-31%' from report.open_alert")
        assert cursor.fetchall() == [("failed_run", "sample/sample", True)]
        cursor.execute("select count(*) from ops.run")
        assert cursor.fetchone() == (0,)
    connection.close()
    ours = {
        "deployments": {"id": {"any_": [machine.watch["id"]]}},
        "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
    }
    assert len(machine.ask("/flow_runs/filter", ours)) == 1


@pytest.mark.parametrize("universe", sorted((ROOT / "deployments/universes").glob("*.csv")), ids=lambda path: path.stem)
def test_a_shipped_universe_names_each_symbol_once_on_a_known_exchange(universe: Path) -> None:
    instruments = read_universe(str(universe))
    rows = [line for line in universe.read_text().splitlines() if not line.startswith("#")][1:]
    assert len(rows) == len({each.symbol for each in instruments}) == len(instruments)
    assert all(has_calendar(each.exchange_mic) for each in instruments)


def test_containers_hold_no_password_and_run_what_the_runbook_says() -> None:
    text = (ROOT / "deployments/compose.yaml").read_text(encoding="utf-8")
    services = yaml.safe_load(text)["services"]
    assert services["worker"]["command"] == shlex.split(documented_line("prefect worker start"))
    deployed = services["deploy"]["command"][-1]
    assert documented_line("prefect work-pool create") in deployed
    assert documented_line("prefect --no-prompt deploy") in deployed
    for line in text.splitlines():
        assert "PASSWORD" not in line or line.startswith("#") or "${POSTGRES_PASSWORD" in line
    assert all(port.startswith("127.0.0.1:") for each in services.values() for port in each.get("ports", []))
    image = (ROOT / "deployments/Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER (?!root)", image, re.M)
    for source in re.findall(r"^COPY (.+) \S+$", image, re.M):
        assert all((ROOT / name).exists() for name in source.split())
