"""Tests of the sender over real sockets: received messages, reasons of failures."""

import json

import pytest

from tasks.alerts.sender import read_log, send
from tests.support.loopback import PASSWORD, MailServer, Webhook

TEXT = ("Bellwether: No forecast for u", "It was due by 2026-11-06, <18> days ago.\n\nselect 1", "critical")


def test_send_reaches_a_webhook() -> None:
    with Webhook() as webhook:
        result = send(webhook.url(), *TEXT)
    assert result.is_delivered
    (message,) = webhook.accepted
    assert (message["title"], message["message"], message["type"]) == (TEXT[0], TEXT[1], "failure")


def test_send_reaches_a_mail_server() -> None:
    with MailServer() as mail:
        result = send(mail.url(), *TEXT)
    assert result.is_delivered
    (message,) = mail.accepted
    assert (message["Subject"], message["To"]) == (TEXT[0], "operator@example.com")
    plain = message.get_body(("plain",))
    assert plain is not None
    assert "It was due by 2026-11-06, <18> days ago." in plain.get_content()


@pytest.mark.parametrize(
    ("mood", "seconds", "is_unreachable", "reason"),
    [
        (500, 30, False, "HTTP status 500"),
        (403, 30, False, "HTTP status 403"),
        ("hang", 30, True, "no response in time"),
        ("drip", 3, True, "no response within 3 s"),
        ("no answer", 30, True, "connection failed"),
    ],
)
def test_send_returns_the_reason_of_a_failed_webhook(
    mood: object, seconds: float, is_unreachable: bool, reason: str
) -> None:
    with Webhook() as webhook:
        webhook.mood = mood  # type: ignore[assignment]
        result = send(webhook.url(), *TEXT, seconds=seconds)
    assert (result.is_delivered, result.is_unreachable, result.reason) == (False, is_unreachable, reason)
    assert len(webhook.received) == 1


@pytest.mark.parametrize("refusal", ["451 later", f"550 not for {PASSWORD}"])
def test_send_returns_the_code_of_a_mail_server(refusal: str) -> None:
    with MailServer() as mail:
        mail.refusal = refusal
        result = send(mail.url(), *TEXT)
    assert result.reason == f"code {refusal[:3]} from the mail server"


def test_send_returns_the_code_of_a_refused_password() -> None:
    with MailServer() as mail:
        result = send(mail.url("wr0ng"), *TEXT)
    assert result.reason == "code 535 from the mail server"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"json://op:{PASSWORD}@127.0.0.1:9/{PASSWORD}", "connection refused"),
        (f"nope://{PASSWORD}", "apprise does not support the URL"),
        (PASSWORD, "apprise does not support the URL"),
        (f"json://op:{PASSWORD}@no-such-machine.invalid/{PASSWORD}", "unknown host name"),
        (f"mailto://op:{PASSWORD}@127.0.0.1?from=a@example.com&to=nobody", "the URL has no mail address to send to"),
    ],
)
def test_send_leaks_nothing_of_the_url(
    url: str, reason: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level("DEBUG"):
        result = send(url, *TEXT)
    assert not result.is_delivered
    assert reason in (result.reason or "")
    printed = capfd.readouterr()
    assert PASSWORD not in json.dumps(vars(result)) + caplog.text + printed.out + printed.err


def test_read_log_keeps_only_status_codes() -> None:
    """The log has a secret in every text, in the formats of apprise."""
    lines = [
        "A Connection error occurred sending JSON notification to s3cret.example.",
        "Socket Exception: HTTPSConnectionPool(host='s3cret', port=443): Max retries exceeded with url: /s3cret",
        "Loaded JSON URL: json://user:s3cret@host/s3cret",
        "Failed to send s3cret notification: s3cret, error=418.",
    ]
    for count in range(1, len(lines) + 1):
        assert "s3cret" not in (read_log(lines[:count]).reason or "")
    assert read_log(lines).reason == "HTTP status 418"
    assert read_log([]).reason == "message not accepted"
