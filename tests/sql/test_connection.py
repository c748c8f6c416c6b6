"""Connections, locks and error messages against a real Postgres."""

import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

from sql.store import Store, StoreUnavailableError
from tests.support.publications import KEY, T0, begin, make_publication, month_key
from tests.support.rows import query
from tests.support.server import ROOT


def test_hold_month_locks_it_for_one_process_until_its_end(store: Store, database_url: str) -> None:
    with Store(database_url) as other:
        with store.hold_month(KEY) as is_ours, other.hold_month(KEY) as is_theirs:
            assert (is_ours, is_theirs) == (True, False)
        with other.hold_month(KEY) as is_theirs:
            assert is_theirs
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from datetime import date; from sql.store import MonthKey, Store\n"
            "key = MonthKey(source='file', universe='test', origin_month=date(2019, 12, 1))\n"
            "with Store(sys.argv[1]).hold_month(key) as held: print(held, flush=True); time.sleep(60)",
            database_url,
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    with store.hold_month(KEY) as is_ours:
        assert not is_ours
    holder.kill()
    holder.wait()
    holder.stdout.close()
    for _ in range(600):
        with store.hold_month(KEY) as is_ours:
            if is_ours:
                break
        time.sleep(0.1)
    assert is_ours


def test_hold_month_of_two_months_succeeds_at_once(store: Store) -> None:
    with store.hold_month(KEY) as one, store.hold_month(month_key(2020, 1)) as other:
        assert (one, other) == (True, True)


def test_hold_month_releases_the_lock_after_an_error(store: Store, database_url: str) -> None:
    with pytest.raises(KeyError), store.hold_month(KEY):
        raise KeyError
    with Store(database_url) as other, other.hold_month(KEY) as is_theirs:
        assert is_theirs


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:s3cret@127.0.0.1:1/x", "is unreachable"),
        ("postgresql://u@127.0.0.1:1/x?password=s3cret", "is unreachable"),
        ("mysql://u:s3cret@127.0.0.1/x", "must start with postgresql://, received mysql://"),
        ("s3cret", "must be a URL such as"),
        ("", "must be a URL such as"),
        ("postgresql://u:s3cret@host:port/x", "must be a URL such as"),
        ("postgresql://u:p@s3cret@127.0.0.1:1/x", "must contain only one @"),
    ],
)
def test_unreachable_database_is_one_sentence_without_secrets(url: str, words: str) -> None:
    with pytest.raises(StoreUnavailableError, match=words) as caught, Store(url) as unreachable:
        unreachable.is_current()
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_wrong_password_is_one_sentence_without_it(database_url: str) -> None:
    right = str(urlsplit(database_url).password)
    with Store(database_url.replace(f":{right}@", ":s3cret@")) as locked:
        with pytest.raises(StoreUnavailableError, match="password authentication failed") as caught:
            locked.find_published(KEY)
        assert "\n" not in str(caught.value)
        assert "s3cret" not in f"{caught.value} {locked!r} {locked.address}"
        assert locked.connection_environment()["PGPASSWORD"] == "s3cret"


def test_missing_schema_names_the_upgrade_command(empty_database_url: str) -> None:
    with Store(empty_database_url) as empty, pytest.raises(StoreUnavailableError, match="bellwether db upgrade"):
        empty.find_published(KEY)


def test_text_is_utf8_under_any_client_encoding(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with Store(database_url) as store:
        store.fail_run(
            begin(store), message="σ × β", finished_at=T0, outcomes=make_publication().outcomes.assign(reason="é…")
        )
    monkeypatch.delenv("PGCLIENTENCODING")
    assert (
        query(database_url, "select message, reason from ops.run join ops.symbol_outcome using (run_id)")
        == [("σ × β", "é…")] * 2
    )


def test_settings_of_the_database_and_of_the_role_have_no_effect(database_url: str) -> None:
    name = urlsplit(database_url).path.removeprefix("/")
    settings = {
        "extra_float_digits": "0",
        "timezone": "Pacific/Kiritimati",
        "search_path": "",
        "datestyle": "German",
        "idle_session_timeout": "100ms",
    }
    for setting, value in settings.items():
        query(database_url, f"alter database {name} set {setting} = '{value}'")
    with Store(database_url) as store, Store(database_url) as other:
        assert store.is_current()
        with store.hold_month(KEY) as is_ours:
            assert is_ours
            time.sleep(0.5)  # longer than the database's `idle_session_timeout`
            with other.hold_month(KEY) as is_theirs:
                assert not is_theirs
        run_id = begin(store)
        assert store.read_run(run_id)
    # A connection of another program has the database's settings: the test above is not vacuous.
    assert query(database_url, "select current_setting('timezone')") == [("Pacific/Kiritimati",)]


def test_upgrade_of_a_database_with_another_search_path_is_complete(empty_database_url: str) -> None:
    name = urlsplit(empty_database_url).path.removeprefix("/")
    query(empty_database_url, f"alter database {name} set search_path = ''")
    with Store(empty_database_url) as store:
        store.upgrade()
        assert store.is_current()
    assert query(empty_database_url, "select to_regclass('report.open_alert') is not null") == [(True,)]
