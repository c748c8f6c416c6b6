"""The baseline: the traditional forecast, with about a dozen readable coefficients per horizon.

    quantile q at horizon h = location_h f_t + scale_h z_{h,q}
    scale_h = sigma_t sqrt(h) exp(intercept_h + beta_h . x_t)

with sigma_t the symbol's current volatility, f_t the location factor of the month (`Panel.location_factor`), x_t the
terms of `model.forecaster.features.TERMS`, limited to the range of the fit, and z_h the pooled standardised quantiles.
All are fitted together by the pinball loss, which is also the measure of evaluation. The median of z_h is 0, so that
the location is independent of the symbol's volatility: a free median was worse by two points of skill at 12 months.

A fit can be shrunk towards a vintage: coefficients trained earlier on many other symbols (`model.pretrained`). The
fewer training rows a universe has, the closer it remains to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.stats import norm

from model import Flags, Floats, Ints
from model.config import ForecasterConfig
from model.forecaster.features import LARGEST_FEATURE, RHYTHM_HORIZONS, TERMS, Panel
from model.forecaster.training_rows import eligible_rows, month_weights

MEDIAN = 0.5
LARGEST_LOG_SCALE = 1.5
"""Bound of the log scale: the terms multiply or divide sigma sqrt(h) by e^1.5 = 4.5 at most."""


@dataclass(frozen=True)
class Baseline:
    """Fitted coefficients of all horizons."""

    location: Floats
    """[H] log return at a location factor of 1."""
    beta: Floats
    """[H, K] coefficients of the terms, which are not standardised."""
    intercept: Floats
    """[H] of the log scale."""
    standardised_quantiles: Floats
    """[H, Q] in units of the scale, rising."""
    outside: Floats
    """[H] weighted share of the fitted returns outside their 80 % interval."""
    term_low: Floats = field(default_factory=lambda: np.full(len(TERMS), -LARGEST_FEATURE))
    """[K] smallest value of each term in the fit; a forecast does not extrapolate beyond it."""
    term_high: Floats = field(default_factory=lambda: np.full(len(TERMS), LARGEST_FEATURE))
    """[K] largest value of each term in the fit."""

    def locations(self, factor: Floats) -> Floats:
        """Return the locations, log return, [..., H], from location factors [...]."""
        return factor[..., None] * self.location

    def log_scale(self, x: Floats) -> Floats:
        """Return the log of the scale over sigma sqrt(h), [..., H], from terms [..., K]."""
        log_scale = np.clip(x, self.term_low, self.term_high) @ self.beta.T + self.intercept
        return np.clip(log_scale, -LARGEST_LOG_SCALE, LARGEST_LOG_SCALE)

    def scale(self, sigma: Floats, x: Floats) -> Floats:
        """Return the scale, log return, [..., H], from sigma [...] and terms [..., K]."""
        horizons = np.arange(1, len(self.location) + 1)
        scale: Floats = sigma[..., None] * np.sqrt(horizons) * np.exp(self.log_scale(x))
        return scale

    def scale_at(self, column: int, sigma: Floats, x: Floats) -> Floats:
        """Return the scale of one horizon, log return, [...]; `column` is its position on the H axis."""
        log_scale = np.clip(x, self.term_low, self.term_high) @ self.beta[column] + self.intercept[column]
        bounded = np.clip(log_scale, -LARGEST_LOG_SCALE, LARGEST_LOG_SCALE)
        scale: Floats = sigma * np.sqrt(column + 1.0) * np.exp(bounded)
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
    target: Floats, location: Floats, scale: Floats, standardised_quantiles: Floats, levels: Sequence[float]
) -> Flags:
    """Return whether targets of one horizon are outside their 80 % interval, [R].

    Args:
        target: [R] log return.
        location: [R] log return.
        scale: [R] log return.
        standardised_quantiles: [Q] of the horizon.
        levels: [Q], with 0.1 and 0.9 among them.
    """
    lower, upper = (standardised_quantiles[list(levels).index(level)] for level in (0.1, 0.9))
    error = target - location
    return np.asarray((error < scale * lower) | (error > scale * upper))


def fit_baseline(
    panel: Panel, origins: Sequence[int], config: ForecasterConfig, vintage: Baseline | None = None
) -> Baseline:
    """Fit the coefficients of every horizon: minimise the weighted mean pinball loss plus a quadratic penalty.

    Without a vintage, the penalty shrinks the coefficients towards 0 and the standardised quantiles towards a
    Gaussian's. With one, both are shrunk towards the vintage, and so is the location.

    Args:
        panel: features and targets. Only the months of `origins` and targets that end at most a horizon after the last
            of them are used.
        origins: positions on the time axis.
        config: levels, penalties and half-life of the sample.
        vintage: baseline of other symbols, with the same levels and at least as many horizons.

    Raises:
        ValueError: if a horizon has no eligible row in `origins`.
    """
    samples = []
    for h in config.horizons:
        rows = eligible_rows(panel, origins, h, config)
        samples.append((rows, month_weights(rows, origins, config)))
    low, high = _term_range(panel, [rows for rows, _ in samples], vintage)
    fits = []
    start = None
    for column, (rows, weights) in enumerate(samples):
        symbol, month = rows
        fit = _fit_horizon(
            target=panel.y[symbol, month, column],
            unit=panel.sigma[symbol, month] * np.sqrt(column + 1.0),
            factor=panel.location_factor[month],
            x=np.clip(panel.x[symbol, month], low, high),
            used=_used_terms(column + 1),
            weights=weights,
            config=config,
            vintage=None if vintage is None else _coefficients_of(vintage, column),
            start=start,
        )
        start = fit[-1]
        fits.append(fit[:-1])
    location, beta, intercept, standardised_quantiles = (np.array(part) for part in zip(*fits, strict=True))
    outside = np.zeros(len(location))
    baseline = Baseline(location, beta, intercept, standardised_quantiles, outside, low, high)
    outside = np.array([_share_outside(baseline, panel, column, *part, config) for column, part in enumerate(samples)])
    return replace(baseline, outside=outside)


def _used_terms(horizon: int) -> Flags:
    """[K] terms of a horizon: the quarter rhythm is for short horizons only."""
    return np.array([not name.startswith("quarter_rhythm") or horizon <= RHYTHM_HORIZONS for name in TERMS])


def _term_range(panel: Panel, rows: Sequence[tuple[Ints, Ints]], vintage: Baseline | None) -> tuple[Floats, Floats]:
    """[K], [K] smallest and largest value of each term in the training rows of any horizon, and in the vintage."""
    values = [panel.x[part] for part in rows]
    low = np.min([part.min(axis=0) for part in values], axis=0)
    high = np.max([part.max(axis=0) for part in values], axis=0)
    if vintage is None:
        return low, high
    return np.minimum(low, vintage.term_low), np.maximum(high, vintage.term_high)


@dataclass(frozen=True)
class _Coefficients:
    """Coefficients of one horizon."""

    location: float
    beta: Floats
    """[K]."""
    intercept: float
    standardised_quantiles: Floats
    """[Q]."""


def _coefficients_of(baseline: Baseline, column: int) -> _Coefficients:
    parts = (baseline.location, baseline.beta, baseline.intercept, baseline.standardised_quantiles)
    location, beta, intercept, standardised_quantiles = (part[column] for part in parts)
    return _Coefficients(float(location), beta, float(intercept), standardised_quantiles)


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
    location = baseline.location[column] * panel.location_factor[rows[1]]
    is_outside = outside_interval(
        target, location, scale, baseline.standardised_quantiles[column], config.quantile_levels
    )
    return float(weights @ is_outside)


def _fit_horizon(
    *,
    target: Floats,
    unit: Floats,
    factor: Floats,
    x: Floats,
    used: Flags,
    weights: Floats,
    config: ForecasterConfig,
    vintage: _Coefficients | None,
    start: Floats | None,
) -> tuple[float, Floats, float, Floats, Floats]:
    """Fit one horizon.

    Args:
        target: [R] log return.
        unit: [R] sigma sqrt(h).
        factor: [R] of the location.
        x: [R, K] terms.
        used: [K] terms of this horizon; the coefficients of the others are 0.
        weights: [R], sum 1.
        config: levels and penalties.
        vintage: coefficients that the fit is shrunk towards; None: 0 and a Gaussian.
        start: optimum of the previous horizon.

    Returns:
        Location, beta [K], intercept, standardised quantiles [Q] and the optimum in the optimiser's parameters.
    """
    levels = np.array(config.quantile_levels)
    mean = weights @ x
    deviation = np.sqrt(weights @ (x - mean) ** 2) + 1e-9
    standard = (x - mean) / deviation * used
    size = float(weights @ np.abs(target))  # unit of the loss and of the location, so that both are near 1
    count = x.shape[1]
    # Anchor of the penalty and its weights, in the optimiser's parameters.
    ridge = config.ridge * (1.0 + config.ridge_rows / len(target))
    if vintage is None:
        anchor = np.concatenate([[0.0], np.zeros(count), norm.ppf(levels)])
        location_penalty, term_penalty = 0.0, ridge
    else:
        level = np.exp(vintage.intercept + mean @ vintage.beta)  # the vintage's scale at this universe's mean terms
        beta = vintage.beta * deviation * used
        anchor = np.concatenate([[vintage.location / size], beta, vintage.standardised_quantiles * level])
        location_penalty = config.vintage_location_rows / len(target)
        term_penalty = config.ridge * (1.0 + config.vintage_rows / len(target))
    penalty = np.concatenate([[location_penalty], np.full(count, term_penalty), np.full(len(levels), ridge)])

    # einsum runs in this thread. BLAS threads wait for each other, which took eight times as long on a busy machine.
    def loss_and_gradient(parameters: Floats) -> tuple[float, Floats]:
        location, beta = size * parameters[0], parameters[1 : count + 1]
        standardised_quantiles = parameters[count + 1 :]
        distance = parameters - anchor
        log_scale = np.einsum("rk,k->r", standard, beta)
        is_inside = np.abs(log_scale) < LARGEST_LOG_SCALE
        scale = unit * np.exp(np.clip(log_scale, -LARGEST_LOG_SCALE, LARGEST_LOG_SCALE))
        error = target - location * factor
        loss = float(penalty @ distance**2)
        gradient = 2 * penalty * distance
        d_scale = np.zeros(len(target))
        for q, quantile_level in enumerate(levels):  # one at a time: one array of all takes several times as long
            miss = error - scale * standardised_quantiles[q]
            slope = weights * (quantile_level - (miss < 0))
            loss += np.einsum("r,r->", slope, miss) / size
            gradient[0] -= np.einsum("r,r->", slope, factor)
            d_scale -= slope * (standardised_quantiles[q] / size)
            gradient[count + 1 + q] -= np.einsum("r,r->", slope, scale) / size
        gradient[1 : count + 1] += np.einsum("rk,r->k", standard, d_scale * scale * is_inside)
        gradient[count + 1 :] *= levels != MEDIAN  # the median keeps its initial value, 0
        return loss, gradient

    best = minimize(
        loss_and_gradient, anchor if start is None else start, jac=True, method="L-BFGS-B", options={"maxiter": 100}
    ).x
    beta = best[1 : count + 1] / deviation * used
    return size * best[0], beta, float(-mean @ beta), np.sort(best[count + 1 :]), best
