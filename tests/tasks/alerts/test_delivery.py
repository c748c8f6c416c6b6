"""Delivery against servers on loopback that are up, down and half up: each alert once, whatever happens."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr

from sql.store import Store
from tasks.alerts import delivery as delivering
from tasks.alerts import recipients as recipients
from tasks.alerts import sender as sending
from tasks.alerts.delivery import deliver_alerts, notify_without_database
from tasks.alerts.messages import database_alert
from tasks.alerts.recipients import fingerprint
from tasks.settings import Settings, get_settings
from tests.support.loopback import PASSWORD, MailServer, Webhook, free_port
from tests.support.rows import query

ALERT = {
    "kind": "failed_run",
    "subject": "file/u",
    "severity": "critical",
    "title": "No forecast for u from 2026-10",
    "detail": "The source is down.",
    "look_deeper_sql": "select 1",
}
OPENED, CLEARED = "Bellwether: No forecast for u from 2026-10", "Bellwether, cleared: No forecast for u from 2026-10"
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[None]:
    """A home of the test's own, no time lost with slow hashes, and no Prefect to send events to."""
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setattr(recipients, "_ROUNDS", 1)
    monkeypatch.setattr(delivering, "_emit_events", lambda store: None)
    fingerprint.cache_clear()
    get_settings.cache_clear()
    yield
    fingerprint.cache_clear()
    get_settings.cache_clear()


def settings(*urls: str, **changes: Any) -> Settings:
    return get_settings().model_copy(update={"alert_urls": SecretStr(" ".join(urls)), **changes})


def raise_alert(store: Store, **changes: Any) -> None:
    store.open_alert({**ALERT, **changes}, now=datetime.now(UTC))


def clear_alert(store: Store) -> None:
    assert store.resolve_alert("failed_run", "file/u", now=datetime.now(UTC))


def move_back(database_url: str, days: int) -> None:
    """Let everything have happened so many days earlier."""
    back = f"- interval '{days} days'"
    query(
        database_url,
        f"update ops.delivery set first_attempt_at = first_attempt_at {back}, "
        f"last_attempt_at = last_attempt_at {back}, "
        f"delivered_at = delivered_at {back}",
    )
    query(database_url, f"update ops.alert set opened_at = opened_at {back}, changed_at = changed_at {back}")


def test_each_alert_arrives_once_at_a_webhook_and_a_mail_server_that_were_down_for_two_runs(store: Store) -> None:
    webhook, mail = Webhook(), MailServer()
    everybody = settings(webhook.url(), mail.url())
    raise_alert(store)
    raise_alert(store, kind="drift", title="The forecasts of u have become worse", severity="warning")
    for _ in range(2):  # nobody listens on either port
        assert [(each.delivered, each.waiting) for each in deliver_alerts(store, everybody)] == [(0, 2), (0, 2)]
    with webhook, mail:
        for _ in range(3):
            deliver_alerts(store, everybody)
        assert sorted(webhook.titles) == [OPENED, "Bellwether: The forecasts of u have become worse"]
        assert sorted(mail.titles) == sorted(webhook.titles)
        clear_alert(store)
        for _ in range(2):
            deliver_alerts(store, everybody)
        assert webhook.titles[2:] == mail.titles[2:] == [CLEARED]
    assert webhook.accepted[2]["type"] == "success"


@pytest.mark.parametrize("mood", [500, "hang", "no answer"])
def test_an_address_that_is_half_up_is_told_once_it_is_up(store: Store, database_url: str, mood: Any) -> None:
    raise_alert(store)
    with Webhook(mood=mood) as webhook:
        told = settings(webhook.url())
        for _ in range(2):
            ((round_,)) = deliver_alerts(store, told)
            assert (round_.delivered, round_.waiting) == (0, 1)
        webhook.mood = 200
        deliver_alerts(store, told)
        deliver_alerts(store, told)
        assert webhook.titles == [OPENED]
    # Every attempt is the same message to whoever counts them.
    assert len({each["message"].rpartition("[")[2] for each in webhook.received}) == 1
    assert query(database_url, "select attempts, delivered_at is not null, last_error from ops.delivery") == [
        (3, True, None)
    ]


def test_an_answer_that_drips_ends_the_attempt(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "DEADLINE_SECONDS", 2.0)
    raise_alert(store)
    with Webhook(mood="drip") as webhook:
        ((round_,)) = deliver_alerts(store, settings(webhook.url()))
    assert round_.reason == "no answer within 2 s"


