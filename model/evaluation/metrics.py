"""Losses and rates of forecasts. Arguments are keyword-only: arrays of the same shape cannot be swapped.

In shapes, ... stands for any leading axes, equal in all arguments.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from model import Flags, Floats, Ints
from model.frames import ACTUAL_TYPES, FORECAST_TYPES, SCORE_TYPES, check_frame

FEWEST_RANKED = 3
"""Fewest symbols of a rank correlation: with two it is always 1 or -1."""


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
    """[...] mean over the levels of twice the pinball loss, in units of `actual`.

    With evenly spaced levels it tends to the continuous ranked probability score (Gneiting and Ranjan 2011, eq. 12).
    Levels have equal weights even where they are closer together, as in the tails: the tails then weigh more than in
    the score of the whole distribution.

    Args:
        actual: [...].
        quantiles: [..., Q].
        levels: [Q] in (0, 1).
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
    """Mean absolute error divided by that of a naive forecast of the same targets, by default no change of price.

    Hyndman and Koehler (2006) divide by the error in the training sample; out of sample this is their relative MAE.
    NaN when the naive forecast has no error.
    """
    naive_error = float(np.mean(np.abs(actual - np.asarray(naive))))
    return mae(actual=actual, forecast=forecast) / naive_error if naive_error > 0 else float("nan")


def is_covered(*, actual: Floats, lower: Floats, upper: Floats) -> Flags:
    """[...] whether the interval contains the actual value, ends included."""
    return np.asarray((lower <= actual) & (actual <= upper))


def coverage(*, actual: Floats, lower: Floats, upper: Floats) -> float:
    """Share of actual values inside their interval."""
    return float(np.mean(is_covered(actual=actual, lower=lower, upper=upper)))


def winkler(*, actual: Floats, lower: Floats, upper: Floats, level: float) -> Floats:
    """[...] interval score: width plus 2 / (1 - level) times the miss (Gneiting and Raftery 2007, eq. 43).

    Args:
        actual: [...].
        lower: [...] lower end of the central interval.
        upper: [...] upper end of the central interval.
        level: Nominal share of the interval, such as 0.8.
    """
    miss = np.maximum(lower - actual, 0.0) + np.maximum(actual - upper, 0.0)
    return np.asarray(upper - lower + 2.0 / (1.0 - level) * miss)


def is_direction_right(*, actual: Floats, forecast: Floats) -> Flags:
    """[...] whether forecast and actual are both above zero, or neither is."""
    return np.asarray((actual > 0) == (forecast > 0))


def hit_rate(*, actual: Floats, forecast: Floats) -> float:
    """Share of right directions. Compare it with `always_up_rate` of the same targets."""
    return float(np.mean(is_direction_right(actual=actual, forecast=forecast)))


def always_up_rate(*, actual: Floats) -> float:
    """Share of targets above zero: the hit rate of a forecast that is always up."""
    return float(np.mean(np.asarray(actual) > 0))


def rank_ic(*, actual: Floats, forecast: Floats) -> float:
    """Rank information coefficient: Spearman correlation of forecast and actual over the symbols of one month.

    Ties share their mean rank. NaN with fewer than FEWEST_RANKED symbols, or when either side does not vary.

    Args:
        actual: [N].
        forecast: [N].
    """
    group = np.zeros(len(actual), dtype=np.int64)
    return float(rank_ic_by_group(actual=actual, forecast=forecast, group=group, groups=1)[0])


def rank_ic_by_group(*, actual: Floats, forecast: Floats, group: Ints, groups: int) -> Floats:
    """[G] `rank_ic` of every group.

    Args:
        actual: [N].
        forecast: [N].
        group: [N] number of each row's group, from 0.
        groups: Number of groups G.
    """
    size = np.bincount(group, minlength=groups)
    ranks = pd.DataFrame({"actual": actual, "forecast": forecast}).groupby(group).rank().to_numpy(np.float64)
    x, y = (ranks - (size[group, None] + 1) / 2).T

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(group, weights=values, minlength=groups), dtype=np.float64)

    scale = np.sqrt(total(x * x) * total(y * y))
    has_rank = (size >= FEWEST_RANKED) & (scale > 0)
    return np.where(has_rank, total(x * y) / np.where(has_rank, scale, 1.0), np.nan)


def quantile_levels(columns: pd.Index) -> dict[str, float]:
    """Level of each quantile column, in their order: q025 is 0.025, q10 is 0.1."""
    names = [str(name) for name in columns if str(name).startswith("q") and str(name)[1:].isdigit()]
    return {name: float(f"0.{name[1:]}") for name in names}


def score_forecasts(forecasts: pd.DataFrame, actuals: pd.DataFrame) -> pd.DataFrame:
    """Score every forecast with a known outcome.

    Args:
        forecasts: Frame of `Forecaster.forecast_many`.
        actuals: Frame of ACTUAL_TYPES.

    Returns:
        Frame of SCORE_TYPES, in the order of the forecasts. Forecasts without a finite actual are omitted.
    """
    check_frame(forecasts, FORECAST_TYPES, "forecasts")
    check_frame(actuals, ACTUAL_TYPES, "actuals")
    outcomes = actuals[["symbol", "origin_month", "horizon", "log_return"]].rename(
        columns={"log_return": "actual_log_return"}
    )
    scored = forecasts.merge(outcomes, on=["symbol", "origin_month", "horizon"], how="inner", validate="many_to_one")
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
    columns: pd.DataFrame = scored.loc[:, list(SCORE_TYPES)]
    return columns
