"""The training set of the networks: targets, the baseline's forecast and sample weights, cross-sectionally demeaned.

Returns of one month share the market's move and its turbulence. A network would fit these first and memorise them: a
few hundred months, each repeated for a hundred symbols. Demeaning removes them, which leaves the differences between
symbols, a hundred times as many observations. The level of the market remains the baseline's task.
"""

from dataclasses import dataclass, replace

import numpy as np

from model import Floats
from model.config import ForecasterConfig
from model.forecaster.baseline import Baseline
from model.forecaster.features import Panel
from model.forecaster.split import Split
from model.forecaster.training_rows import eligible_rows, month_weights


@dataclass(frozen=True)
class TrainingSet:
    """Arrays that a network is fitted to."""

    inputs: Floats
    """[N, T, F] standardised."""
    location: Floats
    """[H] of the baseline, log return."""
    scale: Floats
    """[N, T, H] of the baseline times the month's turbulence, log return."""
    standardised_quantiles: Floats
    """[H, Q] of the baseline."""
    target: Floats
    """[N, T, H] demeaned log return; 0 where unknown."""
    train_weight: Floats
    """[N, T, H] sample weights, 0 outside the training rows; the baseline's weighted loss is 1."""
    validation_weight: Floats
    """[N, T, H] the same for the validation rows."""

    def since(self, month: int) -> "TrainingSet":
        """Return the training set without the months before a position."""
        names = ("inputs", "scale", "target", "train_weight", "validation_weight")
        return replace(self, **{name: getattr(self, name)[:, month:] for name in names})


def make_training_set(
    panel: Panel, split: Split, baseline: Baseline, inputs: Floats, config: ForecasterConfig
) -> TrainingSet:
    """Build the training set of one split.

    Args:
        panel: features and targets.
        split: training and validation origins.
        baseline: fitted forecast that the network corrects.
        inputs: [N, T, F] standardised.
        config: horizons, levels and sample weights.

    Raises:
        ValueError: if a horizon has no eligible row in the training or in the validation origins.
    """
    samples = {origins: _sample_weights(panel, origins, config) for origins in (split.train, split.validation)}
    # The network's loss has one location for all months.
    to_one_location = baseline.location - baseline.locations(panel.location_factor)  # [T, H]
    target, scale = demean_targets(
        location=baseline.location,
        scale=np.nan_to_num(baseline.scale(panel.sigma, panel.x)),
        target=np.nan_to_num(panel.y + to_one_location),
        weight=samples[split.train] + samples[split.validation],
        half_weight_symbols=config.half_weight_symbols,
    )
    train, validation = (_loss_weights(sample, baseline, scale, target, config) for sample in samples.values())
    return TrainingSet(
        inputs=inputs,
        location=baseline.location,
        scale=scale,
        standardised_quantiles=baseline.standardised_quantiles,
        target=target,
        train_weight=train,
        validation_weight=validation,
    )


def demean_targets(
    location: Floats, scale: Floats, target: Floats, weight: Floats, *, half_weight_symbols: float
) -> tuple[Floats, Floats]:
    """Remove the market's move from the targets and its turbulence from the errors, by origin and horizon.

    The standardised error of a target is (target - location) / scale. The market's move is the median error of the
    month's symbols. The turbulence is their mean absolute deviation from this median over the mean absolute error of
    all months; on average it is below 1, because targets vary less without the market. With n symbols both are shrunk
    by n / (n + `half_weight_symbols`), because the median of a few symbols is a poor estimate of the market's move.

    Args:
        location: [H] of the baseline.
        scale: [N, T, H] of the baseline.
        target: [N, T, H].
        weight: [N, T, H]; targets of weight 0 remain unchanged.
        half_weight_symbols: number of symbols at which half of the move and of the turbulence is removed.

    Returns:
        Targets less the market's move, and scales times the turbulence, [N, T, H] each. The arguments are not changed.
    """
    target, scale = target.copy(), scale.copy()
    for column in range(len(location)):
        is_used = weight[..., column] > 0
        months = np.flatnonzero(is_used.any(axis=0))
        groups = [np.flatnonzero(is_used[:, month]) for month in months]
        medians, deviations, errors = (np.zeros(len(months)) for _ in range(3))
        for place, (month, symbols) in enumerate(zip(months, groups, strict=True)):
            error = (target[symbols, month, column] - location[column]) / scale[symbols, month, column]
            medians[place] = np.median(error)
            deviations[place] = np.mean(np.abs(error - medians[place]))
            errors[place] = np.mean(np.abs(error))
        counts = np.array([len(symbols) for symbols in groups])
        shrinkage = counts / (counts + half_weight_symbols)
        turbulence = np.clip(deviations / errors.mean(), 0.25, 4.0) ** shrinkage
        for place, (month, symbols) in enumerate(zip(months, groups, strict=True)):
            target[symbols, month, column] -= shrinkage[place] * medians[place] * scale[symbols, month, column]
            scale[symbols, month, column] *= turbulence[place]
    return target, scale


def _sample_weights(panel: Panel, origins: range, config: ForecasterConfig) -> Floats:
    """[N, T, H] month weights of the eligible rows; sum 1 per horizon."""
    weights = np.zeros(panel.y.shape)
    for column, h in enumerate(config.horizons):
        symbol, month = rows = eligible_rows(panel, origins, h, config)
        weights[symbol, month, column] = month_weights(rows, origins, config)
    return weights


def _loss_weights(
    sample: Floats, baseline: Baseline, scale: Floats, target: Floats, config: ForecasterConfig
) -> Floats:
    """[N, T, H] weights under which the baseline's loss is 1 and every horizon contributes equally.

    Months are divided by their mean scale: a turbulent month has larger losses, not more information.
    """
    weights = np.zeros(sample.shape)
    levels = np.array(config.quantile_levels)
    for column in range(sample.shape[2]):
        count = sample[..., column]
        mean_scale = (count * scale[..., column]).sum(axis=0) / np.maximum(count.sum(axis=0), 1e-300)
        rows = np.nonzero(count)
        equal = count[rows] / mean_scale[rows[1]]
        quantiles = scale[..., column][rows][:, None] * baseline.standardised_quantiles[column]
        error = target[..., column][rows][:, None] - (baseline.location[column] + quantiles)
        loss = np.maximum(levels * error, (levels - 1.0) * error).sum(axis=1)
        weights[..., column][rows] = equal / (equal @ loss) / sample.shape[2]
    return weights
