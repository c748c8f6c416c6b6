"""Train and compare: the candidates of the month, and which of them is served."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd
from prefect import task

from model.backtest import score_origins
from model.config import ForecasterConfig
from model.features import Panel, make_panel
from model.forecaster import Forecaster, train
from model.gate import Verdict, judge
from model.network import load_library
from model.split import Split, split_origins
from model.training import Epoch
from model.weights import from_bytes, to_bytes
from sql.store import ModelVersion
from tasks.checking import Checked
from tasks.database import database_errors, get_store
from tasks.errors import NotEnoughHistoryError
from tasks.planning import MonthPlan
from tasks.progress import log_line, show_progress
from tasks.steps import STEP

CONFIG = ForecasterConfig()
RETRAIN_AFTER_MONTHS = 12  # a model in service is trained anew after a year, or at once when drift is in alarm
CANDIDATE_COLUMNS = [
    "candidate",
    "model_version_id",
    "months_judged",
    "crps",
    "baseline_crps",
    "persistence_crps",
    "p_value",
    "is_served",
    "reason",
]
BACKTEST_KEYS = ["origin_month", "horizon", "forecaster"]


@dataclass(frozen=True)
class Candidate:
    """A model that may serve, and the months it may be judged on."""

    name: str
    """keep or retrain."""
    forecaster: Forecaster = field(repr=False)
    judged_from: date
    trained_through: date
    model_version_id: int | None = None
    """None when it was trained in this run."""
    age_months: int = 0


@dataclass(frozen=True)
class Candidates:
    """The month's panel and the models that may serve."""

    panel: Panel = field(repr=False)
    models: tuple[Candidate, ...]
    data_fingerprint: str


@dataclass(frozen=True)
class Choice:
    """The model of the month, which of its forecasters is served, and why."""

    panel: Panel = field(repr=False)
    forecaster: Forecaster = field(repr=False)
    served: str
    """hybrid or baseline."""
    reason: str
    new_model: ModelVersion | None = field(repr=False)
    kept_model_id: int | None
    candidates: pd.DataFrame = field(repr=False)
    """CANDIDATE_COLUMNS."""
    backtest_errors: pd.DataFrame = field(repr=False)
    """Of the judged months: BACKTEST_KEYS, symbols, crps, absolute_error, covered_80, covered_95."""

    def usual_relative_loss(self, horizon: int) -> tuple[float, float]:
        """Mean and standard deviation of log(CRPS served / CRPS baseline) over the judged months of a horizon."""
        own = self.backtest_errors[self.backtest_errors["horizon"] == horizon]
        crps = own.pivot(index="origin_month", columns="forecaster", values="crps")
        ratio = np.log(crps["hybrid"] / crps["baseline"])
        # What is served as the baseline is as good as the baseline.
        return (0.0 if self.served == "baseline" else float(ratio.mean())), float(ratio.std())


@task(name="train", **STEP)
def train_candidates(plan: MonthPlan, config: ForecasterConfig, checked: Checked) -> Candidates:
    """The model in service and, when its time has come or none is there, one trained from scratch.

    Raises:
        NotEnoughHistoryError: if there are too few months to train and to judge.
    """
    with _silence():
        load_library()
    try:
        panel = make_panel(checked.months, config)
        split = split_origins(len(panel.months), config)
    except ValueError as error:
        raise NotEnoughHistoryError(str(error)) from error
    fingerprint = _fingerprint(checked.months)
    champion = _champion(plan)
    models = [] if champion is None else [champion]
    if champion is None or _is_due(plan, champion):
        newest = _train(panel, split, config)
        trained_through = panel.months[split.validation.stop - 1 + config.longest_horizon]
        judged_from = panel.months[split.judged.start]
        models.append(Candidate("retrain", newest, judged_from.date(), trained_through.date()))
    else:
        log_line("train", f"model {champion.model_version_id} is kept: nothing calls for a new one")
    return Candidates(panel, tuple(models), fingerprint)


@task(name="compare", **STEP)
def compare_candidates(plan: MonthPlan, candidates: Candidates) -> Choice:
    """Judge the candidates on the same recent months, none of which any of them was trained on, and choose."""
    panel = candidates.panel
    positions = _judged_positions(candidates)
    scores = [score_origins(each.forecaster, panel, positions) for each in candidates.models]
    verdicts = [judge(scored, each.forecaster.config) for scored, each in zip(scores, candidates.models, strict=True)]
    means = [scored[scored["forecaster"] == "hybrid"].groupby("horizon")["crps"].mean() for scored in scores]
    # Every horizon counts as much as another, as in the gate; the newer model must be better to replace the other.
    best = int(np.argmin([float((mean / means[0]).mean()) for mean in means]))
    chosen, verdict = candidates.models[best], verdicts[best]
    served = "baseline" if plan.mode == "baseline" else verdict.served
    reason = "The baseline is served because the run was told to." if plan.mode == "baseline" else verdict.reason
    backtest_errors = _by_month(scores[best])
    new_model = None
    if chosen.model_version_id is None:
        new_model = _version(chosen, verdict, panel, positions, candidates.data_fingerprint)
    log_line("compare", reason)
    return Choice(
        panel=panel,
        forecaster=chosen.forecaster,
        served=served,
        reason=reason,
        new_model=new_model,
        kept_model_id=chosen.model_version_id,
        candidates=_candidate_rows(candidates.models, verdicts, scores, best, served, reason),
        backtest_errors=backtest_errors,
    )


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what TensorFlow's native code prints while it is loaded, before any setting of it counts, off the screen."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _train(panel: Panel, split: Split, config: ForecasterConfig) -> Forecaster:
    total = len(config.seeds) * config.epochs

    def on_epoch(epoch: Epoch) -> None:
        show_progress("train", config.seeds.index(epoch.seed) * config.epochs + epoch.number, total)

    try:
        forecaster = train(panel, split, config, on_epoch=on_epoch)
    except ValueError as error:
        raise NotEnoughHistoryError(str(error)) from error
    log_line(
        "train",
        f"LSTM-GRU on {len(panel.symbols)} symbols × {len(split.train)} months, {len(config.seeds)} seeds, "
        f"stopped after {'/'.join(str(each) for each in forecaster.trained['epochs'])} epochs",
    )
    return forecaster


