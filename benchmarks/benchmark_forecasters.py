"""Forecasters that `benchmarks.skill` compares with, besides those of `model.evaluation.benchmark_forecasters`.

All are fitted on months up to `end`; later months are inputs only. Quantiles are [N, O, H, Q] for N symbols and O
origins; NaN where a symbol has no forecast.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from model import Floats
from model.config import ForecasterConfig
from model.evaluation.benchmark_forecasters import garch, mean_return
from model.forecaster.features import Panel

__all__ = ["drift", "garch", "pooled_ewma"]

EWMA_HALF_LIFE = 3.0
"""Months; of realised variance."""


def pooled_ewma(
    months: pd.DataFrame, panel: Panel, origins: Sequence[int], end: int, config: ForecasterConfig
) -> Floats:
    """Forecast with pooled standardised quantiles: quantile = sigma_t √h z.

    z are the quantiles of all symbols' past log returns divided by sigma_t √h. Sigma is the root of the EWMA of
    realised variance. Months are weighted equally, and symbols equally within a month.

    Args:
        months: Frame of `model.bars.months.build_months`; its realised variance is used.
        panel: Targets, symbols and months.
        origins: Positions on the time axis.
        end: Position of the last month that z is fitted on.
        config: Levels and horizons.
    """
    sigma = _ewma_sigma(months, panel)
    positions = list(origins)
    levels = np.array(config.quantile_levels)
    forecast = np.full((len(panel.symbols), len(positions), len(config.horizons), len(levels)), np.nan)
    for column, h in enumerate(config.horizons):
        unit = sigma * np.sqrt(h)
        past = slice(0, end - h + 1)
        standard = panel.y[:, past, column] / unit[:, past]
        is_known = np.isfinite(standard) & (panel.age[:, past] >= config.burn_in_months)
        weight = np.broadcast_to(1.0 / np.maximum(is_known.sum(axis=0), 1), is_known.shape)
        z = _weighted_quantiles(standard[is_known], weight[is_known], levels)
        forecast[:, :, column] = unit[:, positions, None] * z
    return forecast


def drift(panel: Panel, origins: Sequence[int], config: ForecasterConfig) -> Floats:
    """Forecast the median [N, O, H] as h times the mean of the symbol's past log returns."""
    forecast: Floats = mean_return(panel)[:, list(origins), None] * np.array(config.horizons, dtype=np.float64)
    return forecast


def _ewma_sigma(months: pd.DataFrame, panel: Panel) -> Floats:
    """Return the root [N, T] of the EWMA of realised variance, without a symbol's first, partial month."""
    final = months[months["is_final"].to_numpy(np.bool_) & months["log_return"].notna().to_numpy()]
    wide = final.pivot(index="month", columns="symbol", values="realised_variance")
    wide = wide.reindex(index=panel.months, columns=list(panel.symbols))
    smooth = wide.ewm(halflife=EWMA_HALF_LIFE, ignore_na=True).mean().ffill()
    return np.sqrt(np.maximum(smooth.to_numpy().T, 1e-6))


def _weighted_quantiles(values: Floats, weights: Floats, levels: Floats) -> Floats:
    """Return the smallest values [Q] with at least the level's share of the weight at or below them."""
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    quantiles: Floats = values[order][np.minimum(np.searchsorted(share, levels), len(values) - 1)]
    return quantiles
