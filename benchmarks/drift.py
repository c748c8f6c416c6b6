"""Drift: how often the watch cries wolf, and how soon it sees what is wrong.

First on simulated fleets whose truth is known, beside what others would use; then on the recorded market, as it was and
with the forecasts damaged on purpose. What is judged is `model.drift` itself. `python -m benchmarks.drift attempts`
measures what else was tried.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from river.drift import ADWIN, PageHinkley
from scipy.special import ndtr

from benchmarks.skill import DATA, END, ORIGINS, read_months
from model import Flags, Floats
from model.config import ForecasterConfig
from model.drift.expectation import arrange, expected_values, make_expectation
from model.drift.measures import control_variate, dispersion, log_ratio, measure_forecasts, measure_months, staleness
from model.drift.monitor import Check, accumulate, calibrate, draw_blocks, estimate_expected
from model.drift.reference_forecast import ReferenceForecast, blend, make_reference_forecast, volatilities
from model.evaluation.backtest import known_returns
from model.forecaster.features import Panel, make_panel
from model.forecaster.forecaster import Forecaster, train
from model.forecaster.split import split_origins

REPLICATIONS = 500
LIVE_MONTHS = 120
REFERENCE_MONTHS = 180
JUDGED_MONTHS = 36
SIZES = (5, 20, 100, 500)
HORIZONS = (1, 3, 6, 12)
DAMAGES = (0.05, 0.10, 0.30)
DAMAGED_AT = 60  # live month after whose end forecasts are worse
CHANGES_AT = 30  # live month in which volatility doubles for good
CHANGING_SIZES = (5, 100)
PEER_SIZE = 100
CHECKS = tuple(Check(h, measure) for measure in ("loss", "calibration", "staleness") for h in HORIZONS)
IS_JUDGED = np.arange(REFERENCE_MONTHS) >= REFERENCE_MONTHS - JUDGED_MONTHS
IS_LOSS = np.array([check.measure == "loss" for check in CHECKS])
# [months, C] whether a live month's value is of forecasts made after the damage: it is to the loss alone
IS_DAMAGED = np.arange(LIVE_MONTHS)[:, None] - [check.horizon for check in CHECKS] >= DAMAGED_AT - 1
IS_DAMAGED &= IS_LOSS
_CHUNK = 10
_BURN_IN = 36
_LONGEST = max(HORIZONS)
_WIDTH = 2.563  # of a Gaussian's 80 % interval, in standard deviations


@dataclass(frozen=True)
class Fleets:
    """Simulated fleets of one size: months are those at whose end the forecasts are scored."""

    numbers: Floats
    """[replications, REFERENCE_MONTHS + LIVE_MONTHS, C]"""
    raw: Floats
    """[replications, months, H] log ratio of the mean losses, the month's luck left in."""
    error: Floats
    """[replications, months] mean CRPS of the served forecasts one month ahead, log return."""


