"""Replay: the forecasts of a published run, made again from the database alone and compared. Writes nothing."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from prefect import task

from model.forecaster.network import load_library
from sql.store import ModelVersion, MonthKey
from tasks.database import database_errors, get_store
from tasks.errors import DamagedModelError
from tasks.month.forecast import describe_origins
from tasks.month.run import software_versions
from tasks.month.train import build_panel, fine_tune_model, train_from_scratch
from tasks.processes import quiet_stderr
from tasks.progress import log_line
from tasks.registry import fingerprint_months, restore, weights_sha256
from tasks.research.stored_run import StoredRun
from tasks.retries import STEP

_ROW = ["symbol", "horizon", "forecaster"]
_ORIGIN_VALUES = ["origin_session", "origin_close", "naive_mae"]


@dataclass(frozen=True)
class Replay:
    """A run beside its replay."""

    run_id: int
    key: MonthKey
    ledger: dict[str, Any] = field(repr=False)
    """Columns of `ops.run`."""
    model: ModelVersion = field(repr=False)
    candidates: pd.DataFrame = field(repr=False)
    """Columns of `forecast.candidate`: the models that the run compared."""
    rows: int
    """Stored forecasts: one row per symbol, horizon and forecaster."""
    differing: pd.DataFrame = field(repr=False)
    """symbol, horizon, forecaster, quantile, stored, replayed: the values that are not identical to the bit."""
    one_sided: pd.DataFrame = field(repr=False)
    """symbol, horizon, forecaster, lacks ('stored' or 'replayed'): the rows that only one side has."""
    changed_origins: pd.DataFrame = field(repr=False)
    """symbol, differs: names of the origin's columns that have changed, which means that the months have changed."""
    stored_fingerprint: str | None
    """Of the months that the run trained its model on; None if it kept an earlier run's model."""
    replayed_fingerprint: str
    """Of the months that the replay was made from."""
    software: pd.DataFrame = field(repr=False)
    """name, then, now: versions of the libraries that affect the numbers."""
    model_sha256: str
    """Of the stored model's weights in today's format; the stored bytes may have an earlier one."""
    retrained_sha256: str | None = None
    """Of the weights of the model trained again; None if that was not requested."""

    @property
    def is_identical(self) -> bool:
        """Whether all rows, the months, and the weights if trained again, are identical to the bit."""
        is_same = self.differing.empty and self.one_sided.empty and self.changed_origins.empty
        has_data = self.stored_fingerprint in (None, self.replayed_fingerprint)
        return is_same and has_data and self.retrained_sha256 in (None, self.model_sha256)

    @property
    def largest_difference(self) -> float:
        """Largest absolute difference of a quantile, log return; 0 if none differs."""
        if self.differing.empty:
            return 0.0
        return float((self.differing["stored"] - self.differing["replayed"]).abs().max())

    @property
    def changed_software(self) -> pd.DataFrame:
        """Rows of `software` with two different versions."""
        return self.software[self.software["then"] != self.software["now"]]


@task(name="forecast", **STEP)
def forecast_again(run: StoredRun, months: pd.DataFrame) -> pd.DataFrame:
    """Make the run's forecasts again, with its stored weights.

    Args:
        run: The run.
        months: Of `rebuild_months`.

    Returns:
        Columns of `Forecaster.forecast_many`.

    Raises:
        DamagedModelError: if the weights are damaged or of another version of the program.
    """
    with quiet_stderr():
        load_library()
    forecaster = restore(run.model)
    panel = build_panel(months, forecaster.config)
    forecast = forecaster.forecast(panel, pd.Timestamp(run.plan.key.origin_month))
    replayed = forecast[forecast["symbol"].isin(run.origins["symbol"])].reset_index(drop=True)
    log_line("forecast", f"{replayed['symbol'].nunique()} symbols, model {run.model.model_version_id}")
    return replayed


