"""What tests share: one real Postgres a session, one empty database a test, Prefect without a network."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pytest

from sql.server import lifecycle as server
from sql.store import Store
from tests.support.yahoo_server import YahooServer

SHARED_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
_names = itertools.count(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Directory of recorded market data, which lies beside a checkout of ours and is not part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs recorded market data in ../shared/data, which is not part of the project")
    return SHARED_DATA


@pytest.fixture(scope="session")
def postgres_home() -> Iterator[Path]:
    """Home of the session's embedded server, in a path with a space."""
    # Not pytest's own directory: as root, Postgres runs as `nobody`, who may not enter that one.
    home = Path(tempfile.mkdtemp(prefix="bellwether tests "))
    home.chmod(0o755)
    server.start(home)
    yield home
    server.stop(home)
    shutil.rmtree(server.Cluster.at(home).data, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def superuser_url(postgres_home: Path) -> str:
    """Recipient of the session's server for its superuser, who alone may make databases."""
    password = (postgres_home / "postgres" / "postgres.password").read_text().strip()
    address = server.url(postgres_home).rpartition("@")[2].rpartition("/")[0]
    return f"postgresql://postgres:{quote(password, safe='')}@{address}/postgres"


@pytest.fixture(scope="session")
def template_database(postgres_home: Path, superuser_url: str) -> str:
    """Name of a database with the newest schema and no rows, to be cloned."""
    with Store(_make_database(postgres_home, superuser_url, "bellwether_template")) as store:
        store.upgrade()
    return "bellwether_template"


@pytest.fixture
def empty_database_url(postgres_home: Path, superuser_url: str) -> Iterator[str]:
    """Recipient of a database with nothing in it."""
    name = f"empty_{next(_names)}"
    yield _make_database(postgres_home, superuser_url, name)
    _drop_database(superuser_url, name)


@pytest.fixture
def database_url(postgres_home: Path, superuser_url: str, template_database: str) -> Iterator[str]:
    """Recipient of a database with the newest schema and no rows."""
    name = f"test_{next(_names)}"
    yield _make_database(postgres_home, superuser_url, name, template_database)
    _drop_database(superuser_url, name)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store with the newest schema and no rows."""
    from tasks.database import SCORE_FUNCTIONS

    with Store(database_url, score_functions=SCORE_FUNCTIONS) as opened:
        yield opened


@pytest.fixture
def yahoo_server() -> Iterator[YahooServer]:
    """A server that answers as Yahoo does, and a yfinance that remembers no session, crumb, answer or time zone."""
    # Only the tests that use it wait for yfinance.
    import yfinance.base
    import yfinance.cache
    from yfinance.data import YfData

    type(YfData)._instances.pop(YfData, None)
    yfinance.cache._TzCacheManager._tz_cache = None
    yfinance.cache._CookieCacheManager._Cookie_cache = None
    yfinance.base._tz_info_fetch_ctr = 0
    with YahooServer() as server:
        yield server


def _make_database(home: Path, superuser_url: str, name: str, template: str = "template0") -> str:
    _as_superuser(superuser_url, f"create database {name} owner bellwether template {template}")
    _as_superuser(superuser_url, f"revoke all on database {name} from public")
    _as_superuser(superuser_url, f"grant connect on database {name} to bellwether_reader")
    return f"{server.url(home).rpartition('/')[0]}/{name}"


def _drop_database(superuser_url: str, name: str) -> None:
    _as_superuser(superuser_url, f"drop database {name} with (force)")


def _as_superuser(url: str, statement: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


_prefect_home = tempfile.TemporaryDirectory(prefix="bellwether-prefect-", ignore_cleanup_errors=True)

# Before any test module imports Prefect: it reads its environment then.
os.environ.update(
    {
        "PREFECT_HOME": _prefect_home.name,
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
)
os.environ.pop("PREFECT_API_URL", None)
os.environ.pop("DATABASE_URL", None)
