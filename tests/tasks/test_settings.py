"""Settings: defaults, limits, and errors that hide secrets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import BadRequestError
from tasks.settings import Settings, default_home, get_alert_settings, get_settings


@pytest.fixture(autouse=True)
def fresh_settings() -> Iterator[None]:
    """Read the environment anew in each test."""
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path))
    monkeypatch.setenv("BELLWETHER_YAHOO_WORKERS", "")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:secret@host/name")
    settings = get_settings()
    assert (settings.home, settings.cache_dir) == (tmp_path, tmp_path / "cache")
    assert settings.yahoo_workers == 4
    assert settings.database_url is not None
    assert "secret" not in repr(settings)


def test_settings_home_is_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER_HOME", "~/forecasts")
    assert get_settings().home == Path.home() / "forecasts"


def test_default_home_of_a_checkout_is_inside_it() -> None:
    root = Path(__file__).resolve().parents[2]
    assert default_home() == root / ".bellwether"


def test_invalid_variable_is_refused_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER_DATABASE_CONNECTIONS", "12345678")
    with pytest.raises(
        BadRequestError, match=r"^An environment variable is invalid: database_connections: "
    ) as refused:
        get_settings()
    assert "12345678" not in str(refused.value)


@pytest.mark.parametrize("password", ["p@ss/w#rd", "p/w", "p#w", "p?w=1", "a@b", "12/x", "12?x", "pa ss@", "@", "/"])
def test_password_with_special_characters_is_refused(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://user:{password}@host/name")
    with pytest.raises(
        BadRequestError, match="DATABASE_URL: user, password, host and port must be separable"
    ) as refused:
        get_settings()
    assert f":{password}" not in str(refused.value)


@pytest.mark.parametrize(
    "rest",
    [
        "user:secret@host:5432/name",
        "user:p%40ss%2Fw%23rd@host/name",
        "user:a:b@host/name",
        "user@[::1]:5432/name",
        "[::1]/name",
        "/name?host=/run/postgresql&user=x",
        "user:x@h1:1,h2:2/name?sslmode=verify-full",
        "host/name",
    ],
)
def test_unambiguous_url_is_accepted(monkeypatch: pytest.MonkeyPatch, rest: str) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://{rest}")
    url = get_settings().database_url
    assert url is not None
    assert url.get_secret_value() == f"postgresql://{rest}"


def test_alert_settings_survive_an_invalid_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path))
    monkeypatch.setenv("BELLWETHER_ALERT_URLS", "json://host/x")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:p@ss@host/name")
    settings = get_alert_settings()
    assert settings.home == tmp_path
    assert settings.alert_urls is not None
    assert settings.alert_urls.get_secret_value() == "json://host/x"
    monkeypatch.delenv("DATABASE_URL")
    get_settings.cache_clear()
    assert get_alert_settings() == get_settings()


def test_every_setting_has_a_description() -> None:
    assert all(field.description for field in Settings.model_fields.values())
