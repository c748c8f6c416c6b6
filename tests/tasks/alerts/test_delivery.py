"""Tests of delivery to servers on loopback that are up, down, slow or faulty: each alert arrives once."""

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
from tasks.alerts import delivery, recipients, sender
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
    """Set an empty home directory and database, fast hashes, and no Prefect events."""
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setattr(recipients, "_ROUNDS", 1)
    monkeypatch.setattr(delivery, "emit_events", lambda store, wait_seconds: None)
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
    """Shift all stored times of alerts and deliveries into the past."""
    back = f"- interval '{days} days'"
    query(
        database_url,
        f"update ops.delivery set first_attempt_at = first_attempt_at {back}, "
        f"last_attempt_at = last_attempt_at {back}, "
        f"delivered_at = delivered_at {back}",
    )
    query(database_url, f"update ops.alert set opened_at = opened_at {back}, changed_at = changed_at {back}")


def test_delivery_is_once_after_two_failed_rounds(store: Store) -> None:
    webhook, mail = Webhook(), MailServer()
    both = settings(webhook.url(), mail.url())
    raise_alert(store)
    raise_alert(store, kind="drift", title="The forecasts for u are less accurate", severity="warning")
    for _ in range(2):  # both servers are down
        assert [(round_.delivered, round_.waiting) for round_ in deliver_alerts(store, both)] == [(0, 2), (0, 2)]
    with webhook, mail:
        for _ in range(3):
            deliver_alerts(store, both)
        assert sorted(webhook.titles) == [OPENED, "Bellwether: The forecasts for u are less accurate"]
        assert sorted(mail.titles) == sorted(webhook.titles)
        clear_alert(store)
        for _ in range(2):
            deliver_alerts(store, both)
        assert webhook.titles[2:] == mail.titles[2:] == [CLEARED]
    assert webhook.accepted[2]["type"] == "success"


@pytest.mark.parametrize("mood", [500, "hang", "no answer"])
def test_delivery_reaches_a_recovered_recipient(store: Store, database_url: str, mood: Any) -> None:
    raise_alert(store)
    with Webhook(mood=mood) as webhook:
        one = settings(webhook.url())
        for _ in range(2):
            ((round_,)) = deliver_alerts(store, one)
            assert (round_.delivered, round_.waiting) == (0, 1)
        webhook.mood = 200
        deliver_alerts(store, one)
        deliver_alerts(store, one)
        assert webhook.titles == [OPENED]
    # Every attempt has the same reference.
    assert len({request["message"].rpartition("[")[2] for request in webhook.received}) == 1
    assert query(database_url, "select attempts, delivered_at is not null, last_error from ops.delivery") == [
        (3, True, None)
    ]


def test_delivery_ends_an_attempt_with_a_dripping_response(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "DEADLINE_SECONDS", 2.0)
    raise_alert(store)
    with Webhook(mood="drip") as webhook:
        ((round_,)) = deliver_alerts(store, settings(webhook.url()))
    assert round_.reason == "no response within 2 s"


def test_delivery_raises_an_alert_about_a_failing_recipient(store: Store, database_url: str) -> None:
    raise_alert(store)
    with Webhook() as webhook, Webhook(mood=500) as broken:
        both = settings(broken.url(), webhook.url())
        for _ in range(2):
            deliver_alerts(store, both)
        assert webhook.titles == [OPENED]
        assert query(database_url, "select recipient, failed_rounds, last_error from report.recipient order by 2") == [
            (f"json://127.0.0.1:{webhook.port} #{fingerprint(webhook.url())[:4]}", 0, None),
            (
                f"json://127.0.0.1:{broken.port} #{fingerprint(broken.url())[:4]}",
                2,
                "HTTP status 500",
            ),
        ]

        # The third consecutive failed round raises an alert, which the working recipients receive.
        deliver_alerts(store, both)
        assert webhook.titles[1:] == [
            f"Bellwether: Alerts do not reach json://127.0.0.1:{broken.port} #{fingerprint(broken.url())[:4]}"
        ]
        deliver_alerts(store, both)
        assert len(webhook.titles) == 2
        broken.mood = 200
        deliver_alerts(store, both)
        # The recovered recipient receives the missed alert, and no alert about itself.
        assert broken.titles == [OPENED]
        assert [title.partition(":")[0] for title in webhook.titles[2:]] == ["Bellwether, cleared"]
        assert query(database_url, "select kind from report.open_alert") == [("failed_run",)]


def test_delivery_continues_after_a_refused_message(store: Store) -> None:
    """The recipient refuses one alert forever; the others arrive within two rounds."""
    with Webhook() as webhook:
        one = settings(webhook.url())
        for number in range(5):
            raise_alert(store, subject=f"file/{number}", title=f"alert {number}")

        real = sender.send

        def refuse_first(url: str, title: str, *rest: Any, **options: Any) -> sender.SendResult:
            if title == "Bellwether: alert 0":
                return sender.SendResult(False, reason="HTTP status 413")
            return real(url, title, *rest, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sender, "send", refuse_first)
            for _ in range(2):
                deliver_alerts(store, one)
        assert sorted(webhook.titles) == [f"Bellwether: alert {number}" for number in range(1, 5)]


