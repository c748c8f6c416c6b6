"""Replay: make a published run's forecasts again from the database alone, and compare. Nothing is written."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from prefect import task

from model.forecaster.network import load_library
from sql.store import ModelVersion, MonthKey, Store
from tasks.database import database_errors, get_store
from tasks.errors import BadRequestError, DamagedModelError
from tasks.month.check import drop_rejected, read_months
from tasks.month.forecast import describe_origins
from tasks.month.run import software_versions
from tasks.month.train import build_panel, fine_tune_model, train_from_scratch
from tasks.plans.month import Instrument, MonthPlan, PricesPlan
from tasks.processes import quiet_stderr
from tasks.progress import log_line, show_progress
from tasks.registry import fingerprint, restore, weights_sha256
from tasks.retries import STEP

_ROW = ["symbol", "horizon", "forecaster"]
_ORIGIN_VALUES = ["origin_session", "origin_close", "naive_mae"]
_LARGEST_ID = 2**63 - 1  # Postgres' bigint
_ENDINGS = {
    "running": "is not over yet: there is nothing to replay before it has published",
    "failed": "failed and published nothing, so there is nothing to replay",
    "abandoned": "was abandoned and published nothing, so there is nothing to replay",
}


@dataclass(frozen=True)
class StoredRun:
    """A published run as the database remembers it."""

    plan: MonthPlan
    """The month, with the run's own `as_of` and `known_at`."""
    ledger: dict[str, Any] = field(repr=False)
    """Columns of `ops.run`."""
    model: ModelVersion = field(repr=False)
    """The version that made its forecasts."""
    origins: pd.DataFrame = field(repr=False)
    """Columns of `forecast.forecast_origin`."""

    @property
    def run_id(self) -> int:
        """Number of the run."""
        return int(self.ledger["run_id"])


@dataclass(frozen=True)
class Replay:
    """What a run said and why, and whether saying it again gives the same."""

    run_id: int
    key: MonthKey
    ledger: dict[str, Any] = field(repr=False)
    """Columns of `ops.run`."""
    model: ModelVersion = field(repr=False)
    candidates: pd.DataFrame = field(repr=False)
    """Columns of `forecast.candidate`: what was compared, with numbers and reasons."""
    rows: int
    """Rows stored, one a symbol, horizon and forecaster."""
    differing: pd.DataFrame = field(repr=False)
    """symbol, horizon, forecaster, quantile, stored, replayed: values that are not the same to the bit."""
    one_sided: pd.DataFrame = field(repr=False)
    """symbol, horizon, forecaster, lacks ('stored' or 'replayed'): rows that only one of the two has."""
    changed_origins: pd.DataFrame = field(repr=False)
    """symbol, and what differs of its origin's session, close and usual move: the months are not those of then."""
    stored_fingerprint: str | None
    """Of the months the run trained on; None when it kept its model, whose months were another run's."""
    found_fingerprint: str
    software: pd.DataFrame = field(repr=False)
    """name, then, now: versions of what shapes the numbers."""
    model_sha256: str
    """Of the stored model's weights, serialised in today's format; the stored bytes may have an earlier one."""
    retrained_sha256: str | None = None
    """Of the model's weights, trained once more; None when that was not asked for."""

    @property
    def is_identical(self) -> bool:
        """Whether every row is the same to the bit, the months are those of then, and so are weights trained anew."""
        is_same = self.differing.empty and self.one_sided.empty and self.changed_origins.empty
        has_data = self.stored_fingerprint in (None, self.found_fingerprint)
        return is_same and has_data and self.retrained_sha256 in (None, self.model_sha256)

    @property
    def largest_difference(self) -> float:
        """Largest absolute difference of a quantile, log return; 0 when none differs."""
        if self.differing.empty:
            return 0.0
        return float((self.differing["stored"] - self.differing["replayed"]).abs().max())

    @property
    def changed_software(self) -> pd.DataFrame:
        """Rows of `software` whose versions are not the same."""
        return self.software[self.software["then"] != self.software["now"]]


def read_stored_run(store: Store, run_id: int) -> StoredRun:
    """A published run, its model and where its forecasts stood.

    Raises:
        BadRequestError: if there is no such run, or it published nothing.
    """
    with database_errors():
        ledger = store.read_run(run_id) if 0 < run_id <= _LARGEST_ID else None
        if ledger is None:
            raise BadRequestError(f"There is no run {run_id} here; `bellwether status` lists the last ones.")
        if ledger["status"] != "published":
            said = f": {ledger['message']}" if ledger["message"] else "."
            raise BadRequestError(f"Run {run_id} {_ENDINGS[ledger['status']]}{said}")
        origins = store.read_run_origins(run_id)
        symbols = store.read_run_symbols(run_id)
        known = store.read_instruments(symbols).set_index("symbol")
        model = None if origins.empty else store.read_model(int(origins["model_version_id"].iloc[0]))
    if model is None:
        raise BadRequestError(f"Run {run_id} has no forecast in this database, so there is nothing to replay.")
    return StoredRun(_plan_of(ledger, symbols, known), ledger, model, origins)


