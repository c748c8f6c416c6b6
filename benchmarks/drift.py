"""Drift: how often the watch cries wolf, and how soon it sees what is wrong.

First on simulated fleets whose truth is known, beside what others would use; then on the recorded market, as it was and
with the forecasts damaged on purpose. What is judged here is `model.drift` itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from model import Floats
from model.drift.evidence import dispersion, log_ratio, luck, staleness
from model.drift.watch import Check, add_up, calibrate, find_usual
from model.drift.yardstick import blend, volatilities

REPLICATIONS = 500
LIVE_MONTHS = 120
REFERENCE_MONTHS = 180
JUDGED_MONTHS = 36
SIZES = (5, 20, 100, 500)
HORIZONS = (1, 3, 6, 12)
DAMAGES = (0.05, 0.10, 0.30)
DAMAGED_AT = 60  # live month after whose end forecasts are worse
CHANGES_AT = 30  # live month in which volatility doubles for good
CHECKS = tuple(Check(h, measure) for measure in ("loss", "calibration", "staleness") for h in HORIZONS)
IS_JUDGED = np.arange(REFERENCE_MONTHS) >= REFERENCE_MONTHS - JUDGED_MONTHS
HORIZONS_OF_CHECKS = np.array([check.horizon for check in CHECKS])
IS_LOSS = np.array([check.measure == "loss" for check in CHECKS])
_CHUNK = 10
_BURN_IN = 36
_LONGEST = max(HORIZONS)
_WIDTH = 2.563  # of a Gaussian's 80 % interval, in standard deviations


@dataclass(frozen=True)
class Fleets:
    """Simulated fleets of one size: months are those at whose end the forecasts are scored."""

    values: Floats
    """[replications, REFERENCE_MONTHS + LIVE_MONTHS, C]"""
    error: Floats
    """[replications, months] mean CRPS of the served forecasts one month ahead, log return."""


def simulate(
    sizes: Sequence[int], *, is_changing: bool, seed: int, replications: int = REPLICATIONS
) -> dict[int, Fleets]:
    """Fleets by size, the smaller ones parts of the larger.

    Log returns have a common factor with a third of the variance, fat tails (Student t with 5 degrees of freedom), and
    volatilities that follow the market's, which is calm (two years on average) or twice as wild (nine months), and
    their own. Model and yardstick see them with noise; the model knows what the last years were like, and errs in
    ways of its own, by symbol and for all symbols together.

    Args:
        sizes: symbols of each fleet.
        is_changing: whether all volatilities double for good in live month CHANGES_AT.
        seed: of everything.
        replications: fleets of each size.
    """
    rng = np.random.default_rng(seed)
    parts = [_simulate_chunk(rng, sizes, is_changing) for _ in range(-(-replications // _CHUNK))]
    return {
        size: Fleets(*(np.concatenate([part[size][k] for part in parts])[:replications] for k in (0, 1)))
        for size in sizes
    }


def _simulate_chunk(
    rng: np.random.Generator, sizes: Sequence[int], is_changing: bool
) -> dict[int, tuple[Floats, Floats]]:
    months = _BURN_IN + _LONGEST + REFERENCE_MONTHS + LIVE_MONTHS
    shape = (_CHUNK, months, max(sizes))
    is_wild = np.zeros((_CHUNK, months))
    for t in range(1, months):
        stays = rng.random(_CHUNK) > np.where(is_wild[:, t - 1] > 0, 1 / 9, 1 / 24)
        is_wild[:, t] = np.where(stays, is_wild[:, t - 1], 1 - is_wild[:, t - 1])
    market = np.log(2.0) * is_wild + _wander(rng, (_CHUNK, months), 0.8, 0.12)
    if is_changing:
        market[:, months - LIVE_MONTHS + CHANGES_AT :] += np.log(2.0)
    log_sigma = np.log(0.06) + market[..., None] + _wander(rng, shape, 0.95, 0.08)
    log_sigma += 0.3 * rng.standard_normal((_CHUNK, 1, shape[2]), dtype=np.float32)
    log_sigma = log_sigma + 0.15 * rng.standard_normal((_CHUNK, months, 1), dtype=np.float32)
    factor = rng.standard_normal((*shape[:2], 1), dtype=np.float32)
    own = _student(rng, shape)
    returns = np.exp(log_sigma) * (np.sqrt(1 / 3) * factor + np.sqrt(2 / 3) * own)
    seen = np.exp(log_sigma + 0.2 * rng.standard_normal(shape, dtype=np.float32))
    fast, long_run = (np.swapaxes(each, 1, 2) for each in volatilities(np.swapaxes(seen, 1, 2)))
    errs = _wander(rng, (*shape[:2], 1), 0.7, 0.065) + _wander(rng, shape, 0.9, 0.06)
    recent = _average(seen, 60.0)  # what the market has been like for some years, to which the model reverts
    lean = _wander(rng, (*shape[:2], 1), 0.9, 0.015)
    total = np.cumsum(returns, axis=1, dtype=np.float64)
    columns: dict[int, dict[Check, Floats]] = {size: {} for size in sizes}
    errors: dict[int, Floats] = {}
    kept = slice(months - REFERENCE_MONTHS - LIVE_MONTHS, months)
    for h in HORIZONS:
        origin = slice(kept.start - h, kept.stop - h)
        actual = (total[:, kept] - total[:, origin]).astype(np.float32)
        theirs = blend(fast[:, origin], long_run[:, origin], h)
        ours = blend(fast[:, origin], recent[:, origin], h) * np.exp(h**0.25 * errs[:, origin])
        tilt = h**0.3 * lean[:, origin]  # of the model's median, in its own spreads
        loss, pit = _gaussian_score(actual - tilt * ours, ours)
        their_loss, their_pit = _gaussian_score(actual, theirs)
        before = slice(origin.start - 1, origin.stop - 1)
        lag = np.log(ours / np.sqrt(h) / fast[:, before])
        news = np.log(fast[:, origin] / fast[:, before])
        for size in sizes:
            part = np.s_[..., :size]
            unit = theirs[part]
            own = columns[size]
            surprise = _mean(dispersion(their_pit[part]))
            ratio = log_ratio(_mean(loss[part] / unit), _mean(their_loss[part] / unit))
            own[Check(h, "loss")] = ratio + luck(
                width=_mean(np.log(ours[part] / unit)),
                surprise=surprise,
                shift=_mean(tilt * ours[part] / unit) / _WIDTH,
                direction=_mean(their_pit[part]),
            )
            own[Check(h, "calibration")] = _mean(dispersion(pit[part])) - surprise
            moments = (lag[part], news[part], news[part] ** 2, news[part] * lag[part])
            own[Check(h, "staleness")] = staleness(size, *map(_mean, moments))
            if h == 1:
                errors[size] = loss[part].mean(axis=-1)
    return {size: (np.stack([columns[size][check] for check in CHECKS], axis=-1), errors[size]) for size in sizes}


def _average(values: Floats, half_life: float) -> Floats:
    """[replications, months, symbols] running weighted mean along the months."""
    keep = 0.5 ** (1.0 / half_life)
    means, total, weight = np.empty_like(values), np.zeros_like(values[:, 0]), 0.0
    for t in range(values.shape[1]):
        total, weight = keep * total + values[:, t], keep * weight + 1.0
        means[:, t] = total / weight
    return means


def _mean(values: Floats) -> Floats:
    """Over symbols."""
    mean: Floats = values.mean(axis=-1, dtype=np.float64)
    return mean


def _wander(rng: np.random.Generator, shape: tuple[int, ...], keep: float, step: float) -> Floats:
    """First-order autoregression along axis 1, from zero."""
    shocks = step * rng.standard_normal(shape, dtype=np.float32)
    for t in range(1, shape[1]):
        shocks[:, t] += keep * shocks[:, t - 1]
    return shocks


def _student(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Student t with 5 degrees of freedom and variance 1."""
    chi = rng.standard_gamma(2.5, shape, dtype=np.float32) * 2 / 5
    drawn: Floats = rng.standard_normal(shape, dtype=np.float32) / np.sqrt(chi) * np.float32(np.sqrt(3 / 5))
    return drawn


