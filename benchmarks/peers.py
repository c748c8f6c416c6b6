"""What others would forecast: plain implementations, each on one page of a textbook.

All are fitted on nothing after `end` and then only fed with newer months, as our forecaster is in `benchmarks.skill`.
Quantiles are [N, O, H, Q] for N symbols and O origins; NaN where a symbol has no forecast.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from arch import arch_model
from scipy.stats import norm

from model import Floats
from model.config import ForecasterConfig
from model.features import Panel

EWMA_HALF_LIFE = 3.0
"""Months; of realised variance."""
FEWEST_RETURNS = 60
"""Months of returns for a GARCH of a symbol's own."""


def pooled_ewma(
    months: pd.DataFrame, panel: Panel, origins: Sequence[int], end: int, config: ForecasterConfig
) -> Floats:
    """Quantile = sigma_t √h z: z the quantiles of all symbols' earlier log returns over their sigma_t √h.

    Sigma is the root of the EWMA of realised variance. Months count equally, symbols equally within a month.

    Args:
        months: frame of `model.months.build_months`, for its realised variance.
        panel: targets, symbols and months.
        origins: positions on the time axis.
        end: position of the last month that z may know.
        config: levels and horizons.
    """
    sigma = _ewma_sigma(months, panel)
    column = list(origins)
    levels = np.array(config.quantile_levels)
    forecast = np.full((len(panel.symbols), len(column), len(config.horizons), len(levels)), np.nan)
    for place, h in enumerate(config.horizons):
        unit = sigma * np.sqrt(h)
        past = slice(0, end - h + 1)
        standard = panel.y[:, past, place] / unit[:, past]
        is_known = np.isfinite(standard) & (panel.age[:, past] >= config.burn_in_months)
        weight = np.broadcast_to(1.0 / np.maximum(is_known.sum(axis=0), 1), is_known.shape)
        z = _weighted_quantiles(standard[is_known], weight[is_known], levels)
        forecast[:, :, place] = unit[:, column, None] * z
    return forecast


def drift(panel: Panel, origins: Sequence[int], config: ForecasterConfig) -> Floats:
    """[N, O, H] persistence with drift: the mean of the symbol's log returns so far, times h."""
    total = np.nancumsum(panel.returns, axis=1)
    mean = np.where(panel.age > 0, total / np.maximum(panel.age, 1.0), np.nan)
    forecast: Floats = mean[:, list(origins), None] * np.array(config.horizons, dtype=np.float64)
    return forecast


def garch(panel: Panel, origins: Sequence[int], end: int, config: ForecasterConfig) -> Floats:
    """GARCH(1,1) of monthly returns with a constant mean, one a symbol, fitted once by `arch`; Gaussian quantiles."""
    levels = norm.ppf(config.quantile_levels)
    horizons = np.array(config.horizons)
    forecast = np.full((len(panel.symbols), len(list(origins)), len(horizons), len(levels)), np.nan)
    for n in range(len(panel.symbols)):
        returns = 100.0 * panel.returns[n]
        known = returns[: end + 1][np.isfinite(returns[: end + 1])]
        if len(known) < FEWEST_RETURNS:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = arch_model(known, mean="Constant", vol="GARCH", p=1, q=1, rescale=False).fit(disp="off")
        mu, omega, alpha, beta = (float(fit.params[name]) for name in ("mu", "omega", "alpha[1]", "beta[1]"))
        next_variance = garch_variance(returns - mu, omega, alpha, beta, start=float(known.var()))
        deviation = np.sqrt(summed_variance(next_variance[list(origins)], omega, alpha + beta, horizons))
        forecast[n] = (mu * horizons[None, :, None] + deviation[:, :, None] * levels) / 100.0
    return forecast


def garch_variance(error: Floats, omega: float, alpha: float, beta: float, *, start: float) -> Floats:
    """[T] variance of the month after each: omega + alpha e_t² + beta variance_t; unknown months leave it as it is."""
    variance, following = start, np.empty(len(error))
    for t, e in enumerate(error):
        if np.isfinite(e):
            variance = omega + alpha * e**2 + beta * variance
        following[t] = variance
    return following


def summed_variance(first: Floats, omega: float, persistence: float, horizons: Floats) -> Floats:
    """[O, H] variance of the sum of the next h months, from that of the first."""
    steps = np.arange(int(horizons.max()))
    # v_{k+1} = omega + p v_k, so that v_k = p^(k-1) v_1 + omega (1 + p + … + p^(k-2))
    constant = omega * np.concatenate([[0.0], np.cumsum(persistence ** steps[:-1])])
    each = first[:, None] * persistence**steps + constant
    summed: Floats = np.cumsum(each, axis=1)[:, np.asarray(horizons, dtype=np.int64) - 1]
    return summed


def _ewma_sigma(months: pd.DataFrame, panel: Panel) -> Floats:
    """[N, T] root of the EWMA of realised variance; a symbol's first month, which is partial, does not count."""
    final = months[months["is_final"].to_numpy(np.bool_) & months["log_return"].notna().to_numpy()]
    wide = final.pivot(index="month", columns="symbol", values="realised_variance")
    wide = wide.reindex(index=panel.months, columns=list(panel.symbols))
    smooth = wide.ewm(halflife=EWMA_HALF_LIFE, ignore_na=True).mean().ffill()
    return np.sqrt(np.maximum(smooth.to_numpy().T, 1e-6))


def _weighted_quantiles(values: Floats, weights: Floats, levels: Floats) -> Floats:
    """[Q] smallest values that have at least the level's share of the weight at or below them."""
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    found: Floats = values[order][np.minimum(np.searchsorted(share, levels), len(values) - 1)]
    return found
