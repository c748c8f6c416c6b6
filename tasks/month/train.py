"""Train: the models that may serve the month, kept, fine-tuned or trained from scratch."""

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
from tasks.registry import Refusal, StoredModel, find_champion, fingerprint
from tasks.retries import STEP

CONFIG = ForecasterConfig()


@dataclass(frozen=True)
class Candidate:
    """A model that may serve, and the months it may be judged on."""

    name: str
    """keep, fine_tune or retrain."""
    forecaster: Forecaster = field(repr=False)
    panel: Panel = field(repr=False)
    """The month's, with the features of the forecaster's own config."""
    holdout_start: date
    """First origin that came after everything it was trained, stopped or calibrated on."""
    trained_through: date
    """Last target month that it saw: no later than `holdout_start`, whose forecasts begin after it."""
    model_version_id: int | None = None
    """None when it was trained in this run."""
    parent_id: int | None = None
    """Version that it was fine-tuned from in this run."""


@dataclass(frozen=True)
class Candidates:
    """The models that may serve the month."""

    models: tuple[Candidate, ...]
    """From the least change to the most: keep, fine_tune, retrain, as far as they are there."""
    config: ForecasterConfig
    """Choices of today."""
    data_fingerprint: str
    refused: tuple[Refusal, ...] = ()
    """Versions that would have been kept, and are damaged; newest first."""


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
    """`tasks.month.compare.CANDIDATE_COLUMNS`."""
    backtest_errors: pd.DataFrame = field(repr=False)
    """Of the judged months: origin_month, horizon, forecaster, symbols, crps, absolute_error, covered_80 and _95."""
    refused: tuple[Refusal, ...] = ()
    """Versions that would have been kept, and are damaged."""


@task(name="train", **STEP)
def train_candidates(plan: MonthPlan, config: ForecasterConfig, checked: Checked) -> Candidates:
    """The models that may serve: the one in service, the same fine-tuned on the new months, one trained from scratch.

    `auto` has the first two whenever they can be, and the third when it is due; a mode that forces one has that one
    alone. Without a model in service one is trained from scratch.

    Raises:
        NotEnoughHistoryError: if there are too few months to train and to judge.
        BadRequestError: if there is no model to keep or to fine-tune.
        DamagedModelError: if there are such models, and all of them are damaged.
    """
    with quiet_stderr():
        load_library()
    panel = build_panel(checked.months, config)
    champion, refused = (None, ()) if plan.mode == "retrain" else find_champion(plan.key)
    if champion is None:
        _require_model(plan, refused)
        models = [_retrained(panel, config)]
    else:
        own_panel = (
            panel if champion.forecaster.config == config else build_panel(checked.months, champion.forecaster.config)
        )
        models = []
        if plan.mode != "fine-tune":
            models.append(_kept(champion, own_panel))
        if _is_fine_tuned(plan, config, champion):
            models.append(_fine_tuned(champion, own_panel))
        if _is_retrained(plan, config):
            models.append(_retrained(panel, config))
        if len(models) == 1 and models[0].name == "keep":
            log_line("train", f"model {champion.model_version_id} is kept: nothing calls for a new one")
    return Candidates(tuple(models), config, fingerprint(checked.months), refused)


def build_panel(months: pd.DataFrame, config: ForecasterConfig) -> Panel:
    """The months side by side.

    Raises:
        NotEnoughHistoryError: if there are too few to train and to judge.
    """
    try:
        panel = make_panel(months, config)
        split_origins(len(panel.months), config)
    except ValueError as error:
        raise NotEnoughHistoryError(str(error)) from error
    return panel


def train_from_scratch(panel: Panel, config: ForecasterConfig) -> Forecaster:
    """A forecaster trained from scratch, with its progress shown.

    Raises:
        NotEnoughHistoryError: if a part of the months has no target.
    """
    split = split_origins(len(panel.months), config)
    forecaster = _fit(
        lambda on_epoch: train(panel, split, config, on_epoch=on_epoch, trainer=train_ensemble), config, config.epochs
    )
    log_line("train", f"LSTM-GRU on {_extent(panel, split)}, {_epochs(forecaster)}")
    return forecaster


def fine_tune_model(parent: Forecaster, panel: Panel) -> Forecaster:
    """A forecaster fine-tuned on the panel's newest training months, with its progress shown.

    Raises:
        NotEnoughHistoryError: if a part of the months has no target.
    """
    config = parent.config
    split = split_origins(len(panel.months), config)
    forecaster = _fit(
        lambda on_epoch: fine_tune(parent, panel, split, on_epoch=on_epoch, trainer=train_ensemble),
        config,
        config.fine_tune_epochs,
    )
    log_line("train", f"fine-tuned on {_extent(panel, split)}, {_epochs(forecaster)}")
    return forecaster


def _require_model(plan: MonthPlan, refused: tuple[Refusal, ...]) -> None:
    """Stop a run that was told to use the model in service when there is none."""
    if plan.mode not in ("keep", "fine-tune"):
        return
    if refused:
        raise DamagedModelError(
            f"{plan.key.universe} has no model left to {plan.mode}: {refused[0].reason} "
            f"{f'So are {len(refused) - 1} before it. ' if len(refused) > 1 else ''}"
            "Run it with `--mode retrain` to train a new one."
        )
    raise BadRequestError(f"{plan.key.universe} has no model to {plan.mode} yet; run it with `--mode auto` first.")


def _is_fine_tuned(plan: MonthPlan, config: ForecasterConfig, champion: StoredModel) -> bool:
    is_older = champion.age_months(plan.key.origin_month) >= config.fine_tune_after_months
    return plan.mode == "fine-tune" or (plan.mode == "auto" and is_older)


def _is_retrained(plan: MonthPlan, config: ForecasterConfig) -> bool:
    """Whether a model is trained from scratch beside the one in service."""
    if plan.mode != "auto":
        return False
    with database_errors():
        last = get_store().read_last_retrained(plan.key)
        drift = get_store().read_drift_before(plan.key)
    # Counted from the last comparison, not from the model in service: fine-tuning makes that one new every month, and
    # one that has just proved itself against a new model need not do so again next month.
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
    """First month that a forecaster just trained may be judged on, and the last whose returns it saw."""
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
    return f"{len(panel.symbols)} symbols × {len(split.train)} months"


def _epochs(forecaster: Forecaster) -> str:
    epochs = "/".join(str(each) for each in forecaster.trained["epochs"])
    return f"{len(forecaster.config.seeds)} seeds, stopped after {epochs} epochs"