def simulate(
    sizes: Sequence[int], *, is_changing: bool, seed: int, replications: int = REPLICATIONS
) -> dict[int, Fleets]:
    """Fleets by size, the smaller ones parts of the larger.

    Log returns have a common factor with a third of the variance, fat tails (Student t with 5 degrees of freedom), and
    volatilities that follow the market's, which is calm (two years on average) or twice as wild (nine months), and
    their own. Model and reference_forecast see them with noise; the model knows what the last years were like, and errs in
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
        size: Fleets(*(np.concatenate([part[size][k] for part in parts])[:replications] for k in range(3)))
        for size in sizes
    }


def _simulate_chunk(
    rng: np.random.Generator, sizes: Sequence[int], is_changing: bool
) -> dict[int, tuple[Floats, Floats, Floats]]:
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
    raw: dict[int, list[Floats]] = {size: [] for size in sizes}
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
            raw[size].append(ratio)
            own[Check(h, "loss")] = ratio + control_variate(
                width=_mean(np.log(ours[part] / unit)),
                reference_dispersion=surprise,
                shift=_mean(tilt * ours[part] / unit) / _WIDTH,
                reference_pit=_mean(their_pit[part]),
            )
            own[Check(h, "calibration")] = _mean(dispersion(pit[part])) - surprise
            moments = (lag[part], news[part], news[part] ** 2, news[part] * lag[part])
            own[Check(h, "staleness")] = staleness(size, *map(_mean, moments))
            if h == 1:
                errors[size] = loss[part].mean(axis=-1)
    return {
        size: (
            np.stack([columns[size][check] for check in CHECKS], axis=-1),
            np.stack(raw[size], axis=-1),
            errors[size],
        )
        for size in sizes
    }


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
    """What was said of fleets to which nothing was done, and to which each of DAMAGES was done."""

    false_alarms: Floats
    """[replications] times that the fleet went into alarm in five years in which nothing changed."""
    share: Floats
    """[replications] of the months in alarm, likewise."""
    delays: Floats
    """[replications, DAMAGES] months from the damage to the alarm; infinite when there was none, NaN when the fleet was
    in alarm before."""


def watch_fleets(fleets: Fleets) -> Outcomes:
    """Run the watch over each fleet, calibrated on its own reference."""
    alarms = []
    for values in fleets.numbers:
        reference, live = values[:REFERENCE_MONTHS], values[REFERENCE_MONTHS:]
        calibration = calibrate(CHECKS, reference, IS_JUDGED)
        expected = estimate_expected(CHECKS, reference, IS_JUDGED)
        damaged = np.stack([live + np.log1p(damage) * IS_DAMAGED for damage in (0.0, *DAMAGES)], axis=1)
        _, is_alarm = accumulate((damaged - expected.mean) / expected.deviation, calibration)
        alarms.append(is_alarm.any(axis=-1))  # [months, 1 + DAMAGES]
    return _outcomes(alarms)


def watch_by_river(fleets: Fleets, make: Callable[[], ADWIN | PageHinkley], *, is_relative: bool) -> Outcomes:
    """River's detectors on the error one month ahead, or on what the watch reads of it."""
    first = IS_DAMAGED[:, 0].astype(float)
    alarms = []
    for values, error in zip(fleets.numbers[..., 0], fleets.error, strict=True):
        alarm = np.zeros((LIVE_MONTHS, 1 + len(DAMAGES)), dtype=np.bool_)
        for column, damage in enumerate((0.0, *DAMAGES)):
            later = np.concatenate([np.zeros(REFERENCE_MONTHS), np.log1p(damage) * first])
            detector = make()
            for month, value in enumerate(values + later if is_relative else error * np.exp(later)):
                detector.update(float(value))
                if month >= REFERENCE_MONTHS:
                    alarm[month - REFERENCE_MONTHS, column] = detector.drift_detected
        alarms.append(alarm)
    return _outcomes(alarms)


def watch_by_rule(fleets: Fleets) -> Outcomes:
    """An alarm in every month whose error is ten per cent above the mean error of the reference."""
    alarms = []
    for error in fleets.error:
        bound = 1.1 * error[:REFERENCE_MONTHS].mean()
        damaged = np.outer(error[REFERENCE_MONTHS:], np.ones(1 + len(DAMAGES)))
        damaged[IS_DAMAGED[:, 0], 1:] *= 1.0 + np.array(DAMAGES)
        alarms.append(damaged > bound)
    return _outcomes(alarms)


def _outcomes(alarms: Sequence[Flags]) -> Outcomes:
    """From [months, 1 + DAMAGES] of each fleet."""
    return Outcomes(
        false_alarms=np.array([count_alarms(alarm[:, 0]) * 60 / LIVE_MONTHS for alarm in alarms]),
        share=np.array([alarm[:, 0].mean() for alarm in alarms]),
        delays=np.array([[delay(column) for column in alarm[:, 1:].T] for alarm in alarms]),
    )


def count_alarms(is_alarm: Flags) -> int:
    """Times that a series goes into alarm."""
    return int(np.count_nonzero(np.diff(is_alarm.astype(np.int8), prepend=0) == 1))


def delay(is_alarm: Flags) -> float:
    """Months from the damage to the alarm: 1 is the first month that damaged forecasts are scored in."""
    if is_alarm[DAMAGED_AT - 1]:
        return float("nan")
    found = np.flatnonzero(is_alarm[DAMAGED_AT:])
    return float(found[0] + 1) if len(found) else float("inf")


