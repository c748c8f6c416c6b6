"""Fixtures that several packages of tests share; loaded as a plugin by `tests/conftest.py`.

Imports of the project's slow parts are inside the fixtures, so that other tests start at once.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest

from sql.store import Store
from tests.support import postgres
from tests.support.few_units import SMALL, UNTRAINED
from tests.support.loopback import Webhook
from tests.support.session import locked
from tests.support.yahoo_server import YahooServer

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
PREFECT_START_SECONDS = 180


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Directory of recorded market data, beside the checkout and not part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs recorded market data in ../shared/data, which is not part of the project")
    return SHARED_DATA


@pytest.fixture(scope="session")
def postgres_home() -> Path:
    """Home of the test run's embedded server; its path contains a space."""
    return postgres.start_server()


@pytest.fixture(scope="session")
def superuser_url(postgres_home: Path) -> str:
    """URL of the server for its superuser."""
    return postgres.superuser_url()


@pytest.fixture
def empty_database_url(postgres_home: Path) -> Iterator[str]:
    """URL of a database without tables."""
    with postgres.temporary_database("template0") as url:
        yield url


@pytest.fixture
def database_url(postgres_home: Path) -> Iterator[str]:
    """URL of a database with the latest schema and no rows."""
    with postgres.temporary_database() as url:
        yield url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store with the latest schema and no rows."""
    from tasks.database import SCORE_FUNCTIONS

    with Store(database_url, score_functions=SCORE_FUNCTIONS) as opened:
        yield opened


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A Prefect server for this process, without heartbeats, block types, and services for scheduled runs."""
    from prefect import settings
    from prefect.testing.utilities import prefect_test_harness

    unused = (
        settings.PREFECT_API_BLOCKS_REGISTER_ON_START,
        settings.PREFECT_API_SERVICES_CANCELLATION_CLEANUP_ENABLED,
        settings.PREFECT_API_SERVICES_FOREMAN_ENABLED,
        settings.PREFECT_API_SERVICES_LATE_RUNS_ENABLED,
        settings.PREFECT_API_SERVICES_PAUSE_EXPIRATIONS_ENABLED,
        settings.PREFECT_API_SERVICES_SCHEDULER_ENABLED,
        settings.PREFECT_API_SERVICES_TRIGGERS_ENABLED,
        settings.PREFECT_LOGGING_TO_API_ENABLED,
    )
    with ExitStack() as stack:
        stack.enter_context(settings.temporary_settings(dict.fromkeys(unused, False)))
        # One process at a time: a start is slow, and two servers might choose the same port.
        with locked("prefect"):
            stack.enter_context(prefect_test_harness(server_startup_timeout=PREFECT_START_SECONDS))
        stack.enter_context(settings.temporary_settings({settings.PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))
        yield


@pytest.fixture
def machine(
    prefect_server: None, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    """An empty database and home in the environment, and a network that is not trained; see `trains_networks`."""
    import flows.monthly

    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(flows.monthly, "CONFIG", UNTRAINED)
    reset_process()
    yield monkeypatch
    reset_process()


@pytest.fixture
def trains_networks(machine: pytest.MonkeyPatch) -> None:
    """Train the networks of the months for an epoch."""
    import flows.monthly

    machine.setattr(flows.monthly, "CONFIG", SMALL)


@pytest.fixture
def webhook(machine: pytest.MonkeyPatch) -> Iterator[Webhook]:
    """A webhook that accepts messages, configured as the only recipient."""
    from tasks.alerts import recipients
    from tasks.settings import get_settings

    machine.setattr(recipients, "_ROUNDS", 1)
    recipients.fingerprint.cache_clear()
    with Webhook() as opened:
        machine.setenv("BELLWETHER_ALERT_URLS", opened.url())
        get_settings.cache_clear()
        yield opened
    recipients.fingerprint.cache_clear()


@pytest.fixture(scope="session")
def index_bars() -> pd.DataFrame:
    """Daily bars of two indices, 1999 to 2018, in the columns of a price file."""
    import arch.data.nasdaq
    import arch.data.sp500

    frames = {"SPX": arch.data.sp500.load(), "COMP": arch.data.nasdaq.load()}
    bars = pd.concat(frames, names=["ticker", "date"]).reset_index()
    bars.columns = [name.lower().replace(" ", "_") for name in bars.columns]
    return bars[["ticker", "date", "open", "high", "low", "close", "adj_close", "volume"]]


@pytest.fixture
def yahoo_server() -> Iterator[YahooServer]:
    """A server that responds as Yahoo does, and a yfinance without cached sessions, crumbs and time zones."""
    import yfinance.base
    import yfinance.cache
    from yfinance.data import YfData

    type(YfData)._instances.pop(YfData, None)
    yfinance.cache._TzCacheManager._tz_cache = None
    yfinance.cache._CookieCacheManager._Cookie_cache = None
    yfinance.base._tz_info_fetch_ctr = 0
    with YahooServer() as opened:
        yield opened


def reset_process() -> None:
    """Clear the cached settings and close the cached store of this process."""
    from tasks.database import get_store
    from tasks.settings import get_settings

    get_settings.cache_clear()
    if get_store.cache_info().currsize:
        get_store().close()
    get_store.cache_clear()
