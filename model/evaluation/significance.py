"""Significance tests of forecasts. The unit is the month, because the errors of one month move together.

Series of months are the rows of an array: G series, T months, oldest first. A month that is NaN is left out, and its
neighbours become adjacent.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import erfc, stdtr, xlogy

from model import Flags, Floats, Ints


@dataclass(frozen=True)
class Comparison:
    """Result of the test of equal accuracy."""

    statistic: float
    """Corrected statistic, below zero when the candidate's loss is smaller; NaN with too few months."""
    p_one_sided: float
    """Probability of a statistic this low or lower under equal accuracy; 1 with too few months."""
    p_two_sided: float
    """Probability of a statistic this far from zero or farther; 1 with too few months."""
    months: int
    """Months with both losses."""


def skill(*, loss: Floats | pd.Series, reference: Floats | pd.Series) -> float:
    """1 - mean loss / mean reference loss: the share of loss saved. NaN when the reference has no loss."""
    mean = float(np.asarray(reference, dtype=np.float64).mean())
    return 1.0 - float(np.asarray(loss, dtype=np.float64).mean()) / mean if mean > 0 else float("nan")


def compare(*, loss: npt.ArrayLike, reference: npt.ArrayLike, horizon: int) -> Comparison:
    """Test equal accuracy of two forecasters: Diebold-Mariano, corrected for small samples.

    Harvey, Leybourne and Newbold (1997, eqs. 5-9). With d_t the difference of the two losses in month t and V the
    long-run variance of its mean, the statistic mean(d) / sqrt(V) is multiplied by
    sqrt((n + 1 - 2h + h (h - 1) / n) / n) and compared with Student's t with n - 1 degrees of freedom. Losses that
    differ by the same amount in every month give an infinite statistic, equal losses a statistic of zero.

    Args:
        loss: [T] monthly mean loss of the candidate, oldest first.
        reference: [T] monthly mean loss of its opponent. A month that is NaN in either series is left out.
        horizon: Months ahead h: h - 1 autocovariances count.

    Returns:
        The comparison; NaN and p = 1 with fewer than h + 2 months.

    Raises:
        ValueError: The series differ in length, or the horizon is below 1.
    """
    candidate, opponent = np.asarray(loss, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if candidate.shape != opponent.shape or candidate.ndim != 1:
        raise ValueError(
            f"`loss` and `reference` must be series of the same months: received {candidate.shape}, {opponent.shape}."
        )
    if horizon < 1:
        raise ValueError(f"`horizon` must be 1 or more: received {horizon}.")
    statistics, months = _accuracy_statistics((candidate - opponent)[None], horizon)
    statistic, n = float(statistics[0]), int(months[0])
    if np.isnan(statistic):
        return Comparison(statistic, 1.0, 1.0, n)
    return Comparison(
        statistic=statistic,
        p_one_sided=float(stdtr(n - 1, statistic)),
        p_two_sided=float(2.0 * stdtr(n - 1, -abs(statistic))),
        months=n,
    )


def better_p(difference: Floats, horizon: int) -> Floats:
    """[G] one-sided p-values of `compare` for many pairs of forecasters: small when the candidate is better.

    Args:
        difference: [G, T] monthly mean loss of the candidate minus that of its opponent, NaN where a month is missing.
        horizon: Months ahead.

    Returns:
        NaN with fewer than horizon + 2 months.
    """
    statistics, months = _accuracy_statistics(difference, horizon)
    return np.asarray(stdtr(np.maximum(months - 1, 1), statistics))


def kupiec_p(*, share: Floats, forecasts: Floats, level: float) -> Floats:
    """[...] p-value of Kupiec (1995): chi-square with one degree of freedom, for independent forecasts.

    Args:
        share: [...] share of outcomes inside their interval.
        forecasts: [...] number of forecasts.
        level: Nominal share, such as 0.8.
    """
    return np.asarray(erfc(np.sqrt(_kupiec_ratio(share, forecasts, level) / 2.0)))


def coverage_p(*, covered: Floats, forecasts: Floats, level: float, horizon: int) -> Floats:
    """[G] p-value of Kupiec's likelihood ratio for dependent forecasts, two-sided.

    The ratio counts effective forecasts: c (1 - c) / V, where c is the share covered and V the long-run variance of
    its monthly mean, corrected for few months as in `compare` (Rao and Scott 1984). They are never more than the
    forecasts made; where the coverage never varies they are months / horizon. The square root of the ratio is compared
    with Student's t with months / horizon - 1 degrees of freedom, rounded down.

    Args:
        covered: [G, T] outcomes inside their interval each month, NaN where a month is missing.
        forecasts: [G, T] forecasts each month, NaN in the same places.
        level: Nominal share, such as 0.8.
        horizon: Months ahead.

    Returns:
        NaN with fewer than horizon + 2 months or fewer than twice the horizon.
    """
    total, n = np.nansum(forecasts, axis=1), np.isfinite(forecasts).sum(axis=1)
    has_enough = (n >= horizon + 2) & (n >= 2 * horizon)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.minimum(np.nansum(covered, axis=1) / total, 1.0)  # rounding
        deviations, is_month = _pack((covered - share[:, None] * forecasts) * (n / total)[:, None])
        variance = _variance_of_mean(_centre(deviations, is_month, n), n, horizon)
        effective = np.minimum(total, share * (1.0 - share) / (variance / _small_sample(n, horizon)))
    effective = np.where(variance > 0.0, effective, n / horizon)
    ratio = _kupiec_ratio(share, effective, level)
    p = 2.0 * stdtr(np.maximum(n // horizon - 1, 1), -np.sqrt(ratio))
    return np.where(has_enough, p, np.nan)


def _kupiec_ratio(share: Floats, forecasts: Floats, level: float) -> Floats:
    """[...] twice the log likelihood of the share observed over that of the nominal share."""
    ratio = 2.0 * forecasts * (xlogy(share, share / level) + xlogy(1.0 - share, (1.0 - share) / (1.0 - level)))
    return np.asarray(np.maximum(ratio, 0.0))


def _accuracy_statistics(difference: Floats, horizon: int) -> tuple[Floats, Ints]:
    """[G] corrected statistics, NaN with too few months, and [G] months of each series."""
    packed, is_month = _pack(difference)
    n = is_month.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = packed.sum(axis=1) / n
        variance = _variance_of_mean(_centre(packed, is_month, n), n, horizon)
        statistic = mean / np.sqrt(variance) * np.sqrt(_small_sample(n, horizon))
    without_variance = np.where(mean == 0.0, 0.0, np.copysign(np.inf, mean))
    statistic = np.where(variance > 0.0, statistic, without_variance)
    return np.where(n >= horizon + 2, statistic, np.nan), n


def _pack(series: Floats) -> tuple[Floats, Flags]:
    """[G, T] the months of each series moved to the left, zeros behind them; and [G, T] which places are months."""
    is_finite = np.isfinite(series)
    order = np.argsort(~is_finite, axis=1, kind="stable")
    is_month = np.take_along_axis(is_finite, order, axis=1)
    return np.where(is_month, np.take_along_axis(series, order, axis=1), 0.0), is_month


def _centre(packed: Floats, is_month: Flags, n: Ints) -> Floats:
    """[G, T] deviations from the mean of each series, zeros behind the months."""
    return np.where(is_month, packed - (packed.sum(axis=1) / n)[:, None], 0.0)


def _variance_of_mean(centred: Floats, n: Ints, horizon: int) -> Floats:
    """[G] long-run variance of the mean: V = (gamma_0 + 2 sum_{k<h} gamma_k) / n.

    Where V is not above zero, which overlapping targets can cause, the autocovariances get Bartlett weights 1 - k / h
    (Newey and West 1987), which keep V from falling below zero.
    """
    gamma_0 = (centred * centred).sum(axis=1) / n
    plain, weighted = np.zeros_like(gamma_0), np.zeros_like(gamma_0)
    for k in range(1, min(horizon, centred.shape[1])):
        gamma = (centred[:, k:] * centred[:, :-k]).sum(axis=1) / n
        plain += gamma
        weighted += (1.0 - k / horizon) * gamma
    variance = (gamma_0 + 2.0 * plain) / n
    variance = np.where(variance > 0.0, variance, (gamma_0 + 2.0 * weighted) / n)
    # Rounding leaves a trace of variance in equal differences.
    return np.where(gamma_0 <= np.finfo(np.float64).eps ** 2, 0.0, variance)


def _small_sample(n: Ints, horizon: int) -> Floats:
    """[G] correction of the variance for few months (Harvey, Leybourne and Newbold 1997, eq. 9)."""
    return np.asarray((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
