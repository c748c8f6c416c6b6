"""A month whose database cuts connections: by force, by timeouts, and behind a pooler."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import flows.monthly
from flows.monthly import monthly_forecast
from flows.service_check import check_service
from sql.session import lock
from sql.store import Store, StoreUnavailableError
from tasks.database import get_store
from tasks.month.run import MonthLostError
from tasks.settings import get_settings
from tests.support.loopback import Webhook
from tests.support.pooler import pooler
from tests.support.rows import query

AS_OF = date(2018, 12, 31)
HOLDER = "select p.pid from ops.lock l join pg_locks p on p.locktype = 'transactionid' and p.transactionid = l.xmax"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account may enter."""
    path = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="bellwether-pooler-"))
    yield path
    shutil.rmtree(path)


def test_month_that_loses_its_lock_publishes_nothing(
    webhook: Webhook, machine: pytest.MonkeyPatch, database_url: str
) -> None:
    """The service check calls the run failed, not killed, although its process still trains."""
    train, checks = flows.monthly.train_candidates, list[Any]()

    def cut(*arguments: Any) -> Any:
        ((pid,),) = query(database_url, HOLDER)
        query(database_url, f"select pg_terminate_backend({pid})")
        for _ in range(600):
            if query(database_url, "select status from ops.run") != [("running",)]:
                break
            time.sleep(0.05)
        checks.append(check_service.fn())
        return train(*arguments)

    machine.setattr(flows.monthly, "train_candidates", cut)
    with pytest.raises(MonthLostError, match="connection that held its lock has ended") as error:
        monthly_forecast(as_of=AS_OF, source="sample", unattended=True)
    assert "\n" not in str(error.value)
    assert [check.killed_run_ids for check in checks] == [[]]
    assert query(database_url, "select status, message from ops.run") == [("failed", str(error.value))]
    assert query(database_url, "select count(*) from forecast.forecast") == [(0,)]
    assert webhook.titles == ["Bellwether: No forecast for sample from 2018-12"]

    machine.setattr(flows.monthly, "train_candidates", train)
    monthly_forecast(as_of=AS_OF, source="sample", unattended=True)
    assert query(database_url, "select status from ops.run order by run_id") == [("failed",), ("published",)]


def test_month_is_published_behind_a_pooler_that_cuts_idle_connections(
    machine: pytest.MonkeyPatch, database_url: str, folder: Path
) -> None:
    name = database_url.rpartition("/")[2]
    query(database_url, f"alter database {name} set idle_session_timeout = '500ms'")
    query(database_url, f"alter database {name} set idle_in_transaction_session_timeout = '500ms'")
    machine.setattr(lock, "HEARTBEAT_SECONDS", 0.2)
    with pooler(database_url, folder, mode="transaction", options="idle_transaction_timeout = 8\n") as url:
        machine.setenv("DATABASE_URL", url)
        get_settings.cache_clear()
        get_store.cache_clear()
        assert not monthly_forecast(as_of=AS_OF, source="sample").is_already_done
        assert check_service.fn().killed_run_ids == []
        get_store().close()
    assert query(database_url, "select status from ops.run") == [("published",)]


def test_month_whose_commit_is_not_confirmed_counts_as_published(
    machine: pytest.MonkeyPatch, database_url: str
) -> None:
    """The server restarts after the commit: the run looks before it reports a failure."""
    publish, attempts = Store.publish, list[int]()

    def lose(store: Store, run_id: int, *arguments: Any, **options: Any) -> None:
        attempts.append(run_id)
        publish(store, run_id, *arguments, **options)
        if len(attempts) == 1:
            others = "datname = current_database() and pid <> pg_backend_pid()"
            query(database_url, f"select pg_terminate_backend(pid) from pg_stat_activity where {others}")
            raise StoreUnavailableError("The connection has ended.")

    machine.setattr(Store, "publish", lose)
    summary = monthly_forecast(as_of=AS_OF, source="sample", unattended=True)
    assert (summary.run_id, summary.is_already_done) == (1, False)
    assert query(database_url, "select status from ops.run") == [("published",)]
    assert query(database_url, "select count(*) from report.open_alert") == [(0,)]
