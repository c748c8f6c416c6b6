"""The store's verbs about errors and scores: what to score, and the scores of a publication or a backtest.

The arithmetic is not here. A store gets it as `ScoreFunctions` and calls it inside the transaction that writes errors,
so that errors and scores always agree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pandas as pd
from psycopg2.extensions import cursor as Cursor  # noqa: N812  a class under a lower-case name

from sql.connection import CONNECTIONS, Database
from sql.copy import copy_in, copy_out
from sql.market import TOLERANCES
from sql.month_key import MonthKey
from sql.queries import statement

OUTCOME_TOLERANCE = TOLERANCES["price_tolerance"]
"""Log return by which an outcome must move to count as restated: that by which a close must move to be corrected."""

_SCORED_ACTUAL_TYPES = {
    "run_id": "int8",
    "symbol": "text",
    "origin_month": "date",
    "horizon": "int2",
    "target_month": "date",
    "known_log_return": "float8",
}
_TYPE_NAMES = {20: "int8", 21: "int2", 23: "int4", 25: "text", 701: "float8", 1082: "date"}  # by pg_type's number
_BATCH = 120  # runs and horizons whose forecasts are in memory together


@dataclass(frozen=True, kw_only=True)
class ScoreFunctions:
    """The pure functions that compute scores; frames in, rows of tables out."""

    month_scores: Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]
    """Rows of `outcomes_by_run.sql` and `origins_by_run.sql` to `forecast.month_score`."""
    scorecard: Callable[[pd.DataFrame, "pd.Series[bool]"], pd.DataFrame]
    """Month scores of a universe, and which of them get scores by model version, to `forecast.scorecard`."""
    backtest_scorecard: Callable[[pd.DataFrame], pd.DataFrame]
    """Rows of `forecast.backtest_error` of one backtest to `forecast.backtest_scorecard`."""
    windows: Sequence[int]
    """Lengths of the trailing windows, target months."""


@dataclass(frozen=True)
class ScoredMonths:
    """What a publication has scored, and the state of the scorecard before it."""

    universe: dict[str, Any]
    """source and universe, as statement parameters."""
    pairs: list[tuple[int, int]]
    """run_id and horizon of the errors added."""
    newest_before: date | None
    """Newest scored target month of the universe before the publication."""


class ScoreVerbs(Database):
    """Verbs about errors and scores.

    Args:
        url: Address of the database.
        connections: As in `Database`.
        score_functions: Required by the verbs that write errors. Without them an upgrade leaves scores to be filled by
            the next one, or by the next publication of each universe.
    """

    def __init__(
        self, url: str, *, connections: int = CONNECTIONS, score_functions: ScoreFunctions | None = None
    ) -> None:
        super().__init__(url, connections=connections)
        self._score_functions = score_functions

    def read_forecasts_to_score(self, key: MonthKey) -> pd.DataFrame:
        """Read the published forecasts without an error whose target month is over by the key's month."""
        return self._read(
            "forecasts_to_score", source=key.source, universe=key.universe, through_month=key.origin_month
        )

    def read_scored_actuals(self, key: MonthKey) -> pd.DataFrame:
        """Read the last known outcomes of the universe's scored forecasts, target months up to the key's month.

        Returns:
            run_id, symbol, origin_month, horizon, target_month, known_log_return (of the newest score), unsorted.
        """
        return self._copy_out(
            "scored_actuals",
            _SCORED_ACTUAL_TYPES,
            source=key.source,
            universe=key.universe,
            through_month=key.origin_month,
        )

    def read_forecasts_of(self, forecasts: pd.DataFrame) -> pd.DataFrame:
        """Read the forecasts of every run_id, symbol and horizon of a frame, by all forecasters, with quantiles."""
        return self._read(
            "forecasts_of",
            run_ids=forecasts["run_id"].tolist(),
            symbols=forecasts["symbol"].tolist(),
            horizons=forecasts["horizon"].tolist(),
        )

    def _add_errors(
        self, cursor: Cursor, run_id: int, errors: pd.DataFrame, restated_errors: pd.DataFrame, scored_at: datetime
    ) -> ScoredMonths:
        """Store first and restated errors, and the month scores that they change.

        Returns:
            What `_refresh_scorecard` needs once the run is published.
        """
        functions = self._functions()
        cursor.execute(statement("stage_errors"))
        cursor.execute(statement("newest_scored_month"), {"run_id": run_id})
        source, universe, newest_before = _one_row(cursor)
        for is_restated, frame in ((False, errors), (True, restated_errors)):
            scored = frame.assign(is_restated=is_restated, scored_by_run_id=run_id, scored_at=pd.Timestamp(scored_at))
            copy_in(cursor, "incoming_error", scored)
        cursor.execute(statement("add_errors"))
        cursor.execute(statement("add_restated_errors"), {"tolerance": OUTCOME_TOLERANCE})
        keys = pd.concat([frame[["run_id", "horizon"]] for frame in (errors, restated_errors)]).drop_duplicates()
        pairs = [(int(run), int(horizon)) for run, horizon in keys.itertuples(index=False)]
        _write_month_scores(cursor, functions, pairs)
        return ScoredMonths({"source": source, "universe": universe}, pairs, newest_before)

    def _refresh_scorecard(self, cursor: Cursor, run_id: int, scored: ScoredMonths) -> None:
        """Recompute the rows of the scorecard that a publication changes; its run must be published."""
        functions = self._functions()
        cursor.execute(
            statement("changed_scores"),
            {
                **_pair_parameters(scored.pairs),
                "run_id": run_id,
                "newest_before": scored.newest_before,
                "windows": list(functions.windows),
            },
        )
        changed = [(int(version), int(horizon)) for version, horizon in cursor.fetchall()]
        _write_scorecard(cursor, functions, scored.universe, changed)

    def _add_backtest_scores(self, cursor: Cursor, backtest_id: int, errors: pd.DataFrame) -> None:
        """Store the scores of a backtest that is stored with its errors."""
        _write_backtest_scores(cursor, self._functions(), backtest_id, errors)

    def _functions(self) -> ScoreFunctions:
        if self._score_functions is None:
            raise ValueError("`score_functions` must be given to a store that writes errors: received None.")
        return self._score_functions


