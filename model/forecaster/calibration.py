"""One scale for all spreads of a month, learnt from how often past forecasts missed.

A spread fitted on one age of the market is too wide or too narrow in another. The share of returns outside the 80 %
intervals of the model's own past forecasts, over all symbols, says by how much; it moves slowly, starts at 1 when the
model has just been fitted, and counts only targets that were over at the origin.
"""

import numpy as np

from model import Flags, Floats
from model.config import ForecasterConfig
from model.forecaster.baseline import Baseline, outside_interval
from model.forecaster.features import Panel

_LARGEST_SCALE = 1.5
_SMALLEST_SHARE = 0.02  # below it, a share of a small sample is not worth dividing by


def market_scale(baseline: Baseline, panel: Panel, config: ForecasterConfig) -> Floats:
    """Factor on the spread of every symbol and horizon, by month of origin.

    At each horizon the share of symbols outside their interval is averaged over the origins whose targets are over,
    newest most (half-life `config.sample_half_life_years`), beside `config.calibration_pull` months at the share of the
    fitted sample, and divided by the latter. The scale is the geometric mean of these ratios over the horizons: they
    err together, and the short ones know it sooner.

    Args:
        baseline: fitted coefficients and the share outside among the returns they were fitted to.
        panel: months and targets up to the last origin; later ones do not change the scale of earlier origins.
        config: half-life, pull and levels.

    Returns:
        [T] factors, between 1 / 1.5 and 1.5.
    """
    months = len(panel.months)
    log_scale = np.zeros(months)
    for column, h in enumerate(config.horizons):
        reference = max(float(baseline.outside[column]), _SMALLEST_SHARE)
        shares = _shares_outside(baseline, panel, column, config)
        log_scale += np.log(_running_share(shares, h, reference, config) / reference) / len(config.horizons)
    bound = np.log(_LARGEST_SCALE)
    scale: Floats = np.exp(np.clip(log_scale, -bound, bound))
    return scale


def _shares_outside(baseline: Baseline, panel: Panel, column: int, config: ForecasterConfig) -> Floats:
    """[T] share of the symbols whose return from the month on was outside its interval; NaN where none is known."""
    target = panel.y[..., column]
    is_known: Flags = panel.known & np.isfinite(target) & (panel.age >= config.burn_in_months)
    symbol, month = np.nonzero(is_known)
    spread = baseline.spread_at(column, panel.sigma[symbol, month], panel.x[symbol, month])
    is_outside = outside_interval(
        target[symbol, month], baseline.centre[column], spread, baseline.shape[column], config.quantile_levels
    )
    count = np.bincount(month, minlength=is_known.shape[1])
    outside = np.bincount(month, is_outside, minlength=is_known.shape[1])
    shares: Floats = np.where(count > 0, outside / np.maximum(count, 1), np.nan)
    return shares


def _running_share(shares: Floats, horizon: int, reference: float, config: ForecasterConfig) -> Floats:
    """[T] weighted mean, at each month, of the shares of the origins `horizon` months ago and earlier."""
    keep = 0.5 ** (1.0 / (12.0 * config.sample_half_life_years))
    running = np.full(len(shares), reference)
    total = weight = 0.0
    for month in range(horizon, len(shares)):
        total, weight = keep * total, keep * weight
        if np.isfinite(shares[month - horizon]):
            total, weight = total + shares[month - horizon], weight + 1.0
        running[month] = (config.calibration_pull * reference + total) / max(config.calibration_pull + weight, 1e-9)
    return running
