"""The interface to Postgres: verbs with frames in and out, one transaction each.

Long tables are transferred by COPY, other values as parameters. `market`, `runs`, `backtests`, `paper` and `alerts`
define the verbs of their subjects; this module adds the upgrade of the schema and the reports.
"""

import pandas as pd
from alembic.util import CommandError

from sql import migrate
from sql.alerts import AlertVerbs
from sql.backtests import Backtest, BacktestVerbs
from sql.connection import StoreUnavailableError, first_line
from sql.copy import open_cursor
from sql.market import MarketVerbs, MergedBars
from sql.month_key import MonthKey
from sql.paper import AddedResults, PaperExperiment, PaperVerbs
from sql.runs import AlreadyPublishedError, ModelVersion, Publication, RunVerbs
from sql.scores import OUTCOME_TOLERANCE, ScoreFunctions, complete_scores

__all__ = [
    "OUTCOME_TOLERANCE",
    "AddedResults",
    "AlreadyPublishedError",
    "Backtest",
    "MergedBars",
    "ModelVersion",
    "MonthKey",
    "PaperExperiment",
    "Publication",
    "ScoreFunctions",
    "Store",
    "StoreUnavailableError",
]


class Store(MarketVerbs, RunVerbs, BacktestVerbs, PaperVerbs, AlertVerbs):
    """A database with Bellwether's schema, see `Database` for the arguments."""

    def is_current(self) -> bool:
        """Return whether the schema is the newest."""
        with self._connection() as connection:
            return migrate.is_current(connection)

    def upgrade(self, revision: str = "head") -> bool:
        """Upgrade the schema to `revision`, and the stored scores with it; returns whether anything changed.

        Raises:
            StoreUnavailableError: if the schema belongs to a newer release, or a foreign object depends on it.
        """
        try:
            with self._connection() as connection:
                is_changed = migrate.upgrade(connection, revision)
                if is_changed and self._score_functions is not None and migrate.is_current(connection):
                    with open_cursor(connection) as cursor:
                        complete_scores(cursor, self._score_functions)
                return is_changed
        except CommandError as error:
            raise StoreUnavailableError(
                f"The schema of the database at {self.address} belongs to a newer Bellwether: {first_line(error)}; "
                "install that release."
            ) from error

    def read_report(self, name: str, **parameters: object) -> pd.DataFrame:
        """Read the rows of the statement `name` of `queries/`, for display.

        Args:
            name: Name of the statement, for example `run_history`, `recipients` or `monitored_universes`.
            **parameters: Its parameters.
        """
        return self._read(name, **parameters)
