"""Verbs about the results of the paper's experiment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pandas as pd
from psycopg2.extras import Json

from sql.connection import Database
from sql.copy import copy_in
from sql.queries import statement


@dataclass(frozen=True, kw_only=True)
class PaperExperiment:
    """Values shared by all results of an experiment; see the columns of `forecast.paper_result`."""

    experiment: str
    source: str
    symbol: str
    bar_interval: str
    first_session: date
    last_session: date
    config: Mapping[str, Any]
    software: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class AddedResults:
    """Number of results added, changed and unchanged."""

    added: int
    changed: int
    unchanged: int


class PaperVerbs(Database):
    """Storage of the results of the paper's experiment."""

    def add_paper_results(
        self, experiment: PaperExperiment, results: pd.DataFrame, *, computed_at: datetime
    ) -> AddedResults:
        """Store an experiment's errors; identical stored results stay unchanged.

        Args:
            experiment: Values shared by the results.
            results: The other columns of `forecast.paper_result`, one row per scaler, forecaster and seed (null for a
                forecaster without randomness).
            computed_at: Time of computation, UTC.
        """
        rows = results.assign(
            experiment=experiment.experiment,
            source=experiment.source,
            symbol=experiment.symbol,
            bar_interval=experiment.bar_interval,
            first_session=experiment.first_session,
            last_session=experiment.last_session,
            config=Json(experiment.config).dumps(experiment.config),
            software=Json(experiment.software).dumps(experiment.software),
            computed_at=pd.Timestamp(computed_at),
        )
        with self._cursor() as cursor:
            cursor.execute(statement("stage_paper_results"))
            copy_in(cursor, "incoming_paper_result", rows)
            cursor.execute(statement("add_paper_results"))
            is_new = [bool(row[0]) for row in cursor.fetchall()]
        return AddedResults(added=sum(is_new), changed=len(is_new) - sum(is_new), unchanged=len(results) - len(is_new))

    def read_paper_results(self, experiment: str) -> pd.DataFrame:
        """Read the rows of `report.paper_result` of one experiment, sorted by scaler, the hybrid first."""
        return self._read("paper_results", experiment=experiment)
