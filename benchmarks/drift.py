"""False alarms and detection delays of the drift monitor, beside other detectors.

First on simulated universes with a known process, then on the recorded market, with and without deliberate damage to
the forecasts. The code under test is `model.drift`. `python -m benchmarks.drift attempts` measures other statistics.
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
HOLDOUT_MONTHS = 36
SIZES = (5, 20, 100, 500)
HORIZONS = (1, 3, 6, 12)
DAMAGES = (0.05, 0.10, 0.30)
DAMAGED_AT = 60  # live month after which forecasts are damaged
CHANGES_AT = 30  # live month in which volatility doubles permanently
CHANGING_SIZES = (5, 100)
COMPARISON_SIZE = 100
CHECKS = tuple(Check(h, measure) for measure in ("loss", "calibration", "staleness") for h in HORIZONS)
IS_HOLDOUT = np.arange(REFERENCE_MONTHS) >= REFERENCE_MONTHS - HOLDOUT_MONTHS
IS_LOSS = np.array([check.measure == "loss" for check in CHECKS])
# [months, C] whether a live month's value belongs to damaged forecasts; only the loss is damaged
IS_DAMAGED = np.arange(LIVE_MONTHS)[:, None] - [check.horizon for check in CHECKS] >= DAMAGED_AT - 1
IS_DAMAGED &= IS_LOSS
_CHUNK = 10
_BURN_IN = 36
_LONGEST = max(HORIZONS)
_WIDTH = 2.563  # of a Gaussian's 80 % interval, in standard deviations


@dataclass(frozen=True)
class Universes:
    """Simulated universes of one size, by the month in which the forecasts are scored."""

    numbers: Floats
    """[replications, REFERENCE_MONTHS + LIVE_MONTHS, C]"""
    raw: Floats
    """[replications, months, H] log ratio of the mean losses, without control variate."""
    error: Floats
    """[replications, months] mean CRPS of the served forecasts one month ahead, log return."""


def simulate(
    sizes: Sequence[int], *, is_changing: bool, seed: int, replications: int = REPLICATIONS
) -> dict[int, Universes]:
    """Simulate universes by size; smaller universes are parts of larger ones.

    Log returns have a common factor with a third of the variance and fat tails (Student t with 5 degrees of freedom).
    Log volatilities are the sum of the market's and a component per symbol. The market is calm (two years on average)
    or twice as volatile (nine months). The model and the reference forecast observe volatilities with noise. The model
    also reverts to the average of recent years and has errors per symbol and for all symbols together.

    Args:
        sizes: Symbols of each universe.
        is_changing: Whether all volatilities double permanently in live month CHANGES_AT.
        seed: Of the random numbers.
        replications: Universes of each size.

    Returns:
        Simulated universes by size.
    """
    rng = np.random.default_rng(seed)
    parts = [_simulate_chunk(rng, sizes, is_changing) for _ in range(-(-replications // _CHUNK))]
    return {
        size: Universes(*(np.concatenate([part[size][k] for part in parts])[:replications] for k in range(3)))
        for size in sizes
    }


def _simulate_chunk(
    rng: np.random.Generator, sizes: Sequence[int], is_changing: bool
) -> dict[int, tuple[Floats, Floats, Floats]]:
    months = _BURN_IN + _LONGEST + REFERENCE_MONTHS + LIVE_MONTHS
    shape = (_CHUNK, months, max(sizes))
    is_wild = np.zeros((_CHUNK, months))
    for t in range(1, months):
        is_staying = rng.random(_CHUNK) > np.where(is_wild[:, t - 1] > 0, 1 / 9, 1 / 24)
        is_wild[:, t] = np.where(is_staying, is_wild[:, t - 1], 1 - is_wild[:, t - 1])
    market = np.log(2.0) * is_wild + _autoregression(rng, (_CHUNK, months), 0.8, 0.12)
    if is_changing:
        market[:, months - LIVE_MONTHS + CHANGES_AT :] += np.log(2.0)
    log_sigma = np.log(0.06) + market[..., None] + _autoregression(rng, shape, 0.95, 0.08)
    log_sigma += 0.3 * rng.standard_normal((_CHUNK, 1, shape[2]), dtype=np.float32)
    log_sigma = log_sigma + 0.15 * rng.standard_normal((_CHUNK, months, 1), dtype=np.float32)
    factor = rng.standard_normal((*shape[:2], 1), dtype=np.float32)
    residual = _student(rng, shape)
    returns = np.exp(log_sigma) * (np.sqrt(1 / 3) * factor + np.sqrt(2 / 3) * residual)
    observed = np.exp(log_sigma + 0.2 * rng.standard_normal(shape, dtype=np.float32))
    fast, long_run = (np.swapaxes(values, 1, 2) for values in volatilities(np.swapaxes(observed, 1, 2)))
    model_error = _autoregression(rng, (*shape[:2], 1), 0.7, 0.065) + _autoregression(rng, shape, 0.9, 0.06)
    recent = _average(observed, 60.0)  # average volatility of recent years, to which the model reverts
    lean = _autoregression(rng, (*shape[:2], 1), 0.9, 0.015)
    total = np.cumsum(returns, axis=1, dtype=np.float64)
    columns: dict[int, dict[Check, Floats]] = {size: {} for size in sizes}
    errors: dict[int, Floats] = {}
    raw: dict[int, list[Floats]] = {size: [] for size in sizes}
    kept = slice(months - REFERENCE_MONTHS - LIVE_MONTHS, months)
    for h in HORIZONS:
        origin = slice(kept.start - h, kept.stop - h)
        actual = (total[:, kept] - total[:, origin]).astype(np.float32)
        reference_scale = blend(fast[:, origin], long_run[:, origin], h)
        model_scale = blend(fast[:, origin], recent[:, origin], h) * np.exp(h**0.25 * model_error[:, origin])
        tilt = h**0.3 * lean[:, origin]  # of the model's median, in units of its scale
        loss, pit = _score_gaussian(actual - tilt * model_scale, model_scale)
        reference_loss, reference_pit = _score_gaussian(actual, reference_scale)
        before = slice(origin.start - 1, origin.stop - 1)
        lag = np.log(model_scale / np.sqrt(h) / fast[:, before])
        news = np.log(fast[:, origin] / fast[:, before])
        for size in sizes:
            part = np.s_[..., :size]
            unit = reference_scale[part]
            values = columns[size]
            surprise = _mean(dispersion(reference_pit[part]))
            ratio = log_ratio(_mean(loss[part] / unit), _mean(reference_loss[part] / unit))
            raw[size].append(ratio)
            values[Check(h, "loss")] = ratio + control_variate(
                width=_mean(np.log(model_scale[part] / unit)),
                reference_dispersion=surprise,
                shift=_mean(tilt * model_scale[part] / unit) / _WIDTH,
                reference_pit=_mean(reference_pit[part]),
            )
            values[Check(h, "calibration")] = _mean(dispersion(pit[part])) - surprise
            moments = (lag[part], news[part], news[part] ** 2, news[part] * lag[part])
            values[Check(h, "staleness")] = staleness(size, *map(_mean, moments))
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
    """Return the running weighted mean [replications, months, symbols] along the months."""
    keep = 0.5 ** (1.0 / half_life)
    means, total, weight = np.empty_like(values), np.zeros_like(values[:, 0]), 0.0
    for t in range(values.shape[1]):
        total, weight = keep * total + values[:, t], keep * weight + 1.0
        means[:, t] = total / weight
    return means


def _mean(values: Floats) -> Floats:
    """Return the mean over symbols."""
    mean: Floats = values.mean(axis=-1, dtype=np.float64)
    return mean


def _autoregression(rng: np.random.Generator, shape: tuple[int, ...], keep: float, step: float) -> Floats:
    """Simulate a first-order autoregression along axis 1, starting at zero."""
    shocks = step * rng.standard_normal(shape, dtype=np.float32)
    for t in range(1, shape[1]):
        shocks[:, t] += keep * shocks[:, t - 1]
    return shocks


def _student(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw from a Student t with 5 degrees of freedom and variance 1."""
    chi = rng.standard_gamma(2.5, shape, dtype=np.float32) * 2 / 5
    drawn: Floats = rng.standard_normal(shape, dtype=np.float32) / np.sqrt(chi) * np.float32(np.sqrt(3 / 5))
    return drawn


