"""What others would forecast, besides the peers of the backtest in `model.evaluation.benchmark_forecasters`.

All are fitted on nothing after `end` and then only fed with newer months, as our forecaster is in `benchmarks.skill`.
Quantiles are [N, O, H, Q] for N symbols and O origins; NaN where a symbol has no forecast.
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
    """Quantile = sigma_t √h z: z the quantiles of all symbols' earlier log returns over their sigma_t √h.

    Sigma is the root of the EWMA of realised variance. Months count equally, symbols equally within a month.

    Args:
        months: frame of `model.bars.months.build_months`, for its realised variance.
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
    forecast: Floats = mean_return(panel)[:, list(origins), None] * np.array(config.horizons, dtype=np.float64)
    return forecast


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
