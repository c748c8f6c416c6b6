"""Scores and tests of skill computed with other libraries, to compare ours with."""

import math
from functools import cache

import numpy as np
import pandas as pd
import scoringrules
from scipy import stats
from scipy.special import rel_entr
from statsmodels.tsa.stattools import acovf
from utilsforecast import losses

QUANTILES = ["q025", "q05", "q10", "q20", "q30", "q40", "q50", "q60", "q70", "q80", "q90", "q95", "q975"]
LEVELS = np.array([0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975])
INTERVALS = ((80, "q10", "q90"), (95, "q025", "q975"))


def long_run_variance(series: np.ndarray, horizon: int) -> float:
    """Estimate the long-run variance of the mean from the autocovariances of statsmodels."""
    lags = min(horizon, len(series)) - 1
    gamma = acovf(series, adjusted=False, demean=True, fft=False, nlag=lags)
    if gamma[0] <= 1e-25:
        return 0.0
    plain = gamma[0] + 2 * gamma[1:].sum()
    if plain <= 0:
        plain = gamma[0] + 2 * sum((1 - lag / horizon) * gamma[lag] for lag in range(1, lags + 1))
    return float(plain / len(series))


def small_sample(months: int, horizon: int) -> float:
    """Return the small-sample factor of Harvey, Leybourne and Newbold (1997)."""
    return (months + 1 - 2 * horizon + horizon * (horizon - 1) / months) / months


def better_p(difference: np.ndarray, horizon: int) -> float | None:
    """Return the one-sided p-value of Harvey, Leybourne and Newbold (1997)."""
    n = len(difference)
    if n < horizon + 2:
        return None
    variance = long_run_variance(difference, horizon)
    if variance == 0:
        return float((1 + np.sign(difference.mean())) / 2)
    statistic = difference.mean() / math.sqrt(variance) * math.sqrt(small_sample(n, horizon))
    return float(stats.t.cdf(statistic, n - 1))


def kupiec_ratio(share: float, forecasts: float, level: float) -> float:
    """Return twice the log likelihood ratio of the observed share of hits against the level."""
    return float(2 * forecasts * (rel_entr(share, level) + rel_entr(1 - share, 1 - level)))


def kupiec_p(covered: np.ndarray, forecasts: np.ndarray, level: float, horizon: int) -> float | None:
    n, total = len(covered), forecasts.sum()
    if n < horizon + 2 or n < 2 * horizon:
        return None
    share = covered.sum() / total
    variance = long_run_variance((covered - share * forecasts) / forecasts.mean(), horizon)
    count = n / horizon
    if variance > 0:
        count = min(total, share * (1 - share) / (variance / small_sample(n, horizon)))
    return float(2 * stats.t.sf(math.sqrt(kupiec_ratio(share, count, level)), n // horizon - 1))


def with_losses(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the scores of other libraries, and prices, to the rows with a known outcome."""
    scored = rows[rows["actual"].notna()].reset_index(drop=True)
    y = scored["actual"].to_numpy()
    scored["crps"] = scoringrules.crps_quantile(y, scored[QUANTILES].to_numpy(), LEVELS)
    for level, lower, upper in INTERVALS:
        ends = scored[lower].to_numpy(), scored[upper].to_numpy()
        scored[f"winkler_{level}"] = scoringrules.interval_score(y, *ends, 1 - level / 100)
        scored[f"covered_{level}"] = (ends[0] <= y) & (y <= ends[1])
    # MASE: each forecast is one series, whose training part moves by the symbol's expected move every month.
    expected = scored["naive_mae"].to_numpy()
    train = pd.DataFrame(
        {"unique_id": np.repeat(scored.index, 3), "y": np.stack([0 * expected, expected, 0 * expected], 1).ravel()}
    )
    frame = pd.DataFrame({"unique_id": scored.index, "y": y, "m": scored["q50"]})
    scaled = losses.mase(frame, ["m"], seasonality=1, train_df=train).set_index("unique_id")["m"]
    scored["scaled"] = scaled.where(scored["naive_mae"] > 0)
    close = scored["origin_close"]
    return scored.assign(price=close * np.exp(y), price_q50=close * np.exp(scored["q50"]))


@cache
def spearman(forecast: tuple[float, ...], actual: tuple[float, ...]) -> float | None:
    """Return the rank correlation, or None if it is undefined."""
    if len(actual) < 3 or len(set(forecast)) == 1 or len(set(actual)) == 1:
        return None
    return float(stats.spearmanr(forecast, actual).statistic)
