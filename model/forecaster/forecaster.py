"""The forecaster: the traditional part, the networks that correct it, and how both are trained and asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import norm

from model import Floats, Ints, quantile_names
from model.config import ForecasterConfig
from model.forecaster.baseline import Baseline, fit_baseline, quantiles
from model.forecaster.calibration import market_scale
from model.forecaster.demeaning import demean_targets
from model.forecaster.features import Panel
from model.forecaster.network import Weights
from model.forecaster.split import Split
from model.forecaster.training import Epoch, Trained, Trainer, TrainingSet, corrections_of, train_sequentially
from model.forecaster.weighting import month_weights, usable_rows

FORECASTERS = ("hybrid", "baseline", "persistence")


@dataclass(frozen=True)
class Forecaster:
    """All that a forecast needs besides the panel."""

    config: ForecasterConfig
    baseline: Baseline
    input_mean: Floats
    """[F] over the training months."""
    input_deviation: Floats
    """[F] over the training months."""
    networks: tuple[Weights, ...]
    """One a seed."""
    trained: pd.DataFrame
    """One row a seed: seed, epochs, validation_loss (relative to the baseline's)."""

    def forecast(self, panel: Panel, origin_month: pd.Timestamp) -> pd.DataFrame:
        """Forecast every symbol that has the origin month; see `forecast_many`."""
        return self.forecast_many(panel, [origin_month])

    def forecast_many(self, panel: Panel, origin_months: Sequence[pd.Timestamp]) -> pd.DataFrame:
        """Forecast at many origins in one pass; each reads the months up to its own alone.

        Args:
            panel: the features; months after an origin do not change its forecast.
            origin_months: first days of months.

        Returns:
            symbol, origin_month, target_month, horizon, forecaster (one of FORECASTERS) and a column a quantile of
            the log return to the target month, rising from left to right; sorted by forecaster, origin, symbol and
            horizon. Symbols that lack the origin month have no rows.

        Raises:
            ValueError: if an origin is not in the panel.
        """
        columns = panel.records_of(origin_months)
        length = max(columns) + 1
        to_scale, to_location = self.corrections(panel.inputs[:, :length])
        position, symbol = np.nonzero(panel.known[:, columns].T)
        month = np.asarray(columns)[position]
        spread = self.baseline.spread(panel.sigma[symbol, month], panel.x[symbol, month])
        spread *= market_scale(self.baseline, panel, self.config)[month, None]
        scale = to_scale[symbol, month].astype(np.float64)
        shift = to_location[symbol, month].astype(np.float64)
        centre, shape = self.baseline.centre, self.baseline.shape
        walk = panel.random_walk_sd[symbol, month][:, None] * np.sqrt(self.config.horizons)
        gaussian = np.broadcast_to(norm.ppf(self.config.quantile_levels), shape.shape)
        parts = {
            "hybrid": quantiles(centre + shift * spread, spread * np.exp(scale), shape),
            "baseline": quantiles(np.broadcast_to(centre, spread.shape), spread, shape),
            "persistence": quantiles(np.zeros(walk.shape), walk, gaussian),
        }
        return pd.concat(
            [self._frame(panel, symbol, month, name, parts[name]) for name in FORECASTERS], ignore_index=True
        )

    def corrections(self, inputs: Floats) -> tuple[Floats, Floats]:
        """What the networks add to the log scale and to the centre, averaged over seeds: [N, T, H] from [N, T, F]."""
        standard = standardise(inputs, self.input_mean, self.input_deviation)
        return corrections_of(self.networks, standard, self.config)

    def _frame(self, panel: Panel, symbol: Ints, month: Ints, name: str, values: Floats) -> pd.DataFrame:
        """Long frame of the quantiles [R, H, Q] of R symbols and origins."""
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
    teach: Trainer = train_sequentially,
) -> Forecaster:
    """Fit the traditional part up to the judged months, and one network a seed on its training months.

    Each network is stopped by the validation months, and is the baseline itself when it never beats it there. What
    comes out is what is judged and served: nothing is refitted afterwards.

    Args:
        panel: months after the validation's targets are not looked at.
        split: of `model.forecaster.split.split_origins`.
        config: all choices.
        on_epoch: called after each pass over the training months.
        teach: trains the networks, one after the other or side by side.

    Returns:
        The forecaster.

    Raises:
        ValueError: if no symbol has a target in a part of the split.
    """
    baseline = fit_baseline(panel, split.fitted, config)
    is_trained_on = panel.known[:, split.train]
    rows = panel.inputs[:, split.train][is_trained_on]
    mean, deviation = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    lesson = make_training_set(panel, split, baseline, standardise(panel.inputs, mean, deviation), config)
    results = teach(lesson, config, [None] * len(config.seeds), on_epoch)
    return Forecaster(
        config=config,
        baseline=baseline,
        input_mean=mean,
        input_deviation=deviation,
        networks=tuple(result.weights for result in results),
        trained=_trained_frame(config.seeds, results),
    )


