"""Fixtures of the tests of tasks: a server that answers as Yahoo does, and our client of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yfinance.base
import yfinance.cache
from yahoo_server import YahooServer
from yfinance.data import YfData

from tasks.sources.yahoo import Limits, YahooSource


@pytest.fixture
def yahoo_server() -> Iterator[YahooServer]:
    """A server of its own for each test, and a yfinance that remembers no session, crumb, answer or time zone."""
    type(YfData)._instances.pop(YfData, None)
    yfinance.cache._TzCacheManager._tz_cache = None
    yfinance.cache._CookieCacheManager._Cookie_cache = None
    yfinance.base._tz_info_fetch_ctr = 0
    with YahooServer() as server:
        yield server


@pytest.fixture
def open_yahoo(yahoo_server: YahooServer, tmp_path: Path) -> Callable[..., YahooSource]:
    """Opens the Yahoo source on the server with an empty cache; it never really waits."""

    def open_it(**options: Any) -> YahooSource:
        settings: dict[str, Any] = {
            "limits": Limits(attempts=3, timeout_seconds=5.0),
            "sleep": lambda seconds: None,
            "rng": np.random.default_rng(1),
        }
        return YahooSource(tmp_path / "yahoo cache", base_url=yahoo_server.url, **(settings | options))

    return open_it
