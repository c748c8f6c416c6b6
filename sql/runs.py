"""Verbs about runs: the ledger, publication of a month, models, past forecasts and drift."""

from collections.abc import Callable, Mapping, Sequence
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
from sql.session.errors import LockLostError


class AlreadyPublishedError(RuntimeError):
    """Another run published this month first; nothing of this run was stored."""


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A trained model as stored; see the columns of `forecast.model_version`.

    The database sets `model_version_id`, `run_id`, `trained_at_month`, `software` and `created_at`, from the run that
    trained the model.
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
    """All rows of a finished month, stored in one transaction.

    Frames have the columns of their tables without `run_id` and `model_version_id`, which `publish` adds. Exceptions:
    `errors`, `restated_errors` and `drift_months` contain the `run_id` of the run that made the forecast, and
    `candidates` contains the `model_version_id` of stored versions, null for a model trained in this run.
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
    """Rows of the version that made the forecasts; empty if stored before."""
    drift_months: pd.DataFrame = field(default_factory=pd.DataFrame)
    drift_symbols: pd.DataFrame = field(default_factory=pd.DataFrame)
    input_checks: pd.DataFrame = field(default_factory=pd.DataFrame)
    outcomes: pd.DataFrame
    alerts: Sequence[Mapping[str, Any]]
    resolved_alerts: Sequence[Mapping[str, Any]]


class RunVerbs(ScoreVerbs):
    """Storage of runs and their results."""

    def hold_month(self, key: MonthKey, *, on_loss: Callable[[], None] | None = None) -> AbstractContextManager[bool]:
        """Lock the month for this process; yields False if another process holds it.

        Args:
            key: The month.
            on_loss: Called from another thread if the connection that holds the lock ends within the block.
        """
        return self._hold(_lock_name(key), on_loss=on_loss)

    def require_month(self, key: MonthKey) -> None:
        """Check that this process still holds the month.

        Raises:
            LockLostError: if it does not: another process may hold it now.
        """
        self._require_lock(_lock_name(key))

    def find_published(self, key: MonthKey) -> dict[str, Any] | None:
        """Read the run in force of a month: run_id, correction, as_of, served, finished_at; None without one."""
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
        config: Mapping[str, Any] | None = None,
    ) -> int:
        """Add a running run to the ledger, and mark earlier running runs of the month as abandoned.

        Args:
            key: The month; the caller holds its lock.
            correction: 0 for the first publication of the month, else that of the last one plus 1.
            as_of: Date of the last event that the run may use.
            known_at: Time of the last knowledge that the run may use, UTC.
            mode: Selection of the model: auto, keep, retrain or baseline.
            symbols_requested: Number of symbols in the universe.
            flow_run_id: Prefect's id of the flow run.
            parameters: Parameters of the run.
            software: Versions of the libraries that affect the numbers.
            started_at: Start, UTC.
            config: Every scientific choice of the run.

        Returns:
            Number of the run.
        """
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
                "config": None if config is None else Json(config),
                "software": Json(software),
                "started_at": started_at,
            }
            cursor.execute(statement("begin_run"), row)
            return returned_id(cursor)

    def freeze_known_at(self, run_id: int) -> datetime:
        """Set the `known_at` of a run to the current time of the database's clock, and return it; UTC.

        Raises:
            ValueError: if the ledger has no such run.
        """
        row = self._read_one("freeze_known_at", run_id=run_id)
        if row is None:
            raise ValueError(f"`run_id` must be the number of a run in the ledger, received {run_id}.")
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
        """End a run without publication; nothing if it has ended before.

        Args:
            run_id: Number of the run.
            message: Cause, one sentence.
            finished_at: End, UTC.
            outcomes: Columns of `ops.symbol_outcome` without run_id.
            alert: Alert to open, as in `open_alert`.
        """
        with self._cursor() as cursor:
            result = {"status": "failed", "message": message, "served": None, "symbols_forecast": None}
            cursor.execute(statement("end_run"), {**result, "finished_at": finished_at, "run_id": run_id})
            if cursor.rowcount != 1:
                return
            if outcomes is not None:
                copy_in(cursor, "ops.symbol_outcome", outcomes.assign(run_id=run_id))
            if alert is not None:
                cursor.execute(statement("open_alert"), alert_parameters(alert, run_id=run_id, opened_at=finished_at))

    def publish(self, run_id: int, publication: Publication, *, finished_at: datetime) -> None:
        """Store a finished month in one transaction; nothing if the run has published it before.

        A connection that is lost during the commit leaves the result unknown: the next attempt finds it.

        Raises:
            AlreadyPublishedError: if another run published the month first.
            LockLostError: if another process has marked the run as abandoned.
        """
        try:
            with self._cursor() as cursor:
                cursor.execute(statement("lock_run"), {"run_id": run_id})
                row = cursor.fetchone()
                if row == ("published",):
                    return
                if row is not None and row != ("running",):
                    raise LockLostError(f"Run {run_id} published nothing: its row in the ledger is marked as {row[0]}.")
                self._publish(cursor, run_id, publication, finished_at)
        except UniqueViolation as error:
            if error.diag.constraint_name == "run_published_once":
                raise AlreadyPublishedError(
                    f"Run {run_id} published nothing: another run published its month first."
                ) from error
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
        result = {"status": "published", "message": month.message, "served": month.served}
        cursor.execute(
            statement("end_run"),
            {**result, "symbols_forecast": len(month.origins), "finished_at": finished_at, "run_id": run_id},
        )
        self._refresh_scorecard(cursor, run_id, scored)

    def read_champion(self, key: MonthKey, *, refused: Sequence[int] = ()) -> ModelVersion | None:
        """Read the universe's newest model version from a run up to the month, without the versions in `refused`."""
        return _as_model(self._read_one("champion", **key.parameters(), refused=list(refused)))

    def read_model(self, model_version_id: int) -> ModelVersion | None:
        """Read a model version by its number; None without one."""
        return _as_model(self._read_one("model_version", model_version_id=model_version_id))

    def read_last_retrained(self, key: MonthKey) -> date | None:
        """Read the last month, up to the key's, with a candidate trained from scratch; None without one."""
        row = self._read_one("last_retrained", **key.parameters())
        month: date | None = None if row is None else row["origin_month"]
        return month

    def read_run(self, run_id: int) -> dict[str, Any] | None:
        """Read a run of the ledger: the columns of `ops.run`; None without one."""
        return self._read_one("run", run_id=run_id)

    def read_run_symbols(self, run_id: int) -> list[str]:
        """Read the requested symbols of a run in their original order."""
        return list(self._read("run_symbols", run_id=run_id)["symbol"])

    def read_run_candidates(self, run_id: int) -> pd.DataFrame:
        """Read the candidates of a run: the columns of `forecast.candidate`; keep, fine_tune, retrain, baseline."""
        return self._read("run_candidates", run_id=run_id)

    def read_run_origins(self, run_id: int) -> pd.DataFrame:
        """Read the origins of a run's forecasts: the columns of `forecast.forecast_origin`, sorted by symbol."""
        return self._read("run_origins", run_id=run_id)

    def read_run_forecasts(self, run_id: int) -> pd.DataFrame:
        """Read a run's forecasts: the columns of `forecast.forecast`, sorted by symbol, horizon and forecaster."""
        return self._read("run_forecasts", run_id=run_id)

    def read_forecasts_to_check(self, key: MonthKey, *, horizons: Sequence[int], since_month: date) -> pd.DataFrame:
        """Read forecasts in force with target months up to the key's month, for the drift monitor.

        Args:
            key: The month.
            horizons: Months ahead.
            since_month: Checked forecasts with earlier target months are omitted.

        Returns:
            Columns run_id, model_version_id, symbol, origin_month, horizon, forecaster (the served one and the
            baseline), is_served, quantiles (log return), actual_log_return (null if not scored yet), is_checked.
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
        """Read drift months up to the key's month: horizon, measure, target_month, value, expected, deviation."""
        return self._read("drift_months", source=key.source, universe=key.universe, through_month=key.origin_month)

    def read_drift_expectation(self, model_version_id: int) -> pd.DataFrame:
        """Read the drift expectation rows of a model version.

        Returns:
            Columns origin_month, horizon, forecaster, symbols, measure, value, holdout_start.
        """
        return self._read("drift_expectation", model_version_id=model_version_id)

    def read_drift_before(self, key: MonthKey) -> pd.DataFrame:
        """Read the drift checks of the last published month before the key's: horizon, measure, status."""
        return self._read("drift_before", **key.parameters())


def _lock_name(key: MonthKey) -> str:
    return f"{key.source}/{key.universe}/{key.origin_month}"


def _name_versions(month: Publication, version_id: int | None) -> pd.DataFrame:
    """Return the candidates with the number of the published version, for the candidate it came from and the baseline.

    A run stores only the selected one of its trained models: other new candidates have no version. The baseline belongs
    to the selected model, new or kept.
    """
    kinds = ["baseline"] if month.new_model is None else ["baseline", month.new_model.kind]
    numbers = month.candidates["model_version_id"].astype("Int64")
    is_published = month.candidates["candidate"].isin(kinds) & numbers.isna()
    return month.candidates.assign(model_version_id=numbers.mask(is_published, version_id))


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