@task(name="rebuild", **STEP)
def rebuild_months(run: StoredRun) -> pd.DataFrame:
    """The months that the run saw, from the bars, splits and dividends it knew; columns of `build_months`.

    The symbols are screened in the run's order and chunks, for a rule may compare the symbols of a chunk.
    """
    symbols, size = run.plan.prices.symbols, int(run.ledger["parameters"].get("chunk_symbols", len(run.origins)))
    parts = []
    for start in range(0, len(symbols), size):
        months, _ = drop_rejected(*read_months(run.plan, symbols[start : start + size]))
        parts.append(months)
        show_progress("rebuild", min(start + size, len(symbols)), len(symbols))
    months = pd.concat(parts, ignore_index=True)
    log_line(
        "rebuild",
        f"{months['symbol'].nunique()} symbols up to {run.plan.key.origin_month:%Y-%m}, as known at "
        f"{run.plan.known_at:%Y-%m-%d %H:%M:%S} UTC",
    )
    return months


@task(name="forecast", **STEP)
def forecast_again(run: StoredRun, months: pd.DataFrame) -> pd.DataFrame:
    """The run's forecasts from its stored weights; columns of `Forecaster.forecast_many`.

    Raises:
        DamagedModelError: if the weights are damaged or of another program.
    """
    with quiet_stderr():
        load_library()
    forecaster = restore(run.model)
    panel = build_panel(months, forecaster.config)
    everything = forecaster.forecast(panel, pd.Timestamp(run.plan.key.origin_month))
    made = everything[everything["symbol"].isin(run.origins["symbol"])].reset_index(drop=True)
    log_line("forecast", f"{made['symbol'].nunique()} symbols with model {run.model.model_version_id}")
    return made


@task(name="retrain", **STEP)
def retrain_weights(run: StoredRun, months: pd.DataFrame) -> str:
    """SHA-256 of the weights of the run's model, trained once more on the months, with its config and seeds.

    Args:
        run: The run that trained the model, which is not always the one that was replayed.
        months: Of `rebuild_months` for that run.

    Raises:
        DamagedModelError: if the model, or the one it was fine-tuned from, is damaged or of another program.
    """
    with quiet_stderr():
        load_library()
    config = restore(run.model).config
    panel = build_panel(months, config)
    if run.model.kind == "fine_tune":
        again = fine_tune_model(restore(_parent_of(run.model)), panel)
    else:
        again = train_from_scratch(panel, config)
    return weights_sha256(again)


def compare_with_stored(
    run: StoredRun, months: pd.DataFrame, made: pd.DataFrame, retrained_sha256: str | None
) -> Replay:
    """Every stored row beside the one made again.

    Args:
        run: The run.
        months: Of `rebuild_months`.
        made: Of `forecast_again`.
        retrained_sha256: Of `retrain_weights`; None when that was not asked for.
    """
    with database_errors():
        store = get_store()
        stored = store.read_run_forecasts(run.run_id)
        candidates = store.read_run_candidates(run.run_id)
    differing, one_sided = compare_rows(stored, made)
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
        found_fingerprint=fingerprint(months),
        software=pd.DataFrame(versions, columns=["name", "then", "now"]),
        model_sha256=weights_sha256(restore(run.model)),
        retrained_sha256=retrained_sha256,
    )
    log_line("compare", outcome_sentence(replay))
    return replay


