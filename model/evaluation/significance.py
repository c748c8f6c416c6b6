"""Is one forecaster better than another, and by more than luck? Months are the units, as their errors move together."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import t as student

from model import Floats


@dataclass(frozen=True)
class Comparison:
    """Outcome of the test of equal accuracy."""

    statistic: float
    """Corrected statistic, below zero when the candidate's loss is smaller; NaN with too few months."""
    p_one_sided: float
    """Chance of a statistic as low or lower if both are equally good; 1 with too few months."""
    p_two_sided: float
    """The same for a statistic as far from zero; 1 with too few months."""
    months: int
    """Months that both have."""


def skill(*, loss: Floats | pd.Series, reference: Floats | pd.Series) -> float:
    """1 - mean loss / mean reference loss: the share by which the loss is smaller. NaN when the reference has none."""
    mean = float(np.asarray(reference, dtype=np.float64).mean())
    return 1.0 - float(np.asarray(loss, dtype=np.float64).mean()) / mean if mean > 0 else float("nan")


def compare(*, loss: npt.ArrayLike, reference: npt.ArrayLike, horizon: int) -> Comparison:
    """Diebold-Mariano test with the small-sample correction of Harvey, Leybourne and Newbold (1997, eqs. 5-9).

    With d_t the difference of the two losses in month t, V = (gamma_0 + 2 sum_{k<h} gamma_k) / n; the statistic
    mean(d) / sqrt(V) is multiplied by sqrt((n + 1 - 2h + h (h - 1) / n) / n) and read from Student's t with n - 1
    degrees of freedom. Where V is not above zero, which overlapping targets can cause, the autocovariances get
    Bartlett weights 1 - k / h (Newey and West 1987), with which it never falls below. Losses that differ by the same
    amount in every month give an infinite statistic, equal losses a statistic of zero.

    Args:
        loss: [T] mean loss a month of the candidate, oldest first.
        reference: [T] of its opponent, same months; a month that is NaN in either is left out.
        horizon: months ahead h, so that h - 1 autocovariances count.

    Returns:
        The comparison; no verdict (NaN, p = 1) with fewer than h + 2 months.

    Raises:
        ValueError: if the two differ in length or the horizon is below 1.
    """
    candidate, opponent = np.asarray(loss, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if candidate.shape != opponent.shape or candidate.ndim != 1:
        raise ValueError(
            f"`loss` and `reference` must be series of the same months: received {candidate.shape}, {opponent.shape}."
        )
    if horizon < 1:
        raise ValueError(f"`horizon` must be 1 or more: received {horizon}.")
    difference = candidate - opponent
    difference = difference[np.isfinite(difference)]
    n, h = len(difference), horizon
    if n < h + 2:
        return Comparison(float("nan"), 1.0, 1.0, n)
    mean = float(difference.mean())
    variance = _variance_of_mean(difference - mean, h)
    if variance <= 0.0:
        statistic = float(np.copysign(np.inf, mean)) if mean != 0.0 else 0.0
    else:
        statistic = mean / float(np.sqrt(variance)) * float(np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n))
    return Comparison(
        statistic=statistic,
        p_one_sided=float(student.cdf(statistic, n - 1)),
        p_two_sided=float(2.0 * student.sf(abs(statistic), n - 1)),
        months=n,
    )


def _variance_of_mean(centred: Floats, horizon: int) -> float:
    """Long-run variance of the mean from h - 1 autocovariances, with Bartlett weights where plain ones fail."""
    n = len(centred)
    scale = float(centred @ centred) / n
    if scale <= np.finfo(np.float64).eps ** 2:
        return 0.0  # what rounding leaves of equal differences
    gamma = np.array([centred[k:] @ centred[: n - k] / n for k in range(1, horizon)])
    variance = (scale + 2.0 * gamma.sum()) / n
    if variance > 0.0:
        return float(variance)
    return float(scale + 2.0 * ((1.0 - np.arange(1, horizon) / horizon) * gamma).sum()) / n
