"""A standby server: reports can be read, and every change is refused in one sentence."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sql.server import lifecycle as server
from sql.server.account import run_command, server_account, write_private
from sql.store import Store, StoreUnavailableError
from tests.support.publications import KEY, T0, begin
from tests.support.rows import query
from tests.support.server import remove


@pytest.fixture(scope="module")
def standby_url() -> Iterator[str]:
    """URL of a database with the latest schema on a server in recovery."""
    home = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="bellwether-standby-"))
    home.chmod(0o755)
    url = server.start(home)
    with Store(url) as store:
        store.upgrade()
        begin(store)
    server.stop(home)
    cluster = server.Cluster.at(home)
    write_private(cluster.data / "standby.signal", "", server_account())
    control = (cluster.binaries / "pg_ctl", "-D", cluster.data, "-w", "-s")
    with (home / "log").open("wb") as log:
        assert run_command(*control, "start", output=log).returncode == 0
    yield url
    run_command(*control, "stop", "-m", "fast")
    remove(home)


def test_standby_can_be_read(standby_url: str) -> None:
    assert query(standby_url, "select pg_is_in_recovery()") == [(True,)]
    with Store(standby_url) as store:
        assert store.is_current()
        assert len(store.read_report("run_history", limit=5)) == 1
        assert list(store.read_running_runs()["is_held"]) == [False]


def test_standby_refuses_every_change_in_one_sentence(standby_url: str) -> None:
    with Store(standby_url) as store:
        for change in (
            lambda: begin(store),
            lambda: store.hold_month(KEY).__enter__(),
            lambda: store.resolve_alert("drift", "x", now=T0),
            lambda: store.fail_run(1, message="x", finished_at=T0),
        ):
            with pytest.raises(StoreUnavailableError, match="must accept writes, but is read-only: ") as error:
                change()
            assert "\n" not in str(error.value)
