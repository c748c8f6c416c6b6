"""Held names: their loss, timeouts of idle sessions, and logins without rights."""

import threading
import time
from urllib.parse import urlsplit

import psycopg2
import pytest

from sql.session import lock
from sql.store import LockLostError, Store
from tests.support.postgres import HOME
from tests.support.publications import KEY, begin
from tests.support.rows import query
from tests.support.server import reader_url

HOLDER = (
    "select p.pid from ops.lock l join pg_locks p on p.locktype = 'transactionid' and p.transactionid = l.xmax "
    "where l.name = 'file/test/2019-12-01'"
)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.2)


def test_lock_is_kept_under_timeouts_of_idle_sessions(store: Store, database_url: str) -> None:
    name = urlsplit(database_url).path.removeprefix("/")
    for setting in (
        "idle_session_timeout",
        "idle_in_transaction_session_timeout",
        "transaction_timeout",
        "statement_timeout",
    ):
        query(database_url, f"alter database {name} set {setting} = '300ms'")
    with Store(database_url) as patient, patient.hold_month(KEY) as is_ours:
        assert is_ours
        time.sleep(1)
        patient.require_month(KEY)
        begin(store)
        assert list(store.read_running_runs()["is_held"]) == [True]
    assert list(store.read_running_runs()["is_held"]) == [False]


def test_lock_reports_the_end_of_its_connection_at_once(store: Store, database_url: str) -> None:
    losses, is_lost = list[str](), threading.Event()

    def lose() -> None:
        losses.append("lost")
        is_lost.set()

    with store.hold_month(KEY, on_loss=lose) as is_ours:
        assert is_ours
        store.require_month(KEY)
        ((pid,),) = query(database_url, HOLDER)
        query(database_url, f"select pg_terminate_backend({pid})")
        assert is_lost.wait(30)
        with pytest.raises(LockLostError, match="connection that held the lock of file/test/2019-12-01 has ended"):
            store.require_month(KEY)
    assert losses == ["lost"]
    with store.hold_month(KEY) as is_ours:
        assert is_ours


def test_lock_that_nobody_holds_is_not_required_in_vain(store: Store) -> None:
    with pytest.raises(LockLostError):
        store.require_month(KEY)
    with store.hold_month(KEY):
        store.require_month(KEY)
    with pytest.raises(LockLostError):
        store.require_month(KEY)


def test_readers_cannot_take_a_lock(store: Store, database_url: str) -> None:
    reader = reader_url(HOME, database_url)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query(reader, "select * from ops.lock for update")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query(reader, "lock table ops.lock in access share mode")
    connection = psycopg2.connect(reader)
    with connection, connection.cursor() as cursor:
        for name in ("file/test/2019-12-01", "bellwether/market", "recipient a"):
            cursor.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (name,))
        cursor.execute("select pg_advisory_lock(%s)", (0x62656C6C,))
        with store.hold_month(KEY) as is_ours, store.hold_recipient("a", wait_seconds=0.1) as is_notified:
            assert (is_ours, is_notified) == (True, True)
        query(database_url, "comment on schema report is 'Views. (fingerprint 0000000000000000)'")
        assert store.upgrade() is True
    connection.close()