def _champion(plan: MonthPlan) -> Candidate | None:
    """The model in service; none when there is none, or when the run is to train from scratch."""
    if plan.mode == "retrain":
        return None
    with database_errors():
        version = get_store().read_champion(plan.key)
    if version is None or version.trained_at_month is None:
        return None
    if hashlib.sha256(version.weights).hexdigest() != version.weights_sha256:
        log_line("train", f"model {version.model_version_id} is damaged and is not used")
        return None
    age = pd.Period(plan.key.origin_month, "M") - pd.Period(version.trained_at_month, "M")
    return Candidate(
        "keep",
        from_bytes(version.weights),
        version.judged_from,
        version.trained_through,
        version.model_version_id,
        age.n,
    )


def _is_due(plan: MonthPlan, champion: Candidate) -> bool:
    """Whether a new model is trained beside the one in service."""
    if plan.mode in ("keep", "baseline"):
        return False
    if champion.age_months >= RETRAIN_AFTER_MONTHS:
        return True
    with database_errors():
        return bool((get_store().read_drift_before(plan.key)["status"] == "alarm").any())


def _judged_positions(candidates: Candidates) -> Sequence[int]:
    panel = candidates.panel
    latest = split_origins(len(panel.months), candidates.models[-1].forecaster.config).judged
    unseen = [int(panel.months.searchsorted(pd.Timestamp(each.judged_from))) for each in candidates.models]
    return range(max(latest.start, *unseen), latest.stop)


def _by_month(scored: pd.DataFrame) -> pd.DataFrame:
    groups = scored.assign(absolute_error=scored["error"].abs()).groupby(BACKTEST_KEYS)
    return groups.agg(
        symbols=("symbol", "size"),
        crps=("crps", "mean"),
        absolute_error=("absolute_error", "mean"),
        covered_80=("is_covered_80", "mean"),
        covered_95=("is_covered_95", "mean"),
    ).reset_index()


def _candidate_rows(
    models: Sequence[Candidate],
    verdicts: Sequence[Verdict],
    scores: Sequence[pd.DataFrame],
    best: int,
    served: str,
    reason: str,
) -> pd.DataFrame:
    """One row a model, and one for the baseline of the chosen one."""
    rows: list[tuple[object, ...]] = []
    for place, (model, verdict, scored) in enumerate(zip(models, verdicts, scores, strict=True)):
        crps = scored.groupby("forecaster")["crps"].mean()
        is_served = place == best and served == "hybrid"
        why = reason if place == best else "Its CRPS is above that of the candidate chosen."
        judged = (model.model_version_id, verdict.months)
        losses = (crps["hybrid"], crps["baseline"], crps["persistence"])
        rows.append((model.name, *judged, *losses, verdict.p_value, is_served, why))
        if place == best:
            losses = (crps["baseline"], crps["baseline"], crps["persistence"])
            rows.append(("baseline", *judged, *losses, None, served == "baseline", reason))
    return pd.DataFrame(rows, columns=CANDIDATE_COLUMNS)


def _version(
    candidate: Candidate, verdict: Verdict, panel: Panel, positions: Sequence[int], fingerprint: str
) -> ModelVersion:
    weights = to_bytes(candidate.forecaster)
    config = candidate.forecaster.config
    return ModelVersion(
        kind=candidate.name,
        trained_through=candidate.trained_through,
        judged_from=candidate.judged_from,
        judged_through=panel.months[positions[-1]].date(),
        verdict=verdict.served,
        verdict_reason=verdict.reason,
        verdict_numbers=json.loads(verdict.numbers.to_json(orient="records")),
        weights=weights,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        seed=config.seeds[0],
        config=config.to_dict(),
        data_fingerprint=fingerprint,
    )


def _fingerprint(months: pd.DataFrame) -> str:
    """SHA-256 of the months' values, in their order."""
    digest = hashlib.sha256()
    for name in ("symbol", "month", "close", "log_return", "realised_variance"):
        column = months[name]
        digest.update(("\n".join(column) if name == "symbol" else "").encode())
        digest.update(b"" if name == "symbol" else np.ascontiguousarray(column.to_numpy()).tobytes())
    return digest.hexdigest()
