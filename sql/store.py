"""The one door to Postgres: verbs with frames in and out.

Every verb is one transaction. Long tables travel by COPY, everything else by parameters.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Self

import numpy as np
import pandas as pd
import psycopg2
import sqlalchemy as sa
from alembic.util import CommandError
from psycopg2.errors import DependentObjectsStillExist, UniqueViolation
from psycopg2.extensions import AsIs, register_adapter
from psycopg2.extensions import cursor as Cursor  # noqa: N812  a class under a lower-case name
from psycopg2.extras import Json
from sqlalchemy.exc import ArgumentError, DBAPIError

from sql import upgrade
from sql.bulk import copy_in, copy_out, open_cursor
from sql.queries import statement

# A re-download differs when it differs by more than this, relative to the stored value. Two downloads of one range
# differ by about 1e-5 (float32 at the source); volumes are restated a little for weeks.
PRICE_TOLERANCE = 1e-4
VOLUME_TOLERANCE = 5e-3
ACTION_TOLERANCE = 5e-5  # of the last close before the ex-date

_BAR_TYPES = {
    "symbol": "text",
    "session": "date",
    "open": "float8",
    "high": "float8",
    "low": "float8",
    "close": "float8",
    "volume": "float8",
}
_ACTION_TYPES = {"symbol": "text", "ex_date": "date", "kind": "text", "value": "float8"}

# Types of frame columns by pg_type's number; integers and booleans can be null, so they stay as they come.
_FRAME_TYPES = {701: "float64", 1082: "datetime64[ns]"}
_FRAME_TYPES_WITHOUT_NULLS = {16: "bool", 20: "int64", 21: "int64", 23: "int64"}

# Numpy scalars come out of frames everywhere; the driver knows only Python's own.
register_adapter(np.float64, lambda value: AsIs("'NaN'::float8" if np.isnan(value) else repr(float(value))))
register_adapter(np.int64, lambda value: AsIs(int(value)))
register_adapter(np.bool_, lambda value: AsIs(bool(value)))


class StoreUnavailableError(RuntimeError):
    """The database cannot be reached or is not fit for use; one sentence, without a secret."""


class AlreadyPublishedError(RuntimeError):
    """Another run published this month first; nothing of this run was written."""


@dataclass(frozen=True, kw_only=True)
class MonthKey:
    """What a published month is known by."""

    source: str
    universe: str
    origin_month: date

    def parameters(self) -> dict[str, Any]:
        """The key as statement parameters."""
        return {"source": self.source, "universe": self.universe, "origin_month": self.origin_month}


@dataclass(frozen=True, kw_only=True)
class MergedBars:
    """What a load of bars did: rows by what became of them, and new or changed splits and dividends."""

    added: int
    revised: int
    unchanged: int
    actions: int


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A trained model as stored; `weights` are its bytes, `verdict` the gate's when it was new."""

    kind: str
    trained_through: date
    judged_from: date
    judged_through: date
    verdict: str
    verdict_reason: str
    weights: bytes
    weights_sha256: str
    model_version_id: int | None = None
    trained_at_month: date | None = None
    parent_id: int | None = None
    seed: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)
    data_fingerprint: str = ""
    verdict_numbers: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, kw_only=True)
class Publication:
    """Everything a finished month adds, written in one transaction.

    Frames have the columns of their tables, without `run_id` and `model_version_id`, which the door fills in. `errors`
    is the exception: its `run_id` is that of the run that made the forecast.
    """

    served: str
    message: str
    new_model: ModelVersion | None
    kept_model_id: int | None
    coefficients: pd.DataFrame
    backtest_errors: pd.DataFrame
    candidates: pd.DataFrame
    origins: pd.DataFrame
    forecasts: pd.DataFrame
    errors: pd.DataFrame
    drift_checks: pd.DataFrame
    outcomes: pd.DataFrame
    alerts: Sequence[Mapping[str, Any]]
    resolved_alerts: Sequence[Mapping[str, Any]]