def test_an_address_that_fails_holds_up_no_other(store: Store, database_url: str) -> None:
    raise_alert(store)
    with Webhook() as webhook, Webhook(mood=500) as broken:
        everybody = settings(broken.url(), webhook.url())
        for _ in range(2):
            deliver_alerts(store, everybody)
        assert webhook.titles == [OPENED]
        assert query(database_url, "select recipient, failed_rounds, last_error from report.recipient order by 2") == [
            (f"json://127.0.0.1:{webhook.port} #{fingerprint(webhook.url())[:4]}", 0, None),
            (
                f"json://127.0.0.1:{broken.port} #{fingerprint(broken.url())[:4]}",
                2,
                "it answered with HTTP status 500",
            ),
        ]

        # The third round in a row without success is an alert of its own, told to those that work.
        deliver_alerts(store, everybody)
        assert webhook.titles[1:] == [
            f"Bellwether: Alerts do not reach json://127.0.0.1:{broken.port} #{fingerprint(broken.url())[:4]}"
        ]
        deliver_alerts(store, everybody)
        assert len(webhook.titles) == 2
        broken.mood = 200
        deliver_alerts(store, everybody)
        # It is told what it missed, and not that it was down; the others hear that it is back.
        assert broken.titles == [OPENED]
        assert [each.partition(":")[0] for each in webhook.titles[2:]] == ["Bellwether, cleared"]
        assert query(database_url, "select kind from report.open_alert") == [("failed_run",)]


def test_a_message_that_is_refused_holds_up_no_other(store: Store) -> None:
    """One alert that the recipient will never take: the others arrive, at the latest in the next round."""
    with Webhook() as webhook:
        told = settings(webhook.url())
        for number in range(5):
            raise_alert(store, subject=f"file/{number}", title=f"alert {number}")

        real = sending.send

        def picky(url: str, title: str, *rest: Any, **options: Any) -> sending.SendResult:
            if title == "Bellwether: alert 0":
                return sending.SendResult(False, reason="it answered with HTTP status 413")
            return real(url, title, *rest, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sending, "send", picky)
            for _ in range(2):
                deliver_alerts(store, told)
        assert sorted(webhook.titles) == [f"Bellwether: alert {number}" for number in range(1, 5)]


def test_an_alert_that_cleared_while_the_address_was_down_is_one_message_that_says_both(
    store: Store, database_url: str
) -> None:
    webhook = Webhook()
    told = settings(webhook.url())
    raise_alert(store)
    deliver_alerts(store, told)
    clear_alert(store)
    deliver_alerts(store, told)
    with webhook:
        for _ in range(2):
            deliver_alerts(store, told)
    (message,) = webhook.accepted
    assert message["title"] == CLEARED
    assert "this is the only message" in message["message"]
    assert "The source is down." in message["message"]
    assert query(database_url, "select event, state from report.delivery order by 1") == [
        ("cleared", "delivered"),
        ("opened", "overtaken"),
    ]


def test_an_alert_that_cleared_before_anybody_was_to_be_told_is_told_to_nobody(store: Store) -> None:
    raise_alert(store)
    clear_alert(store)
    with Webhook() as webhook:
        deliver_alerts(store, settings(webhook.url()))
        assert webhook.received == []


def test_a_new_address_is_told_what_is_open_and_nothing_of_the_past(store: Store) -> None:
    with Webhook() as old, Webhook() as new:
        raise_alert(store)
        deliver_alerts(store, settings(old.url()))
        clear_alert(store)
        deliver_alerts(store, settings(old.url()))
        raise_alert(store, subject="file/v", title="No forecast for v from 2026-10")
        deliver_alerts(store, settings(old.url(), new.url()))
        assert new.titles == ["Bellwether: No forecast for v from 2026-10"]


def test_an_open_alert_is_told_again_every_week_until_somebody_takes_note(store: Store, database_url: str) -> None:
    with Webhook() as webhook:
        told = settings(webhook.url())
        raise_alert(store)
        deliver_alerts(store, told)
        move_back(database_url, 6)
        deliver_alerts(store, told)
        assert len(webhook.titles) == 1
        for number in (1, 2):
            move_back(database_url, 7)
            for _ in range(2):
                deliver_alerts(store, told)
            assert webhook.titles[number:] == [f"Bellwether, reminder {number}: No forecast for u from 2026-10"]
        assert store.acknowledge_alert(1, now=datetime.now(UTC))
        move_back(database_url, 70)
        deliver_alerts(store, told)
        assert len(webhook.titles) == 3
        clear_alert(store)
        deliver_alerts(store, told)
        assert webhook.titles[3:] == [CLEARED]


def test_reminders_can_be_switched_off(store: Store, database_url: str) -> None:
    with Webhook() as webhook:
        told = settings(webhook.url(), alert_reminder_days=0)
        raise_alert(store)
        deliver_alerts(store, told)
        move_back(database_url, 400)
        deliver_alerts(store, told)
        assert webhook.titles == [OPENED]


