"""Fixtures of the field tests: the command line, Yahoo on loopback, and price files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tasks.month.fetch
from tasks.plans.prices import open_request_source
from tasks.sources.base import Source
from tasks.sources.yahoo.pace import Limits
from tasks.sources.yahoo.source import YahooSource
from tests.support.commands import Bellwether, make_bellwether
from tests.support.yahoo_server import YahooServer

WriteBars = Callable[..., str]


@pytest.fixture
def bellwether(machine: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bellwether:
    """Run a command on the machine; returns exit code, standard output and standard error."""
    return make_bellwether(machine, capsys)


@pytest.fixture
def yahoo(machine: pytest.MonkeyPatch, yahoo_server: YahooServer, tmp_path: Path) -> YahooServer:
    """The real source of Yahoo requests the loopback server and does not really wait; other sources are unchanged."""

    def open_source(spec: str, settings: object) -> Source:
        if spec != "yahoo":
            return open_request_source(spec, settings)
        return YahooSource(
            tmp_path / "cache",
            base_url=yahoo_server.url,
            max_workers=4,
            limits=Limits(timeout_seconds=0.5),
            sleep=lambda seconds: None,
            rng=np.random.default_rng(1),
        )

    machine.setattr(tasks.month.fetch, "open_request_source", open_source)
    machine.setattr("tasks.plans.prices.open_request_source", open_source)
    return yahoo_server


@pytest.fixture
def write_bars(tmp_path: Path) -> WriteBars:
    """Write closes by date as a price file of one symbol; returns the spec of the source."""

    def write(closes: dict[str, float], symbol: str = "JUMP", name: str = "prices", volume: float = 1e6) -> str:
        close = pd.Series(closes)
        table = pd.DataFrame({"ticker": symbol, "date": close.index})
        for column in ("open", "high", "low", "close"):
            table[column] = close.to_numpy()
        path = tmp_path / f"{name}.csv"
        table.assign(volume=volume).to_csv(path, index=False)
        return f"file:{path}"

    return write
