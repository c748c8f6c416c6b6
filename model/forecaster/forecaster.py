"""The trained forecaster: baseline and networks together, their training, fine-tuning and forecasts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import norm

from model import Floats, Ints, quantile_names
from model.config import ForecasterConfig
from model.forecaster.baseline import Baseline, fit_baseline, quantiles
from model.forecaster.calibration import market_scale
from model.forecaster.features import Panel
from model.forecaster.network import Weights
from model.forecaster.split import Split
from model.forecaster.training import Epoch, Trained, Trainer, corrections_of, train_sequentially
from model.forecaster.training_set import make_training_set
from model.forecaster.vintages import find_vintage

MONTHLY_FORECASTERS = ("hybrid", "baseline", "persistence")
"""Forecasters of every monthly forecast: the baseline corrected by the networks, the baseline, and a random walk."""


@dataclass(frozen=True)
class Forecaster:
    """Everything that a forecast needs besides the panel."""

    config: ForecasterConfig
    baseline: Baseline
    input_mean: Floats
    """[F] over the training rows."""
    input_deviation: Floats
    """[F] over the training rows."""
    networks: tuple[Weights, ...]
    """One per seed."""
    trained: pd.DataFrame
    """One row per seed: seed, epochs, validation_loss (relative to the baseline's)."""
    vintage: str = ""
    """Last month that the vintage behind the baseline was trained through, YYYY-MM; empty without a vintage."""

    def forecast(self, panel: Panel, origin_month: pd.Timestamp) -> pd.DataFrame:
        """Forecast every symbol that has the origin month; see `forecast_many`."""
        return self.forecast_many(panel, [origin_month])

    def forecast_many(self, panel: Panel, origin_months: Sequence[pd.Timestamp]) -> pd.DataFrame:
        """Forecast from many origins in one pass, each from the months up to its own.

        Args:
            panel: features; months after an origin do not change its forecast.
            origin_months: first days of months.

        Returns:
            symbol, origin_month, target_month, horizon, forecaster (of MONTHLY_FORECASTERS) and one column per quantile
            of the log return to the target month, rising from left to right; sorted by forecaster, origin, symbol and
            horizon. Symbols without the origin month have no rows.

        Raises:
            ValueError: if an origin is not in the panel.
        """
        columns = panel.positions_of(origin_months)
        length = max(columns) + 1
        log_scale_correction, location_correction = self.corrections(panel.inputs[:, :length])
        position, symbol = np.nonzero(panel.known[:, columns].T)
        month = np.asarray(columns)[position]
        scale = self.baseline.scale(panel.sigma[symbol, month], panel.x[symbol, month])
        scale *= market_scale(self.baseline, panel, self.config)[month, None]
        log_scale_correction = log_scale_correction[symbol, month].astype(np.float64)
        location_correction = location_correction[symbol, month].astype(np.float64)
        location = self.baseline.locations(panel.location_factor[month])
        standardised_quantiles = self.baseline.standardised_quantiles
        walk = panel.random_walk_sd[symbol, month][:, None] * np.sqrt(self.config.horizons)
        gaussian = np.broadcast_to(norm.ppf(self.config.quantile_levels), standardised_quantiles.shape)
        forecasts = {
            "hybrid": quantiles(
                location + location_correction * scale, scale * np.exp(log_scale_correction), standardised_quantiles
            ),
            "baseline": quantiles(location, scale, standardised_quantiles),
            "persistence": quantiles(np.zeros(walk.shape), walk, gaussian),
        }
        return pd.concat(
            [self._frame(panel, symbol, month, name, forecasts[name]) for name in MONTHLY_FORECASTERS],
            ignore_index=True,
        )

    def corrections(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Return the corrections of the log scale and of the location, averaged over networks.

        Args:
            inputs: [N, T, F] of the panel.

        Returns:
            [N, T, H] each; the location in units of the baseline's scale.
        """
        standard = standardise(inputs, self.input_mean, self.input_deviation)
        return corrections_of(self.networks, standard, self.config)

    def _frame(self, panel: Panel, symbol: Ints, month: Ints, name: str, values: Floats) -> pd.DataFrame:
        """Long frame of the quantiles [R, H, Q] of R rows."""
        horizons = np.array(self.config.horizons)
        origin = panel.months[np.repeat(month, len(horizons))]
        horizon = np.tile(horizons, len(month))
        target = origin.to_numpy().astype("datetime64[M]") + horizon
        frame = pd.DataFrame(
            {
                "symbol": np.asarray(panel.symbols, dtype=object)[np.repeat(symbol, len(horizons))],
                "origin_month": origin,
                "target_month": target.astype("datetime64[ns]"),
                "horizon": horizon,
                "forecaster": name,
            }
        ).astype({"symbol": "str"})
        levels = quantile_names(self.config.quantile_levels)
        return pd.concat([frame, pd.DataFrame(values.reshape(-1, len(levels)), columns=levels)], axis=1)


def train(
    panel: Panel,
    split: Split,
    config: ForecasterConfig,
    *,
    on_epoch: Callable[[Epoch], None] | None = None,
    trainer: Trainer = train_sequentially,
) -> Forecaster:
    """Train a forecaster from scratch: the baseline up to the holdout, one network per seed on the training origins.

    The validation origins stop each network. A network that does not improve on the baseline there remains equal to it.
    Nothing is refitted after the evaluation on the holdout.

    Args:
        panel: features and targets; months after the last validation target are not used.
        split: of `model.forecaster.split.split_origins`.
        config: all choices.
        on_epoch: called after each epoch.
        trainer: trains the networks, sequentially or in parallel.

    Raises:
        ValueError: if a part of the split has no eligible row.
    """
    name, baseline = _fit_with_vintage(panel, split, config)
    is_known = panel.known[:, split.train]
    rows = panel.inputs[:, split.train][is_known]
    mean, deviation = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    training_set = make_training_set(panel, split, baseline, standardise(panel.inputs, mean, deviation), config)
    results = trainer(training_set, config, [None] * len(config.seeds), on_epoch)
    return Forecaster(
        config=config,
        baseline=baseline,
        input_mean=mean,
        input_deviation=deviation,
        networks=tuple(result.weights for result in results),
        trained=_trained_frame(config.seeds, results),
        vintage=name,
    )


def fine_tune(
    forecaster: Forecaster,
    panel: Panel,
    split: Split,
    *,
    on_epoch: Callable[[Epoch], None] | None = None,
    trainer: Trainer = train_sequentially,
) -> Forecaster:
    """Fine-tune a forecaster: refit the baseline and train the networks further on the newest training months.

    The networks keep their weights if no epoch lowers the validation loss. The standardisation of their inputs does not
    change.

    Args:
        forecaster: trained before, on the same symbols or on others; its config is used.
        panel: features and targets; months after the last validation target are not used.
        split: of `model.forecaster.split.split_origins` for this panel.
        on_epoch: called after each epoch.
        trainer: trains the networks, sequentially or in parallel.

    Returns:
        A new forecaster. The argument is not changed.

    Raises:
        ValueError: if a part of the split has no eligible row.
    """
    config = forecaster.config
    name, baseline = _fit_with_vintage(panel, split, config)
    newest = range(max(split.train.start, split.train.stop - config.fine_tune_months), split.train.stop)
    inputs = standardise(panel.inputs, forecaster.input_mean, forecaster.input_deviation)
    training_set = make_training_set(panel, replace(split, train=newest), baseline, inputs, config)
    training_set = training_set.since(max(0, newest.start - config.fine_tune_warm_up))
    fine_tuning = replace(config, epochs=config.fine_tune_epochs, learning_rate=config.fine_tune_rate)
    results = trainer(training_set, fine_tuning, forecaster.networks, on_epoch)
    return replace(
        forecaster,
        baseline=baseline,
        networks=tuple(result.weights for result in results),
        trained=_trained_frame(config.seeds, results),
        vintage=name,
    )


def _fit_with_vintage(panel: Panel, split: Split, config: ForecasterConfig) -> tuple[str, Baseline]:
    """Fit the baseline, shrunk towards the newest vintage from before the holdout; return the vintage's name, too."""
    first_unknown = panel.months[split.holdout.start] if len(split.holdout) else panel.months[-1]
    vintage = find_vintage(first_unknown, config)
    if vintage is None:
        return "", fit_baseline(panel, split.fitted, config)
    return vintage.name, fit_baseline(panel, split.fitted, config, vintage.baseline)


def standardise(inputs: Floats, mean: Floats, deviation: Floats) -> Floats:
    """Standardise inputs by the training rows.

    Args:
        inputs: [..., F]; all zero where a symbol lacks the month.
        mean: [F].
        deviation: [F].

    Returns:
        [..., F] float32; missing months are 0, the mean.
    """
    is_known = inputs.any(axis=-1, keepdims=True)
    return np.where(is_known, (inputs - mean) / deviation, 0.0).astype(np.float32)


def _trained_frame(seeds: Sequence[int], results: Sequence[Trained]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "seed": list(seeds),
            "epochs": [result.epochs for result in results],
            "validation_loss": [result.validation_loss for result in results],
        }
    )
