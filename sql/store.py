"""The one door to Postgres: verbs with frames in and out.

Every verb is one transaction. Long tables travel by COPY, everything else by parameters. The verbs about prices are in
`market`, those about runs and forecasts in `ledger`, those about backtests in `backtests`, those about the paper's
experiment in `papers`, those about alerts and due dates in `alerts`; here are the schema and what people look at.
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
    """A database with Bellwether's schema."""

    def is_current(self) -> bool:
        """Whether the schema is the newest."""
        with self._connection() as connection:
            return migrate.is_current(connection)

    def upgrade(self, revision: str = "head") -> bool:
        """Bring the schema to `revision`, and the stored scores with it; returns whether anything had to be done."""
        try:
            with self._connection() as connection:
                is_changed = migrate.upgrade(connection, revision)
                if is_changed and self._score_functions is not None and migrate.is_current(connection):
                    with open_cursor(connection) as cursor:
                        complete_scores(cursor, self._score_functions)
                return is_changed
        except CommandError as error:
            raise StoreUnavailableError(
                f"the schema of the database at {self.address} is not one this program knows: {first_line(error)}; "
                "it was made by a newer Bellwether: install that"
            ) from error

    def read_report(self, name: str, **parameters: object) -> pd.DataFrame:
        """Rows of a statement made for people: see `queries/`."""
        return self._read(name, **parameters)
