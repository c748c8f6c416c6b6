"""Losses and hit rates. Arguments are keyword-only, so that arrays of the same shape cannot be swapped.

In shapes, ... stands for any leading axes, equal in all arguments.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from model import Flags, Floats

SCORE_COLUMNS = [
    "symbol",
    "origin_month",
    "target_month",
    "horizon",
    "forecaster",
    "actual_log_return",
    "median",
    "error",
    "crps",
    "winkler_80",
    "winkler_95",
    "is_covered_80",
    "is_covered_95",
    "is_direction_right",
]

FEWEST_RANKED = 3
"""Symbols that a correlation of ranks needs: of two it is always 1 or -1."""


def pinball(*, actual: Floats, quantiles: Floats, levels: npt.ArrayLike) -> Floats:
    """[..., Q] quantile loss max(p d, (p - 1) d) with d = actual - quantile (Koenker and Bassett 1978, eq. 1.4).

    Args:
        actual: [...].
        quantiles: [..., Q].
        levels: [Q] in (0, 1).
    """
    p = np.asarray(levels, dtype=np.float64)
    miss = np.asarray(actual)[..., None] - quantiles
    return np.maximum(p * miss, (p - 1.0) * miss)


def crps(*, actual: Floats, quantiles: Floats, levels: npt.ArrayLike) -> Floats:
    """[...] plain mean over the levels of twice the pinball loss, in units of `actual`.

    With levels spread evenly over (0, 1) it tends to the continuous ranked probability score (Gneiting and Ranjan
    2011, eq. 12). Uneven levels are not reweighted: the closer ones of the tails count as much as the others, which
    asks more of the tails than the score of the whole distribution does.
    """
    loss: Floats = 2.0 * pinball(actual=actual, quantiles=quantiles, levels=levels).mean(axis=-1)
    return loss


def mae(*, actual: Floats, forecast: Floats) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(actual - forecast)))


def mse(*, actual: Floats, forecast: Floats) -> float:
    """Mean squared error."""
    return float(np.mean((actual - forecast) ** 2))


def rmse(*, actual: Floats, forecast: Floats) -> float:
    """Root mean squared error."""
    return float(np.sqrt(mse(actual=actual, forecast=forecast)))


def mase(*, actual: Floats, forecast: Floats, naive: npt.ArrayLike = 0.0) -> float:
    """Mean absolute error over that of a naive forecast of the same targets; by default no change of price.

    Hyndman and Koehler (2006) scale by the error in the training sample; out of sample it is their relative MAE.
    NaN when the naive forecast is never wrong.
    """
    naive_error = float(np.mean(np.abs(actual - np.asarray(naive))))
    return mae(actual=actual, forecast=forecast) / naive_error if naive_error > 0 else float("nan")


def is_covered(*, actual: Floats, lower: Floats, upper: Floats) -> Flags:
    """[...] whether the interval, its ends included, holds the actual value."""
    return np.asarray((lower <= actual) & (actual <= upper))


def coverage(*, actual: Floats, lower: Floats, upper: Floats) -> float:
    """Share of actual values inside their interval."""
    return float(np.mean(is_covered(actual=actual, lower=lower, upper=upper)))


def winkler(*, actual: Floats, lower: Floats, upper: Floats, level: float) -> Floats:
    """[...] interval score: width plus 2 / (1 - level) times the miss (Gneiting and Raftery 2007, eq. 43).

    Args:
        actual: [...].
        lower: [...] end of the central interval.
        upper: [...] end of the central interval.
        level: share the interval is meant to hold, such as 0.8.
    """
    miss = np.maximum(lower - actual, 0.0) + np.maximum(actual - upper, 0.0)
    return np.asarray(upper - lower + 2.0 / (1.0 - level) * miss)


def is_direction_right(*, actual: Floats, forecast: Floats) -> Flags:
    """[...] whether both say up (above zero) or both say not up."""
    return np.asarray((actual > 0) == (forecast > 0))


def hit_rate(*, actual: Floats, forecast: Floats) -> float:
    """Share of right directions; worth something only above `always_up_rate` of the same targets."""
    return float(np.mean(is_direction_right(actual=actual, forecast=forecast)))


def always_up_rate(*, actual: Floats) -> float:
    """Share of targets above zero: the hit rate of always saying up."""
    return float(np.mean(np.asarray(actual) > 0))


def rank_ic(*, actual: Floats, forecast: Floats) -> float:
    """Spearman correlation of forecast and actual over the symbols of one month: the rank information coefficient.

    Equal values share the mean of their ranks. NaN with fewer than FEWEST_RANKED values, or when either does not vary.
    """
    if len(actual) < FEWEST_RANKED:
        return float("nan")
    ranks = np.stack([rankdata(actual), rankdata(forecast)])
    x, y = ranks - ranks.mean(axis=1, keepdims=True)
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else float("nan")


def quantile_levels(columns: pd.Index) -> dict[str, float]:
    """Level of each quantile column, in the order given: q025 is 0.025, q10 is 0.1."""
    names = [str(name) for name in columns if str(name).startswith("q") and str(name)[1:].isdigit()]
    return {name: float(f"0.{name[1:]}") for name in names}


def score_forecasts(forecasts: pd.DataFrame, actuals: pd.DataFrame) -> pd.DataFrame:
    """Score every forecast whose target is known.

    Args:
        forecasts: frame of `Forecaster.forecast_many`.
        actuals: symbol, origin_month, horizon, log_return (to the target month); one row each.

    Returns:
        SCORE_COLUMNS, in the order of the forecasts: error is median - actual; forecasts without a finite actual
        are left out.
    """
    truth = actuals[["symbol", "origin_month", "horizon", "log_return"]].rename(
        columns={"log_return": "actual_log_return"}
    )
    scored = forecasts.merge(truth, on=["symbol", "origin_month", "horizon"], how="inner", validate="many_to_one")
    scored = scored[np.isfinite(scored["actual_log_return"].to_numpy(np.float64))].reset_index(drop=True)
    levels = quantile_levels(scored.columns)
    actual = scored["actual_log_return"].to_numpy(np.float64)
    q = {name: scored[name].to_numpy(np.float64) for name in levels}
    grid = np.stack(list(q.values()), axis=-1)
    scored = scored.assign(
        error=q["q50"] - actual,
        median=q["q50"],
        crps=crps(actual=actual, quantiles=grid, levels=list(levels.values())),
        winkler_80=winkler(actual=actual, lower=q["q10"], upper=q["q90"], level=0.8),
        winkler_95=winkler(actual=actual, lower=q["q025"], upper=q["q975"], level=0.95),
        is_covered_80=is_covered(actual=actual, lower=q["q10"], upper=q["q90"]),
        is_covered_95=is_covered(actual=actual, lower=q["q025"], upper=q["q975"]),
        is_direction_right=is_direction_right(actual=actual, forecast=q["q50"]),
    )
    columns: pd.DataFrame = scored.loc[:, SCORE_COLUMNS]
    return columns
