"""What errors say, made fit to be stored and sent."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.alerts.redaction import redact
from tasks.settings import get_settings


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgresql://bell:s3a%40lt@db.example/bell")
    monkeypatch.setenv("BELLWETHER_ALERT_URLS", "slack://T1JJ/A1BR/TIia json://op:sw0rdfish@a.example/x")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no password for s3a@lt here, nor s3a%40lt", "no password for *** here, nor ***"),
        ("could not reach slack://T1JJ/A1BR/TIia", "could not reach ***"),
        ("login failed: sw0rdfish", "login failed: ***"),
        ("GET https://user:other@b.example/x failed", "GET https://***@b.example/x failed"),
        ("/v8/chart?crumb=abc.def&range=1mo", "/v8/chart?crumb=***&range=1mo"),
        ("connection string: password='it is', host=a", "connection string: password=***, host=a"),
        ("Authorization: Bearer eyJhbGciOi.x", "Authorization: ***"),
        ("{'api_key': 'k'}", "{'api_key': 'k'}"),  # not how errors write it; a guess would eat ordinary words
        ("1 of 2 symbols do; tokens: none", "1 of 2 symbols do; tokens: none"),
    ],
)
def test_without_secrets_hides_what_is_one_and_nothing_else(text: str, expected: str) -> None:
    assert redact(text) == expected
