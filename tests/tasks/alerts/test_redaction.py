"""Tests of redaction: secrets in texts, one-line descriptions of errors."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

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
        ("to postgresql://user:p@ss/w#rd?x@db.example/x", "to postgresql://***@db.example/x"),
        ("1 of 2 symbols do; tokens: none", "1 of 2 symbols do; tokens: none"),
    ],
)
def test_redact_hides_secrets_and_nothing_else(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BadRequestError("No such file: token=abc."), "No such file: token=***"),
        (KeyboardInterrupt(), "The run was interrupted."),
    ],
)
def test_describe_error_is_one_line_without_secrets(error: BaseException, expected: str) -> None:
    assert describe_error(error) == expected


def test_describe_error_writes_the_traceback_once_without_secrets(tmp_path: Path) -> None:
    try:
        raise ValueError("root:x:0, login sw0rdfish")
    except ValueError as raised:
        error = raised
    sentence = describe_error(error)
    (log,) = (tmp_path / "logs").iterdir()
    assert sentence == f"An unexpected error (ValueError) ended the run; its traceback is in {log}."
    assert describe_error(error) == sentence
    assert log.stat().st_mode & 0o777 == 0o600
    text = log.read_text()
    assert "Traceback" in text
    assert "login ***" in text
    assert "sw0rdfish" not in text


def test_describe_error_survives_a_home_below_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path / "file" / "home"))
    get_settings.cache_clear()
    expected = "An unexpected error (KeyError) ended the run; its traceback could not be stored (`--verbose` shows it)."
    assert describe_error(KeyError("x")) == expected


@pytest.mark.parametrize("variable", ["DATABASE_URL", "BELLWETHER_ALERT_URLS"])
@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.text("abcdxyz0123456789", min_size=4, max_size=9), min_size=1, max_size=4), data=st.data())
def test_no_part_of_a_password_is_shown(variable: str, parts: list[str], data: st.DataObject) -> None:
    """Parsers cut such a password at different places, so each of its parts counts."""
    delimiters = data.draw(st.lists(st.sampled_from("@/?#:"), min_size=len(parts), max_size=len(parts)))
    password = "".join(part + delimiter for part, delimiter in zip(parts, delimiters, strict=True))
    url = f"json://OPERATOR:{password}@HOST/PATH"
    with pytest.MonkeyPatch.context() as context:
        context.setenv(variable, url)
        get_settings.cache_clear()
        for text in (f"could not open {url}", *(f"unknown host {part} or port {part}" for part in parts)):
            shown = redact(text)
            assert not any(part in shown for part in parts)
    get_settings.cache_clear()
