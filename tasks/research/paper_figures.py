"""The two figures of the paper's experiment, drawn by matplotlib without a display."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from prefect import task

from model import Floats
from model.paper.experiment import PAPER_NETWORKS, Experiment, autocorrelation
from model.paper.training import PaperTrained
from tasks.errors import BadRequestError
from tasks.plans.paper import PaperPlan
from tasks.progress import log_line
from tasks.research.paper import Series
from tasks.retries import STEP

# Okabe and Ito (2008): colours that colour-blind readers can distinguish. Line styles differ as well.
BLACK, ORANGE, SKY, BLUE, GREY = "#000000", "#D55E00", "#56B4E9", "#0072B2", "#999999"
NAMES = {"hybrid": "LSTM → GRU", "lstm": "LSTM alone", "gru": "GRU alone"}
SCALES = {
    "everything": "scale fitted on all bars (as published)",
    "training": "scale fitted on the training part",
}
LAGS = 20
LAST_STEPS = 60
STYLE: Any = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10.5}


@task(name="draw", **STEP)
def draw_pictures(plan: PaperPlan, series: Series, trained: Sequence[PaperTrained]) -> tuple[Path, ...]:
    """Draw the forecasts and the training curves as PNG files in the plan's directory; existing files are replaced.

    Raises:
        BadRequestError: if the directory cannot be written to.
    """
    stem = f"{re.sub(r'[^A-Za-z0-9]+', '', plan.symbol) or 'series'}-{plan.interval}"
    figures = {
        f"{stem}-forecasts.png": forecast_figure(plan, series.experiments, trained),
        f"{stem}-training.png": training_figure(plan, series.experiments, trained),
    }
    try:
        plan.directory.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            figure.savefig(plan.directory / name, dpi=120)
    except OSError as error:
        raise BadRequestError(f"The figures cannot be written to {plan.directory}: {error.strerror}.") from error
    log_line("draw", f"{' and '.join(figures)} in {plan.directory}")
    return tuple(plan.directory / name for name in figures)


def forecast_figure(plan: PaperPlan, experiments: Sequence[Experiment], trained: Sequence[PaperTrained]) -> Figure:
    """Draw the test part: closes, the hybrid's forecasts, its errors, and their autocorrelation."""
    with _style():
        figure = Figure(figsize=(13, 12), layout="constrained")
        axes = figure.subplots(4, len(experiments), squeeze=False, sharey="row", height_ratios=[1.2, 1, 1, 0.8])
        for column, experiment in enumerate(experiments):
            forecasts = [
                experiment.to_points(network.forecast[experiment.test])
                for network in _of(trained, experiment, "hybrid")
            ]
            actual = experiment.to_points(experiment.target[experiment.test])
            before = experiment.to_points(experiment.last_close[experiment.test])
            _draw_levels(axes[0, column], experiment, actual, forecasts)
            _draw_last(axes[1, column], experiment, actual, forecasts[0], before, plan.interval)
            _draw_residuals(axes[2, column], experiment, actual, forecasts, before)
            _draw_autocorrelation(axes[3, column], actual - forecasts[0], actual - before, plan.interval)
        axes[0, 0].set_ylabel(f"{plan.symbol}, points")
        axes[1, 0].set_ylabel(f"{plan.symbol}, points")
        axes[2, 0].set_ylabel("actual − forecast, points")
        axes[3, 0].set_ylabel("autocorrelation of error")
        for ax in axes[0]:
            ax.legend(frameon=False, loc="upper left")
        axes[1, 0].legend(frameon=False, loc="best")
        axes[2, 0].legend(frameon=False, loc="upper left", ncols=2)
        axes[3, 0].legend(frameon=False, loc="lower right", ncols=3)
        figure.suptitle(
            f"LSTM → GRU on {plan.interval} bars of {plan.symbol}: the next close, on the test part", fontsize=13
        )
    return figure


def training_figure(plan: PaperPlan, experiments: Sequence[Experiment], trained: Sequence[PaperTrained]) -> Figure:
    """Draw the losses by epoch, one line per seed, with the epoch that early stopping selected."""
    with _style():
        figure = Figure(figsize=(13, 7.5), layout="constrained")
        axes = figure.subplots(len(experiments), len(PAPER_NETWORKS), squeeze=False, sharex=True, sharey="row")
        for row, experiment in enumerate(experiments):
            naive = float(np.mean((experiment.target - experiment.last_close)[experiment.validation] ** 2))
            for column, kind in enumerate(PAPER_NETWORKS):
                _draw_curves(axes[row, column], _of(trained, experiment, kind), naive)
                axes[0, column].set_title(NAMES[kind])
                axes[-1, column].set_xlabel("epoch")
            axes[row, 0].set_ylabel(
                f"{SCALES[experiment.scaler].replace(' (', chr(10) + '(')}\nmean squared error, scaled"
            )
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
        seeds = len(plan.config.seeds)
        figure.suptitle(
            f"Training on {plan.interval} bars of {plan.symbol}"
            + (f": seed 1 of {seeds}, other seeds paler" if seeds > 1 else ""),
            fontsize=13,
        )
    return figure


