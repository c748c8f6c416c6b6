"""The door's verbs about backtests."""

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
    """What a backtest was, as stored."""

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
    """What a backtest reads and leaves."""

    def read_clock(self) -> datetime:
        """This moment by the database's clock, by which it says when a bar was learnt of; UTC."""
        row = self._read_one("clock")
        assert row is not None  # noqa: S101  a select without a table has one row
        moment: datetime = row["moment"]
        return moment

    def add_backtest(self, backtest: Backtest, errors: pd.DataFrame) -> int:
        """Write a finished backtest with its errors and scores, all of it or nothing.

        Args:
            backtest: What it was.
            errors: Columns of `forecast.backtest_error` but for the two numbers of its owner.

        Returns:
            Its number.
        """
        row = {**vars(backtest), "forecasters": list(backtest.forecasters)}
        row |= {"config": Json(backtest.config), "software": Json(backtest.software)}
        with self._cursor() as cursor:
            cursor.execute(statement("add_backtest"), row)
            backtest_id = returned_id(cursor)
            copy_in(cursor, "forecast.backtest_error", errors.assign(backtest_id=backtest_id))
            self._add_backtest_scores(cursor, backtest_id, errors)
        return backtest_id
