"""The door's verbs about runs: the ledger, the month that a run publishes, models and past forecasts."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pandas as pd
import psycopg2
from psycopg2.errors import UniqueViolation
from psycopg2.extensions import cursor as Cursor  # noqa: N812  a class under a lower-case name
from psycopg2.extras import Json

from sql.alerts import alert_parameters
from sql.connection import returned_id
from sql.copy import copy_in
from sql.month_key import MonthKey
from sql.queries import statement
from sql.scores import ScoreVerbs


class AlreadyPublishedError(RuntimeError):
    """Another run published this month first; nothing of this run was written."""


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A trained model as stored; `weights` are its bytes, `verdict` the gate's when it was new.

    `model_version_id`, `run_id`, `trained_at_month`, `software` and `created_at` are the database's to say: they come
    from the run that trained it.
    """

    kind: str
    trained_through: date
    holdout_start: date
    holdout_end: date
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
    run_id: int | None = None
    software: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Publication:
    """Everything a finished month adds, written in one transaction.

    Frames have the columns of their tables, without `run_id` and `model_version_id`, which the door fills in. `errors`,
    `restated_errors` and `drift_months` are exceptions: their `run_id` is that of the run that made the forecast.
    `candidates` is another: it names the version of a candidate that was stored before, and none for one trained in
    this run.
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
    restated_errors: pd.DataFrame
    drift_checks: pd.DataFrame
    drift_expectation: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Of the version that made the forecasts; empty when it is stored already."""
    drift_months: pd.DataFrame = field(default_factory=pd.DataFrame)
    drift_symbols: pd.DataFrame = field(default_factory=pd.DataFrame)
    input_checks: pd.DataFrame = field(default_factory=pd.DataFrame)
    outcomes: pd.DataFrame
    alerts: Sequence[Mapping[str, Any]]
    resolved_alerts: Sequence[Mapping[str, Any]]