def fine_tune(
    forecaster: Forecaster,
    panel: Panel,
    split: Split,
    *,
    on_epoch: Callable[[Epoch], None] | None = None,
    teach: Trainer = train_sequentially,
) -> Forecaster:
    """Go on from a trained forecaster: the traditional part is refitted, the networks pass over the newest months.

    The networks keep their weights where no pass lowers the loss of the validation months. They keep the units of
    their inputs, too.

    Args:
        forecaster: trained before, on months of the same symbols or of others; its config holds the choices.
        panel: months after the validation's targets are not looked at.
        split: of `model.forecaster.split.split_origins` for this panel.
        on_epoch: called after each pass.
        teach: trains the networks, one after the other or side by side.

    Returns:
        The new forecaster; the old one is left as it was.

    Raises:
        ValueError: if no symbol has a target in a part of the split.
    """
    config = forecaster.config
    baseline = fit_baseline(panel, split.fitted, config)
    newest = range(max(split.train.start, split.train.stop - config.fine_tune_months), split.train.stop)
    inputs = standardise(panel.inputs, forecaster.input_mean, forecaster.input_deviation)
    lesson = make_training_set(panel, replace(split, train=newest), baseline, inputs, config)
    lesson = lesson.since(max(0, newest.start - config.fine_tune_warm_up))
    gently = replace(config, epochs=config.fine_tune_epochs, learning_rate=config.fine_tune_rate)
    results = teach(lesson, gently, forecaster.networks, on_epoch)
    return replace(
        forecaster,
        baseline=baseline,
        networks=tuple(result.weights for result in results),
        trained=_trained_frame(config.seeds, results),
    )


def standardise(inputs: Floats, mean: Floats, deviation: Floats) -> Floats:
    """Inputs in units of the training months, float32; months that are not there (all zero) become the mean."""
    is_there = inputs.any(axis=-1, keepdims=True)
    return np.where(is_there, (inputs - mean) / deviation, 0.0).astype(np.float32)


def _trained_frame(seeds: Sequence[int], results: Sequence[Trained]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "seed": list(seeds),
            "epochs": [result.epochs for result in results],
            "validation_loss": [result.validation_loss for result in results],
        }
    )


def make_training_set(
    panel: Panel, split: Split, baseline: Baseline, inputs: Floats, config: ForecasterConfig
) -> TrainingSet:
    """The network's lesson: what of each target the baseline leaves open, and the market does not explain."""
    counts = {part: _counts(panel, part, config) for part in (split.train, split.validation)}
    target, spread = demean_targets(
        centre=baseline.centre,
        spread=np.nan_to_num(baseline.spread(panel.sigma, panel.x)),
        target=np.nan_to_num(panel.y),
        weight=counts[split.train] + counts[split.validation],
    )
    train, validation = (_loss_weights(count, baseline, spread, target, config) for count in counts.values())
    return TrainingSet(
        inputs=inputs,
        centre=baseline.centre,
        spread=spread,
        shape=baseline.shape,
        target=target,
        train_weight=train,
        validation_weight=validation,
    )


def _counts(panel: Panel, origins: range, config: ForecasterConfig) -> Floats:
    """[N, T, H] what each target of the origins counts, months by their age alone; sums to one a horizon."""
    counts = np.zeros(panel.y.shape)
    for column, h in enumerate(config.horizons):
        symbol, month = rows = usable_rows(panel, origins, h, config)
        counts[symbol, month, column] = month_weights(rows, origins, config)
    return counts


def _loss_weights(
    counts: Floats, baseline: Baseline, spread: Floats, target: Floats, config: ForecasterConfig
) -> Floats:
    """[N, T, H] weights under which the baseline's loss is 1, every horizon contributing as much as another.

    Months are made equal by their mean spread: a wild month's larger losses tell no more than a calm one's.
    """
    weights = np.zeros(counts.shape)
    levels = np.array(config.quantile_levels)
    for column in range(counts.shape[2]):
        count = counts[..., column]
        usual = (count * spread[..., column]).sum(axis=0) / np.maximum(count.sum(axis=0), 1e-300)
        rows = np.nonzero(count)
        equal = count[rows] / usual[rows[1]]
        forecast = baseline.centre[column] + spread[..., column][rows][:, None] * baseline.shape[column]
        miss = target[..., column][rows][:, None] - forecast
        loss = np.maximum(levels * miss, (levels - 1.0) * miss).sum(axis=1)
        weights[..., column][rows] = equal / (equal @ loss) / counts.shape[2]
    return weights
