"""The one reader of the environment: addresses, secrets and where things live.

Choices of one run are flow parameters, scientific choices are in `model.config`.
"""

import functools
import os
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.errors import BadRequestError

Mode = Literal["auto", "keep", "fine-tune", "retrain", "baseline"]
"""How the model of a month is chosen: by the gate, or by hand."""
Interval = Literal["daily", "monthly"]
"""What a step of the paper's experiment is."""


def default_home() -> Path:
    """`.bellwether` in a checkout, else `bellwether` where the system keeps a user's data."""
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "pyproject.toml").exists():
        return checkout / ".bellwether"
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "bellwether"


class Settings(BaseSettings):
    """Where things are; a variable that is set but empty counts as not set."""

    model_config = SettingsConfigDict(env_prefix="BELLWETHER_", env_ignore_empty=True, populate_by_name=True)

    home: Path = Field(
        default_factory=default_home, description="Directory of everything local: embedded database, caches, Prefect."
    )
    database_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("DATABASE_URL"),
        description="Recipient of a Postgres to use instead of the embedded one: postgresql://user:password@host/name.",
    )
    database_connections: int = Field(
        default=8, ge=2, le=100, description="Connections to the database that one process opens at most."
    )
    alert_urls: SecretStr | None = Field(
        default=None,
        description="Addresses that alerts are delivered to, as `apprise` writes them, separated by spaces or commas.",
    )
    alert_reminder_days: int = Field(
        default=7, ge=0, le=365, description="Days after which an open alert is told again; 0: never."
    )
    yahoo_workers: int = Field(default=4, ge=1, le=16, description="Symbols asked of Yahoo at once.")
    yahoo_base_url: str | None = Field(
        default=None, description="Server asked in place of Yahoo's own, for proxies and tests."
    )

    @property
    def cache_dir(self) -> Path:
        """Where the price sources keep what they may reuse."""
        return self.home / "cache"


@functools.cache
def get_settings() -> Settings:
    """The settings of this process, read once.

    Raises:
        BadRequestError: if a variable does not hold what it must; the value is not repeated, it may be a secret.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise BadRequestError(f"An environment variable is not what it must be: {faults}.") from None
    return settings.model_copy(update={"home": settings.home.expanduser().absolute()})
