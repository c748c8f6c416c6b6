"""CUSUM checks of the drift measures, with thresholds calibrated to a rate of false alarms.

Each check (a horizon and a measure) is a one-sided CUSUM (Page 1954) of z = (value - expected value) / standard
deviation:

S_t = min(threshold, max(0, S_{t-1} + min(z_t - allowance, step)))

The allowance is half the shift that the check should detect. This makes the CUSUM fastest for that shift, and smaller
shifts, such as errors of the expected value, do not add up. The step bounds the effect of one month, so that a single
month of the market raises no alarm although overlapping forecasts carry it through h months: it is threshold / (h + 1).
It does not apply at horizon 1 to values that are `sudden` shifts above the expected value. A check is in alarm once S
reaches the threshold, and until S falls to `recovered` of the threshold. S never exceeds the threshold, so the number
of in-control months to the end of an alarm does not depend on its severity. A check warns above `warned` of the
threshold.

The thresholds of all checks are calibrated together (`calibrate`). Paths of in-control months are drawn from the
history in blocks of whole months, all checks at once. Each check gets the threshold that the same share of paths
reaches. The share is such that any check alarms in 1 - exp(-margin) of the paths: `margin` false alarms per path, if
they are independent. Expected values are estimates, so each path has an estimate from its own resampled history
(Hušková and Kirch 2012 do so for sequential tests; Chatterjee and Qiu 2009 bootstrap the limits of a CUSUM).

The parameters are those of `model.config.DriftConfig`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from model import Flags, Floats, Ints
from model.config import DriftConfig

Status = Literal["ok", "warning", "alarm", "not_enough_data"]


class Check(NamedTuple):
    """Horizon and measure of one CUSUM."""

    horizon: int
    measure: str


@dataclass(frozen=True)
class Expected:
    """In-control mean and standard deviation of C checks."""

    mean: Floats
    """[..., C] in units of the measures."""
    deviation: Floats
    """[..., C] in units of the measures."""


@dataclass(frozen=True)
class Calibration:
    """Allowances and thresholds of C checks."""

    checks: tuple[Check, ...]
    allowance: Floats
    """[C] standard deviations per month."""
    threshold: Floats
    """[C] sums at which the checks alarm, standard deviations."""
    in_control: Floats
    """[months, paths, C] sums of the in-control paths, sorted along the paths."""
    config: DriftConfig = DriftConfig()

    def p_value(self, column: int, total: float, months: int) -> float:
        """Return the in-control probability of a sum of at least `total`.

        Args:
            column: Position of the check.
            total: Sum of the check.
            months: Months since the first; from the last calibrated month on the probability stays the same.
        """
        if total <= 0.0:
            return 1.0
        sums = self.in_control[min(months, len(self.in_control)) - 1, :, column]
        as_high = len(sums) - int(np.searchsorted(sums, total))
        return (1 + as_high) / (1 + len(sums))


def estimate_expected(
    checks: Sequence[Check], history: Floats, is_holdout: Flags, config: DriftConfig = DriftConfig()
) -> Expected:
    """Estimate the in-control mean and standard deviation from a model's past months.

    The expected value is the higher, which is the worse, of two means. The mean over all months is too low, because
    the model was fitted on most of them. The mean over the holdout months is of few months. A standard error is added,
    as if only non-overlapping months counted. The expected loss against the baseline is at least 0, because the hybrid
    was selected for a value below 0.

    Args:
        checks: C checks.
        history: [..., T, C] values of past months.
        is_holdout: [T] months that the model was not fitted on; there may be none.
        config: Lower bounds of the standard deviations.

    Returns:
        The estimates.
    """
    mean, months = history.mean(axis=-2), len(is_holdout)
    if is_holdout.any():
        mean, months = np.maximum(mean, history[..., is_holdout, :].mean(axis=-2)), int(is_holdout.sum())
    horizon = np.array([check.horizon for check in checks])
    is_paired = np.array([check.measure == "loss_against_baseline" for check in checks])
    smallest = dict(config.smallest_deviations)
    floor = np.array([smallest.get(check.measure, 1e-6) for check in checks])
    deviation = np.maximum(history.std(axis=-2, ddof=1), floor)
    mean = mean + deviation * np.sqrt(horizon / months)
    return Expected(np.where(is_paired, np.maximum(mean, 0.0), mean), deviation)


def calibrate(
    checks: Sequence[Check], history: Floats, is_holdout: Flags, config: DriftConfig = DriftConfig()
) -> Calibration:
    """Calibrate the thresholds of the checks to their joint rate of false alarms; the random seed is fixed.

    Args:
        checks: C checks.
        history: [T, C] values of consecutive past months, all known.
        is_holdout: [T] months that the model was not fitted on.
        config: Rate of false alarms, shifts, paths and blocks.

    Returns:
        The calibration.

    Raises:
        ValueError: If the history is shorter than `config.fewest_expectation_months`.
    """
    count = len(history)
    if count < config.fewest_expectation_months:
        raise ValueError(f"`history` must have at least {config.fewest_expectation_months} months; received {count}.")
    rng = np.random.default_rng(0)
    estimate = estimate_expected(checks, history, is_holdout, config)
    shifts = dict(config.shifts)
    allowance = np.array([shifts.get(check.measure, np.nan) for check in checks]) / estimate.deviation / 2
    allowance = np.where(np.isfinite(allowance), allowance, 0.5)
    histories = history[draw_blocks(rng, config.paths, count, count, config)]
    expected = estimate_expected(checks, histories, is_holdout, config)
    future = history[draw_blocks(rng, config.paths, config.months_between_false_alarms, count, config).T]
    sums = _accumulate((future - expected.mean) / expected.deviation, allowance)  # [months, paths, C]
    highest = sums.max(axis=0)  # [paths, C]
    # Every check gets the same share of alarming paths, and that share is set by the joint rate of false alarms.
    order = np.sort(highest, axis=0)
    rank = np.column_stack([np.searchsorted(*column) for column in zip(order.T, highest.T, strict=True)])
    level = np.quantile(1.0 - rank.max(axis=1) / config.paths, 1.0 - np.exp(-config.margin))
    threshold = np.maximum(np.quantile(highest, 1.0 - level, axis=0), config.smallest_threshold)
    return Calibration(tuple(checks), allowance, threshold, np.sort(sums, axis=1), config)


def accumulate(deviations: Floats, calibration: Calibration) -> tuple[Floats, Flags]:
    """Accumulate the CUSUMs and their alarms.

    Args:
        deviations: [T, ..., C] (value - expected value) / standard deviation, oldest first. NaN leaves a sum unchanged.
        calibration: Calibration of the C checks.

    Returns:
        [T, ..., C] sums, and [T, ..., C] whether the check is in alarm.
    """
    threshold, config = calibration.threshold, calibration.config
    horizon = np.array([check.horizon for check in calibration.checks])
    is_sudden = (horizon == 1) & (deviations >= 2.0 * config.sudden * calibration.allowance)
    largest = np.where(is_sudden, np.inf, threshold / (horizon + 1)) + calibration.allowance
    sums = _accumulate(np.where(deviations > largest, largest, deviations), calibration.allowance, threshold)
    is_alarm = np.zeros(sums.shape, dtype=np.bool_)
    state = np.zeros(sums.shape[1:], dtype=np.bool_)
    for month, total in enumerate(sums):
        state = (total >= threshold) | (state & (total > config.recovered * threshold))
        is_alarm[month] = state
    return sums, is_alarm


def status_of(
    total: float, threshold: float, *, is_alarm: bool, months: int, config: DriftConfig = DriftConfig()
) -> Status:
    """Return the status of a check.

    Args:
        total: Sum of the last month.
        threshold: Threshold of the check.
        is_alarm: Whether the check is in alarm.
        months: Scored months.
        config: Fewest months, and the share of the threshold above which a check warns.
    """
    if months < config.fewest_months:
        return "not_enough_data"
    if is_alarm:
        return "alarm"
    return "warning" if total > config.warned * threshold else "ok"


def excursion(sums: Floats) -> int:
    """Count the months, including the last, since the sum [T] was last zero; 0 if the last sum is zero."""
    at_zero = np.flatnonzero(sums <= 0.0)
    return len(sums) - (int(at_zero[-1]) + 1 if len(at_zero) else 0)


def draw_blocks(
    rng: np.random.Generator, paths: int, months: int, count: int, config: DriftConfig = DriftConfig()
) -> Ints:
    """Draw blocks of consecutive months; a block that reaches the end continues at the beginning.

    Args:
        rng: Random numbers.
        paths: Number of paths.
        months: Length of a path.
        count: Months of the history.
        config: Length of a block.

    Returns:
        [paths, months] positions in the history.
    """
    block = max(1, min(config.block_months, count // 3))
    starts = rng.integers(count, size=(paths, -(-months // block), 1))
    positions = (starts + np.arange(block)).reshape(paths, -1)[:, :months] % count
    return np.asarray(positions, dtype=np.int64)


def _accumulate(deviations: Floats, allowance: Floats, ceiling: Floats | float = np.inf) -> Floats:
    """Return the one-sided sums [T, ..., C], bounded by 0 and the ceiling."""
    sums = np.where(np.isfinite(deviations), deviations - allowance, 0.0)
    total = np.zeros(sums.shape[1:])
    for month in sums:
        month += total
        np.clip(month, 0.0, ceiling, out=month)
        total = month
    return sums
