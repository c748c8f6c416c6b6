"""Fixtures of the tests of tasks: the Yahoo source on a loopback server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.sources.yahoo.pace import Limits
from tasks.sources.yahoo.source import YahooSource
from tests.support.yahoo_server import YahooServer


@pytest.fixture
def open_yahoo(yahoo_server: YahooServer, tmp_path: Path) -> Callable[..., YahooSource]:
    """Open the Yahoo source on the server, with an empty cache and without waiting."""

    def open_it(**options: Any) -> YahooSource:
        settings: dict[str, Any] = {
            "limits": Limits(attempts=3, timeout_seconds=5.0),
            "sleep": lambda seconds: None,
            "rng": np.random.default_rng(1),
        }
        return YahooSource(tmp_path / "yahoo cache", base_url=yahoo_server.url, **(settings | options))

    return open_it