def _score_gaussian(actual: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """Return CRPS and PIT of Gaussian forecasts with mean zero (Gneiting et al. 2005, eq. 5)."""
    z = actual / scale
    pit = ndtr(z)
    density = np.exp(-(z**2) / 2) * np.float32(1 / np.sqrt(2 * np.pi))
    return scale * (z * (2 * pit - 1) + 2 * density - np.float32(1 / np.sqrt(np.pi))), pit


@dataclass(frozen=True)
class Outcomes:
    """Alarms in universes without damage and with each of DAMAGES."""

    false_alarms: Floats
    """[replications] alarms per five years without damage."""
    share: Floats
    """[replications] share of months in alarm without damage."""
    delays: Floats
    """[replications, DAMAGES] months from damage to alarm: infinite without alarm, NaN if already in alarm before."""


def monitor_universes(universes: Universes) -> Outcomes:
    """Run the drift monitor on each universe, calibrated on its reference months."""
    alarms = []
    for values in universes.numbers:
        reference, live = values[:REFERENCE_MONTHS], values[REFERENCE_MONTHS:]
        calibration = calibrate(CHECKS, reference, IS_HOLDOUT)
        expected = estimate_expected(CHECKS, reference, IS_HOLDOUT)
        damaged = np.stack([live + np.log1p(damage) * IS_DAMAGED for damage in (0.0, *DAMAGES)], axis=1)
        _, is_alarm = accumulate((damaged - expected.mean) / expected.deviation, calibration)
        alarms.append(is_alarm.any(axis=-1))  # [months, 1 + DAMAGES]
    return _outcomes(alarms)


def monitor_with_river(universes: Universes, make: Callable[[], ADWIN | PageHinkley], *, is_relative: bool) -> Outcomes:
    """Run one of River's detectors on the error one month ahead, or on the drift monitor's relative loss."""
    first = IS_DAMAGED[:, 0].astype(float)
    alarms = []
    for values, error in zip(universes.numbers[..., 0], universes.error, strict=True):
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


def monitor_with_rule(universes: Universes) -> Outcomes:
    """Raise an alarm in every month whose error exceeds the mean of the reference months by ten per cent."""
    alarms = []
    for error in universes.error:
        bound = 1.1 * error[:REFERENCE_MONTHS].mean()
        damaged = np.outer(error[REFERENCE_MONTHS:], np.ones(1 + len(DAMAGES)))
        damaged[IS_DAMAGED[:, 0], 1:] *= 1.0 + np.array(DAMAGES)
        alarms.append(damaged > bound)
    return _outcomes(alarms)


def _outcomes(alarms: Sequence[Flags]) -> Outcomes:
    """Summarise the alarms [months, 1 + DAMAGES] of each universe."""
    return Outcomes(
        false_alarms=np.array([count_alarms(alarm[:, 0]) * 60 / LIVE_MONTHS for alarm in alarms]),
        share=np.array([alarm[:, 0].mean() for alarm in alarms]),
        delays=np.array([[delay(column) for column in alarm[:, 1:].T] for alarm in alarms]),
    )


def count_alarms(is_alarm: Flags) -> int:
    """Count the starts of alarms in a series."""
    return int(np.count_nonzero(np.diff(is_alarm.astype(np.int8), prepend=0) == 1))


def delay(is_alarm: Flags) -> float:
    """Count the months from damage to alarm; 1 is the first month with scores of damaged forecasts."""
    if is_alarm[DAMAGED_AT - 1]:
        return float("nan")
    months = np.flatnonzero(is_alarm[DAMAGED_AT:])
    return float(months[0] + 1) if len(months) else float("inf")


def run_attempts(replications: int = 100) -> str:
    """Return a table of other statistics on the loss alone, calibrated in the same way, for COMPARISON_SIZE symbols."""
    universes = simulate((COMPARISON_SIZE,), is_changing=False, seed=2, replications=replications)[COMPARISON_SIZE]
    loss = universes.numbers[..., IS_LOSS]
    lines = ["| statistic | false alarms in 5 years | 5 % | 10 % | 30 % |", "| --- |" + " ---: |" * 4]
    shift = np.log1p(DAMAGES[0])
    attempts: dict[str, tuple[Floats, Callable[[Floats, Floats], Floats]]] = {
        "CUSUM for 5 %, with control variate": (loss, lambda z, sd: cusum(z, shift / sd / 2)),
        "CUSUM for 5 %, without control variate": (universes.raw, lambda z, sd: cusum(z, shift / sd / 2)),
        "CUSUM for one deviation": (loss, lambda z, sd: cusum(z, 0.5 + 0 * sd)),
        "Shiryaev-Roberts for 5 %": (loss, lambda z, sd: shiryaev_roberts(z, shift / sd)),
        "GLR over the last 24 months": (loss, lambda z, sd: likelihood_ratio(z)),
        "highest of CUSUMs for 5, 10 and 30 %": (
            loss,
            lambda z, sd: np.concatenate([cusum(z, np.log1p(d) / sd / 2) for d in DAMAGES], axis=-1),
        ),
        "EWMA, half-life of 3 months": (loss, lambda z, sd: ewma(z)),
    }
    for name, (values, statistic) in attempts.items():
        outcome = _outcomes([_attempt(universe, statistic) for universe in values])
        lines.append(f"| {name} | {outcome.false_alarms.mean():.2f} | {' | '.join(_medians(outcome))} |")
    return "\n".join(lines)


def _attempt(values: Floats, statistic: Callable[[Floats, Floats], Floats]) -> Flags:
    """Return the alarms [months, 1 + DAMAGES] of a statistic of surprises [T, ..., C]; thresholds as in `calibrate`."""
    reference, live = values[:REFERENCE_MONTHS], values[REFERENCE_MONTHS:]
    checks = [Check(h, "loss") for h in HORIZONS]
    expected = estimate_expected(checks, reference, IS_HOLDOUT)
    rng = np.random.default_rng(0)
    resampled = estimate_expected(
        checks, reference[draw_blocks(rng, 500, REFERENCE_MONTHS, REFERENCE_MONTHS)], IS_HOLDOUT
    )
    paths = (reference[draw_blocks(rng, 500, 60, REFERENCE_MONTHS).T] - resampled.mean) / resampled.deviation
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
    """Return one-sided cumulative sums along the first axis."""
    sums = surprise - allowance
    for before, month in pairwise(sums):
        month += np.maximum(before, 0.0)
    return np.maximum(sums, 0.0)


def shiryaev_roberts(surprise: Floats, shift: Floats) -> Floats:
    """Return log R_t, with R_t = (1 + R_{t-1}) exp(shift (z_t - shift / 2)), along the first axis."""
    gains = shift * (surprise - shift / 2)
    for before, month in pairwise(gains):
        month += np.logaddexp(0.0, before)
    return gains


def likelihood_ratio(surprise: Floats) -> Floats:
    """Return the maximum of max(sum, 0)² / 2 k over the last k = 1 … 24 months, along the first axis."""
    total = np.cumsum(surprise, axis=0)
    best = np.zeros(surprise.shape)
    for k in range(1, 25):
        window = total.copy()
        window[k:] -= total[:-k]
        best[k - 1 :] = np.maximum(best[k - 1 :], np.maximum(window[k - 1 :], 0.0) ** 2 / (2 * k))
    return best


def ewma(surprise: Floats) -> Floats:
    """Return the exponentially weighted mean along the first axis."""
    keep = 0.5 ** (1 / 3)
    means = (1 - keep) * surprise
    for before, month in pairwise(means):
        month += keep * before
    return means


@dataclass(frozen=True)
class Market:
    """The recorded market and a model that is trained once."""

    panel: Panel
    reference_forecast: ReferenceForecast
    forecaster: Forecaster
    reference: pd.DataFrame
    holdout_start: pd.Timestamp

    def forecast(self, forecaster: Forecaster, panel: Panel) -> pd.DataFrame:
        """Forecast from ORIGINS and add the actual returns."""
        everything = forecaster.forecast_many(panel, list(ORIGINS))
        wanted = everything[
            everything["horizon"].isin(HORIZONS) & everything["forecaster"].isin(["hybrid", "baseline"])
        ]
        actuals = known_returns(self.panel, self.panel.positions_of(list(ORIGINS)))
        return wanted.merge(
            actuals.rename(columns={"log_return": "actual_log_return"}), on=["symbol", "origin_month", "horizon"]
        )


def open_market() -> Market:
    """Train a model on months up to 2003-12, with one epoch, after which the hybrid still equals the baseline."""
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
    """Yield the name of each damage, the served forecaster and the damaged forecasts; the first has no damage."""
    sound = market.forecast(market.forecaster, market.panel)
    yield "nothing", "baseline", sound
    rng = np.random.default_rng(3)
    noised = tuple(
        tuple((weights + 0.2 * rng.standard_normal(weights.shape)).astype(np.float32) for weights in network)
        for network in market.forecaster.networks
    )
    yield (
        "noise added to the weights",
        "hybrid",
        market.forecast(replace(market.forecaster, networks=noised), market.panel),
    )
    yield "features one month old", "baseline", market.forecast(market.forecaster, _delay_features(market.panel))
    names = [name for name in sound if name.startswith("q")]
    median = sound[["q50"]].to_numpy()
    yield (
        "scale halved",
        "baseline",
        sound.assign(**dict(zip(names, (median + (sound[names] - median) / 2).to_numpy().T, strict=True))),
    )


def _delay_features(panel: Panel) -> Panel:
    """Replace the features of each month by those of the month before."""

    def before(values: Floats) -> Floats:
        return np.concatenate([values[:, :1], values[:, :-1]], axis=1)

    sigma = before(panel.sigma)
    sigma = np.where(np.isfinite(sigma), sigma, panel.sigma)
    return replace(panel, sigma=sigma, x=before(panel.x), inputs=before(panel.inputs))


def monitor_market(market: Market, served: str, sound: pd.DataFrame, damaged: pd.DataFrame) -> dict[str, object]:
    """Return the alarms with damage from the first origin, and the delays with damage from one January.

    Args:
        market: The market.
        served: hybrid or baseline.
        sound: symbol, origin_month, horizon, forecaster, …: the forecasts without damage.
        damaged: The same with damage.
    """
    checks, reference, has_holdout = arrange(market.reference, served, market.holdout_start.date())
    calibration = calibrate(checks, reference, has_holdout)
    expected = expected_values(market.reference, market.holdout_start.date())

    def surprises(forecasts: pd.DataFrame) -> pd.DataFrame:
        months = measure_months(measure_forecasts(forecasts, market.reference_forecast))
        scored = months[months["forecaster"] == served].merge(expected, on=["forecaster", "horizon", "measure"])
        scored = scored.assign(surprise=(scored["value"] - scored["expected"]) / scored["deviation"])
        wide = scored.pivot(index="origin_month", columns=["horizon", "measure"], values="surprise")
        return wide.reindex(columns=pd.MultiIndex.from_tuples(checks))

    def by_target(by_origin: pd.DataFrame) -> tuple[pd.DatetimeIndex, Flags]:
        moved = pd.DataFrame({check: by_origin[check].shift(check.horizon, freq="MS") for check in checks})
        return pd.DatetimeIndex(moved.index), accumulate(moved.to_numpy(), calibration)[1]

    before, after = surprises(sound), surprises(damaged)
    months, is_alarm = by_target(after)
    is_any_alarm = is_alarm.any(axis=1)
    starts = np.flatnonzero(np.diff(is_any_alarm.astype(int), prepend=0) == 1)
    delays = []
    for january in pd.date_range("2004-01-01", "2016-01-01", freq=pd.DateOffset(years=1)):
        mixed = pd.concat([before[before.index < january], after[after.index >= january]])
        targets, alarms = by_target(mixed)
        alarm = alarms.any(axis=1)
        first = int(targets.searchsorted(january))  # sound forecasts are scored up to the month before
        if not alarm[first]:
            later = np.flatnonzero(alarm[first + 1 :])
            delays.append(float(later[0] + 1) if len(later) else float("inf"))
    return {
        "alarms": [(months[at], checks[int(np.argmax(is_alarm[at]))]) for at in starts],
        "share": float(is_any_alarm.mean()),
        "delays": np.array(delays),
        "in_2008": bool(is_any_alarm[(months >= "2008-09-01") & (months <= "2009-03-01")].any()),
    }


def run() -> str:
    """Return the tables of simulated universes and of the recorded market."""
    columns = "false alarms in 5 years | months in alarm | 5 % | 10 % | 30 %"
    lines = [
        "## Drift",
        "",
        f"{REPLICATIONS} simulated universes of each size, with {REFERENCE_MONTHS} reference months and {LIVE_MONTHS} "
        "monitored months. The last columns: median months from a permanent loss of 5, 10 or 30 % to the alarm, and in "
        "brackets the share detected within 6, 3 and 1 months.",
        "",
        f"| symbols | volatility | {columns} |",
        "| ---: | --- |" + " ---: |" * 5,
    ]
    detectors = [
        "",
        f"Other detectors on universes of {COMPARISON_SIZE} symbols:",
        "",
        f"| detector | volatility | {columns} |",
    ]
    detectors.append("| --- | --- |" + " ---: |" * 5)
    for is_changing, sizes in ((False, SIZES), (True, CHANGING_SIZES)):
        kind = "doubles permanently" if is_changing else "calm and volatile"
        for size, universes in simulate(sizes, is_changing=is_changing, seed=1).items():
            lines.append(f"| {size} | {kind} | {_cells(monitor_universes(universes))} |")
            if size == COMPARISON_SIZE:
                detectors += _detector_lines(universes, kind)
    return "\n".join([*lines, *detectors, "", *_market_lines(), ""])


def _market_lines() -> list[str]:
    if not DATA.exists():
        return ["Not measured on the recorded market: needs recorded market data in ../shared/data."]
    market = open_market()
    lines = [
        f"The recorded market, {ORIGINS[0]:%Y-%m} to {ORIGINS[-1]:%Y-%m}, with a model trained once, before the first "
        "month. Damage starts in the first month; for the delays, in each January of 2004 to 2016 without alarm.",
        "",
        "| damage | alarms | months in alarm | September 2008 to March 2009 | median delay | longest |",
        "| --- | --- |" + " ---: |" * 4,
    ]
    sound = None
    for name, served, forecasts in damages(market):
        sound = forecasts if sound is None else sound
        measured = monitor_market(market, served, sound, forecasts)
        lines.append(_market_line(name, measured, is_damaged=forecasts is not sound))
    return lines


def _detector_lines(universes: Universes, kind: str) -> list[str]:
    outcomes = {
        "PageHinkley() on the error": monitor_with_river(universes, PageHinkley, is_relative=False),
        "PageHinkley() on the relative loss": monitor_with_river(universes, PageHinkley, is_relative=True),
        "ADWIN() on the error": monitor_with_river(universes, ADWIN, is_relative=False),
        "ADWIN() on the relative loss": monitor_with_river(universes, ADWIN, is_relative=True),
        "error 10 % above the reference months": monitor_with_rule(universes),
    }
    return [f"| {name} | {kind} | {_cells(outcome)} |" for name, outcome in outcomes.items()]


def _cells(outcome: Outcomes) -> str:
    return f"{outcome.false_alarms.mean():.2f} | {outcome.share.mean():.0%} | {' | '.join(_medians(outcome))}"


def _medians(outcome: Outcomes) -> list[str]:
    cells = []
    for column, limit in enumerate((6, 3, 1)):
        known = outcome.delays[:, column][~np.isnan(outcome.delays[:, column])]
        median = float(np.median(known)) if len(known) else float("nan")
        cells.append(
            f"{'never' if np.isinf(median) else f'{median:g}'} ({np.mean(known <= limit):.0%})" if len(known) else "-"
        )
    return cells


def _market_line(name: str, measured: dict, *, is_damaged: bool) -> str:
    alarms = ", ".join(f"{month:%Y-%m} ({check.measure}, {check.horizon})" for month, check in measured["alarms"])
    delays = measured["delays"]
    cells = [alarms or "none", f"{measured['share']:.0%}", "alarm" if measured["in_2008"] else "none"]
    cells += [f"{np.median(delays):g}", f"{delays.max():g}"] if is_damaged else ["", ""]
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    print(run_attempts() if sys.argv[1:] == ["attempts"] else run())
