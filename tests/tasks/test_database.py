"""The store of the process: errors, URLs, and rows as dictionaries."""

from pathlib import Path

import pandas as pd
import pytest

from sql import store
from sql.queries import statement as statement_of
from sql.server.lifecycle import ServerError
from tasks.database import database_errors, database_url, delete_database, psql_command, records_of, stop_database
from tasks.errors import AlreadyPublishedError, BadRequestError, BellwetherError, DatabaseUnavailableError
from tasks.settings import Settings


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (store.StoreUnavailableError("No response."), DatabaseUnavailableError),
        (ServerError("No response."), DatabaseUnavailableError),
        (store.AlreadyPublishedError("Published by run 7."), AlreadyPublishedError),
        (store.LockLostError("The lock is lost."), BellwetherError),
    ],
)
def test_database_errors_are_converted_with_their_cause(error: Exception, kind: type[BellwetherError]) -> None:
    with pytest.raises(kind, match=str(error)) as converted, database_errors():
        raise error
    assert converted.value.__cause__ is error


@pytest.mark.parametrize("statement", ["select 1/0", "select 'a'::int", "insert into ops.due_month values (null)"])
def test_database_errors_describes_every_error_of_the_driver(
    database_url: str, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sql.connection.statement", lambda name: name if " " in name else statement_of(name))
    with store.Store(database_url) as opened, pytest.raises(BellwetherError) as error, database_errors():
        opened.read_report(statement)
    assert "\n" not in str(error.value)


def test_database_errors_passes_other_errors() -> None:
    with pytest.raises(KeyError), database_errors():
        raise KeyError("x")


def test_records_of_has_none_for_nulls() -> None:
    frame = pd.DataFrame(
        {"symbol": ["A", None], "value": [1.5, float("nan")], "day": pd.to_datetime(["2024-01-02", None])}
    )
    assert records_of(frame) == [
        {"symbol": "A", "value": 1.5, "day": pd.Timestamp("2024-01-02")},
        {"symbol": None, "value": None, "day": None},
    ]


def test_external_database_is_used_and_never_stopped(tmp_path: Path) -> None:
    url = "postgresql://user:secret@host/name"
    settings = Settings(home=tmp_path, database_url=url)
    assert database_url(settings) == url
    with pytest.raises(
        BadRequestError, match=r"`create role NAME login password '…' in role bellwether_reader`"
    ) as error:
        database_url(settings, role="analyst")
    assert "secret" not in str(error.value)
    with pytest.raises(BadRequestError, match="Only the embedded database can be stopped"):
        stop_database(settings, force=True)
    with pytest.raises(BadRequestError, match="Only the embedded database can be deleted"):
        delete_database(settings)


def test_psql_command_keeps_the_password_out_of_the_arguments(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url="postgresql://user:secret@host/name")
    path, environment = psql_command(settings)
    assert Path(path).name == "psql"
    assert environment["PGPASSWORD"] == "secret"
