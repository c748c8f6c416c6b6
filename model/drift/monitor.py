"""The watch: how much worse than expected is it, month after month, and from when on is that more than luck?

Each check (a horizon and a measure) has a one-sided CUSUM (Page 1954) of its surprises z = (value - expected) / deviation:

S_t = min(threshold, max(0, S_{t-1} + min(z_t - allowance, step)))

The allowance is half the shift that the check is there to find, so that the sum is quickest for that one, and smaller
shifts, such as an error in what is taken for expected, do not add up. The largest step keeps one month of the market from
raising an alarm alone, though forecasts that overlap carry it through h months: it is threshold / (h + 1), and is not
applied one month ahead when the value is SUDDEN shifts above expected. The check is in alarm once S reaches its threshold,
and until S has come back to RECOVERED of it: as S never exceeds the threshold, that takes a known number of expected
months, however bad it was. Above WARNED without having reached it, it warns.

Thresholds are calibrated together (`calibrate`): blocks of whole months of the reference, all checks at once, are
drawn to paths of MONTHS_BETWEEN_FALSE_ALARMS months in which nothing changes. Each check gets the threshold that
the same share of paths reaches, and that share is the one at which any check of the fleet alarms in 1 - exp(-MARGIN)
of the paths: MARGIN false alarms in that time, if they come at random. What is expected is estimated, and so each path is
held against a reference of its own that is drawn as well (Hušková and Kirch 2012 do so for sequential tests; Chatterjee
and Qiu 2009 bootstrap a CUSUM's limits).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from model import Flags, Floats, Ints

Status = Literal["ok", "warning", "alarm", "not_enough_data"]

MONTHS_BETWEEN_FALSE_ALARMS = 60
"""Of the whole fleet, all checks together."""
MARGIN = 0.5
"""Alarms in that time which thresholds are set for; the rest is kept for what a reference does not know of the years to
come."""
FEWEST_MONTHS = 6
"""Scored months below which a check says nothing."""
FEWEST_EXPECTATION_MONTHS = 36
"""Months of the reference below which there is nothing to compare with."""
SUDDEN = 3.0
"""Shifts above expected, one month ahead, at which a single month raises an alarm."""
WARNED = 0.5
"""Share of the threshold above which a check warns."""
RECOVERED = 0.25
"""Share of the threshold at which an alarm is over."""
SMALLEST_THRESHOLD = 2.0
"""Deviations: a reference without any noise would ask for none."""
BLOCK_MONTHS = 24
"""Twice the longest horizon: forecasts that overlap err together."""
PATHS = 1000

SHIFTS = {"loss": np.log(1.05), "loss_against_baseline": np.log(1.02), "calibration": 0.08}
"""What each measure is there to find: 5 % more loss, 2 % more than the model's own baseline, an 80 % interval that
holds 70 %. Others look for a shift of one deviation."""
SMALLEST_DEVIATIONS = {"loss": 0.005, "loss_against_baseline": 0.005, "calibration": 0.005, "staleness": 0.002}
"""Noise that is assumed in any case: a network that has corrected nothing yet is exactly its baseline."""


class Check(NamedTuple):
    """One of the things that are watched."""

    horizon: int
    measure: str


@dataclass(frozen=True)
class Expected:
    """What is expected of C checks."""

    mean: Floats
    """[..., C]"""
    deviation: Floats
    """[..., C]"""


@dataclass(frozen=True)
class Calibration:
    """How C checks are judged."""

    checks: tuple[Check, ...]
    allowance: Floats
    """[C] deviations a month."""
    threshold: Floats
    """[C] sums at which they alarm."""
    chance: Floats
    """[months, paths, C] sums while nothing changes, sorted along the paths."""

    def p_value(self, column: int, total: float, months: int) -> float:
        """Chance of a sum as high or higher after so many months while nothing changes."""
        if total <= 0.0:
            return 1.0
        sums = self.chance[min(months, len(self.chance)) - 1, :, column]
        as_high = len(sums) - int(np.searchsorted(sums, total))
        return (1 + as_high) / (1 + len(sums))


def estimate_expected(checks: Sequence[Check], reference: Floats, has_holdout: Flags) -> Expected:
    """Mean and deviation of a reference.

    The expected value is the higher, that is the worse, of two means: over all months, most of which the model was fitted
    on, so that they flatter it; and over the judged ones, which are few: a standard error is added, reckoned as if only
    months that do not overlap counted. Against its own baseline a forecast is never expected to be better than equal:
    it was chosen for having been.

    Args:
        checks: C of them.
        reference: [..., T, C] values.
        has_holdout: [T] months that the model had not seen; there may be none.
    """
    mean, months = reference.mean(axis=-2), len(has_holdout)
    if has_holdout.any():
        mean, months = np.maximum(mean, reference[..., has_holdout, :].mean(axis=-2)), int(has_holdout.sum())
    horizon = np.array([check.horizon for check in checks])
    is_duel = np.array([check.measure == "loss_against_baseline" for check in checks])
    floor = np.array([SMALLEST_DEVIATIONS.get(check.measure, 1e-6) for check in checks])
    deviation = np.maximum(reference.std(axis=-2, ddof=1), floor)
    mean = mean + deviation * np.sqrt(horizon / months)
    return Expected(np.where(is_duel, np.maximum(mean, 0.0), mean), deviation)


def calibrate(
    checks: Sequence[Check],
    reference: Floats,
    has_holdout: Flags,
    *,
    months_between: int = MONTHS_BETWEEN_FALSE_ALARMS,
    paths: int = PATHS,
) -> Calibration:
    """Thresholds under which the checks together give one false alarm in `months_between` months; always the same ones.

    Args:
        checks: C of them.
        reference: [T, C] values of consecutive months, all known.
        has_holdout: [T] months that the model had not seen.
        months_between: between two false alarms of any of the checks, on average.
        paths: drawn.

    Raises:
        ValueError: if the reference has fewer than FEWEST_EXPECTATION_MONTHS months.
    """
    count = len(reference)
    if count < FEWEST_EXPECTATION_MONTHS:
        raise ValueError(f"`reference` must have {FEWEST_EXPECTATION_MONTHS} months or more: received {count}.")
    rng = np.random.default_rng(0)
    own = estimate_expected(checks, reference, has_holdout)
    allowance = np.array([SHIFTS.get(check.measure, np.nan) for check in checks]) / own.deviation / 2
    allowance = np.where(np.isfinite(allowance), allowance, 0.5)
    expected = estimate_expected(checks, reference[draw_blocks(rng, paths, count, count)], has_holdout)
    future = reference[draw_blocks(rng, paths, months_between, count).T]  # [months, paths, C]
    sums = _accumulate((future - expected.mean) / expected.deviation, allowance)
    highest = sums.max(axis=0)  # [paths, C]
    # The share of paths that go as high is the same for every check, and as small as all of them together need.
    order = np.sort(highest, axis=0)
    rank = np.column_stack([np.searchsorted(*column) for column in zip(order.T, highest.T, strict=True)])
    level = np.quantile(1.0 - rank.max(axis=1) / paths, 1.0 - np.exp(-MARGIN))
    threshold = np.maximum(np.quantile(highest, 1.0 - level, axis=0), SMALLEST_THRESHOLD)
    return Calibration(tuple(checks), allowance, threshold, np.sort(sums, axis=1))


def accumulate(surprise: Floats, calibration: Calibration) -> tuple[Floats, Flags]:
    """[T, ..., C] each: the sums, and whether the check is in alarm.

    Args:
        surprise: [T, ..., C] in deviations, oldest first; a month that is NaN leaves the sum as it is.
        calibration: of the C checks.
    """
    threshold = calibration.threshold
    horizon = np.array([check.horizon for check in calibration.checks])
    is_sudden = (horizon == 1) & (surprise >= 2.0 * SUDDEN * calibration.allowance)
    largest = np.where(is_sudden, np.inf, threshold / (horizon + 1)) + calibration.allowance
    sums = _accumulate(np.where(surprise > largest, largest, surprise), calibration.allowance, threshold)
    is_alarm = np.zeros(sums.shape, dtype=np.bool_)
    state = np.zeros(sums.shape[1:], dtype=np.bool_)
    for month, total in enumerate(sums):
        state = (total >= threshold) | (state & (total > RECOVERED * threshold))
        is_alarm[month] = state
    return sums, is_alarm


def status_of(total: float, threshold: float, *, is_alarm: bool, months: int) -> Status:
    """The word for a check's last month."""
    if months < FEWEST_MONTHS:
        return "not_enough_data"
    if is_alarm:
        return "alarm"
    return "warning" if total > WARNED * threshold else "ok"


def excursion(sums: Floats) -> int:
    """Months, the last one included, since the sum [T] left zero; 0 when it is there."""
    at_zero = np.flatnonzero(sums <= 0.0)
    return len(sums) - (int(at_zero[-1]) + 1 if len(at_zero) else 0)


def _accumulate(surprise: Floats, allowance: Floats, ceiling: Floats | float = np.inf) -> Floats:
    """[T, ..., C] one-sided sums."""
    sums = np.where(np.isfinite(surprise), surprise - allowance, 0.0)
    total = np.zeros(sums.shape[1:])
    for month in sums:
        month += total
        np.clip(month, 0.0, ceiling, out=month)
        total = month
    return sums


def draw_blocks(rng: np.random.Generator, paths: int, months: int, count: int) -> Ints:
    """[paths, months] positions in a reference of `count` months: blocks that go on from its end at its beginning."""
    block = max(1, min(BLOCK_MONTHS, count // 3))
    starts = rng.integers(count, size=(paths, -(-months // block), 1))
    positions = (starts + np.arange(block)).reshape(paths, -1)[:, :months] % count
    return np.asarray(positions, dtype=np.int64)
