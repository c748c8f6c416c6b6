"""Train: the candidate models of the month: kept, fine-tuned, or trained from scratch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import pandas as pd
from prefect import task

from model.config import ForecasterConfig
from model.forecaster.features import Panel, make_panel
from model.forecaster.forecaster import Forecaster, fine_tune, train
from model.forecaster.network import load_library
from model.forecaster.split import Split, split_origins
from model.forecaster.training import Epoch
from sql.store import ModelVersion
from tasks.database import database_errors, get_store
from tasks.errors import BadRequestError, DamagedModelError, NotEnoughHistoryError
from tasks.month.check import Checked
from tasks.month.ensemble import train_ensemble
from tasks.plans.month import MonthPlan
from tasks.processes import quiet_stderr
from tasks.progress import log_line, show_progress
from tasks.registry import Refusal, StoredModel, find_champion, fingerprint_months
from tasks.retries import STEP

CONFIG = ForecasterConfig()


@dataclass(frozen=True)
class Candidate:
    """A model that may be served, and the start of its holdout."""

    name: str
    """`keep`, `fine_tune` or `retrain`."""
    forecaster: Forecaster = field(repr=False)
    panel: Panel = field(repr=False)
    """The month's panel, with the features of the forecaster's config."""
    holdout_start: date
    """First origin after all months that it was trained, stopped or calibrated on."""
    trained_through: date
    """Last target month of its training and validation; not after `holdout_start`."""
    model_version_id: int | None = None
    """Number of a stored version; None if this run trained the model."""
    parent_id: int | None = None
    """Version that this run fine-tuned it from."""


@dataclass(frozen=True)
class Candidates:
    """The candidate models of a month."""

    models: tuple[Candidate, ...]
    """Ordered from the least change to the most: keep, fine_tune, retrain. At least one of them."""
    config: ForecasterConfig
    """The current scientific choices; a kept model has those it was trained with."""
    data_fingerprint: str
    refused: tuple[Refusal, ...] = ()
    """Damaged versions, newer than the kept model; newest first."""


@dataclass(frozen=True)
class Choice:
    """The selected model of the month, its served forecaster, and the reason."""

    panel: Panel = field(repr=False)
    forecaster: Forecaster = field(repr=False)
    served: str
    """`hybrid` or `baseline`."""
    reason: str
    new_model: ModelVersion | None = field(repr=False)
    kept_model_id: int | None
    candidates: pd.DataFrame = field(repr=False)
    """`tasks.month.compare.CANDIDATE_COLUMNS`."""
    backtest_errors: pd.DataFrame = field(repr=False)
    """Errors on the holdout months: origin_month, horizon, forecaster, symbols, crps, absolute_error, covered_80 and
    covered_95."""
    refused: tuple[Refusal, ...] = ()
    """Damaged versions, newer than the kept model; newest first."""


@task(name="train", **STEP)
def train_candidates(plan: MonthPlan, config: ForecasterConfig, checked: Checked) -> Candidates:
    """Prepare the candidates: the served model, the same fine-tuned on the new months, and one trained from scratch.

    Mode `auto` always includes the served model, fine-tunes it if it has not seen the newest months, and retrains if a
    retraining is due. The other modes have one candidate. Without a served model, one is trained from scratch.

    Args:
        plan: The month and its mode.
        config: The current scientific choices.
        checked: The universe's months.

    Raises:
        NotEnoughHistoryError: if the months do not suffice for training and a holdout.
        BadRequestError: if the mode requires a served model and none is stored.
        DamagedModelError: if the mode requires a served model and all stored ones are damaged.
    """
    with quiet_stderr():
        load_library()
    panel = build_panel(checked.months, config)
    champion, refused = (None, ()) if plan.mode == "retrain" else find_champion(plan.key)
    if champion is None:
        _require_model(plan, refused)
        models = [_retrained(panel, config)]
    else:
        champion_config = champion.forecaster.config
        champion_panel = panel if champion_config == config else build_panel(checked.months, champion_config)
        models = []
        if plan.mode != "fine-tune":
            models.append(_kept(champion, champion_panel))
        if _is_fine_tuned(plan, config, champion):
            models.append(_fine_tuned(champion, champion_panel))
        if _is_retrained(plan, config):
            models.append(_retrained(panel, config))
        if len(models) == 1 and models[0].name == "keep":
            log_line("train", f"model {champion.model_version_id} kept, no training due")
    return Candidates(tuple(models), config, fingerprint_months(checked.months), refused)


def build_panel(months: pd.DataFrame, config: ForecasterConfig) -> Panel:
    """Arrange the months as a panel of symbols × months with the config's features.

    Raises:
        NotEnoughHistoryError: if the months do not suffice for training and a holdout.
    """
    try:
        panel = make_panel(months, config)
        split_origins(len(panel.months), config)
    except ValueError as error:
        raise NotEnoughHistoryError(str(error)) from error
    return panel


def train_from_scratch(panel: Panel, config: ForecasterConfig) -> Forecaster:
    """Train a forecaster from scratch, and report its progress.

    Raises:
        NotEnoughHistoryError: if a part of the split has no target.
    """
    split = split_origins(len(panel.months), config)
    forecaster = _fit(
        lambda on_epoch: train(panel, split, config, on_epoch=on_epoch, trainer=train_ensemble), config, config.epochs
    )
    log_line("train", f"from scratch: {_extent(panel, split)}, {_vintage(forecaster)}, {_epochs(forecaster)}")
    return forecaster


def fine_tune_model(parent: Forecaster, panel: Panel) -> Forecaster:
    """Fine-tune a forecaster on the panel's newest training months, and report its progress.

    Raises:
        NotEnoughHistoryError: if a part of the split has no target.
    """
    config = parent.config
    split = split_origins(len(panel.months), config)
    forecaster = _fit(
        lambda on_epoch: fine_tune(parent, panel, split, on_epoch=on_epoch, trainer=train_ensemble),
        config,
        config.fine_tune_epochs,
    )
    log_line("train", f"fine-tuned: {_extent(panel, split)}, {_vintage(forecaster)}, {_epochs(forecaster)}")
    return forecaster


def _require_model(plan: MonthPlan, refused: tuple[Refusal, ...]) -> None:
    """Reject the modes `keep` and `fine-tune` if no usable model is stored."""
    if plan.mode not in ("keep", "fine-tune"):
        return
    if refused:
        raise DamagedModelError(
            f"{plan.key.universe} has no usable model to {plan.mode}: {refused[0].reason} "
            f"{f'{len(refused) - 1} older models cannot be used either. ' if len(refused) > 1 else ''}"
            "Run the month with `--mode retrain` to train a new one."
        )
    raise BadRequestError(f"{plan.key.universe} has no model to {plan.mode} yet; run it with `--mode auto` first.")


def _is_fine_tuned(plan: MonthPlan, config: ForecasterConfig, champion: StoredModel) -> bool:
    """Return whether the served model is fine-tuned: on request, or if it has not seen the newest months."""
    is_older = champion.age_months(plan.key.origin_month) >= config.fine_tune_after_months
    return plan.mode == "fine-tune" or (plan.mode == "auto" and is_older)


def _is_retrained(plan: MonthPlan, config: ForecasterConfig) -> bool:
    """Return whether a model is trained from scratch beside the served one: yearly, and while a drift alarm is open."""
    if plan.mode != "auto":
        return False
    with database_errors():
        last = get_store().read_last_retrained(plan.key)
        drift = get_store().read_drift_before(plan.key)
    # Counted from the last retraining that was compared, selected or not. Counted from the served model, the year would
    # begin again with every fine-tuning, and a retrained model that was not selected would be retrained every month.
    months = config.retrain_after_months
    is_due = last is None or pd.Period(plan.key.origin_month, "M") >= pd.Period(last, "M") + months
    return is_due or bool((drift["status"] == "alarm").any())


def _kept(champion: StoredModel, panel: Panel) -> Candidate:
    version = champion.version
    return Candidate(
        "keep", champion.forecaster, panel, version.holdout_start, version.trained_through, champion.model_version_id
    )


def _fine_tuned(champion: StoredModel, panel: Panel) -> Candidate:
    forecaster = fine_tune_model(champion.forecaster, panel)
    return Candidate("fine_tune", forecaster, panel, *_bounds(panel, forecaster), parent_id=champion.model_version_id)


def _retrained(panel: Panel, config: ForecasterConfig) -> Candidate:
    forecaster = train_from_scratch(panel, config)
    return Candidate("retrain", forecaster, panel, *_bounds(panel, forecaster))


def _bounds(panel: Panel, forecaster: Forecaster) -> tuple[date, date]:
    """Return the holdout start of a new forecaster, and the last target month of its training and validation."""
    split = split_origins(len(panel.months), forecaster.config)
    last_seen = split.validation.stop - 1 + forecaster.config.longest_horizon
    return panel.months[split.holdout.start].date(), panel.months[last_seen].date()


def _fit(
    fit: Callable[[Callable[[Epoch], None]], Forecaster], config: ForecasterConfig, most_epochs: int
) -> Forecaster:
    total = len(config.seeds) * most_epochs

    def on_epoch(epoch: Epoch) -> None:
        show_progress("train", config.seeds.index(epoch.seed) * most_epochs + epoch.number, total)

    try:
        return fit(on_epoch)
    except ValueError as error:
        raise NotEnoughHistoryError(str(error)) from error


def _extent(panel: Panel, split: Split) -> str:
    """Describe the size of the training set."""
    return f"{len(panel.symbols)} symbols × {len(split.train)} months"


def _vintage(forecaster: Forecaster) -> str:
    return f"shrunk towards the vintage of {forecaster.vintage}" if forecaster.vintage else "no vintage that early"


def _epochs(forecaster: Forecaster) -> str:
    """Name the epoch of each seed's weights; 0 stands for the initial weights."""
    trained = forecaster.trained
    if not trained["epochs"].any():
        return f"no epoch improved the validation loss by {forecaster.config.smallest_gain:.2%}"
    rows = trained[["seed", "epochs"]].itertuples(index=False)
    return "best epoch " + ", ".join(f"{epochs or 'none'} (seed {seed})" for seed, epochs in rows)