@task(name="retrain", **STEP)
def retrain_weights(run: StoredRun, months: pd.DataFrame) -> str:
    """Train the run's model again, with its config, seeds and months.

    Args:
        run: The run that trained the model; the replayed run may have kept it.
        months: Of `rebuild_months` for that run.

    Returns:
        SHA-256 of the weights, hexadecimal.

    Raises:
        DamagedModelError: if the model or its parent is damaged or of another version of the program.
    """
    with quiet_stderr():
        load_library()
    config = restore(run.model).config
    panel = build_panel(months, config)
    if run.model.kind == "fine_tune":
        forecaster = fine_tune_model(restore(_parent_of(run.model)), panel)
    else:
        forecaster = train_from_scratch(panel, config)
    return weights_sha256(forecaster)


def compare_with_stored(
    run: StoredRun, months: pd.DataFrame, replayed: pd.DataFrame, retrained_sha256: str | None
) -> Replay:
    """Compare the stored forecasts of a run with the replayed ones.

    Args:
        run: The run.
        months: Of `rebuild_months`.
        replayed: Of `forecast_again`.
        retrained_sha256: Of `retrain_weights`; None if that was not requested.
    """
    with database_errors():
        store = get_store()
        stored = store.read_run_forecasts(run.run_id)
        candidates = store.read_run_candidates(run.run_id)
    differing, one_sided = compare_rows(stored, replayed)
    origins = describe_origins(run.plan, months, run.origins["symbol"].to_numpy())
    then, now = run.ledger["software"], software_versions()
    versions = [(name, then.get(name), now.get(name)) for name in {**then, **now}]
    replay = Replay(
        run_id=run.run_id,
        key=run.plan.key,
        ledger=run.ledger,
        model=run.model,
        candidates=candidates,
        rows=len(stored),
        differing=differing,
        one_sided=one_sided,
        changed_origins=_changed_origins(run.origins, origins),
        stored_fingerprint=run.model.data_fingerprint if run.model.run_id == run.run_id else None,
        replayed_fingerprint=fingerprint_months(months),
        software=pd.DataFrame(versions, columns=["name", "then", "now"]),
        model_sha256=weights_sha256(restore(run.model)),
        retrained_sha256=retrained_sha256,
    )
    log_line("compare", outcome_sentence(replay))
    return replay


