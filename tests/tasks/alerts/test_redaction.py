"""Tests of redaction: secrets in texts, one-line descriptions of errors."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.alerts.redaction import describe_error, redact
from tasks.errors import BadRequestError
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
        (
            "{'api_key': 'k'}",
            "{'api_key': 'k'}",
        ),  # no format of error messages
        ("1 of 2 symbols do; tokens: none", "1 of 2 symbols do; tokens: none"),
    ],
)
def test_redact_hides_secrets_and_nothing_else(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BadRequestError("No such file: token=abc."), "No such file: token=***"),
        (ValueError("one\n - two"), "ValueError: one - two"),
        (KeyboardInterrupt(), "The run was interrupted."),
    ],
)
def test_describe_error_is_one_line_without_secrets(error: BaseException, expected: str) -> None:
    assert describe_error(error) == expected
