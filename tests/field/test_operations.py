"""Faults of the machine, made around the command as a user types it: one sentence, an exit code, and an alert."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.support.loopback import Webhook
from tests.support.rows import query

ROOT = Path(__file__).resolve().parents[2]
RUN = ("run", "--source", "sample", "--as-of", "2018-12-31", "--mode", "baseline")
INGEST = ("ingest", "--source", "sample")
NOWHERE = "http://127.0.0.1:9"
PROXIES = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"), NOWHERE)


def start(
    *arguments: str, home: Path, output: int = subprocess.PIPE, limit: str = "", **variables: str
) -> subprocess.Popen[str]:
    """Start `bellwether` in a new session, with an environment of a terminal.

    Args:
        *arguments: The command line.
        home: Home directory.
        output: Standard output.
        limit: Arguments of the shell's `ulimit`.
        **variables: Variables of the environment.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "BELLWETHER"))}
    environment |= {"PYTHONPATH": str(ROOT), "BELLWETHER_HOME": str(home), **variables}
    command = [sys.executable, "-m", "flows.cli.main", *arguments]
    if limit:
        command = ["/bin/sh", "-c", f'ulimit {limit}; exec "$@"', "sh", *command]
    return subprocess.Popen(
        command, env=environment, stdout=output, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a command; return its exit code and its errors, which must be one sentence or none."""
    output, errors = process.communicate(timeout=300)
    assert "Traceback" not in errors + (output or "")
    assert errors.count("\n") == (process.returncode != 0), errors
    return process.returncode, errors


@pytest.fixture
def home(tmp_path: Path, database_url: str) -> Iterator[Path]:
    """A home without processes at the end."""
    yield tmp_path / "home"
    for process in servers_of(tmp_path / "home"):
        process.kill()


def servers_of(home: Path) -> list[psutil.Process]:
    """Find the temporary Prefect servers of a home."""
    found = []
    for process in psutil.process_iter():
        try:
            if "prefect.server.api.server:create_app" in process.cmdline():
                found += [process] if process.environ().get("PREFECT_HOME") == str(home / "prefect") else []
        except psutil.Error:
            continue
    return found


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def no_space(home: Path) -> Iterator[Path]:
    """Yield a home in a file system of 64 kB."""
    home.mkdir()
    if subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(home)], check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        (home / "full").write_bytes(bytes(48_000))
        yield home
    finally:
        subprocess.run(["/bin/umount", "-l", str(home)], check=True)


def test_faults_before_the_run_are_sentences_and_alerts(database_url: str, tmp_path: Path) -> None:
    """All at once, because each process takes seconds to start."""
    (tmp_path / "file").touch()
    with Webhook() as webhook:
        alerts = {"BELLWETHER_ALERT_URLS": webhook.url(), "DATABASE_URL": database_url}
        faults = {
            "server down": (
                15,
                start(*RUN, "--unattended", home=tmp_path / "h1", PREFECT_API_URL=f"{NOWHERE}/api", **alerts),
            ),
            "home below a file": (
                16,
                start(*RUN, "--symbols", "^GSPC", "--unattended", home=tmp_path / "file" / "h", **alerts),
            ),
            "home that cannot be made": (16, start("check-service", home=Path("/proc/none"), **alerts)),
            "no password": (
                4,
                start(
                    *RUN,
                    "--unattended",
                    home=tmp_path / "h2",
                    **alerts | {"DATABASE_URL": "postgresql://u:p@rt/0ne#tw0@127.0.0.1/x"},
                ),
            ),
            "attended": (16, start("status", home=tmp_path / "file")),
            "no memory": (17, start("status", home=tmp_path / "h3", limit="-v 400000", **alerts)),
        }
        sentences = {}
        for name, (code, process) in faults.items():
            received, sentences[name] = finish(process)
            assert received == code, sentences[name]
    assert "Prefect's server at http://127.0.0.1:9/api does not respond" in sentences["server down"]
    assert not any(part in sentences["no password"] for part in ("rt/", "0ne", "tw0"))
    # Two universes and the check are three alerts; without the database's URL, the alert is sent directly.
    assert sorted(set(webhook.titles)) == [
        "Bellwether: A run of ^GSPC could not start",
        "Bellwether: A run of sample could not start",
        "Bellwether: The service check failed",
    ]
    messages = " ".join(message["message"] for message in webhook.accepted)
    for expected in ("does not respond", "(Not a directory)", "(No such file or directory)", "must be separable"):
        assert expected in messages
    assert not any(part in messages for part in ("0ne", "tw0"))


def test_full_output_and_full_home_are_sentences(database_url: str, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        process = start("status", home=tmp_path / "h1", output=full.fileno(), DATABASE_URL=database_url)
        code, sentence = finish(process)
    assert (code, "No space is left" in sentence) == (17, True)
    with no_space(tmp_path / "h2") as home:
        code, sentence = finish(start("status", home=home))
        assert code in (9, 17), sentence
        assert not (home / "logs").exists() or not any((home / "logs").iterdir())


def test_command_behind_a_proxy_ends_the_server_of_a_killed_one(home: Path, database_url: str) -> None:
    """The first command is killed, and its server lives on."""
    first = start(*INGEST, home=home, DATABASE_URL=database_url)
    wait_for(lambda: servers_of(home))
    (orphan,) = servers_of(home)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert orphan.is_running()
    assert finish(start(*INGEST, home=home, DATABASE_URL=database_url, **PROXIES))[0] == 0
    assert query(database_url, "select count(distinct symbol) from market.daily_bar") == [(2,)]
    assert servers_of(home) == []
    for stream in (first.stdout, first.stderr):  # the server held their other ends
        assert stream is not None
        stream.close()


def test_interruption_is_one_sentence(home: Path, database_url: str) -> None:
    """Ctrl-C reaches the command and its server."""
    process = start(*INGEST, home=home, DATABASE_URL=database_url)
    wait_for(lambda: servers_of(home))
    os.killpg(process.pid, signal.SIGINT)
    code, sentence = finish(process)
    assert (code, sentence) == (130, "bellwether: interrupted; the same command again completes the work.\n")
    wait_for(lambda: not servers_of(home))
