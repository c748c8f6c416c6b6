"""Environment variables of the program: addresses, secrets and directories, read in one place.

Options of one run are flow parameters; scientific choices are in `model.config`.
"""

import functools
import os
import re
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.errors import BadRequestError

Mode = Literal["auto", "keep", "fine-tune", "retrain", "baseline"]
"""How the model of a month is chosen: by the gate (`auto`) or by the user."""
Interval = Literal["daily", "monthly"]
"""Length of a step in the paper's experiment."""


def default_home() -> Path:
    """Return `.bellwether` in a checkout, else `bellwether` in the user's data directory."""
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "pyproject.toml").exists():
        return checkout / ".bellwether"
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "bellwether"


class Settings(BaseSettings):
    """Settings of the program. An empty variable counts as not set."""

    model_config = SettingsConfigDict(env_prefix="BELLWETHER_", env_ignore_empty=True, populate_by_name=True)

    home: Path = Field(
        default_factory=default_home, description="Directory of the embedded database, the caches and Prefect's files."
    )
    database_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("DATABASE_URL"),
        description="URL of a Postgres database to use instead of the embedded one: postgresql://user:password@host/name.",
    )
    database_connections: int = Field(
        default=8, ge=2, le=100, description="Largest number of database connections of one process."
    )
    alert_urls: SecretStr | None = Field(
        default=None,
        description="Recipients of alerts: URLs in the format of `apprise`, separated by spaces or commas.",
    )
    alert_reminder_days: int = Field(
        default=7, ge=0, le=365, description="Days between reminders of an open alert; 0: no reminders."
    )
    yahoo_workers: int = Field(default=4, ge=1, le=16, description="Number of symbols requested from Yahoo at a time.")
    yahoo_base_url: str | None = Field(
        default=None, description="Server to use in place of Yahoo's, for proxies and tests."
    )

    @field_validator("database_url")
    @classmethod
    def _require_unambiguous_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and _is_ambiguous(url.get_secret_value()):
            # A parser would take a part of the password for the host, and errors would show it.
            raise ValueError(
                "user, password, host and port must be separable; in a password write %40 for @, %2F for /, %3F for ?, "
                "%23 for #, %3A for : and %25 for %"
            )
        return url

    @property
    def cache_dir(self) -> Path:
        """Directory of the price sources' caches."""
        return self.home / "cache"


@functools.cache
def get_settings() -> Settings:
    """Read the settings of this process, once.

    Raises:
        BadRequestError: if a variable is invalid. The message omits its value, which may be a secret.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        )
        raise BadRequestError(f"An environment variable is invalid: {faults}.") from None
    return settings.model_copy(update={"home": _absolute(settings.home)})


def find_settings() -> Settings | None:
    """Return the settings; None if a variable is invalid."""
    try:
        return get_settings()
    except BadRequestError:
        return None


def get_alert_settings() -> Settings:
    """Read the settings for alerts; if a variable is invalid, only the recipients and the home are read."""
    try:
        return get_settings()
    except BadRequestError:
        urls, home = os.environ.get("BELLWETHER_ALERT_URLS"), os.environ.get("BELLWETHER_HOME")
        return Settings.model_construct(
            home=_absolute(Path(home) if home else default_home()), alert_urls=SecretStr(urls) if urls else None
        )


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:  # `~name` of an unknown user
        raise BadRequestError(f"`BELLWETHER_HOME` must be a path, received {str(path)!r}: {error}") from None


def _is_ambiguous(url: str) -> bool:
    """Return whether parsers may disagree about where the password of a database's URL ends."""
    _, separator, rest = url.partition("://")
    if not separator:
        return False  # no URL; refused when the database is opened
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if rest.count("@") != authority.count("@") or rest.count("@") > 1:
        return True
    host = authority.rpartition("@")[2]
    has_port = not host.endswith("]") and ":" in host
    return has_port and not all(part.rpartition(":")[2].isdecimal() for part in host.split(",") if ":" in part)