class Store:
    """A database with Bellwether's schema."""

    def __init__(self, url: str) -> None:
        try:
            parsed = sa.make_url(url)
            if parsed.get_backend_name() in ("postgres", "postgresql"):
                parsed = parsed.set(drivername="postgresql+psycopg2")
            else:
                raise StoreUnavailableError(
                    f"`DATABASE_URL` must start with postgresql://, and it starts with {parsed.drivername}://"
                )
            if "@" in (parsed.host or ""):
                # The rest of the password would pass for the host, and be shown.
                raise StoreUnavailableError(
                    "`DATABASE_URL` holds more than one @; in a password, write %40 for @, %3A for : and %2F for /"
                )
            self._engine = sa.create_engine(
                parsed,
                pool_pre_ping=True,
                # COPY reads and writes UTF-8 here, whatever PGCLIENTENCODING says.
                connect_args={"connect_timeout": 10, "application_name": "bellwether", "client_encoding": "utf8"},
            )
        except (ArgumentError, ValueError):
            # The text may hold a password, so it is not repeated.
            raise StoreUnavailableError(
                "`DATABASE_URL` is not an address such as postgresql://user:password@host:5432/name"
            ) from None

    def __repr__(self) -> str:
        return f"Store({self.address})"

    @property
    def address(self) -> str:
        """Where the database is, its password masked."""
        url = self._engine.url
        # The driver takes a password behind the question mark too.
        query = {name: "***" if "password" in name else value for name, value in url.query.items()}
        return url.set(drivername="postgresql", query=query).render_as_string(hide_password=True)

    def connection_environment(self) -> dict[str, str]:
        """The variables by which psql and its kin connect here; they hold the password."""
        url = self._engine.url
        parts = {
            "PGHOST": url.host,
            "PGPORT": url.port,
            "PGUSER": url.username,
            "PGPASSWORD": url.password,
            "PGDATABASE": url.database,
            **{f"PG{name.upper()}": value for name, value in url.query.items() if isinstance(value, str)},
        }
        return {name: str(value) for name, value in parts.items() if value is not None}

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- schema ------------------------------------------------------------------------------------------------------

    def is_current(self) -> bool:
        """Whether the schema is the newest."""
        with self._connection() as connection:
            return upgrade.is_current(connection)

    def upgrade(self, revision: str = "head") -> bool:
        """Bring the schema to `revision`; returns whether anything had to be done."""
        try:
            with self._connection() as connection:
                return upgrade.upgrade(connection, revision)
        except CommandError as error:
            raise StoreUnavailableError(
                f"the schema of the database at {self.address} is not one this program knows: {_first_line(error)}; "
                "it was made by a newer Bellwether: install that"
            ) from error

    # -- market ------------------------------------------------------------------------------------------------------

    def read_instruments(self, symbols: Sequence[str]) -> pd.DataFrame:
        """Instruments known: symbol, source, exchange_mic, currency_code, status, first_session, last_session."""
        return self._read("instruments", symbols=list(symbols))

    def merge_bars(
        self, *, source: str, instruments: pd.DataFrame, bars: pd.DataFrame, actions: pd.DataFrame, known_at: datetime
    ) -> MergedBars:
        """Store what a source said; what it had said otherwise before becomes a revision.

        Args:
            source: Kind of the source, sets `market.instrument.source` of new symbols.
            instruments: symbol, exchange_mic, currency_code; symbols already known keep what they have.
            bars: symbol, session, open, high, low, close, volume, as traded; unique by symbol and session.
            actions: symbol, ex_date, kind, value; unique by symbol, ex_date and kind.
            known_at: When the source said so.
        """
        volume = bars["volume"].round()
        # Undoing a split can leave less than half a share, which is no volume at all.
        bars = bars[list(_BAR_TYPES)].assign(volume=volume.where(volume > 0).astype("Int64"))
        tolerances = {"price_tolerance": PRICE_TOLERANCE, "volume_tolerance": VOLUME_TOLERANCE}
        with self._cursor() as cursor:
            cursor.execute(statement("stage_instruments"))
            copy_in(cursor, "incoming_instrument", instruments[["symbol", "exchange_mic", "currency_code"]])
            cursor.execute(statement("add_instruments"), {"source": source, "known_at": known_at})
            cursor.execute(statement("stage_bars"))
            copy_in(cursor, "incoming_bar", bars)
            cursor.execute(statement("find_changed_bars"), tolerances)
            cursor.execute(statement("keep_revised_bars"), {"known_at": known_at})
            revised = cursor.rowcount
            cursor.execute(statement("merge_changed_bars"), {"known_at": known_at})
            changed = cursor.rowcount
            cursor.execute(statement("stage_actions"))
            copy_in(cursor, "incoming_action", actions[list(_ACTION_TYPES)])
            cursor.execute(statement("merge_actions"), {"known_at": known_at, "tolerance": ACTION_TOLERANCE})
            return MergedBars(
                added=changed - revised, revised=revised, unchanged=len(bars) - changed, actions=cursor.rowcount
            )

    def read_bars(self, symbols: Sequence[str], *, as_of: date, known_at: datetime) -> pd.DataFrame:
        """Bars as traded up to `as_of`, as known at `known_at`, sorted by symbol and session."""
        return self._copy_out("bars_as_known", _BAR_TYPES, symbols=list(symbols), as_of=as_of, known_at=known_at)

    def read_actions(self, symbols: Sequence[str], *, as_of: date, known_at: datetime) -> pd.DataFrame:
        """Splits and dividends with ex-dates up to `as_of`, as known at `known_at`, sorted by symbol and ex-date."""
        return self._copy_out("actions_as_known", _ACTION_TYPES, symbols=list(symbols), as_of=as_of, known_at=known_at)

    # -- the ledger of runs ------------------------------------------------------------------------------------------

    @contextmanager
    def exclusive(self, key: MonthKey) -> Iterator[bool]:
        """Hold the month for this process; yields False when another one has it.

        The lock belongs to a connection of its own, so Postgres lets go of it when the process ends, however it ends.
        """
        name = f"{key.source}/{key.universe}/{key.origin_month}"
        with _own_words(self.address):
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            lock = sa.text("select pg_try_advisory_lock(hashtextextended(:name, 0))")
            is_held = bool(connection.execute(lock, {"name": name}).scalar())
        try:
            yield is_held
        finally:
            # Closed for good, not handed back to the pool: the lock ends with it.
            connection.invalidate()
            connection.close()

    def find_published(self, key: MonthKey) -> dict[str, Any] | None:
        """The run in force of a month: run_id, correction, as_of, served, finished_at."""
        return self._read_one("published_run", **key.parameters())

    def begin_run(
        self,
        key: MonthKey,
        *,
        correction: int,
        as_of: date,
        known_at: datetime,
        mode: str,
        symbols_asked: int,
        flow_run_id: str | None,
        parameters: Mapping[str, Any],
        software: Mapping[str, str],
        started_at: datetime,
    ) -> int:
        """Open a row in the ledger and return its number; the caller holds the month."""
        with self._cursor() as cursor:
            cursor.execute(statement("abandon_runs"), {**key.parameters(), "now": started_at})
            row = {
                **key.parameters(),
                "correction": correction,
                "as_of": as_of,
                "known_at": known_at,
                "mode": mode,
                "symbols_asked": symbols_asked,
                "flow_run_id": flow_run_id,
                "parameters": Json(parameters),
                "software": Json(software),
                "started_at": started_at,
            }
            cursor.execute(statement("begin_run"), row)
            return _returned_id(cursor)

    def fail_run(
        self,
        run_id: int,
        *,
        message: str,
        finished_at: datetime,
        outcomes: pd.DataFrame | None = None,
        alert: Mapping[str, Any] | None = None,
    ) -> None:
        """Close a run that publishes nothing, with why, and the alert about it."""
        with self._cursor() as cursor:
            ending = {"status": "failed", "message": message, "served": None, "symbols_forecast": None}
            cursor.execute(statement("end_run"), {**ending, "finished_at": finished_at, "run_id": run_id})
            if outcomes is not None:
                copy_in(cursor, "ops.symbol_outcome", outcomes.assign(run_id=run_id))
            if alert is not None:
                cursor.execute(statement("open_alert"), {**alert, "run_id": run_id, "opened_at": finished_at})

    def publish(self, run_id: int, publication: Publication, *, finished_at: datetime) -> None:
        """Write a finished month, all of it or nothing.

        Raises:
            AlreadyPublishedError: Another run published the month first.
        """
        try:
            with self._cursor() as cursor:
                self._publish(cursor, run_id, publication, finished_at)
        except UniqueViolation as error:
            if error.diag.constraint_name == "run_published_once":
                raise AlreadyPublishedError(f"run {run_id} is late: another run published its month first") from error
            raise

    def _publish(self, cursor: Cursor, run_id: int, month: Publication, finished_at: datetime) -> None:
        version_id = month.kept_model_id
        if month.new_model is not None:
            model = _model_parameters(month.new_model, run_id=run_id, created_at=finished_at)
            cursor.execute(statement("add_model_version"), model)
            version_id = _returned_id(cursor)
            copy_in(cursor, "forecast.baseline_coefficient", month.coefficients.assign(model_version_id=version_id))
            copy_in(cursor, "forecast.backtest_error", month.backtest_errors.assign(model_version_id=version_id))
        # A candidate without a version of its own is the one trained in this run.
        candidates = month.candidates.assign(
            run_id=run_id, model_version_id=month.candidates["model_version_id"].astype("Int64").fillna(version_id)
        )
        copy_in(cursor, "forecast.candidate", candidates)
        copy_in(cursor, "forecast.forecast_origin", month.origins.assign(run_id=run_id, model_version_id=version_id))
        copy_in(cursor, "forecast.forecast", month.forecasts.assign(run_id=run_id))
        scored = month.errors.assign(scored_by_run_id=run_id, scored_at=pd.Timestamp(finished_at))
        cursor.execute(statement("stage_errors"))
        copy_in(cursor, "incoming_error", scored)
        cursor.execute(statement("add_errors"))
        copy_in(cursor, "ops.drift_check", month.drift_checks.assign(run_id=run_id))
        copy_in(cursor, "ops.symbol_outcome", month.outcomes.assign(run_id=run_id))
        for alert in month.resolved_alerts:
            cursor.execute(statement("resolve_alert"), {**alert, "now": finished_at})
        for alert in month.alerts:
            cursor.execute(statement("open_alert"), {**alert, "run_id": run_id, "opened_at": finished_at})
        ending = {"status": "published", "message": month.message, "served": month.served}
        cursor.execute(
            statement("end_run"),
            {**ending, "symbols_forecast": len(month.origins), "finished_at": finished_at, "run_id": run_id},
        )
        if cursor.rowcount != 1:
            raise AlreadyPublishedError(f"run {run_id} is no longer running: another process took its month over")

    # -- models, forecasts, errors -----------------------------------------------------------------------------------

    def read_champion(self, key: MonthKey) -> ModelVersion | None:
        """The newest model version of the universe that knew nothing after the month."""
        row = self._read_one("champion", **key.parameters())
        return None if row is None else ModelVersion(**{**row, "weights": bytes(row["weights"])})

    def read_forecasts_to_score(self, key: MonthKey) -> pd.DataFrame:
        """Published forecasts whose target month is over by the key's month and that have no error yet."""
        return self._read(
            "forecasts_to_score", source=key.source, universe=key.universe, through_month=key.origin_month
        )

    def read_served_losses(self, key: MonthKey) -> pd.DataFrame:
        """Mean CRPS by horizon and target month: served_crps, baseline_crps."""
        return self._read("served_losses", source=key.source, universe=key.universe, through_month=key.origin_month)

    def read_drift_before(self, key: MonthKey) -> pd.DataFrame:
        """Drift checks of the universe's last published month before the key's: horizon, status."""
        return self._read("drift_before", **key.parameters())

    # -- what people look at -----------------------------------------------------------------------------------------

    def read_report(self, name: str, **parameters: object) -> pd.DataFrame:
        """Rows of a statement made for people: see `queries/`."""
        return self._read(name, **parameters)

    # -- plumbing ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        with _own_words(self.address), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        with self._connection() as connection, open_cursor(connection) as cursor:
            yield cursor

    def _copy_out(self, name: str, types: Mapping[str, str], **parameters: object) -> pd.DataFrame:
        with self._cursor() as cursor:
            return copy_out(cursor, statement(name), parameters, types)

    def _read(self, name: str, **parameters: object) -> pd.DataFrame:
        with self._cursor() as cursor:
            cursor.execute(statement(name), parameters)
            assert cursor.description is not None  # noqa: S101  every statement read here is a select
            oids = {column.name: column.type_code for column in cursor.description}
            frame = pd.DataFrame(cursor.fetchall(), columns=list(oids))
        types = {name: _FRAME_TYPES[oid] for name, oid in oids.items() if oid in _FRAME_TYPES}
        whole = frame.columns[frame.notna().all()]
        types |= {name: kind for name in whole if (kind := _FRAME_TYPES_WITHOUT_NULLS.get(oids[name]))}
        return frame.astype(types)

    def _read_one(self, name: str, **parameters: object) -> dict[str, Any] | None:
        with self._cursor() as cursor:
            cursor.execute(statement(name), parameters)
            row = cursor.fetchone()
            assert cursor.description is not None  # noqa: S101  every statement read here is a select
            return None if row is None else dict(zip((c.name for c in cursor.description), row, strict=True))


