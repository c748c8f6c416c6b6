"""The market scale: one factor per month for the scale of all symbols and horizons, from past misses.

A scale fitted in one regime of the market is too wide or too narrow in another. The factor follows the share of returns
outside the model's past 80 % intervals, over all symbols. It changes slowly, is 1 just after a fit, and uses only
targets that end at or before the origin.
"""

import numpy as np

from model import Flags, Floats
from model.config import ForecasterConfig
from model.forecaster.baseline import Baseline, outside_interval
from model.forecaster.features import Panel

_SMALLEST_SHARE = 0.02  # lower bound of the fitted share outside, which a small sample may leave near zero


def market_scale(baseline: Baseline, panel: Panel, config: ForecasterConfig) -> Floats:
    """Return the factor of the scale by origin month.

    For each horizon, the shares of symbols outside their interval are averaged over the origins with a known target:
    with half-life `config.sample_half_life_years`, and with `config.calibration_pull` months at the share of the fit.
    The ratio of this average to the share of the fit is the horizon's factor. The result is the geometric mean over
    horizons, because their errors are correlated and short horizons respond earlier.

    Args:
        baseline: coefficients, and the share outside in their fit.
        panel: months and targets. Later months do not change the factor of earlier origins.
        config: half-life, pull, bound and levels.

    Returns:
        [T] factors within `config.largest_market_scale` and its reciprocal.
    """
    months = len(panel.months)
    log_scale = np.zeros(months)
    for column, h in enumerate(config.horizons):
        reference = max(float(baseline.outside[column]), _SMALLEST_SHARE)
        shares = _shares_outside(baseline, panel, column, config)
        log_scale += np.log(_running_share(shares, h, reference, config) / reference) / len(config.horizons)
    bound = np.log(config.largest_market_scale)
    scale: Floats = np.exp(np.clip(log_scale, -bound, bound))
    return scale


def _shares_outside(baseline: Baseline, panel: Panel, column: int, config: ForecasterConfig) -> Floats:
    """[T] share of symbols outside their interval by origin month; NaN without a known target."""
    target = panel.y[..., column]
    is_known: Flags = panel.known & np.isfinite(target) & (panel.age >= config.burn_in_months)
    symbol, month = np.nonzero(is_known)
    scale = baseline.scale_at(column, panel.sigma[symbol, month], panel.x[symbol, month])
    is_outside = outside_interval(
        target[symbol, month],
        baseline.location[column] * panel.location_factor[month],
        scale,
        baseline.standardised_quantiles[column],
        config.quantile_levels,
    )
    count = np.bincount(month, minlength=is_known.shape[1])
    outside = np.bincount(month, is_outside, minlength=is_known.shape[1])
    shares: Floats = np.where(count > 0, outside / np.maximum(count, 1), np.nan)
    return shares


def _running_share(shares: Floats, horizon: int, reference: float, config: ForecasterConfig) -> Floats:
    """[T] weighted mean, at each month, of the shares of origins at least `horizon` months earlier."""
    keep = 0.5 ** (1.0 / (12.0 * config.sample_half_life_years))
    running = np.full(len(shares), reference)
    total = weight = 0.0
    for month in range(horizon, len(shares)):
        total, weight = keep * total, keep * weight
        if np.isfinite(shares[month - horizon]):
            total, weight = total + shares[month - horizon], weight + 1.0
        running[month] = (config.calibration_pull * reference + total) / max(config.calibration_pull + weight, 1e-9)
    return running