def compare_rows(stored: pd.DataFrame, replayed: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find the quantiles that differ, and the rows that only one side has.

    Args:
        stored: symbol, horizon, forecaster and the quantiles; one row per key.
        replayed: The same columns, and possibly others; rows in any order.

    Returns:
        Differing values (symbol, horizon, forecaster, quantile, stored, replayed) and one-sided rows (symbol, horizon,
        forecaster, lacks).
    """
    quantiles = [name for name in stored.columns if name.startswith("q") and name[1:].isdigit()]
    old, new = (frame.set_index(_ROW)[quantiles].sort_index() for frame in (stored, replayed))
    common = old.index.intersection(new.index)
    before, after = old.loc[common].to_numpy(), new.loc[common].to_numpy()
    row, column = np.nonzero(before != after)
    differing = (
        common[row]
        .to_frame(index=False)
        .assign(
            quantile=np.array(quantiles, dtype=object)[column], stored=before[row, column], replayed=after[row, column]
        )
    )
    sides = {"replayed": old.index.difference(new.index), "stored": new.index.difference(old.index)}
    one_sided = pd.concat([index.to_frame(index=False).assign(lacks=lacks) for lacks, index in sides.items()])
    return differing, one_sided.reset_index(drop=True)


def outcome_sentence(replay: Replay) -> str:
    """Summarise a replay in one sentence: identical, or the kinds and sizes of the differences."""
    if replay.is_identical:
        return f"The replay of run {replay.run_id} is identical to the bit: {replay.rows} of {replay.rows} rows."
    faults = []
    if len(replay.differing):
        rows = len(replay.differing[_ROW].drop_duplicates())
        first = replay.differing.iloc[0]
        faults.append(
            f"{rows} of {replay.rows} rows differ, by at most {replay.largest_difference:.3g} (first: {_row(first)}, "
            f"{first['quantile']} stored {float(first['stored'])!r}, replayed {float(first['replayed'])!r})"
        )
    for lacks, rows_lacking in replay.one_sided.groupby("lacks"):
        where = "are not stored" if lacks == "stored" else "are not replayed"
        faults.append(f"{len(rows_lacking)} rows {where} (first: {_row(rows_lacking.iloc[0])})")
    if len(replay.changed_origins):
        first = replay.changed_origins.iloc[0]
        faults.append(
            f"the months of {len(replay.changed_origins)} symbols have changed "
            f"(first: {first['symbol']}, {first['differs']})"
        )
    if replay.stored_fingerprint not in (None, replay.replayed_fingerprint):
        faults.append("the fingerprint of the months differs from the stored one")
    if replay.retrained_sha256 not in (None, replay.model_sha256):
        faults.append("the weights of the model trained again differ")
    return f"The replay of run {replay.run_id} differs: {'; '.join(faults)}."


def explain_replay(replay: Replay) -> list[str]:
    """Describe the run, its candidates, model, data and software, one per line."""
    run, model = replay.ledger, replay.model
    key = replay.key
    parent = "" if model.parent_id is None else f" from model {model.parent_id}"
    lines = [
        f"Run {replay.run_id}: {key.universe} ({key.source}) from {key.origin_month:%Y-%m}, as of {run['as_of']}, "
        f"known at {run['known_at']:%Y-%m-%d %H:%M:%S %Z}, mode {run['mode']}, correction {run['correction']}.",
        f"Message: {run['message']}",
    ]
    lines += [
        f"Candidate {row['candidate']}: CRPS {row['crps']:.5f} (baseline {row['baseline_crps']:.5f}, persistence "
        f"{row['persistence_crps']:.5f}) over {row['holdout_months']} holdout months"
        f"{', served' if row['is_served'] else ''}. {row['reason']}"
        for row in replay.candidates.to_dict("records")
    ]
    lines.append(
        f"Model {model.model_version_id}: {model.kind}{parent} by run {model.run_id}, trained through "
        f"{model.trained_through:%Y-%m}, holdout {model.holdout_start:%Y-%m} to {model.holdout_end:%Y-%m}, seed "
        f"{model.seed}, sha256 {model.weights_sha256[:12]}…. Verdict: {model.verdict_reason}"
    )
    if replay.stored_fingerprint is None:
        lines.append(f"Data: fingerprint {_short(replay)}; none is stored, because the run kept its model.")
    else:
        is_same = replay.stored_fingerprint == replay.replayed_fingerprint
        lines.append(
            f"Data: fingerprint {_short(replay)}, {'identical to' if is_same else 'different from'} the stored one."
        )
    changed = ", ".join(
        f"{row['name']} {row['then']} in the run, {row['now']} now"
        for row in replay.changed_software.to_dict("records")
    )
    lines.append(f"Software: {changed or 'the same versions as in the run'}.")
    if replay.retrained_sha256 is not None:
        is_same = replay.retrained_sha256 == replay.model_sha256
        lines.append(
            f"Training: the model trained again has {'the same' if is_same else 'different'} weights "
            f"(sha256 {replay.retrained_sha256[:12]}…)."
        )
    return lines


def _parent_of(model: ModelVersion) -> ModelVersion:
    """Read the version that a model was fine-tuned from."""
    with database_errors():
        parent = None if model.parent_id is None else get_store().read_model(model.parent_id)
    if parent is None:
        raise DamagedModelError(f"Model {model.model_version_id} cannot be trained again: its parent is not stored.")
    return parent


def _changed_origins(stored: pd.DataFrame, replayed: pd.DataFrame) -> pd.DataFrame:
    """Return symbol and differs: the origins that are not identical to the bit, and their differing columns."""
    both = stored.merge(replayed, on="symbol", how="left", suffixes=("", "_replayed"))
    differs = pd.DataFrame({name: both[name] != both[f"{name}_replayed"] for name in _ORIGIN_VALUES})
    names = [", ".join(name for name in _ORIGIN_VALUES if row[name]) for row in differs.to_dict("records")]
    return both[["symbol"]].assign(differs=names)[differs.any(axis=1)].reset_index(drop=True)


def _row(row: pd.Series) -> str:
    return f"{row['symbol']}, {row['horizon']} months ahead, {row['forecaster']}"


def _short(replay: Replay) -> str:
    return f"{replay.replayed_fingerprint[:12]}…"
