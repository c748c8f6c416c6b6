"""Servers and databases that are refused on connecting."""

import psycopg2
import pytest

from sql.session.requirements import require_server
from sql.store import Store, StoreUnavailableError
from tests.support.postgres import superuser_url
from tests.support.publications import T0
from tests.support.rows import query


@pytest.mark.parametrize("version", [90624, 150018, 159999])
def test_require_server_rejects_old_versions(version: int) -> None:
    with pytest.raises(StoreUnavailableError, match=r"requires PostgreSQL 16 or newer, but .* is PostgreSQL \d+\.\d+:"):
        require_server(version, "UTF8", "postgresql://u@h/x")


@pytest.mark.parametrize("version", [160000, 180001, 190000])
def test_require_server_accepts_new_versions(version: int) -> None:
    require_server(version, "UTF8", "postgresql://u@h/x")
    require_server(version, None, "postgresql://u@h/x")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_connecting_to_a_database_of_another_encoding_is_refused(postgres_home: object, encoding: str) -> None:
    name = f"of_{encoding.lower()}"
    run(f"create database {name} encoding '{encoding}' locale 'C' locale_provider libc template template0")
    try:
        with Store(f"{superuser_url().rpartition('/')[0]}/{name}") as store:
            words = f"encoding UTF8, but .* has {encoding}: create"
            for call in (store.is_current, store.upgrade):
                with pytest.raises(StoreUnavailableError, match=words) as error:
                    call()
                assert "\n" not in str(error.value)
    finally:
        run(f"drop database {name} with (force)")


def run(statement: str) -> None:
    """Execute a statement that must not be in a transaction, as the superuser."""
    connection = psycopg2.connect(superuser_url())
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


def test_read_only_database_is_one_sentence(store: Store, database_url: str) -> None:
    name = database_url.rpartition("/")[2]
    query(database_url, f"alter database {name} set default_transaction_read_only = on")
    with Store(database_url) as read_only:
        assert read_only.is_current()
        with pytest.raises(StoreUnavailableError, match="must accept writes, but is read-only") as error:
            read_only.resolve_alert("drift", "x", now=T0)
    assert "\n" not in str(error.value)