def run_attempts(replications: int = 100) -> str:
    """Table of other statistics, calibrated in the same way, on the loss alone of fleets of PEER_SIZE symbols."""
    fleets = simulate((PEER_SIZE,), is_changing=False, seed=2, replications=replications)[PEER_SIZE]
    loss = fleets.numbers[..., IS_LOSS]
    lines = ["| statistic | false alarms in 5 years | 5 % | 10 % | 30 % |", "| --- |" + " ---: |" * 4]
    shift = np.log1p(DAMAGES[0])
    attempts: dict[str, tuple[Floats, Callable[[Floats, Floats], Floats]]] = {
        "CUSUM for 5 %, luck taken out": (loss, lambda e, sd: cusum(e, shift / sd / 2)),
        "the same, luck left in": (fleets.raw, lambda e, sd: cusum(e, shift / sd / 2)),
        "CUSUM for one deviation": (loss, lambda e, sd: cusum(e, 0.5 + 0 * sd)),
        "Shiryaev-Roberts for 5 %": (loss, lambda e, sd: shiryaev_roberts(e, shift / sd)),
        "GLR over the last 24 months": (loss, lambda e, sd: likelihood_ratio(e)),
        "highest of CUSUMs for 5, 10 and 30 %": (
            loss,
            lambda e, sd: np.concatenate([cusum(e, np.log1p(d) / sd / 2) for d in DAMAGES], axis=-1),
        ),
        "EWMA, half-life of 3 months": (loss, lambda e, sd: ewma(e)),
    }
    for name, (values, statistic) in attempts.items():
        outcome = _outcomes([_attempt(each, statistic) for each in values])
        lines.append(f"| {name} | {outcome.false_alarms.mean():.2f} | {' | '.join(_medians(outcome))} |")
    return "\n".join(lines)


def _attempt(values: Floats, statistic: Callable[[Floats, Floats], Floats]) -> Flags:
    """[months, 1 + DAMAGES] alarms of a statistic [T, ..., C] of surprises, with thresholds as in `calibrate`."""
    reference, live = values[:REFERENCE_MONTHS], values[REFERENCE_MONTHS:]
    checks = [Check(h, "loss") for h in HORIZONS]
    expected = estimate_expected(checks, reference, IS_JUDGED)
    rng = np.random.default_rng(0)
    theirs = estimate_expected(checks, reference[draw_blocks(rng, 500, REFERENCE_MONTHS, REFERENCE_MONTHS)], IS_JUDGED)
    paths = (reference[draw_blocks(rng, 500, 60, REFERENCE_MONTHS).T] - theirs.mean) / theirs.deviation
    highest = statistic(paths, expected.deviation).max(axis=0)
    order = np.sort(highest, axis=0)
    rank = np.column_stack([np.searchsorted(*column) for column in zip(order.T, highest.T, strict=True)])
    threshold = np.quantile(highest, np.quantile(rank.max(axis=1) / len(rank), np.exp(-0.8)), axis=0)
    damaged = np.stack([live + np.log1p(damage) * IS_DAMAGED[:, IS_LOSS] for damage in (0.0, *DAMAGES)], axis=1)
    is_alarm: Flags = (statistic((damaged - expected.mean) / expected.deviation, expected.deviation) > threshold).any(
        axis=-1
    )
    return is_alarm


def cusum(surprise: Floats, allowance: Floats) -> Floats:
    """One-sided sums along the first axis."""
    sums = surprise - allowance
    for before, month in pairwise(sums):
        month += np.maximum(before, 0.0)
    return np.maximum(sums, 0.0)


def shiryaev_roberts(surprise: Floats, shift: Floats) -> Floats:
    """Log of R_t = (1 + R_{t-1}) exp(shift (z_t - shift / 2)), along the first axis."""
    gains = shift * (surprise - shift / 2)
    for before, month in pairwise(gains):
        month += np.logaddexp(0.0, before)
    return gains


def likelihood_ratio(surprise: Floats) -> Floats:
    """Largest of sum² / 2 k over the last k = 1 … 24 months, of sums above zero; along the first axis."""
    total = np.cumsum(surprise, axis=0)
    best = np.zeros(surprise.shape)
    for k in range(1, 25):
        window = total.copy()
        window[k:] -= total[:-k]
        best[k - 1 :] = np.maximum(best[k - 1 :], np.maximum(window[k - 1 :], 0.0) ** 2 / (2 * k))
    return best


def ewma(surprise: Floats) -> Floats:
    """Weighted mean along the first axis."""
    keep = 0.5 ** (1 / 3)
    means = (1 - keep) * surprise
    for before, month in pairwise(means):
        month += keep * before
    return means


