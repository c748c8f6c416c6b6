"""Fixtures of the tests of plans: settings and the moment of the request."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.settings import Settings

NOW = datetime(2019, 1, 15, 12, 0, tzinfo=UTC)
"""Moment of every request; the sample ends with 2018-12-31."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with an empty home."""
    return Settings(home=tmp_path / "home")