def test_delivery_of_an_alert_cleared_meanwhile_is_one_message(store: Store, database_url: str) -> None:
    webhook = Webhook()
    one = settings(webhook.url())
    raise_alert(store)
    deliver_alerts(store, one)
    clear_alert(store)
    deliver_alerts(store, one)
    with webhook:
        for _ in range(2):
            deliver_alerts(store, one)
    (message,) = webhook.accepted
    assert message["title"] == CLEARED
    assert "this is the only message" in message["message"]
    assert "The source is down." in message["message"]
    assert query(database_url, "select event, state from report.delivery order by 1") == [
        ("cleared", "delivered"),
        ("opened", "superseded"),
    ]


def test_delivery_omits_an_alert_cleared_before_any_attempt(store: Store) -> None:
    raise_alert(store)
    clear_alert(store)
    with Webhook() as webhook:
        deliver_alerts(store, settings(webhook.url()))
        assert webhook.received == []


def test_delivery_to_a_new_recipient_has_open_alerts_only(store: Store) -> None:
    with Webhook() as old, Webhook() as new:
        raise_alert(store)
        deliver_alerts(store, settings(old.url()))
        clear_alert(store)
        deliver_alerts(store, settings(old.url()))
        raise_alert(store, subject="file/v", title="No forecast for v from 2026-10")
        deliver_alerts(store, settings(old.url(), new.url()))
        assert new.titles == ["Bellwether: No forecast for v from 2026-10"]


def test_delivery_reminds_every_week_until_acknowledged(store: Store, database_url: str) -> None:
    with Webhook() as webhook:
        one = settings(webhook.url())
        raise_alert(store)
        deliver_alerts(store, one)
        move_back(database_url, 6)
        deliver_alerts(store, one)
        assert len(webhook.titles) == 1
        for number in (1, 2):
            move_back(database_url, 7)
            for _ in range(2):
                deliver_alerts(store, one)
            assert webhook.titles[number:] == [f"Bellwether, reminder {number}: No forecast for u from 2026-10"]
        assert store.acknowledge_alert(1, now=datetime.now(UTC))
        move_back(database_url, 70)
        deliver_alerts(store, one)
        assert len(webhook.titles) == 3
        clear_alert(store)
        deliver_alerts(store, one)
        assert webhook.titles[3:] == [CLEARED]


def test_delivery_without_reminders_delivers_once(store: Store, database_url: str) -> None:
    with Webhook() as webhook:
        one = settings(webhook.url(), alert_reminder_days=0)
        raise_alert(store)
        deliver_alerts(store, one)
        move_back(database_url, 400)
        deliver_alerts(store, one)
        assert webhook.titles == [OPENED]


def test_delivery_of_a_changed_alert_despite_acknowledgement(store: Store) -> None:
    with Webhook() as webhook:
        one = settings(webhook.url())
        raise_alert(store)
        deliver_alerts(store, one)
        assert store.acknowledge_alert(1, now=datetime.now(UTC))
        raise_alert(store, detail="The source is still down.")  # no change of title or severity
        deliver_alerts(store, one)
        assert len(webhook.titles) == 1
        raise_alert(store, title="No forecast for u from 2026-11")
        for _ in range(2):
            deliver_alerts(store, one)
        assert webhook.titles[1:] == ["Bellwether, reminder 1: No forecast for u from 2026-11"]


def start_round(database_url: str, url: str, home: Path) -> subprocess.Popen[bytes]:
    """Start a process that does one round when it receives a line."""
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


