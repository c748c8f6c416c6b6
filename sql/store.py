"""The interface to Postgres: verbs with frames in and out, one transaction each.

Long tables are transferred by COPY, other values as parameters. `market`, `runs`, `backtests`, `paper` and `alerts`
define the verbs of their subjects; this module adds the upgrade of the schema and the reports.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pandas as pd
import sqlalchemy as sa
from alembic.util import CommandError
from psycopg2.errors import LockNotAvailable
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sql import migrate
from sql.alerts import AlertVerbs
from sql.backtests import Backtest, BacktestVerbs
from sql.copy import open_cursor
from sql.market import MarketVerbs, MergedBars
from sql.migrate import READERS
from sql.month_key import MonthKey
from sql.paper import AddedResults, PaperExperiment, PaperVerbs
from sql.queries import statement
from sql.runs import AlreadyPublishedError, ModelVersion, Publication, RunVerbs
from sql.scores import OUTCOME_TOLERANCE, ScoreFunctions, complete_scores
from sql.session.errors import DRIVER_ERRORS, LockLostError, StoreUnavailableError, describe_driver_error, first_line

__all__ = [
    "DRIVER_ERRORS",
    "OUTCOME_TOLERANCE",
    "READERS",
    "AddedResults",
    "AlreadyPublishedError",
    "Backtest",
    "LockLostError",
    "MergedBars",
    "ModelVersion",
    "MonthKey",
    "PaperExperiment",
    "Publication",
    "ScoreFunctions",
    "Store",
    "StoreUnavailableError",
    "describe_driver_error",
]


UPGRADE_ATTEMPTS = 3
LOCK_TIMEOUT_SECONDS = 4.0
"""Longest wait of an upgrade for one lock; readers wait behind it."""
PAUSE_SECONDS = 1.0
"""Time between two attempts, in which waiting readers finish."""


class Store(MarketVerbs, RunVerbs, BacktestVerbs, PaperVerbs, AlertVerbs):
    """A database with Bellwether's schema, see `Database` for the arguments."""

    def is_current(self) -> bool:
        """Return whether the schema is the newest."""
        with self._connection() as connection:
            return migrate.is_current(connection)

    def upgrade(self, revision: str = "head") -> bool:
        """Upgrade the schema to `revision`, and the stored scores with it; returns whether anything changed.

        A session that uses a view can delay an upgrade, and the waiting upgrade delays all readers: each of a few
        attempts waits for a short time.

        Raises:
            StoreUnavailableError: if the schema belongs to a newer release, a foreign object depends on it, or another
                session uses it all the time; nothing is changed.
        """
        for attempt in range(UPGRADE_ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_SECONDS)
            blockers: list[str] = []
            try:
                return self._upgrade_once(revision, blockers)
            except CommandError as error:
                raise StoreUnavailableError(
                    f"The schema of the database at {self.address} belongs to a newer Bellwether: {first_line(error)}; "
                    "install that release."
                ) from error
            except StoreUnavailableError as error:
                cause = error.__cause__
                if not isinstance(cause.orig if isinstance(cause, DBAPIError) else cause, LockNotAvailable):
                    raise
        holders = ", ".join(blockers) or "other sessions, which have ended"
        raise StoreUnavailableError(
            f"The schema of the database at {self.address} could not be upgraded and is unchanged: it is in use by "
            f"{holders}; wait until the transaction ends, or end it with `select pg_terminate_backend(PID)`."
        )

    def _upgrade_once(self, revision: str, blockers: list[str]) -> bool:
        """Upgrade the schema; `blockers` receives the sessions that held a lock for too long."""
        with self._connection() as connection:
            migrate.lock_upgrades(connection)
            limit = sa.text("select pg_backend_pid(), set_config('lock_timeout', :milliseconds, true)")
            pid = connection.execute(limit, {"milliseconds": str(int(LOCK_TIMEOUT_SECONDS * 1000))}).scalar_one()
            with self._record_blockers(pid, blockers):
                is_changed = migrate.upgrade(connection, revision)
            if is_changed and self._score_functions is not None and migrate.is_current(connection):
                with open_cursor(connection) as cursor:
                    complete_scores(cursor, self._score_functions)
            return is_changed

    @contextmanager
    def _record_blockers(self, pid: int, blockers: list[str]) -> Iterator[None]:
        """Describe the sessions that keep session `pid` waiting, while the block runs."""
        is_done = threading.Event()

        def record() -> None:
            with suppress(SQLAlchemyError), self._lock_engine.connect() as connection:
                while not is_done.wait(LOCK_TIMEOUT_SECONDS / 8):
                    with open_cursor(connection) as cursor:
                        cursor.execute(statement("blockers"), {"pid": pid})
                        if rows := cursor.fetchall():
                            blockers[:] = [str(row[0]) for row in rows]
                    connection.rollback()

        thread = threading.Thread(target=record, name="blockers", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_done.set()
            thread.join()

    def reader_hint(self) -> str | None:
        """Return what an administrator must run before readers have access, one sentence; None if they have."""
        with self._connection() as connection:
            if migrate.has_readers(connection):
                return None
            owner = connection.execute(sa.text("select current_user")).scalar()
        return (
            f"Readers have no access: the group role `{migrate.READERS}` does not exist, and `{owner}` may not create "
            f"it; an administrator must run `create role {migrate.READERS} nologin`, then run `bellwether db upgrade`."
        )

    def read_report(self, name: str, **parameters: object) -> pd.DataFrame:
        """Read the rows of the statement `name` of `queries/`, for display.

        Args:
            name: Name of the statement, for example `run_history`, `recipients` or `monitored_universes`.
            **parameters: Its parameters.
        """
        return self._read(name, **parameters)
