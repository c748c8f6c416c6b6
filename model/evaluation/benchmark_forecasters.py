"""Benchmark forecasters: textbook methods that the forecasts are compared with.

Quantiles are [N, O, H, Q] for N symbols, O origins, H horizons and Q levels: log returns from the origin to the end of
the target month. They are NaN where a method has no forecast, because the symbol lacks the month, has too few returns,
or cannot be fitted. A fitted method estimates its parameters on the months up to `end`; later months only update its
state.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.stats import norm

from model import Floats
from model.config import ForecasterConfig
from model.forecaster.features import Panel

FEWEST_RETURNS = 60
"""Returns of a symbol that a fitted method needs, in months."""

_ARCH_SCALE = 10.0  # `arch` needs returns with a variance between 1 and 1000


def persistence(panel: Panel, origins: Sequence[int], config: ForecasterConfig) -> Floats:
    """Forecast a Gaussian random walk without drift.

    Its standard deviation is the root mean square of the symbol's returns up to the origin.
    """
    return _random_walk(panel, origins, np.zeros(panel.returns.shape), config)


def drift(panel: Panel, origins: Sequence[int], config: ForecasterConfig) -> Floats:
    """Forecast a Gaussian random walk with the symbol's mean log return up to the origin as drift."""
    return _random_walk(panel, origins, mean_return(panel), config)


def mean_return(panel: Panel) -> Floats:
    """Return the mean [N, T] of each symbol's monthly log returns up to each month; NaN before the first."""
    total = np.nancumsum(panel.returns, axis=1)
    mean: Floats = np.where(panel.age > 0, total / np.maximum(panel.age, 1.0), np.nan)
    return mean


def garch(panel: Panel, origins: Sequence[int], end: int, config: ForecasterConfig) -> Floats:
    """Forecast with GARCH(1,1) and a constant mean, fitted by `arch` to the monthly returns of each symbol.

    The quantiles are Gaussian. The variance over h months is the sum of the monthly variance forecasts (Bollerslev
    1986).
    """
    from arch import arch_model

    levels, horizons = norm.ppf(config.quantile_levels), np.array(config.horizons)

    def forecast(returns: Floats) -> Floats | None:
        known = returns[: end + 1][np.isfinite(returns[: end + 1])]
        if len(known) < FEWEST_RETURNS or not known.std() > 0:
            return None
        unit = known.std() / _ARCH_SCALE
        model = arch_model(known / unit, mean="Constant", vol="GARCH", p=1, q=1, rescale=False)
        fit = model.fit(disp="off", show_warning=False)
        if fit.convergence_flag != 0:
            return None
        mu, omega, alpha, beta = (float(fit.params[name]) for name in ("mu", "omega", "alpha[1]", "beta[1]"))
        next_variance = garch_variance(returns / unit - mu, omega, alpha, beta, start=float((known / unit).var()))
        deviation = np.sqrt(summed_variance(next_variance[list(origins)], omega, alpha + beta, horizons))  # [O, H]
        quantiles: Floats = (mu * horizons[None, :, None] + deviation[:, :, None] * levels) * unit  # [O, H, Q]
        return quantiles

    return _by_symbol(panel, origins, config, forecast)


def ets(panel: Panel, origins: Sequence[int], end: int, config: ForecasterConfig) -> Floats:
    """Forecast with exponential smoothing of the log total-return index, its form selected by statsforecast's AutoETS.

    Errors are additive, because multiplicative errors would depend on the arbitrary start of the index. Months without
    a return are skipped.
    """
    from statsforecast.models import AutoETS

    tails = np.array(config.quantile_levels)
    widths = [round(100 * abs(1 - 2 * level), 6) for level in config.quantile_levels]
    names = [f"{'lo' if p < 0.5 else 'hi'}-{w:g}" if w else "mean" for p, w in zip(tails, widths, strict=True)]
    intervals: list[Any] = sorted({int(w) if w == int(w) else w for w in widths if w})
    furthest = config.longest_horizon

    def forecast(returns: Floats) -> Floats | None:
        is_known = np.isfinite(returns)
        count = np.cumsum(is_known)  # returns known at each month
        if count[end] < FEWEST_RETURNS or not returns[: end + 1][is_known[: end + 1]].std() > 0:
            return None
        price = np.concatenate([[0.0], np.cumsum(returns[is_known])])  # log index, 0 at the first month
        model = AutoETS(season_length=1, model="AZN").fit(price[: count[end] + 1])
        values = np.empty((len(origins), len(config.horizons), len(names)))
        for place, origin in enumerate(origins):
            seen = price[: count[origin] + 1]
            # Form and parameters stay; the months since the fit update level and variance.
            ahead = model.forward(y=seen, h=furthest, level=intervals)
            path = np.stack([ahead[name] for name in names], axis=-1) - seen[-1]
            values[place] = path[np.array(config.horizons) - 1]
        return values

    return _by_symbol(panel, origins, config, forecast)


def garch_variance(error: Floats, omega: float, alpha: float, beta: float, *, start: float) -> Floats:
    """Return the variance [T] of the month after each month: omega + alpha e_t² + beta variance_t.

    An unknown month (NaN) leaves the variance unchanged.
    """
    variance, following = start, np.empty(len(error))
    for t, e in enumerate(error):
        if np.isfinite(e):
            variance = omega + alpha * e**2 + beta * variance
        following[t] = variance
    return following


def summed_variance(first: Floats, omega: float, persistence: float, horizons: Floats) -> Floats:
    """Return the variance [O, H] of the sum of the next h months, from the variance [O] of the first."""
    steps = np.arange(int(horizons.max()))
    # v_{k+1} = omega + p v_k, so that v_k = p^(k-1) v_1 + omega (1 + p + … + p^(k-2))
    constant = omega * np.concatenate([[0.0], np.cumsum(persistence ** steps[:-1])])
    monthly = first[:, None] * persistence**steps + constant
    summed: Floats = np.cumsum(monthly, axis=1)[:, np.asarray(horizons, dtype=np.int64) - 1]
    return summed


def _random_walk(panel: Panel, origins: Sequence[int], step: Floats, config: ForecasterConfig) -> Floats:
    """Return Gaussian quantiles [N, O, H, Q] from the mean return of one month [N, T]."""
    column, horizons = list(origins), np.array(config.horizons, dtype=np.float64)
    location = step[:, column, None] * horizons
    deviation = panel.random_walk_sd[:, column, None] * np.sqrt(horizons)
    quantiles: Floats = location[..., None] + deviation[..., None] * norm.ppf(config.quantile_levels)
    return np.where(panel.known[:, column, None, None], quantiles, np.nan)


def _by_symbol(
    panel: Panel, origins: Sequence[int], config: ForecasterConfig, forecast: Callable[[Floats], Floats | None]
) -> Floats:
    """Return quantiles [N, O, H, Q] of a method that forecasts [O, H, Q] from the returns [T] of one symbol.

    The quantiles are NaN where the method fails.
    """
    column = list(origins)
    shape = (len(panel.symbols), len(column), len(config.horizons), len(config.quantile_levels))
    quantiles = np.full(shape, np.nan)
    for n, returns in enumerate(panel.returns):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                values = forecast(returns)
            except Exception:  # statsforecast raises it if no form can be fitted; a backtest reports the missing rows
                values = None
        if values is not None:
            is_valid = np.isfinite(values).all(axis=(1, 2)) & (np.diff(values, axis=2) > 0).all(axis=(1, 2))
            quantiles[n, is_valid] = values[is_valid]
    return np.where(panel.known[:, column, None, None], quantiles, np.nan)