def test_delivery_by_two_processes_is_once(store: Store, database_url: str, tmp_path: Path) -> None:
    for number in range(3):
        raise_alert(store, subject=f"file/{number}", title=f"alert {number}")
    with Webhook() as webhook:
        processes = [start_round(database_url, webhook.url(), tmp_path) for _ in range(2)]
        outputs = []
        threads = [
            threading.Thread(target=lambda process=process: outputs.append(process.communicate(b"\n")))
            for process in processes
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [process.returncode for process in processes] == [0, 0], outputs
        assert sorted(webhook.titles) == [f"Bellwether: alert {number}" for number in range(3)]
        assert len(webhook.received) == 3


def test_delivery_after_a_kill_during_an_attempt(store: Store, database_url: str, tmp_path: Path) -> None:
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


def test_delivery_without_a_record_of_acceptance_is_at_most_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both messages have the same reference."""

    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        raise Crash

    raise_alert(store)
    with Webhook() as webhook:
        one = settings(webhook.url())
        with monkeypatch.context() as broken:
            broken.setattr(store, "end_delivery", crash)
            with pytest.raises(Crash):
                deliver_alerts(store, one)
        for _ in range(3):
            deliver_alerts(store, one)
        assert webhook.titles == [OPENED, OPENED]
        assert all(message["message"].endswith("[alert 1, opened]") for message in webhook.accepted)


def test_delivery_gives_up_while_another_process_delivers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "LOCK_SECONDS", 0.2)
    raise_alert(store)
    with Webhook() as webhook:
        with store.hold_recipient(fingerprint(webhook.url()), wait_seconds=1) as is_ours:
            assert is_ours
            ((round_,)) = deliver_alerts(store, settings(webhook.url()))
            assert round_.reason == "another process delivers to it"
        assert webhook.received == []
        deliver_alerts(store, settings(webhook.url()))
        assert webhook.titles == [OPENED]


def test_delivery_stores_and_logs_no_secret(
    store: Store, database_url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    raise_alert(store)
    urls = (
        f"json://op:{PASSWORD}@127.0.0.1:{free_port()}/{PASSWORD}",
        f"mailto://op:{PASSWORD}@127.0.0.1:{free_port()}?from=a@example.com&to=b@example.com&mode=insecure",
        f"slack://{PASSWORD}/{PASSWORD}/{PASSWORD}",
    )
    with caplog.at_level("DEBUG"):
        for _ in range(3):  # enough for the alerts about the recipients
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
    monkeypatch.setattr(delivery, "log_line", lambda step, line: lines.append(line))
    assert deliver_alerts(store, settings("json://127.0.0.1:9/x")) == []
    assert lines == ["not delivered: RuntimeError: postgresql://***@db.example/x"]


def test_notify_without_database_is_once_and_stored_later(store: Store, database_url: str, tmp_path: Path) -> None:
    webhook, late = Webhook(), Webhook()
    both = settings(webhook.url(), late.url(), home=tmp_path)
    with webhook:
        for _ in range(2):
            notify_without_database(both, "The database at db.example is down.")
        with late:
            notify_without_database(both, "The database at db.example is down.")
        assert webhook.titles == late.titles == ["Bellwether: The database is unavailable"]
        assert "db.example is down" in webhook.accepted[0]["message"]
        files = [path.read_text() for path in tmp_path.iterdir()]
        assert PASSWORD not in "".join(files)
        with late:
            for _ in range(2):
                deliver_alerts(store, both)
        assert webhook.titles[1:] == late.titles[1:] == ["Bellwether, cleared: The database is unavailable"]
    assert query(database_url, "select kind, resolved_at is not null from ops.alert") == [("database", True)]
    assert [path.read_text() for path in tmp_path.iterdir()] == [""]


def test_notify_without_database_replaces_a_truncated_file(tmp_path: Path) -> None:
    with Webhook() as webhook:
        (tmp_path / "alerts-without-database.json").write_text('{"since": "2026')
        notify_without_database(settings(webhook.url(), home=tmp_path), "It is down.")
        assert len(webhook.titles) == 1
    state = json.loads((tmp_path / "alerts-without-database.json").read_text())
    assert state["alert"] == database_alert("It is down.")


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
def test_delivery_of_any_sequence_is_once_per_recipient_and_event(
    store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch, steps: list[tuple]
) -> None:
    """Alerts open, change and clear while recipients are up and down; at the end both are up for a round."""
    query(database_url, "truncate ops.alert, ops.delivery, ops.recipient restart identity cascade")
    up: set[str] = set()
    accepted: dict[str, list[str]] = {"a": [], "b": []}

    def send(url: str, _title: str, body: str, *_: object, **__: object) -> sender.SendResult:
        name = url[-1]
        if name not in up:
            return sender.SendResult(False, is_unreachable=True, reason="connection refused")
        accepted[name].append(body.rpartition("[")[2].rstrip("]"))
        return sender.SendResult(True)

    monkeypatch.setattr(sender, "send", send)
    both = settings("json://a", "json://b")
    for step, which, title in [*steps, ("round", {"a", "b"}, None)]:
        if step == "raise":
            raise_alert(store, subject=which, title=title)
        elif step == "clear":
            store.resolve_alert("failed_run", which, now=datetime.now(UTC))
        elif step == "acknowledge":
            ids = query(
                database_url, f"select alert_id from ops.alert where subject = '{which}' and resolved_at is null"
            )
            for (alert_id,) in ids:
                store.acknowledge_alert(alert_id, now=datetime.now(UTC))
        else:
            up = set(which)
            deliver_alerts(store, both)
    alerts = query(database_url, "select alert_id, resolved_at is not null from ops.alert where kind = 'failed_run'")
    tried = set(query(database_url, "select distinct alert_id, recipient from report.delivery"))
    for name, references in accepted.items():
        assert len(references) == len(set(references))  # no message twice, reminders are numbered
        for alert_id, is_cleared in alerts:
            events = [text.partition(", ")[2] for text in references if text.startswith(f"alert {alert_id},")]
            was_tried = any(row_id == alert_id and f"json://{name}" in recipient for row_id, recipient in tried)
            assert bool(events) == (was_tried or not is_cleared)
            if not events:
                continue
            assert events[0] in ("opened", "cleared")
            assert (events[-1] == "cleared") == is_cleared
            # Within a week only a changed title causes a reminder. Reminders are between the two events, with numbers.
            between = events[events[0] == "opened" : len(events) - is_cleared]
            assert between == [f"reminder {number}" for number in range(1, len(between) + 1)]
    assert query(database_url, "select count(*) from report.delivery where state = 'waiting'") == [(0,)]