def _gaussian_score(actual: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """CRPS and PIT of Gaussian forecasts around zero (Gneiting et al. 2005, eq. 5)."""
    z = actual / spread
    pit = ndtr(z)
    density = np.exp(-(z**2) / 2) * np.float32(1 / np.sqrt(2 * np.pi))
    return spread * (z * (2 * pit - 1) + 2 * density - np.float32(1 / np.sqrt(np.pi))), pit


@dataclass(frozen=True)
class Outcomes:
    """What the watch said of the fleets of one size, by what was done to them: nothing, and each of DAMAGES."""

    false_alarms: Floats
    """[replications] times that the fleet went into alarm in five years in which nothing changed."""
    delays: Floats
    """[replications, DAMAGES] months from the damage to the alarm; infinite when there was none, NaN when the fleet was
    in alarm before."""


def watch_fleets(fleets: Fleets) -> Outcomes:
    """Run the watch over each fleet, calibrated on its own reference."""
    made = HORIZONS_OF_CHECKS
    month = np.arange(LIVE_MONTHS)[:, None]
    is_damaged = (month - made >= DAMAGED_AT - 1) & IS_LOSS  # forecasts made after the damage
    false_alarms, delays = [], []
    for values in fleets.values:
        reference, live = values[:REFERENCE_MONTHS], values[REFERENCE_MONTHS:]
        calibration = calibrate(CHECKS, reference, IS_JUDGED)
        usual = find_usual(CHECKS, reference, IS_JUDGED)
        damaged = np.stack([live + np.log1p(damage) * is_damaged for damage in (0.0, *DAMAGES)], axis=1)
        _, is_alarm = add_up((damaged - usual.mean) / usual.deviation, calibration)
        fleet = is_alarm.any(axis=-1)  # [months, 1 + DAMAGES]
        false_alarms.append(count_alarms(fleet[:, 0]) * 60 / LIVE_MONTHS)
        delays.append([delay(alarm) for alarm in fleet[:, 1:].T])
    return Outcomes(np.array(false_alarms), np.array(delays))


def count_alarms(is_alarm: Floats) -> int:
    """Times that a series goes into alarm."""
    return int(np.count_nonzero(np.diff(is_alarm.astype(np.int8), prepend=0) == 1))


def delay(is_alarm: Floats) -> float:
    """Months from the damage to the alarm: 1 is the first month that the damaged forecasts are scored in."""
    if is_alarm[DAMAGED_AT - 1]:
        return float("nan")
    found = np.flatnonzero(is_alarm[DAMAGED_AT:])
    return float(found[0] + 1) if len(found) else float("inf")
