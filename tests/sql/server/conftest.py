"""Homes of embedded servers: new, stopped, running and private."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sql.server import cluster
from sql.server import lifecycle as server
from tests.support.server import remove


@pytest.fixture(scope="package", autouse=True)
def _shared_folder() -> Iterator[None]:
    yield
    with suppress(OSError):  # absent, or in use by other homes
        cluster.SHARED.rmdir()


@pytest.fixture(scope="package")
def open_folder() -> Iterator[Path]:
    """A folder that every account may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="bellwether test "))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(open_folder: Path) -> Iterator[Path]:
    """A home without a server, with spaces in its path."""
    folder = Path(tempfile.mkdtemp(dir=open_folder, prefix="a home "))
    folder.chmod(0o755)
    yield folder
    remove(folder)


@pytest.fixture(scope="package")
def _used_home(open_folder: Path) -> Iterator[Path]:
    folder = open_folder / "used home"
    server.start(folder)
    server.stop(folder)
    yield folder
    remove(folder)


@pytest.fixture
def stopped(_used_home: Path) -> Iterator[Path]:
    """A home with a stopped server. Shared, as creation is slow: tests must leave it intact."""
    yield _used_home
    server.stop(_used_home)


@pytest.fixture(scope="package")
def running(open_folder: Path) -> Iterator[Path]:
    """A home with a running server, for tests that do not change it."""
    folder = open_folder / "running"
    server.start(folder)
    yield folder
    remove(folder)


@pytest.fixture
def private_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home that only its owner can enter."""
    folder = tmp_path_factory.mktemp("private")
    folder.chmod(0o700)
    yield folder
    remove(folder)
