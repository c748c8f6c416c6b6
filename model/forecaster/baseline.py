"""The traditional forecast: a dozen readable coefficients a horizon.

quantile q at horizon h = centre_h + sigma_t sqrt(h) exp(beta_h . x_t) z_{h,q}

with sigma_t the symbol's current volatility, x_t the terms of `model.forecaster.features.TERMS` and z the pooled standardised
quantiles, all fitted together by the loss that the forecast is judged by. The median of z is 0, so that no volatility
scales the centre: letting it cost two points of skill at 12 months.
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
from model.forecaster.weighting import month_weights, usable_rows

MEDIAN = 0.5
LARGEST_LOG_SCALE = 1.5
"""The terms may make the spread e^1.5 = 4.5 times sigma sqrt(h) at most, or as many times smaller."""


@dataclass(frozen=True)
class Baseline:
    """Fitted coefficients."""

    centre: Floats
    """[H] log return; the part of the forecast that no volatility scales."""
    beta: Floats
    """[H, K] of the terms as they are."""
    intercept: Floats
    """[H] added to beta . x."""
    shape: Floats
    """[H, Q] standardised quantiles, rising."""
    outside: Floats
    """[H] share of the fitted returns outside the 80 % interval, months counting as in the fit."""

    def log_scale(self, x: Floats) -> Floats:
        """[..., H] log of the spread over sigma sqrt(h), from terms [..., K]."""
        scale: Floats = np.clip(x @ self.beta.T + self.intercept, -LARGEST_LOG_SCALE, LARGEST_LOG_SCALE)
        return scale

    def spread(self, sigma: Floats, x: Floats) -> Floats:
        """[..., H] what one unit of the shape is worth in log return, from sigma [...] and terms [..., K]."""
        horizons = np.arange(1, len(self.centre) + 1)
        spread: Floats = sigma[..., None] * np.sqrt(horizons) * np.exp(self.log_scale(x))
        return spread

    def spread_at(self, column: int, sigma: Floats, x: Floats) -> Floats:
        """[...] `spread` of the horizon in that column alone."""
        scale = np.clip(x @ self.beta[column] + self.intercept[column], -LARGEST_LOG_SCALE, LARGEST_LOG_SCALE)
        spread: Floats = sigma * np.sqrt(column + 1.0) * np.exp(scale)
        return spread

    def coefficients(self) -> pd.DataFrame:
        """Everything fitted, as a frame: horizon, term, value."""
        terms = ["location", "intercept", *TERMS]
        values = np.column_stack([self.centre, self.intercept, self.beta])
        return pd.DataFrame(
            {
                "horizon": np.repeat(np.arange(1, len(values) + 1), len(terms)),
                "term": np.tile(terms, len(values)),
                "value": values.ravel(),
            }
        )


def quantiles(centre: Floats, spread: Floats, shape: Floats) -> Floats:
    """[..., H, Q] quantiles of the log return, from centre [..., H], spread [..., H] and shape [H, Q]."""
    return centre[..., None] + spread[..., None] * shape


def outside_interval(target: Floats, centre: float, spread: Floats, shape: Floats, levels: Sequence[float]) -> Flags:
    """[R] whether targets [R] of one horizon fell outside the 80 % interval of its shape [Q]."""
    lower, upper = (shape[list(levels).index(level)] for level in (0.1, 0.9))
    miss = target - centre
    return np.asarray((miss < spread * lower) | (miss > spread * upper))


def fit_baseline(panel: Panel, origins: Sequence[int], config: ForecasterConfig) -> Baseline:
    """Minimise the mean pinball loss over the quantiles, each month of `origins` counting by its age alone.

    Args:
        panel: may hold later months; they are not looked at, and neither are targets that end after the last origin
            plus the horizon.
        origins: positions on the time axis.
        config: levels, ridge and half-life of the sample.

    Returns:
        The fitted coefficients, one set a horizon.

    Raises:
        ValueError: if a horizon has no target in `origins`.
    """
    fits, samples = [], []
    start = None
    for h in config.horizons:
        rows = usable_rows(panel, origins, h, config)
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
    centre, beta, intercept, shape = (np.array(part) for part in zip(*fits, strict=True))
    baseline = Baseline(centre, beta, intercept, shape, outside=np.zeros(len(centre)))
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
    """Weighted share of a horizon's targets outside their interval."""
    target, spread = panel.y[..., column][rows], baseline.spread_at(column, panel.sigma[rows], panel.x[rows])
    is_outside = outside_interval(
        target, baseline.centre[column], spread, baseline.shape[column], config.quantile_levels
    )
    return float(weights @ is_outside)


def _fit_horizon(
    *, target: Floats, unit: Floats, x: Floats, weights: Floats, config: ForecasterConfig, start: Floats | None
) -> tuple[float, Floats, float, Floats, Floats]:
    """Centre, beta, intercept and shape of one horizon, and the raw optimum to start the next horizon from."""
    levels = np.array(config.quantile_levels)
    gaussian = norm.ppf(levels)
    ridge = config.ridge * (1.0 + config.ridge_rows / len(target))
    mean = weights @ x
    deviation = np.sqrt(weights @ (x - mean) ** 2) + 1e-9
    standard = (x - mean) / deviation
    size = float(weights @ np.abs(target))  # makes the loss and the centre a number near one
    count = x.shape[1]

    # Sums by einsum stay in this thread: BLAS's threads wait for each other, eight times as long on a busy machine.
    def loss_and_gradient(parameters: Floats) -> tuple[float, Floats]:
        centre, beta, shape = size * parameters[0], parameters[1 : count + 1], parameters[count + 1 :]
        log_scale = np.einsum("rk,k->r", standard, beta)
        inside = np.abs(log_scale) < LARGEST_LOG_SCALE
        spread = unit * np.exp(np.clip(log_scale, -LARGEST_LOG_SCALE, LARGEST_LOG_SCALE))
        miss = target - centre
        loss = ridge * (beta @ beta + (shape - gaussian) @ (shape - gaussian))
        to_location, to_scale, to_shape = 0.0, np.zeros(len(target)), 2 * ridge * (shape - gaussian)
        for q, level in enumerate(levels):  # one at a time: all in one array take several times as long
            error = miss - spread * shape[q]
            slope = weights * (level - (error < 0))
            loss += np.einsum("r,r->", slope, error) / size
            to_location -= slope.sum()
            to_scale -= slope * (shape[q] / size)
            to_shape[q] -= np.einsum("r,r->", slope, spread) / size
        to_beta = np.einsum("rk,r->k", standard, to_scale * spread * inside) + 2 * ridge * beta
        # The median stays where it starts: at zero.
        return float(loss), np.concatenate([[to_location], to_beta, to_shape * (levels != MEDIAN)])

    if start is None:
        start = np.concatenate([[0.0], np.zeros(count), gaussian])
    best = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options={"maxiter": 100}).x
    beta = best[1 : count + 1] / deviation
    return size * best[0], beta, float(-mean @ beta), np.sort(best[count + 1 :]), best
