"""Fixtures of the tests of flows: one Prefect a session, a small network, and prices that everyone has."""

from collections.abc import Iterator
from pathlib import Path

import arch.data.nasdaq
import arch.data.sp500
import pandas as pd
import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.testing.utilities import prefect_test_harness

import flows.monthly
from tasks.alerts import recipients as addresses
from tasks.alerts.recipients import fingerprint
from tasks.database import get_store
from tasks.settings import get_settings
from tests.support.few_units import SMALL
from tests.support.loopback import Webhook


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A Prefect of the session's own."""
    with prefect_test_harness(server_startup_timeout=60), temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


@pytest.fixture
def machine(
    prefect_server: None, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    """A machine with an empty database of its own, and a network small enough for tests."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(flows.monthly, "CONFIG", SMALL)
    forget_machine()
    yield monkeypatch
    forget_machine()


def forget_machine() -> None:
    """Have settings and store read anew."""
    get_settings.cache_clear()
    if get_store.cache_info().currsize:
        get_store().close()
    get_store.cache_clear()


@pytest.fixture(scope="session")
def index_bars() -> pd.DataFrame:
    """Daily bars of two indices, 1999 to 2018, in the columns of a price file."""
    frames = {"SPX": arch.data.sp500.load(), "COMP": arch.data.nasdaq.load()}
    bars = pd.concat(frames, names=["ticker", "date"]).reset_index()
    bars.columns = [name.lower().replace(" ", "_") for name in bars.columns]
    return bars[["ticker", "date", "open", "high", "low", "close", "adj_close", "volume"]]


@pytest.fixture
def webhook(machine: pytest.MonkeyPatch) -> Iterator[Webhook]:
    """A webhook that is up, set as the one address."""
    machine.setattr(addresses, "_ROUNDS", 1)
    fingerprint.cache_clear()
    with Webhook() as opened:
        machine.setenv("BELLWETHER_ALERT_URLS", opened.url())
        get_settings.cache_clear()
        yield opened
    fingerprint.cache_clear()
