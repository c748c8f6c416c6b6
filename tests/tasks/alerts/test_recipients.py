"""Tests of recipients: parsing, fingerprints, names without secrets."""

import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.alerts import recipients
from tasks.alerts.recipients import Recipient, fingerprint, mask, parse_recipients

SHOWN = ("127.0.0.1:8099", "example.com", "jsons://", "mailto://", "slack://", "discord://", "(invalid url)")
SECRETS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Z")), min_size=5, max_size=30).filter(
    # A secret that equals a part of the shown text cannot be distinguished from it.
    lambda text: not any(text.lower() in shown for shown in SHOWN)
)


@pytest.fixture(autouse=True, scope="module")
def quick_fingerprints() -> Iterator[None]:
    """Compute fingerprints with a single round."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipients, "_ROUNDS", 1)
        fingerprint.cache_clear()
        yield
    fingerprint.cache_clear()


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("json://a.example/x", ["json://a.example/x"]),
        (" json://a.example/x\nmailto://u:p@b.example ", ["json://a.example/x", "mailto://u:p@b.example"]),
        ("json://a.example, slack://A/B/C; tgram://1:2/3", ["json://a.example", "slack://A/B/C", "tgram://1:2/3"]),
        # A comma within a URL is not a separator.
        ("mailto://u:p@b.example?to=x@c.example,y@c.example", ["mailto://u:p@b.example?to=x@c.example,y@c.example"]),
        ("json://a.example json://a.example", ["json://a.example"]),
        ("  \n ", []),
    ],
)
def test_parse_recipients_returns_each_url_once(text: str, urls: list[str]) -> None:
    assert [recipient.url for recipient in parse_recipients(text)] == urls


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("json://127.0.0.1:8099/hooks/t0ken", "json://127.0.0.1:8099"),
        ("JSONS://user:pass@hooks.example.com/t0ken?key=1", "jsons://hooks.example.com"),
        ("mailtos://user:pass@example.com?to=a@b.example", "mailtos://example.com"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "slack://…"),
        ("tgram://123456789:abcdefg_hijklmnop/12315544", "tgram://…"),
        # A password without the required escapes must not be shown as a host.
        ("json://user:pa/ss@example.com", "json://…"),
        ("json://user:12/34@example.com", "json://…"),
        ("json://user:pa?ss@example.com", "json://…"),
        ("json://user:pa#ss@example.com", "json://…"),
        ("json://user:pa@ss@example.com", "json://…"),
        ("jsons://eo1a2b3c4d5e6f.m.example.net", "jsons://….m.example.net"),
        ("json://[::1", "json://…"),
        ("sw0rdfish", "(invalid URL)"),
    ],
)
def test_mask_keeps_scheme_and_host_where_certain(url: str, shown: str) -> None:
    assert mask(url).rpartition(" #")[0] == shown


@settings(deadline=None)
@given(secret=SECRETS)
@pytest.mark.parametrize(
    "form",
    [
        "json://user:{}@127.0.0.1:8099/x",
        "jsons://{}@example.com",
        "json://127.0.0.1:8099/{}",
        "json://127.0.0.1:8099/x?key={}",
        "mailto://user:{}@example.com?to=a@b.example",
        "slack://{}/B/C",
        "discord://1234/{}",
        "{}",
    ],
)
def test_mask_shows_no_secret_in_any_position(form: str, secret: str) -> None:
    for recipient in parse_recipients(form.format(secret)):
        assert secret.lower() not in mask(recipient.url).partition(" #")[0].lower()


def test_fingerprint_is_unique_and_not_a_plain_hash() -> None:
    one, other = "json://u:p@a.example", "json://u:q@a.example"
    assert fingerprint(one) == fingerprint(one)
    assert fingerprint(one) != fingerprint(other)
    assert len(fingerprint(one)) == 16
    assert not hashlib.sha256(one.encode()).hexdigest().startswith(fingerprint(one))


def test_recipient_prints_without_its_secret() -> None:
    (recipient,) = parse_recipients("json://user:sw0rdfish@a.example")
    assert isinstance(recipient, Recipient)
    assert "sw0rdfish" not in f"{recipient} {recipient!r}"
