"""The baseline: the traditional forecast, with about a dozen readable coefficients per horizon.

    quantile q at horizon h = location_h + scale_h z_{h,q}
    scale_h = sigma_t sqrt(h) exp(intercept_h + beta_h . x_t)

with sigma_t the symbol's current volatility, x_t the terms of `model.forecaster.features.TERMS` and z_h the pooled
standardised quantiles. All are fitted together by the pinball loss, which is also the measure of evaluation. The median
of z_h is 0, so that the location is independent of volatility: a free median was worse by two points of skill at 12
months.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.stats import norm

from model import Flags, Floats, Ints
from model.config import ForecasterConfig
from model.forecaster.features import TERMS, Panel
from model.forecaster.training_rows import eligible_rows, month_weights

MEDIAN = 0.5
LARGEST_LOG_SCALE = 1.5
"""Bound of the log scale: the terms multiply or divide sigma sqrt(h) by e^1.5 = 4.5 at most."""


@dataclass(frozen=True)
class Baseline:
    """Fitted coefficients of all horizons."""

    location: Floats
    """[H] log return."""
    beta: Floats
    """[H, K] coefficients of the terms, which are not standardised."""
    intercept: Floats
    """[H] of the log scale."""
    standardised_quantiles: Floats
    """[H, Q] in units of the scale, rising."""
    outside: Floats
    """[H] weighted share of the fitted returns outside their 80 % interval."""

    def log_scale(self, x: Floats) -> Floats:
        """Return the log of the scale over sigma sqrt(h), [..., H], from terms [..., K]."""
        log_scale: Floats = np.clip(x @ self.beta.T + self.intercept, -LARGEST_LOG_SCALE, LARGEST_LOG_SCALE)
        return log_scale

    def scale(self, sigma: Floats, x: Floats) -> Floats:
        """Return the scale, log return, [..., H], from sigma [...] and terms [..., K]."""
        horizons = np.arange(1, len(self.location) + 1)
        scale: Floats = sigma[..., None] * np.sqrt(horizons) * np.exp(self.log_scale(x))
        return scale

    def scale_at(self, column: int, sigma: Floats, x: Floats) -> Floats:
        """Return the scale of one horizon, log return, [...]; `column` is its position on the H axis."""
        log_scale = np.clip(x @ self.beta[column] + self.intercept[column], -LARGEST_LOG_SCALE, LARGEST_LOG_SCALE)
        scale: Floats = sigma * np.sqrt(column + 1.0) * np.exp(log_scale)
        return scale

    def coefficients(self) -> pd.DataFrame:
        """Return location, intercept and coefficients as a frame: horizon, term, value."""
        terms = ["location", "intercept", *TERMS]
        values = np.column_stack([self.location, self.intercept, self.beta])
        return pd.DataFrame(
            {
                "horizon": np.repeat(np.arange(1, len(values) + 1), len(terms)),
                "term": np.tile(terms, len(values)),
                "value": values.ravel(),
            }
        )


def quantiles(location: Floats, scale: Floats, standardised_quantiles: Floats) -> Floats:
    """Return the quantiles of the log return, [..., H, Q].

    Args:
        location: [..., H] log return.
        scale: [..., H] log return.
        standardised_quantiles: [H, Q].
    """
    return location[..., None] + scale[..., None] * standardised_quantiles


def outside_interval(
    target: Floats, location: float, scale: Floats, standardised_quantiles: Floats, levels: Sequence[float]
) -> Flags:
    """Return whether targets of one horizon are outside their 80 % interval, [R].

    Args:
        target: [R] log return.
        location: of the horizon.
        scale: [R] log return.
        standardised_quantiles: [Q] of the horizon.
        levels: [Q], with 0.1 and 0.9 among them.
    """
    lower, upper = (standardised_quantiles[list(levels).index(level)] for level in (0.1, 0.9))
    error = target - location
    return np.asarray((error < scale * lower) | (error > scale * upper))


def fit_baseline(panel: Panel, origins: Sequence[int], config: ForecasterConfig) -> Baseline:
    """Fit the coefficients of every horizon: minimise the weighted mean pinball loss plus a ridge penalty.

    Args:
        panel: features and targets. Only the months of `origins` and targets that end at most a horizon after the last
            of them are used.
        origins: positions on the time axis.
        config: levels, ridge and half-life of the sample.

    Raises:
        ValueError: if a horizon has no eligible row in `origins`.
    """
    fits, samples = [], []
    start = None
    for h in config.horizons:
        rows = eligible_rows(panel, origins, h, config)
        weights = month_weights(rows, origins, config)
        symbol, month = rows
        fit = _fit_horizon(
            target=panel.y[symbol, month, h - 1],
            unit=panel.sigma[symbol, month] * np.sqrt(h),
            x=panel.x[symbol, month],
            weights=weights,
            config=config,
            start=start,
        )
        start = fit[-1]
        fits.append(fit[:-1])
        samples.append((rows, weights))
    location, beta, intercept, standardised_quantiles = (np.array(part) for part in zip(*fits, strict=True))
    baseline = Baseline(location, beta, intercept, standardised_quantiles, outside=np.zeros(len(location)))
    outside = [_share_outside(baseline, panel, column, *sample, config) for column, sample in enumerate(samples)]
    return replace(baseline, outside=np.array(outside))


def _share_outside(
    baseline: Baseline,
    panel: Panel,
    column: int,
    rows: tuple[Ints, Ints],
    weights: Floats,
    config: ForecasterConfig,
) -> float:
    """Weighted share of a horizon's targets outside their 80 % interval."""
    target, scale = panel.y[..., column][rows], baseline.scale_at(column, panel.sigma[rows], panel.x[rows])
    is_outside = outside_interval(
        target, baseline.location[column], scale, baseline.standardised_quantiles[column], config.quantile_levels
    )
    return float(weights @ is_outside)