def test_what_changes_is_told_at_once_even_when_the_alert_was_acknowledged(store: Store) -> None:
    with Webhook() as webhook:
        told = settings(webhook.url())
        raise_alert(store)
        deliver_alerts(store, told)
        assert store.acknowledge_alert(1, now=datetime.now(UTC))
        raise_alert(store, detail="The source is still down.")  # the same in other words: no news
        deliver_alerts(store, told)
        assert len(webhook.titles) == 1
        raise_alert(store, title="No forecast for u from 2026-11")
        for _ in range(2):
            deliver_alerts(store, told)
        assert webhook.titles[1:] == ["Bellwether, reminder 1: No forecast for u from 2026-11"]


def start_round(database_url: str, url: str, home: Path) -> subprocess.Popen[bytes]:
    """A round in a process of its own, as a run or a watch does one."""
    program = (
        "from tasks.database import get_store\nfrom tasks.alerts.delivery import deliver_alerts\n"
        "from tasks.settings import get_settings\nstore = get_store()\nprint('ready', flush=True)\n"
        "input()\ndeliver_alerts(store, get_settings())\nstore.close()"
    )
    environment = {"DATABASE_URL": database_url, "BELLWETHER_ALERT_URLS": url, "BELLWETHER_HOME": str(home)}
    inherited = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=inherited | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_two_processes_at_once_tell_each_alert_once(store: Store, database_url: str, tmp_path: Path) -> None:
    for number in range(3):
        raise_alert(store, subject=f"file/{number}", title=f"alert {number}")
    with Webhook() as webhook:
        processes = [start_round(database_url, webhook.url(), tmp_path) for _ in range(2)]
        ended = []
        threads = [
            threading.Thread(target=lambda each=each: ended.append(each.communicate(b"\n"))) for each in processes
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [each.returncode for each in processes] == [0, 0], ended
        assert sorted(webhook.titles) == [f"Bellwether: alert {number}" for number in range(3)]
        assert len(webhook.received) == 3


def test_a_process_killed_while_it_sends_leaves_the_address_free_and_the_message_to_the_next(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    raise_alert(store)
    with Webhook(mood="hang") as webhook:
        process = start_round(database_url, f"{webhook.url()}&rto=20", tmp_path)
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        while not webhook.received:
            assert process.poll() is None, process.stderr and process.stderr.read()
        process.kill()
        process.communicate()
        assert query(database_url, "select attempts, delivered_at, last_error from ops.delivery") == [(1, None, None)]
        webhook.mood = 200
        for _ in range(2):
            deliver_alerts(store, settings(f"{webhook.url()}&rto=20"))
        assert webhook.titles == [OPENED]


def test_an_address_that_accepted_and_was_not_recorded_is_told_twice_at_worst(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one gap; both messages carry the same reference."""

    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        raise Crash

    raise_alert(store)
    with Webhook() as webhook:
        told = settings(webhook.url())
        with monkeypatch.context() as broken:
            broken.setattr(store, "end_delivery", crash)
            with pytest.raises(Crash):
                deliver_alerts(store, told)
        for _ in range(3):
            deliver_alerts(store, told)
        assert webhook.titles == [OPENED, OPENED]
        assert all(each["message"].endswith("[alert 1, opened]") for each in webhook.accepted)


def test_a_round_waits_for_another_process_and_gives_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivering, "LOCK_SECONDS", 0.2)
    raise_alert(store)
    with Webhook() as webhook:
        with store.hold_recipient(fingerprint(webhook.url()), wait_seconds=1) as is_ours:
            assert is_ours
            ((round_,)) = deliver_alerts(store, settings(webhook.url()))
            assert round_.reason == "another process is telling it"
        assert webhook.received == []
        deliver_alerts(store, settings(webhook.url()))
        assert webhook.titles == [OPENED]


def test_nothing_stored_or_logged_holds_a_secret(
    store: Store, database_url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    raise_alert(store)
    urls = (
        f"json://op:{PASSWORD}@127.0.0.1:{free_port()}/{PASSWORD}",
        f"mailto://op:{PASSWORD}@127.0.0.1:{free_port()}?from=a@example.com&to=b@example.com&mode=insecure",
        f"slack://{PASSWORD}/{PASSWORD}/{PASSWORD}",
    )
    with caplog.at_level("DEBUG"):
        for _ in range(3):  # and the alerts about the recipients themselves
            rounds = deliver_alerts(store, settings(*urls))
    stored = [
        query(database_url, f"select t::text from {table} t")
        for table in ("ops.alert", "ops.delivery", "ops.recipient")
    ]
    assert [len(rows) for rows in stored] == [4, 3, 3]
    printed = capfd.readouterr()
    assert PASSWORD not in f"{stored}{caplog.text}{printed.out}{printed.err}{rounds}{settings(*urls)!r}"


def test_delivery_never_raises(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"postgresql://op:{PASSWORD}@db.example/x")

    lines: list[str] = []
    monkeypatch.setattr(store, "hold_recipient", fail)
    monkeypatch.setattr(delivering, "log_line", lambda step, line: lines.append(line))
    assert deliver_alerts(store, settings("json://127.0.0.1:9/x")) == []
    assert lines == ["not delivered: RuntimeError: postgresql://***@db.example/x"]


def test_an_unreachable_database_is_told_once_and_written_down_when_it_is_back(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    webhook, late = Webhook(), Webhook()
    told = settings(webhook.url(), late.url(), home=tmp_path)
    with webhook:
        for _ in range(2):
            notify_without_database(told, "the database at db.example does not answer")
        with late:
            notify_without_database(told, "the database at db.example does not answer")
        assert webhook.titles == late.titles == ["Bellwether: The database does not answer"]
        assert "db.example does not answer" in webhook.accepted[0]["message"]
        files = [path.read_text() for path in tmp_path.iterdir()]
        assert PASSWORD not in "".join(files)
        with late:
            for _ in range(2):
                deliver_alerts(store, told)
        assert webhook.titles[1:] == late.titles[1:] == ["Bellwether, cleared: The database does not answer"]
    assert query(database_url, "select kind, resolved_at is not null from ops.alert") == [("database", True)]
    assert [path.read_text() for path in tmp_path.iterdir()] == [""]


def test_a_spoilt_file_about_the_database_is_begun_anew(tmp_path: Path) -> None:
    with Webhook() as webhook:
        (tmp_path / "alerts-without-database.json").write_text('{"since": "2026')
        notify_without_database(settings(webhook.url(), home=tmp_path), "it does not answer")
        assert len(webhook.titles) == 1
    kept = json.loads((tmp_path / "alerts-without-database.json").read_text())
    assert kept["alert"] == database_alert("it does not answer")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("raise"), st.sampled_from(["u", "v"]), st.sampled_from(["t", "worse"])),
        st.tuples(st.sampled_from(["clear", "acknowledge"]), st.sampled_from(["u", "v"]), st.none()),
        st.tuples(st.just("round"), st.frozensets(st.sampled_from(["a", "b"])), st.none()),
    ),
    max_size=25,
)


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_each_alert_is_opened_once_and_cleared_once_at_each_address(
    store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch, steps: list[tuple]
) -> None:
    """Alerts come, change and go while recipients are up and down; at the end both are up for a round."""
    query(database_url, "truncate ops.alert, ops.delivery, ops.recipient restart identity cascade")
    up: set[str] = set()
    accepted: dict[str, list[str]] = {"a": [], "b": []}

    def send(url: str, _title: str, body: str, *_: object, **__: object) -> sending.SendResult:
        name = url[-1]
        if name not in up:
            return sending.SendResult(False, is_unreachable=True, reason="nobody listens there")
        accepted[name].append(body.rpartition("[")[2].rstrip("]"))
        return sending.SendResult(True)

    monkeypatch.setattr(sending, "send", send)
    everybody = settings("json://a", "json://b")
    for what, which, title in [*steps, ("round", {"a", "b"}, None)]:
        if what == "raise":
            raise_alert(store, subject=which, title=title)
        elif what == "clear":
            store.resolve_alert("failed_run", which, now=datetime.now(UTC))
        elif what == "acknowledge":
            ids = query(
                database_url, f"select alert_id from ops.alert where subject = '{which}' and resolved_at is null"
            )
            for (alert_id,) in ids:
                store.acknowledge_alert(alert_id, now=datetime.now(UTC))
        else:
            up = set(which)
            deliver_alerts(store, everybody)
    alerts = query(database_url, "select alert_id, resolved_at is not null from ops.alert where kind = 'failed_run'")
    tried = set(query(database_url, "select distinct alert_id, recipient from report.delivery"))
    for name, references in accepted.items():
        assert len(references) == len(set(references))  # nothing came twice, a reminder with its number least of all
        for alert_id, is_cleared in alerts:
            own = [each.partition(", ")[2] for each in references if each.startswith(f"alert {alert_id},")]
            was_tried = any(each == alert_id and f"json://{name}" in recipient for each, recipient in tried)
            assert bool(own) == (was_tried or not is_cleared)
            if not own:
                continue
            assert own[0] in ("opened", "cleared")
            assert (own[-1] == "cleared") == is_cleared
            # Within the week a reminder is news: the title changed. They are numbered, and between the two.
            between = own[own[0] == "opened" : len(own) - is_cleared]
            assert between == [f"reminder {number}" for number in range(1, len(between) + 1)]
    assert query(database_url, "select count(*) from report.delivery where state = 'waiting'") == [(0,)]
