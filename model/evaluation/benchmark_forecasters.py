"""What others would forecast: plain implementations, each on one page of a textbook.

Quantiles are [N, O, H, Q] for N symbols and O origins: of the log return from each origin to the months ahead. They are
NaN where a peer has no forecast: the symbol has no such month, too few returns, or no fit. A peer that is fitted knows
nothing after the month `end`, and is only fed with newer months after it.
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
"""Months of returns for a model of a symbol's own."""

_ARCH_SCALE = 10.0  # `arch` wants returns with a variance between 1 and 1000


def persistence(panel: Panel, origins: Sequence[int], config: ForecasterConfig) -> Floats:
    """Gaussian random walk without drift; its deviation is the root mean square of the symbol's returns so far."""
    return _random_walk(panel, origins, np.zeros(panel.returns.shape), config)


def drift(panel: Panel, origins: Sequence[int], config: ForecasterConfig) -> Floats:
    """Persistence around the mean of the symbol's log returns so far, times the months ahead."""
    return _random_walk(panel, origins, mean_return(panel), config)


def mean_return(panel: Panel) -> Floats:
    """[N, T] mean of the symbol's monthly log returns so far; NaN before the first."""
    total = np.nancumsum(panel.returns, axis=1)
    mean: Floats = np.where(panel.age > 0, total / np.maximum(panel.age, 1.0), np.nan)
    return mean


def garch(panel: Panel, origins: Sequence[int], end: int, config: ForecasterConfig) -> Floats:
    """GARCH(1,1) of monthly returns with a constant mean, one a symbol, fitted by `arch`; Gaussian quantiles.

    The variance of h months is the sum of those forecast month by month (Bollerslev 1986).
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
    """Exponential smoothing of the log price, dividends reinvested, its form chosen by `AutoETS` of statsforecast.

    Errors are additive: a multiplicative one would depend on where the log price starts, which means nothing. Months
    without a return are passed over.
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
        price = np.concatenate([[0.0], np.cumsum(returns[is_known])])  # log, of the symbol's first month
        model = AutoETS(season_length=1, model="AZN").fit(price[: count[end] + 1])
        found = np.empty((len(origins), len(config.horizons), len(names)))
        for place, origin in enumerate(origins):
            seen = price[: count[origin] + 1]
            # Same form and parameters; the months since the fit move the level and the variance alone.
            ahead = model.forward(y=seen, h=furthest, level=intervals)
            path = np.stack([ahead[name] for name in names], axis=-1) - seen[-1]
            found[place] = path[np.array(config.horizons) - 1]
        return found

    return _by_symbol(panel, origins, config, forecast)


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


def _random_walk(panel: Panel, origins: Sequence[int], step: Floats, config: ForecasterConfig) -> Floats:
    """[N, O, H, Q] from the mean of one step [N, T]."""
    column, horizons = list(origins), np.array(config.horizons, dtype=np.float64)
    centre = step[:, column, None] * horizons
    deviation = panel.random_walk_sd[:, column, None] * np.sqrt(horizons)
    quantiles: Floats = centre[..., None] + deviation[..., None] * norm.ppf(config.quantile_levels)
    return np.where(panel.known[:, column, None, None], quantiles, np.nan)


def _by_symbol(
    panel: Panel, origins: Sequence[int], config: ForecasterConfig, forecast: Callable[[Floats], Floats | None]
) -> Floats:
    """[N, O, H, Q] of a forecast [O, H, Q] made symbol by symbol from its returns [T]; NaN where that fails."""
    column = list(origins)
    shape = (len(panel.symbols), len(column), len(config.horizons), len(config.quantile_levels))
    quantiles = np.full(shape, np.nan)
    for n, returns in enumerate(panel.returns):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = forecast(returns)
            except Exception:  # what statsforecast raises when no form can be fitted; the missing rows tell of it
                found = None
        # Half a forecast is none: quantiles must be there and rise.
        if found is not None:
            is_sound = np.isfinite(found).all(axis=(1, 2)) & (np.diff(found, axis=2) > 0).all(axis=(1, 2))
            quantiles[n, is_sound] = found[is_sound]
    return np.where(panel.known[:, column, None, None], quantiles, np.nan)