@contextmanager
def _own_words(address: str) -> Iterator[None]:
    """Say in one sentence that the database does not answer, or lacks what is asked of it; other errors pass."""
    try:
        yield
    except (DBAPIError, psycopg2.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, DependentObjectsStillExist):
            message = (
                f"the schema of the database at {address} was left as it is: {_first_line(cause)} "
                f"({cause.diag.message_detail}); drop what is not Bellwether's, upgrade, and make it anew"
            )
        elif isinstance(cause, psycopg2.ProgrammingError):
            message = (
                f"the database at {address} refused a statement: {_first_line(cause)}; "
                "try `bellwether db upgrade`, as the role that owns the database"
            )
        elif isinstance(cause, (psycopg2.OperationalError, psycopg2.InterfaceError)):
            message = f"the database at {address} does not answer: {_first_line(cause)}"
        else:
            raise
        raise StoreUnavailableError(message.replace("\n", "; ")) from error


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0]


def _returned_id(cursor: Cursor) -> int:
    row = cursor.fetchone()
    assert row is not None  # noqa: S101  `insert … returning` of one row
    return int(row[0])


def _model_parameters(model: ModelVersion, *, run_id: int, created_at: datetime) -> dict[str, Any]:
    return {
        "kind": model.kind,
        "parent_id": model.parent_id,
        "run_id": run_id,
        "trained_through": model.trained_through,
        "judged_from": model.judged_from,
        "judged_through": model.judged_through,
        "seed": model.seed,
        "config": Json(model.config),
        "data_fingerprint": model.data_fingerprint,
        "weights": psycopg2.Binary(model.weights),
        "weights_sha256": model.weights_sha256,
        "verdict": model.verdict,
        "verdict_reason": model.verdict_reason,
        "verdict_numbers": Json(list(model.verdict_numbers)),
        "created_at": created_at,
    }