def _fit_horizon(
    *, target: Floats, unit: Floats, x: Floats, weights: Floats, config: ForecasterConfig, start: Floats | None
) -> tuple[float, Floats, float, Floats, Floats]:
    """Fit one horizon.

    Args:
        target: [R] log return.
        unit: [R] sigma sqrt(h).
        x: [R, K] terms.
        weights: [R], sum 1.
        config: levels and ridge.
        start: optimum of the previous horizon.

    Returns:
        Location, beta [K], intercept, standardised quantiles [Q] and the optimum in the optimiser's parameters.
    """
    levels = np.array(config.quantile_levels)
    gaussian = norm.ppf(levels)
    ridge = config.ridge * (1.0 + config.ridge_rows / len(target))
    mean = weights @ x
    deviation = np.sqrt(weights @ (x - mean) ** 2) + 1e-9
    standard = (x - mean) / deviation
    size = float(weights @ np.abs(target))  # unit of the loss and of the location, so that both are near 1
    count = x.shape[1]

    # einsum runs in this thread. BLAS threads wait for each other, which took eight times as long on a busy machine.
    def loss_and_gradient(parameters: Floats) -> tuple[float, Floats]:
        location, beta = size * parameters[0], parameters[1 : count + 1]
        standardised_quantiles = parameters[count + 1 :]
        from_gaussian = standardised_quantiles - gaussian
        log_scale = np.einsum("rk,k->r", standard, beta)
        is_inside = np.abs(log_scale) < LARGEST_LOG_SCALE
        scale = unit * np.exp(np.clip(log_scale, -LARGEST_LOG_SCALE, LARGEST_LOG_SCALE))
        error = target - location
        loss = ridge * (beta @ beta + from_gaussian @ from_gaussian)
        d_location, d_scale, d_quantiles = 0.0, np.zeros(len(target)), 2 * ridge * from_gaussian
        for q, level in enumerate(levels):  # one level at a time: one array of all takes several times as long
            miss = error - scale * standardised_quantiles[q]
            slope = weights * (level - (miss < 0))
            loss += np.einsum("r,r->", slope, miss) / size
            d_location -= slope.sum()
            d_scale -= slope * (standardised_quantiles[q] / size)
            d_quantiles[q] -= np.einsum("r,r->", slope, scale) / size
        d_beta = np.einsum("rk,r->k", standard, d_scale * scale * is_inside) + 2 * ridge * beta
        # The median keeps its initial value, 0.
        return float(loss), np.concatenate([[d_location], d_beta, d_quantiles * (levels != MEDIAN)])

    if start is None:
        start = np.concatenate([[0.0], np.zeros(count), gaussian])
    best = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options={"maxiter": 100}).x
    beta = best[1 : count + 1] / deviation
    return size * best[0], beta, float(-mean @ beta), np.sort(best[count + 1 :]), best