def compare_rows(stored: pd.DataFrame, made: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Which quantiles differ, and which rows only one of the two has.

    Args:
        stored: symbol, horizon, forecaster and a column a quantile; one row each.
        made: The same columns, and maybe others; rows in any order.

    Returns:
        symbol, horizon, forecaster, quantile, stored, replayed; and symbol, horizon, forecaster, lacks.
    """
    quantiles = [name for name in stored.columns if name.startswith("q") and name[1:].isdigit()]
    old, new = (frame.set_index(_ROW)[quantiles].sort_index() for frame in (stored, made))
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
    """Whether the replay gave what is stored; if not, what and by how much."""
    if replay.is_identical:
        return f"Run {replay.run_id} is replayed: {replay.rows} of {replay.rows} rows are identical to the bit."
    faults = []
    if len(replay.differing):
        rows = len(replay.differing[_ROW].drop_duplicates())
        first = replay.differing.iloc[0]
        faults.append(
            f"{rows} of {replay.rows} rows differ, by {replay.largest_difference:.3g} at most (the first: "
            f"{_row(first)}, {first['quantile']} was {float(first['stored'])!r} and is {float(first['replayed'])!r})"
        )
    for lacks, records_of in replay.one_sided.groupby("lacks"):
        where = "are not stored" if lacks == "stored" else "cannot be made again"
        faults.append(f"{len(records_of)} rows {where} (the first: {_row(records_of.iloc[0])})")
    if len(replay.changed_origins):
        first = replay.changed_origins.iloc[0]
        faults.append(
            f"the months of {len(replay.changed_origins)} symbols are not those of then "
            f"(the first: {first['symbol']}, {first['differs']})"
        )
    if replay.stored_fingerprint not in (None, replay.found_fingerprint):
        faults.append("the data's fingerprint is not the one stored")
    if replay.retrained_sha256 not in (None, replay.model_sha256):
        faults.append("the model trained once more has other weights")
    return f"Run {replay.run_id} differs when it is replayed: {'; '.join(faults)}."


def explain_replay(replay: Replay) -> list[str]:
    """What the run said and why, and what it said it with; a line each. `outcome_sentence` has the comparison."""
    run, model = replay.ledger, replay.model
    key = replay.key
    parent = "" if model.parent_id is None else f" from model {model.parent_id}"
    lines = [
        f"Run {replay.run_id} forecast {key.universe} ({key.source}) from {key.origin_month:%Y-%m}: as of "
        f"{run['as_of']}, known at {run['known_at']:%Y-%m-%d %H:%M:%S %Z}, mode {run['mode']}, "
        f"correction {run['correction']}.",
        f"It said: {run['message']}",
    ]
    lines += [
        f"Compared: {row['candidate']}, CRPS {row['crps']:.5f} (baseline {row['baseline_crps']:.5f}, persistence "
        f"{row['persistence_crps']:.5f}) over {row['holdout_months']} months{', served' if row['is_served'] else ''}. "
        f"{row['reason']}"
        for row in replay.candidates.to_dict("records")
    ]
    lines.append(
        f"Its model is {model.model_version_id}: {model.kind}{parent} by run {model.run_id}, trained through "
        f"{model.trained_through:%Y-%m}, judged on {model.holdout_start:%Y-%m} to {model.holdout_end:%Y-%m}, seed "
        f"{model.seed}, sha256 {model.weights_sha256[:12]}…. The verdict then: {model.verdict_reason}"
    )
    if replay.stored_fingerprint is None:
        lines.append(f"Data: the model was kept, so no fingerprint is stored; the months' is {_short(replay)}.")
    else:
        is_same = replay.stored_fingerprint == replay.found_fingerprint
        lines.append(f"Data: the months' fingerprint {_short(replay)} is {'' if is_same else 'not '}the one stored.")
    changed = ", ".join(
        f"{row['name']} {row['then']} then, {row['now']} now" for row in replay.changed_software.to_dict("records")
    )
    lines.append(f"Software: {changed or 'the same versions as then'}.")
    if replay.retrained_sha256 is not None:
        is_same = replay.retrained_sha256 == replay.model_sha256
        lines.append(
            f"Trained once more, the model has {'the same' if is_same else 'other'} weights "
            f"(sha256 {replay.retrained_sha256[:12]}…)."
        )
    return lines


def _plan_of(ledger: dict[str, Any], symbols: list[str], known: pd.DataFrame) -> MonthPlan:
    """The run's plan, as far as a replay needs it."""
    parameters = ledger["parameters"]
    instruments = tuple(
        Instrument(
            symbol=symbol,
            exchange_mic=known["exchange_mic"].get(symbol, ""),
            currency_code=known["currency_code"].get(symbol, ""),
        )
        for symbol in symbols
    )
    return MonthPlan(
        key=MonthKey(source=ledger["source"], universe=ledger["universe"], origin_month=ledger["origin_month"]),
        as_of=ledger["as_of"],
        known_at=ledger["known_at"],
        prices=PricesPlan(
            source_spec=parameters.get("source", ledger["source"]),
            universe=ledger["universe"],
            instruments=instruments,
            requested_at=ledger["started_at"],
        ),
        mode=ledger["mode"],
        correction=ledger["correction"],
        min_coverage=parameters.get("min_coverage", 0.0),
        published_run_id=ledger["run_id"],
    )


def _parent_of(model: ModelVersion) -> ModelVersion:
    with database_errors():
        parent = None if model.parent_id is None else get_store().read_model(model.parent_id)
    if parent is None:
        raise DamagedModelError(
            f"Model {model.model_version_id} cannot be trained once more: its parent is not stored."
        )
    return parent


def _changed_origins(stored: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """symbol, differs: origins that are not the same to the bit, and in what."""
    both = stored.merge(found, on="symbol", how="left", suffixes=("", "_found"))
    differs = pd.DataFrame({name: both[name] != both[f"{name}_found"] for name in _ORIGIN_VALUES})
    what = [", ".join(name for name in _ORIGIN_VALUES if row[name]) for row in differs.to_dict("records")]
    return both[["symbol"]].assign(differs=what)[differs.any(axis=1)].reset_index(drop=True)


def _row(row: pd.Series) -> str:
    return f"{row['symbol']}, {row['horizon']} months ahead, {row['forecaster']}"


def _short(replay: Replay) -> str:
    return f"{replay.found_fingerprint[:12]}…"