@dataclass(frozen=True)
class Market:
    """The recorded market, and a model that is never refitted."""

    panel: Panel
    reference_forecast: ReferenceForecast
    forecaster: Forecaster
    reference: pd.DataFrame
    holdout_start: pd.Timestamp

    def forecast(self, forecaster: Forecaster, panel: Panel) -> pd.DataFrame:
        """What is said from ORIGINS on, with what came."""
        everything = forecaster.forecast_many(panel, list(ORIGINS))
        wanted = everything[
            everything["horizon"].isin(HORIZONS) & everything["forecaster"].isin(["hybrid", "baseline"])
        ]
        actuals = known_returns(self.panel, self.panel.positions_of(list(ORIGINS)))
        return wanted.merge(
            actuals.rename(columns={"log_return": "actual_log_return"}), on=["symbol", "origin_month", "horizon"]
        )


def open_market() -> Market:
    """A model trained and judged up to 2003-12; its networks pass over the months once, which teaches them nothing."""
    config = replace(ForecasterConfig(), epochs=1, seeds=(1,))
    months = read_months()
    panel = make_panel(months, config)
    past = panel.until(END)
    split = split_origins(len(past.months), config)
    forecaster = train(past, split, config)
    reference_forecast = make_reference_forecast(months, horizons=HORIZONS, levels=config.quantile_levels)
    reference = make_expectation(forecaster, past, reference_forecast, HORIZONS)
    return Market(panel, reference_forecast, forecaster, reference, past.months[split.holdout.start])


def damages(market: Market) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """What is done to the model, which of its forecasters serves, and what it then says."""
    sound = market.forecast(market.forecaster, market.panel)
    yield "nothing", "baseline", sound
    rng = np.random.default_rng(3)
    noised = tuple(
        tuple((each + 0.2 * rng.standard_normal(each.shape)).astype(np.float32) for each in network)
        for network in market.forecaster.networks
    )
    yield "weights noised", "hybrid", market.forecast(replace(market.forecaster, networks=noised), market.panel)
    yield "features a month old", "baseline", market.forecast(market.forecaster, _a_month_old(market.panel))
    names = [name for name in sound if name.startswith("q")]
    middle = sound[["q50"]].to_numpy()
    yield (
        "spread halved",
        "baseline",
        sound.assign(**dict(zip(names, (middle + (sound[names] - middle) / 2).to_numpy().T, strict=True))),
    )


def _a_month_old(panel: Panel) -> Panel:
    def before(values: Floats) -> Floats:
        return np.concatenate([values[:, :1], values[:, :-1]], axis=1)

    sigma = before(panel.sigma)
    sigma = np.where(np.isfinite(sigma), sigma, panel.sigma)
    return replace(panel, sigma=sigma, x=before(panel.x), inputs=before(panel.inputs))


def watch_market(market: Market, served: str, sound: pd.DataFrame, said: pd.DataFrame) -> dict[str, object]:
    """Alarms when the model is damaged from the first origin on, and the delay when that happens in one January.

    Args:
        market: The market.
        served: hybrid or baseline.
        sound: [symbol, origin_month, horizon, forecaster, …] what it says when nothing is done to it.
        said: what it says when something is.
    """
    checks, reference, has_holdout = arrange(market.reference, served, market.holdout_start.date())
    calibration = calibrate(checks, reference, has_holdout)
    expected = expected_values(market.reference, market.holdout_start.date())

    def surprises(forecasts: pd.DataFrame) -> pd.DataFrame:
        months = measure_months(measure_forecasts(forecasts, market.reference_forecast))
        own = months[months["forecaster"] == served].merge(expected, on=["forecaster", "horizon", "measure"])
        own = own.assign(surprise=(own["value"] - own["expected"]) / own["deviation"])
        wide = own.pivot(index="origin_month", columns=["horizon", "measure"], values="surprise")
        return wide.reindex(columns=pd.MultiIndex.from_tuples(checks))

    def by_target(by_origin: pd.DataFrame) -> tuple[pd.DatetimeIndex, Flags]:
        moved = pd.DataFrame({check: by_origin[check].shift(check.horizon, freq="MS") for check in checks})
        return pd.DatetimeIndex(moved.index), accumulate(moved.to_numpy(), calibration)[1]

    before, after = surprises(sound), surprises(said)
    months, is_alarm = by_target(after)
    fleet = is_alarm.any(axis=1)
    starts = np.flatnonzero(np.diff(fleet.astype(int), prepend=0) == 1)
    delays = []
    for january in pd.date_range("2004-01-01", "2016-01-01", freq=pd.DateOffset(years=1)):
        mixed = pd.concat([before[before.index < january], after[after.index >= january]])
        targets, alarms = by_target(mixed)
        alarm = alarms.any(axis=1)
        first = int(targets.searchsorted(january))  # the month before is the last that sound forecasts were scored in
        if not alarm[first]:
            found = np.flatnonzero(alarm[first + 1 :])
            delays.append(float(found[0] + 1) if len(found) else float("inf"))
    return {
        "alarms": [(months[at], checks[int(np.argmax(is_alarm[at]))]) for at in starts],
        "share": float(fleet.mean()),
        "delays": np.array(delays),
        "in_2008": bool(fleet[(months >= "2008-09-01") & (months <= "2009-03-01")].any()),
    }


