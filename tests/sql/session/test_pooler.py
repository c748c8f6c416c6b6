"""A database behind PgBouncer, whose sessions change with every transaction."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sql.session import lock
from sql.store import Store, StoreUnavailableError
from tasks.database import SCORE_FUNCTIONS
from tests.support.pooler import pooler
from tests.support.publications import KEY, T0, begin, make_publication
from tests.support.rows import query


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account may enter."""
    path = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="bellwether-pooler-"))
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_month_is_locked_and_published_through_a_pooler(
    database_url: str, folder: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.2)
    with (
        pooler(database_url, folder, mode=mode) as url,
        Store(url, score_functions=SCORE_FUNCTIONS) as store,
        Store(url) as other,
    ):
        assert store.is_current()
        with store.hold_month(KEY) as is_ours:
            run_id = begin(store)
            with ThreadPoolExecutor(8) as threads:  # many transactions share the sessions
                settings = set(threads.map(lambda _: store.read_report("running_runs")["is_held"].item(), range(40)))
            with other.hold_month(KEY) as is_theirs:
                assert (is_ours, is_theirs, settings) == (True, False, {True})
            time.sleep(0.5)
            store.require_month(KEY)
            store.publish(run_id, make_publication(), finished_at=T0)
        with other.hold_month(KEY) as is_theirs:
            assert is_theirs
    assert query(database_url, "select status from ops.run") == [("published",)]


def test_settings_reach_every_transaction_of_a_pooler(database_url: str, folder: Path) -> None:
    name = database_url.rpartition("/")[2]
    query(database_url, f"alter database {name} set extra_float_digits = 0")
    query(database_url, f"alter database {name} set search_path = ''")
    statement = "select current_setting('extra_float_digits'), current_setting('search_path') like '%public'"
    with pooler(database_url, folder, mode="transaction", size=4) as url:
        with Store(url) as store:

            def read(_: int) -> tuple[str, bool]:
                with store._cursor() as cursor:
                    cursor.execute(statement)
                    row = cursor.fetchone()
                    assert row is not None
                    return row

            with ThreadPoolExecutor(4) as threads:
                assert set(threads.map(read, range(40))) == {("1", True)}
        # Sessions keep no setting of ours for the pooler's other clients.
        assert query(url, statement) == [("0", False)]


def test_pooler_of_statements_is_refused_in_one_sentence(database_url: str, folder: Path) -> None:
    with pooler(database_url, folder, mode="statement") as url, Store(url) as store:
        with pytest.raises(StoreUnavailableError) as error:
            store.is_current()
        assert "\n" not in str(error.value)
        assert "pool_mode" in str(error.value)