def complete_scores(cursor: Cursor, functions: ScoreFunctions) -> None:
    """Compute all scores that can be missing or out of date after an upgrade.

    Month scores are computed where errors have none, so a migration that adds a column to `forecast.month_score`
    truncates the table. Scorecards of all universes and backtests are computed again, like views.
    """
    cursor.execute("lock table forecast.month_score in share row exclusive mode")
    cursor.execute(statement("unscored_months"))
    pairs = [(int(run_id), int(horizon)) for run_id, horizon in cursor.fetchall()]
    for start in range(0, len(pairs), _BATCH):
        _write_month_scores(cursor, functions, pairs[start : start + _BATCH])
    cursor.execute("delete from forecast.scorecard")
    cursor.execute(statement("scored_universes"))
    for source, universe in cursor.fetchall():
        _write_scorecard(cursor, functions, {"source": source, "universe": universe}, None)
    cursor.execute("delete from forecast.backtest_scorecard")
    cursor.execute("select backtest_id from forecast.backtest order by backtest_id")
    for (backtest_id,) in cursor.fetchall():
        errors = _select(cursor, "backtest_errors", backtest_id=backtest_id)
        _write_backtest_scores(cursor, functions, backtest_id, errors)


def _write_month_scores(cursor: Cursor, functions: ScoreFunctions, pairs: list[tuple[int, int]]) -> None:
    """Replace the month scores of runs and horizons."""
    if not pairs:
        return
    parameters = _pair_parameters(pairs)
    cursor.execute(statement("drop_month_scores"), parameters)
    forecasts = _select(cursor, "outcomes_by_run", **parameters)
    origins = _select(cursor, "origins_by_run", run_ids=sorted({run_id for run_id, _ in pairs}))
    copy_in(cursor, "forecast.month_score", functions.month_scores(forecasts, origins))


def _write_scorecard(
    cursor: Cursor, functions: ScoreFunctions, universe: dict[str, Any], changed: list[tuple[int, int]] | None
) -> None:
    """Replace the scores of a universe: of all model versions together, and of changed versions and horizons.

    Args:
        cursor: In the caller's transaction.
        functions: The arithmetic.
        universe: source and universe, as statement parameters.
        changed: model_version_id and horizon; None: all, and the table has no rows of the universe.
    """
    if changed is not None:
        versions, horizons = [version for version, _ in changed], [horizon for _, horizon in changed]
        cursor.execute(statement("drop_scorecard"), {**universe, "model_version_ids": versions, "horizons": horizons})
    months = _select(cursor, "month_scores_in_force", **universe)
    if months.empty:
        return
    is_changed = pd.Series(True, index=months.index)
    if changed is not None:
        is_changed[:] = pd.MultiIndex.from_frame(months[["model_version_id", "horizon"]]).isin(changed)
    rows = functions.scorecard(months, is_changed)
    copy_in(cursor, "forecast.scorecard", rows.assign(**universe))


def _write_backtest_scores(cursor: Cursor, functions: ScoreFunctions, backtest_id: int, errors: pd.DataFrame) -> None:
    rows = functions.backtest_scorecard(errors)
    cursor.execute("select source, universe, refit from forecast.backtest where backtest_id = %s", (backtest_id,))
    source, universe, refit = _one_row(cursor)
    copy_in(
        cursor,
        "forecast.backtest_scorecard",
        rows.assign(source=source, universe=universe, refit=refit, backtest_id=backtest_id),
    )


def _select(cursor: Cursor, name: str, **parameters: Any) -> pd.DataFrame:
    """Rows of a statement by COPY, with the types that it returns."""
    cursor.execute(f"select * from ({statement(name)}) as rows limit 0", parameters)
    types = {column.name: _TYPE_NAMES[column.type_code] for column in cursor.description or ()}
    return copy_out(cursor, statement(name), parameters, types)


def _pair_parameters(pairs: Sequence[tuple[int, int]]) -> dict[str, list[int]]:
    return {"run_ids": [run_id for run_id, _ in pairs], "horizons": [horizon for _, horizon in pairs]}


def _one_row(cursor: Cursor) -> tuple[Any, ...]:
    row = cursor.fetchone()
    assert row is not None  # noqa: S101  the row is selected by a key that exists
    return tuple(row)