def run() -> str:
    """Tables of both."""
    columns = "false alarms in 5 years | months in alarm | 5 % | 10 % | 30 %"
    lines = [
        "## Drift",
        "",
        f"{REPLICATIONS} simulated fleets of each size: {REFERENCE_MONTHS} months of reference, {LIVE_MONTHS} watched. "
        "Then the median of the months from a lasting loss of 5, 10 or 30 % to the alarm, and in brackets the share "
        "that was seen within 6, 3 and 1.",
        "",
        f"| symbols | volatility | {columns} |",
        "| ---: | --- |" + " ---: |" * 5,
    ]
    others = ["", f"Others on the fleets of {PEER_SIZE}:", "", f"| detector | volatility | {columns} |"]
    others.append("| --- | --- |" + " ---: |" * 5)
    for is_changing, sizes in ((False, SIZES), (True, CHANGING_SIZES)):
        kind = "doubles for good" if is_changing else "calm and wild"
        for size, fleets in simulate(sizes, is_changing=is_changing, seed=1).items():
            lines.append(f"| {size} | {kind} | {_cells(watch_fleets(fleets))} |")
            if size == PEER_SIZE:
                others += _peer_lines(fleets, kind)
    return "\n".join([*lines, *others, "", *_market_lines(), ""])


def _market_lines() -> list[str]:
    if not DATA.exists():
        return ["Not measured on the recorded market: its data are not beside the checkout."]
    market = open_market()
    lines = [
        f"The recorded market, {ORIGINS[0]:%Y-%m} to {ORIGINS[-1]:%Y-%m}, by a model of the first month that is never "
        "refitted; damaged from the start, and for the delays in one January of 2004 to 2016, unless in alarm before.",
        "",
        "| damage | alarms | months in alarm | September 2008 to March 2009 | median delay | longest |",
        "| --- | --- |" + " ---: |" * 4,
    ]
    sound = None
    for name, served, said in damages(market):
        sound = said if sound is None else sound
        lines.append(_market_line(name, watch_market(market, served, sound, said), is_damaged=said is not sound))
    return lines


def _peer_lines(fleets: Fleets, kind: str) -> list[str]:
    outcomes = {
        "PageHinkley() on the error": watch_by_river(fleets, PageHinkley, is_relative=False),
        "PageHinkley() on the relative loss": watch_by_river(fleets, PageHinkley, is_relative=True),
        "ADWIN() on the error": watch_by_river(fleets, ADWIN, is_relative=False),
        "ADWIN() on the relative loss": watch_by_river(fleets, ADWIN, is_relative=True),
        "error 10 % above the reference's": watch_by_rule(fleets),
    }
    return [f"| {name} | {kind} | {_cells(outcome)} |" for name, outcome in outcomes.items()]


def _cells(outcome: Outcomes) -> str:
    return f"{outcome.false_alarms.mean():.2f} | {outcome.share.mean():.0%} | {' | '.join(_medians(outcome))}"


def _medians(outcome: Outcomes) -> list[str]:
    cells = []
    for column, limit in enumerate((6, 3, 1)):
        known = outcome.delays[:, column][~np.isnan(outcome.delays[:, column])]
        middle = float(np.median(known)) if len(known) else float("nan")
        cells.append(
            f"{'never' if np.isinf(middle) else f'{middle:g}'} ({np.mean(known <= limit):.0%})" if len(known) else "-"
        )
    return cells


def _market_line(name: str, found: dict, *, is_damaged: bool) -> str:
    alarms = ", ".join(f"{month:%Y-%m} ({check.measure}, {check.horizon})" for month, check in found["alarms"])
    delays = found["delays"]
    cells = [alarms or "none", f"{found['share']:.0%}", "alarm" if found["in_2008"] else "none"]
    cells += [f"{np.median(delays):g}", f"{delays.max():g}"] if is_damaged else ["", ""]
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    print(run_attempts() if sys.argv[1:] == ["attempts"] else run())
