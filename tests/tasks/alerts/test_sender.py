"""One message to one recipient, over real sockets: what arrives, and what is said when it does not."""

import json

import pytest

from tasks.alerts.sender import read_log, send
from tests.support.loopback import PASSWORD, MailServer, Webhook, free_port

TEXT = ("Bellwether: No forecast for u", "It was due by 2026-11-06, <18> days ago.\n\nselect 1", "critical")


def test_send_reaches_a_webhook() -> None:
    with Webhook() as webhook:
        answer = send(webhook.url(), *TEXT)
    assert answer.is_delivered
    (message,) = webhook.accepted
    assert (message["title"], message["message"], message["type"]) == (TEXT[0], TEXT[1], "failure")


def test_send_reaches_a_mail_server() -> None:
    with MailServer() as mail:
        answer = send(mail.url(), *TEXT)
    assert answer.is_delivered
    (message,) = mail.accepted
    assert (message["Subject"], message["To"]) == (TEXT[0], "operator@example.com")
    plain = message.get_body(("plain",))
    assert plain is not None
    assert "It was due by 2026-11-06, <18> days ago." in plain.get_content()


@pytest.mark.parametrize(
    ("mood", "is_unreachable", "reason"),
    [
        (500, False, "it answered with HTTP status 500"),
        (403, False, "it answered with HTTP status 403"),
        ("hang", True, "no answer in time"),
        ("drip", True, "no answer within 3 s"),
        ("no answer", True, "the connection failed"),
    ],
)
def test_send_says_in_words_of_ours_what_a_webhook_did(mood: object, is_unreachable: bool, reason: str) -> None:
    with Webhook() as webhook:
        webhook.mood = mood  # type: ignore[assignment]
        answer = send(webhook.url(), *TEXT, seconds=3)
    assert (answer.is_delivered, answer.is_unreachable, answer.reason) == (False, is_unreachable, reason)
    assert len(webhook.received) == 1


@pytest.mark.parametrize("refusal", ["451 later", f"550 not for {PASSWORD}"])
def test_send_says_what_code_a_mail_server_gave(refusal: str) -> None:
    with MailServer() as mail:
        mail.refusal = refusal
        answer = send(mail.url(), *TEXT)
    assert answer.reason == f"the mail server answered with code {refusal[:3]}"


def test_send_says_that_a_mail_server_does_not_take_the_password() -> None:
    with MailServer() as mail:
        answer = send(mail.url("wr0ng"), *TEXT)
    assert answer.reason == "the mail server answered with code 535"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"json://op:{PASSWORD}@127.0.0.1:{free_port()}/{PASSWORD}", "the connection was refused"),
        (f"nope://{PASSWORD}", "not an recipient that apprise knows"),
        (PASSWORD, "not an recipient that apprise knows"),
        (f"json://op:{PASSWORD}@no-such-machine.invalid/{PASSWORD}", "the name of its machine is not known here"),
        (f"mailto://op:{PASSWORD}@127.0.0.1?from=a@example.com&to=nobody", "it names nobody to write to"),
    ],
)
def test_send_leaks_nothing_of_the_address(
    url: str, reason: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level("DEBUG"):
        answer = send(url, *TEXT)
    assert not answer.is_delivered
    assert reason in (answer.reason or "")
    printed = capfd.readouterr()
    assert PASSWORD not in json.dumps(vars(answer)) + caplog.text + printed.out + printed.err


def test_read_log_passes_nothing_on_but_numbers() -> None:
    """A log that is nothing but secrets, in the forms apprise writes."""
    lines = [
        "A Connection error occurred sending JSON notification to s3cret.example.",
        "Socket Exception: HTTPSConnectionPool(host='s3cret', port=443): Max retries exceeded with url: /s3cret",
        "Loaded JSON URL: json://user:s3cret@host/s3cret",
        "Failed to send s3cret notification: s3cret, error=418.",
    ]
    for count in range(1, len(lines) + 1):
        assert "s3cret" not in (read_log(lines[:count]).reason or "")
    assert read_log(lines).reason == "it answered with HTTP status 418"
    assert read_log([]).reason == "it did not accept the message"