class RunVerbs(ScoreVerbs):
    """What a run writes and what it reads of earlier ones."""

    def hold_month(self, key: MonthKey) -> AbstractContextManager[bool]:
        """Hold the month for this process; gives False when another one has it."""
        return self._hold(f"{key.source}/{key.universe}/{key.origin_month}")

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
        symbols_requested: int,
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
                "symbols_requested": symbols_requested,
                "flow_run_id": flow_run_id,
                "parameters": Json(parameters),
                "software": Json(software),
                "started_at": started_at,
            }
            cursor.execute(statement("begin_run"), row)
            return returned_id(cursor)

    def freeze_known_at(self, run_id: int) -> datetime:
        """End what a run may learn: returns the moment, by the database's clock, up to which it knows."""
        row = self._read_one("freeze_known_at", run_id=run_id)
        if row is None:
            raise ValueError(f"`run_id` must be that of a run in the ledger; received {run_id}.")
        known_at: datetime = row["known_at"]
        return known_at

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
                cursor.execute(statement("open_alert"), alert_parameters(alert, run_id=run_id, opened_at=finished_at))

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
            version_id = returned_id(cursor)
            copy_in(cursor, "forecast.baseline_coefficient", month.coefficients.assign(model_version_id=version_id))
            copy_in(cursor, "forecast.backtest_error", month.backtest_errors.assign(model_version_id=version_id))
        copy_in(cursor, "forecast.candidate", _name_versions(month, version_id).assign(run_id=run_id))
        copy_in(cursor, "forecast.forecast_origin", month.origins.assign(run_id=run_id, model_version_id=version_id))
        copy_in(cursor, "forecast.forecast", month.forecasts.assign(run_id=run_id))
        scored = self._add_errors(cursor, run_id, month.errors, month.restated_errors, finished_at)
        copy_in(cursor, "ops.drift_check", month.drift_checks.assign(run_id=run_id))
        cursor.execute(statement("stage_drift_months"))
        parts = {
            "incoming_drift_expectation": month.drift_expectation.assign(model_version_id=version_id),
            "incoming_drift_month": month.drift_months.assign(checked_by_run_id=run_id),
            "ops.drift_symbol": month.drift_symbols.assign(run_id=run_id),
            "ops.input_check": month.input_checks.assign(run_id=run_id),
        }
        for table, rows in parts.items():
            if len(rows):
                copy_in(cursor, table, rows)
        cursor.execute(statement("add_drift_months"))
        copy_in(cursor, "ops.symbol_outcome", month.outcomes.assign(run_id=run_id))
        for alert in month.resolved_alerts:
            cleared = {"origin_month": None, **alert, "run_id": run_id, "now": finished_at}
            cursor.execute(statement("resolve_alert"), cleared)
        for alert in month.alerts:
            cursor.execute(statement("open_alert"), alert_parameters(alert, run_id=run_id, opened_at=finished_at))
        ending = {"status": "published", "message": month.message, "served": month.served}
        cursor.execute(
            statement("end_run"),
            {**ending, "symbols_forecast": len(month.origins), "finished_at": finished_at, "run_id": run_id},
        )
        if cursor.rowcount != 1:
            raise AlreadyPublishedError(f"run {run_id} is no longer running: another process took its month over")
        self._refresh_scorecard(cursor, run_id, scored)

    def read_champion(self, key: MonthKey, *, refused: Sequence[int] = ()) -> ModelVersion | None:
        """The newest model version of the universe that knew nothing after the month and is not `refused`."""
        return _as_model(self._read_one("champion", **key.parameters(), refused=list(refused)))

    def read_model(self, model_version_id: int) -> ModelVersion | None:
        """A model version by its number."""
        return _as_model(self._read_one("model_version", model_version_id=model_version_id))

    def read_last_retrained(self, key: MonthKey) -> date | None:
        """The last month up to the key's in whose published runs a model trained from scratch was compared."""
        row = self._read_one("last_retrained", **key.parameters())
        month: date | None = None if row is None else row["origin_month"]
        return month

    def read_run(self, run_id: int) -> dict[str, Any] | None:
        """A run of the ledger: the columns of `ops.run`."""
        return self._read_one("run", run_id=run_id)

    def read_run_symbols(self, run_id: int) -> list[str]:
        """The symbols a run was asked for, in the order it took them."""
        return list(self._read("run_symbols", run_id=run_id)["symbol"])

    def read_run_candidates(self, run_id: int) -> pd.DataFrame:
        """What a run compared: the columns of `forecast.candidate`, from the least change to the most."""
        return self._read("run_candidates", run_id=run_id)

    def read_run_origins(self, run_id: int) -> pd.DataFrame:
        """Where a run's forecasts stood: the columns of `forecast.forecast_origin`, by symbol."""
        return self._read("run_origins", run_id=run_id)

    def read_run_forecasts(self, run_id: int) -> pd.DataFrame:
        """A run's forecasts: the columns of `forecast.forecast`, by symbol, horizon and forecaster."""
        return self._read("run_forecasts", run_id=run_id)

    def read_forecasts_to_check(self, key: MonthKey, *, horizons: Sequence[int], since_month: date) -> pd.DataFrame:
        """Forecasts in force of the horizons that could be scored by the key's month.

        Args:
            key: The month.
            horizons: Months ahead.
            since_month: Those that end before it are left out when they have been watched.

        Returns:
            run_id, model_version_id, symbol, origin_month, horizon, forecaster (what was served, and the baseline),
            is_served, quantiles, actual_log_return (null when the forecast has not been scored yet) and is_checked.
        """
        return self._read(
            "forecasts_to_check",
            source=key.source,
            universe=key.universe,
            through_month=key.origin_month,
            horizons=list(horizons),
            since_month=since_month,
        )

    def read_drift_months(self, key: MonthKey) -> pd.DataFrame:
        """Months watched in force up to the key's: horizon, measure, target_month, value, usual, deviation."""
        return self._read("drift_months", source=key.source, universe=key.universe, through_month=key.origin_month)

    def read_drift_expectation(self, model_version_id: int) -> pd.DataFrame:
        """What is usual of a model version: origin_month, horizon, forecaster, symbols, measure, value, holdout_start."""
        return self._read("drift_expectation", model_version_id=model_version_id)

    def read_drift_before(self, key: MonthKey) -> pd.DataFrame:
        """Drift checks of the universe's last published month before the key's: horizon, measure, status."""
        return self._read("drift_before", **key.parameters())


def _name_versions(month: Publication, version_id: int | None) -> pd.DataFrame:
    """The candidates with the number of the version just stored, where they are it.

    Of the models trained in a run only the one chosen is stored: a candidate of another kind has no version. The
    baseline is that of the model chosen, whether new or kept.
    """
    kinds = ["baseline"] if month.new_model is None else ["baseline", month.new_model.kind]
    numbers = month.candidates["model_version_id"].astype("Int64")
    is_it = month.candidates["candidate"].isin(kinds) & numbers.isna()
    return month.candidates.assign(model_version_id=numbers.mask(is_it, version_id))


def _as_model(row: dict[str, Any] | None) -> ModelVersion | None:
    return None if row is None else ModelVersion(**{**row, "weights": bytes(row["weights"])})


def _model_parameters(model: ModelVersion, *, run_id: int, created_at: datetime) -> dict[str, Any]:
    return {
        "kind": model.kind,
        "parent_id": model.parent_id,
        "run_id": run_id,
        "trained_through": model.trained_through,
        "holdout_start": model.holdout_start,
        "holdout_end": model.holdout_end,
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
