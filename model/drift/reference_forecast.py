"""The reference_forecast: a forecast that anyone could make from the prices of that day, with nothing in it that is fitted.

What is served cannot be its own opponent, and it often is the baseline. Persistence does not know how wild the market
is, so that its loss falls and rises against any forecast that does. The reference_forecast knows it:

quantile q at horizon h = fast^(1 - w) own^w sqrt(h) z_{h,q},  w = LONG_RUN_WEIGHT sqrt(h)

with fast the average of the symbol's monthly volatilities (half-life HALF_LIFE_MONTHS), own that of all its months, and
z the quantiles of all symbols' earlier returns in that unit, as far as they were over at the origin, months equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from model import Flags, Floats, Ints

HALF_LIFE_MONTHS = 4.0
LONG_RUN_WEIGHT = 0.15
SMALLEST_VOLATILITY = 0.005
"""Log return a month: a price that stands still must not divide by zero."""
BURN_IN_MONTHS = 12
"""Months a symbol has before its returns count for the pooled quantiles."""

_GRID = np.linspace(-8.0, 8.0, 801)  # standardised returns, on which the pooled quantiles are read


@dataclass(frozen=True)
class ReferenceForecast:
    """Volatilities of every month, and the pooled quantiles as they were known then."""

    symbols: pd.Index
    months: pd.DatetimeIndex
    fast: Floats
    """[N, T] log return a month; NaN before a symbol's first."""
    own: Floats
    """[N, T] likewise."""
    shape: dict[int, Floats]
    """[T, Q] pooled standardised quantiles by horizon; NaN before the first."""

    def positions(self, symbols: pd.Series, origin_months: pd.Series) -> tuple[Ints, Ints]:
        """[R], [R] places on both axes, -1 where it knows none."""
        symbol = self.symbols.get_indexer(pd.Index(symbols))
        month = self.months.get_indexer(pd.DatetimeIndex(origin_months))
        return np.asarray(symbol, dtype=np.int64), np.asarray(month, dtype=np.int64)

    def quantiles(self, symbol: Ints, month: Ints, horizon: int) -> Floats:
        """[R, Q] forecasts of the log return; NaN where a place is -1 or nothing was known yet."""
        unit = blend(self.fast[symbol, month], self.own[symbol, month], horizon)
        is_there = (symbol >= 0) & (month >= 0)
        forecast: Floats = np.where(is_there[:, None], unit[:, None] * self.shape[horizon][month], np.nan)
        return forecast


def make_reference_forecast(
    months: pd.DataFrame, *, horizons: Sequence[int], levels: Sequence[float]
) -> ReferenceForecast:
    """Look at the months once; what it says of an origin depends on no later month.

    Args:
        months: frame of `model.bars.months.build_months`; months that are not final are left out.
        horizons: months ahead.
        levels: of the quantiles, rising.
    """
    final = months[months["is_final"].to_numpy(np.bool_) & months["log_return"].notna().to_numpy()]
    time = pd.date_range(final["month"].min(), final["month"].max(), freq="MS", unit="ns")
    codes, symbols = pd.factorize(final["symbol"], sort=True)
    column = time.get_indexer(pd.DatetimeIndex(final["month"]))
    returns, variance = np.full((2, len(symbols), len(time)), np.nan)
    returns[codes, column] = final["log_return"]
    variance[codes, column] = final["realised_variance"]
    fast, own = volatilities(np.sqrt(variance))
    shape = {h: _pooled_quantiles(returns, blend(fast, own, h), h, levels) for h in horizons}
    return ReferenceForecast(pd.Index(symbols), time, fast, own, shape)


def volatilities(monthly: Floats) -> tuple[Floats, Floats]:
    """[..., T], [..., T] fast and long average of the monthly volatilities so far; unknown (NaN) ones are skipped."""
    fast = _running_mean(monthly, 0.5 ** (1.0 / HALF_LIFE_MONTHS))
    return np.maximum(fast, SMALLEST_VOLATILITY), np.maximum(_running_mean(monthly, 1.0), SMALLEST_VOLATILITY)


def blend(fast: Floats, own: Floats, horizon: int) -> Floats:
    """[...] one unit of the reference_forecast's spread, log return over the horizon."""
    weight = LONG_RUN_WEIGHT * np.sqrt(horizon)
    unit: Floats = np.exp((1.0 - weight) * np.log(fast) + weight * np.log(own)) * np.sqrt(horizon)
    return unit


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


def _pooled_quantiles(returns: Floats, unit: Floats, horizon: int, levels: Sequence[float]) -> Floats:
    """[T, Q] of the standardised returns over the horizon that were over by each month."""
    count = returns.shape[1]
    age = np.isfinite(returns).cumsum(axis=1)
    shape = np.full((count, len(levels)), np.nan)
    seen = np.zeros(len(_GRID) + 1)
    for t in range(horizon, count):
        origin = t - horizon
        standard = returns[:, origin + 1 : t + 1].sum(axis=1) / unit[:, origin]
        standard = standard[np.isfinite(standard) & (age[:, origin] >= BURN_IN_MONTHS)]
        if len(standard):
            seen += np.bincount(np.searchsorted(_GRID, standard), minlength=len(seen)) / len(standard)
        if seen.any():
            share = seen.cumsum() / seen.sum()
            shape[t] = np.interp(levels, share[:-1], _GRID)
    return shape