def _style() -> Any:
    # `Figure` draws with Agg; pyplot would look for a display and keep every figure.
    return rc_context(STYLE)


def _of(trained: Sequence[PaperTrained], experiment: Experiment, kind: str) -> list[PaperTrained]:
    return [network for network in trained if network.scaler == experiment.scaler and network.network == kind]


def _draw_levels(ax: Any, experiment: Experiment, actual: Floats, forecasts: Sequence[Floats]) -> None:
    sessions = experiment.sessions[experiment.test]
    ax.set_title(SCALES[experiment.scaler])
    if len(forecasts) > 1:
        low, high = np.min(forecasts, axis=0), np.max(forecasts, axis=0)
        ax.fill_between(sessions, low, high, color=ORANGE, alpha=0.2, lw=0, label=f"range of {len(forecasts)} seeds")
    ax.plot(sessions, actual, color=BLACK, lw=1.3, label="actual")
    ax.plot(sessions, forecasts[0], color=ORANGE, lw=1.0, ls="--", label="forecast, seed 1")
    if experiment.beyond_share > 0:
        ceiling = experiment.low + experiment.span
        ax.axhline(ceiling, color=BLUE, lw=1.2, ls=":", label="upper end of the scale")
    _date_axis(ax)


def _draw_last(
    ax: Any, experiment: Experiment, actual: Floats, forecast: Floats, before: Floats, interval: str
) -> None:
    """Draw the end of the test part, wide enough to show that forecasts lag by one step."""
    last = slice(-LAST_STEPS, None)
    sessions = experiment.sessions[experiment.test][last]
    ax.set_title(f"the last {len(sessions)} {_steps(interval)}, from {sessions[0]:%Y-%m-%d} on")
    ax.plot(sessions, actual[last], color=BLACK, lw=1.3, marker="o", ms=2.5, label="actual")
    ax.plot(sessions, before[last], color=BLUE, lw=1.0, ls=":", label="persistence: previous close")
    ax.plot(sessions, forecast[last], color=ORANGE, lw=1.3, ls="--", label="LSTM → GRU, seed 1")
    _date_axis(ax, has_year=False)  # the year would be that of the last tick


def _draw_residuals(
    ax: Any, experiment: Experiment, actual: Floats, forecasts: Sequence[Floats], before: Floats
) -> None:
    sessions = experiment.sessions[experiment.test]
    ax.axhline(0.0, color=BLACK, lw=0.6)
    ax.plot(sessions, actual - forecasts[0], color=ORANGE, lw=0.9, label="LSTM → GRU, seed 1")
    ax.plot(sessions, actual - before, color=BLUE, lw=0.7, alpha=0.9, label="persistence")
    _date_axis(ax)


def _draw_autocorrelation(ax: Any, residuals: Floats, naive: Floats, interval: str) -> None:
    lags = min(LAGS, len(residuals) - 2)
    at = np.arange(1, lags + 1)
    # 95 % interval of white noise: ±1.96/√n (Bartlett 1946).
    band = 1.96 / np.sqrt(len(residuals))
    ax.axhspan(-band, band, color=GREY, alpha=0.25, lw=0, label="95 % interval of white noise")
    ax.axhline(0.0, color=BLACK, lw=0.6)
    ax.bar(at - 0.2, autocorrelation(residuals, lags), 0.38, color=ORANGE, label="LSTM → GRU, seed 1")
    ax.bar(at + 0.2, autocorrelation(naive, lags), 0.38, color=BLUE, label="persistence")
    ax.set_xlabel(f"lag, {_steps(interval)}")
    ax.set_xlim(0.4, lags + 0.6)
    ax.set_ylim(-0.6, 1.0)  # room for the legend below
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_curves(ax: Any, trained: Sequence[PaperTrained], naive: float) -> None:
    for place, network in enumerate(trained):
        # One seed is drawn strongly; the others show the variation over seeds.
        is_first = place == 0
        epochs = [epoch.number for epoch in network.curve]
        losses = [epoch.validation_loss for epoch in network.curve]
        shown: dict[str, Any] = {"alpha": 1.0 if is_first else 0.3, "lw": 1.1 if is_first else 0.8}
        over = 3 if is_first else 2
        ax.plot(
            epochs, [epoch.train_loss for epoch in network.curve], color=SKY, ls="--", zorder=over, **shown,
            label="training part, with dropout" if is_first else None,
        )  # fmt: skip
        ax.plot(
            epochs, losses, color=ORANGE, zorder=over, **shown, label="validation part" if is_first else None
        )  # fmt: skip
        ax.plot(
            network.best_epoch, losses[network.best_epoch - 1],
            color=BLACK if is_first else GREY, marker="o", ms=6, ls="",
            label=f"selected weights, seed {network.seed}" if is_first else "other seeds" if place == 1 else None,
            zorder=over + 2,
        )  # fmt: skip
    ax.axhline(naive, color=BLUE, lw=1.2, ls=":", label="persistence, validation part")
    ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _steps(interval: str) -> str:
    return "sessions" if interval == "daily" else "months"


def _date_axis(ax: Any, *, has_year: bool = True) -> None:
    locator = AutoDateLocator()
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=has_year))
