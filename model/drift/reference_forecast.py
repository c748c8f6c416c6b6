"""Reference forecast: a forecast from past prices alone, without fitted parameters.

The published forecast is measured against it. The baseline cannot be the reference, because it is often the published
forecast itself. Persistence cannot either: it ignores the volatility of the market, so its loss relative to any
forecast that follows volatility rises and falls with the market. The quantile q at horizon h is

fast^(1 - w) long_run^w sqrt(h) z_{h,q},  w = long_run_weight sqrt(h)

with `fast` the EWMA of the symbol's monthly volatilities, `long_run` the mean of all of them, and z the pooled
standardised quantiles: those of the earlier returns of all symbols in units of their scale, all months with the same
weight, of targets that were over at the origin.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from model import Flags, Floats, Ints
from model.config import DriftConfig
from model.frames import MONTH_TYPES, REFERENCE_COLUMNS, check_frame

_GRID = np.linspace(-8.0, 8.0, 801)  # standardised returns at which the pooled distribution is evaluated


@dataclass(frozen=True)
class ReferenceForecast:
    """Volatilities by symbol and month, and the pooled standardised quantiles known at each month."""

    symbols: pd.Index
    months: pd.DatetimeIndex
    fast: Floats
    """[N, T] EWMA of the monthly volatilities, log return; NaN before a symbol's first month."""
    long_run: Floats
    """[N, T] mean of the monthly volatilities so far, log return; NaN before a symbol's first month."""
    standardised_quantiles: dict[int, Floats]
    """By horizon: [T, Q] pooled standardised quantiles; NaN before the first known return."""
    config: DriftConfig

    def positions(self, symbols: pd.Series, origin_months: pd.Series) -> tuple[Ints, Ints]:
        """Return the positions [R], [R] of R symbols and months on the two axes, -1 for unknown ones."""
        symbol = self.symbols.get_indexer(pd.Index(symbols))
        month = self.months.get_indexer(pd.DatetimeIndex(origin_months))
        return np.asarray(symbol, dtype=np.int64), np.asarray(month, dtype=np.int64)

    def quantiles(self, symbol: Ints, month: Ints, horizon: int) -> Floats:
        """Forecast the log return.

        Args:
            symbol: [R] positions of `positions`.
            month: [R] positions of the origin months.
            horizon: Months ahead.

        Returns:
            [R, Q] quantiles; NaN at position -1 and without earlier data.
        """
        scale = blend(self.fast[symbol, month], self.long_run[symbol, month], horizon, self.config)
        is_known = (symbol >= 0) & (month >= 0)
        standardised = self.standardised_quantiles[horizon][month]
        forecast: Floats = np.where(is_known[:, None], scale[:, None] * standardised, np.nan)
        return forecast


def make_reference_forecast(
    months: pd.DataFrame, *, horizons: Sequence[int], levels: Sequence[float], config: DriftConfig = DriftConfig()
) -> ReferenceForecast:
    """Make the reference forecast of all months; the forecast of an origin depends on no later month.

    Args:
        months: Frame of MONTH_TYPES; the columns REFERENCE_COLUMNS are used, and only final months.
        horizons: Months ahead.
        levels: Levels of the quantiles, ascending.
        config: Half-life, weight of the long-run volatility, lower bound and burn-in.

    Returns:
        The reference forecast.

    Raises:
        ValueError: If a column is missing or has another type.
    """
    check_frame(months, MONTH_TYPES, "months", REFERENCE_COLUMNS)
    final = months[months["is_final"].to_numpy(np.bool_) & months["log_return"].notna().to_numpy()]
    time = pd.date_range(final["month"].min(), final["month"].max(), freq="MS", unit="ns")
    codes, symbols = pd.factorize(final["symbol"], sort=True)
    column = time.get_indexer(pd.DatetimeIndex(final["month"]))
    returns, variance = np.full((2, len(symbols), len(time)), np.nan)
    returns[codes, column] = final["log_return"]
    variance[codes, column] = final["realised_variance"]
    fast, long_run = volatilities(np.sqrt(variance), config)
    standardised = {
        h: _pooled_quantiles(returns, blend(fast, long_run, h, config), h, levels, config.burn_in_months)
        for h in horizons
    }
    return ReferenceForecast(pd.Index(symbols), time, fast, long_run, standardised, config)


def volatilities(monthly: Floats, config: DriftConfig = DriftConfig()) -> tuple[Floats, Floats]:
    """Average the monthly volatilities up to each month, with a half-life and without.

    Args:
        monthly: [..., T] monthly volatilities, log return; NaN = unknown, which is skipped.
        config: Half-life and lower bound.

    Returns:
        [..., T], [..., T] fast and long-run volatility.
    """
    fast = _running_mean(monthly, 0.5 ** (1.0 / config.half_life_months))
    long_run = _running_mean(monthly, 1.0)
    return np.maximum(fast, config.smallest_volatility), np.maximum(long_run, config.smallest_volatility)


def blend(fast: Floats, long_run: Floats, horizon: int, config: DriftConfig = DriftConfig()) -> Floats:
    """Blend two volatilities [...] into the scale [...] of the reference forecast, log return over the horizon."""
    weight = config.long_run_weight * np.sqrt(horizon)
    scale: Floats = np.exp((1.0 - weight) * np.log(fast) + weight * np.log(long_run)) * np.sqrt(horizon)
    return scale


def _running_mean(values: Floats, keep: float) -> Floats:
    means = np.full(values.shape, np.nan, dtype=values.dtype)
    total, weight = np.zeros(values.shape[:-1], values.dtype), np.zeros(values.shape[:-1], values.dtype)
    for t in range(values.shape[-1]):
        is_known: Flags = np.isfinite(values[..., t])
        decay = np.where(is_known, keep, 1.0).astype(values.dtype)
        total = decay * total + np.where(is_known, values[..., t], 0.0)
        weight = decay * weight + is_known
        np.divide(total, weight, out=means[..., t], where=weight > 0)
    return means


def _pooled_quantiles(
    returns: Floats, scale: Floats, horizon: int, levels: Sequence[float], burn_in_months: int
) -> Floats:
    """Return the quantiles [T, Q] of the standardised returns over the horizon that were over by each month."""
    count = returns.shape[1]
    age = np.isfinite(returns).cumsum(axis=1)
    quantiles = np.full((count, len(levels)), np.nan)
    weights = np.zeros(len(_GRID) + 1)
    for t in range(horizon, count):
        origin = t - horizon
        standardised = returns[:, origin + 1 : t + 1].sum(axis=1) / scale[:, origin]
        standardised = standardised[np.isfinite(standardised) & (age[:, origin] >= burn_in_months)]
        if len(standardised):
            counts = np.bincount(np.searchsorted(_GRID, standardised), minlength=len(weights))
            weights += counts / len(standardised)
        if weights.any():
            share = weights.cumsum() / weights.sum()
            quantiles[t] = np.interp(levels, share[:-1], _GRID)
    return quantiles
