"""Settings: defaults, limits, and errors that hide secrets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import BadRequestError
from tasks.settings import Settings, default_home, get_settings


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


def test_every_setting_has_a_description() -> None:
    assert all(field.description for field in Settings.model_fields.values())
