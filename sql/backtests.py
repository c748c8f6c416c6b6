"""Verbs about backtests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pandas as pd
from psycopg2.extras import Json

from sql.connection import returned_id
from sql.copy import copy_in
from sql.queries import statement
from sql.scores import ScoreVerbs


@dataclass(frozen=True, kw_only=True)
class Backtest:
    """Parameters of a finished backtest; see the columns of `forecast.backtest`."""

    source: str
    universe: str
    first_origin: date
    last_origin: date
    refit: str
    forecasters: Sequence[str]
    symbols: int
    config: Mapping[str, Any]
    software: Mapping[str, str]
    data_fingerprint: str
    started_at: datetime
    finished_at: datetime


class BacktestVerbs(ScoreVerbs):
    """Storage of backtests."""

    def read_clock(self) -> datetime:
        """Read the database's clock, which also sets the `known_at` of bars; UTC."""
        row = self._read_one("clock")
        assert row is not None  # noqa: S101  a select without a table has one row
        moment: datetime = row["moment"]
        return moment

    def add_backtest(self, backtest: Backtest, errors: pd.DataFrame) -> int:
        """Store a finished backtest with its errors and scores in one transaction.

        Args:
            backtest: Its parameters.
            errors: Columns of `forecast.backtest_error` without model_version_id and backtest_id.

        Returns:
            Number of the backtest.
        """
        row = {**vars(backtest), "forecasters": list(backtest.forecasters)}
        row |= {"config": Json(backtest.config), "software": Json(backtest.software)}
        with self._cursor() as cursor:
            cursor.execute(statement("add_backtest"), row)
            backtest_id = returned_id(cursor)
            copy_in(cursor, "forecast.backtest_error", errors.assign(backtest_id=backtest_id))
            self._add_backtest_scores(cursor, backtest_id, errors)
        return backtest_id
