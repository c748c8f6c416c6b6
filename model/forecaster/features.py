"""The panel: features and targets of all symbols and months, in units of each symbol's current volatility.

A feature at month t uses only months up to t. Only the targets `y` use later months.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from model import Flags, Floats
from model.config import ForecasterConfig
from model.frames import MONTH_TYPES, PANEL_COLUMNS, check_frame

TERMS = (
    "volatility_long_run",
    "last_return",
    "market_volatility_1",
    "market_volatility_1_squared",
    "month_against_days",
    "fall_12",
    "quarter_rhythm_1",
    "quarter_rhythm_2",
)
"""Names of the baseline's K terms. Volatilities are log ratios to sigma. The market's volatility is the mean over
symbols, shrunk for a few symbols; its square lets a shock to all symbols decay faster than an ordinary one.
`month_against_days` compares the volatility of monthly returns with that of daily returns. `fall_12` is the return of
the last twelve months in units of sigma if negative, else 0. `quarter_rhythm_h` compares the volatility of earlier
months in the same month of the quarter as target month h with that of all months: months with a quarterly report are
more volatile. Only the horizons up to `RHYTHM_HORIZONS` use the rhythm, since every quarter has one report."""

RHYTHM_HORIZONS = 2
"""Longest horizon that uses the terms `quarter_rhythm_1` and `quarter_rhythm_2`."""

SPANS = {
    "volatility_1": 0.5,
    "volatility_6": 6.0,
    "volatility_12": 12.0,
    "volatility_60": 60.0,
    "volatility_long_run": np.inf,
}
"""Half-lives, in months, of the volatilities that are compared with sigma."""

NETWORK_INPUTS = (*SPANS, "last_return", "absolute_return", "momentum_12", "volume", "range", "position", "level")
"""Names of the network's F inputs, in the order of the last axis of `Panel.inputs`. None is common to all symbols,
because the network would identify dates by it."""

LARGEST_FEATURE = 4.0
"""Bound of the terms and inputs, in their own units, so that single extreme months do not dominate a fit."""

_USUAL_SIGMA = 0.08  # log return a month, typical of a large stock
_QUARTER = 3  # months
_GAUSSIAN_MEAN = np.sqrt(2.0 / np.pi)  # mean absolute value of a Gaussian over its standard deviation


@dataclass(frozen=True)
class Panel:
    """Features and targets of N symbols and T months."""

    symbols: tuple[str, ...]
    """N symbols, sorted."""
    months: pd.DatetimeIndex
    """T consecutive months."""
    returns: Floats
    """[N, T] log total return; NaN if unknown."""
    sigma: Floats
    """[N, T] current volatility, log return a month; NaN before a symbol's first month."""
    random_walk_sd: Floats
    """[N, T] root mean square of the symbol's log returns up to the month; NaN before the first."""
    x: Floats
    """[N, T, K] TERMS of the baseline; 0 where unknown."""
    inputs: Floats
    """[N, T, F] NETWORK_INPUTS; 0 where unknown."""
    y: Floats
    """[N, T, H] log return from month t to t + h; NaN if unknown."""
    location_factor: Floats
    """[T] factor of the baseline's location: above 1 while the market is more volatile than usual."""
    known: Flags
    """[N, T] whether the symbol has the month, so that it can be an origin."""
    age: Floats
    """[N, T] number of the symbol's returns up to the month."""

    def until(self, month: pd.Timestamp) -> "Panel":
        """Return the panel without later months and without targets that end after `month`."""
        length = int(self.months.searchsorted(month, side="right"))
        cut = {name: getattr(self, name)[:, :length] for name in ("returns", "sigma", "random_walk_sd", "x", "inputs")}
        past = {name: getattr(self, name)[:, :length] for name in ("known", "age")}
        y = self.y[:, :length].copy()
        for h in range(1, y.shape[2] + 1):
            y[:, max(length - h, 0) :, h - 1] = np.nan
        factor = self.location_factor[:length]
        return replace(self, months=self.months[:length], y=y, location_factor=factor, **cut, **past)

    def positions_of(self, origin_months: Sequence[pd.Timestamp]) -> list[int]:
        """Return the positions of months on the time axis.

        Raises:
            ValueError: if a month is not in the panel.
        """
        positions = self.months.get_indexer(pd.DatetimeIndex(list(origin_months)))
        if (positions < 0).any():
            absent = [f"{m:%Y-%m}" for m, p in zip(origin_months, positions, strict=True) if p < 0]
            raise ValueError(
                f"`origin_months` must be months of the panel, {self.months[0]:%Y-%m} to {self.months[-1]:%Y-%m}: "
                f"received {', '.join(absent)}."
            )
        return [int(position) for position in positions]


def make_panel(months: pd.DataFrame, config: ForecasterConfig) -> Panel:
    """Compute the features and targets of final months.

    Args:
        months: frame of `model.bars.months.build_months`; months that are not final are ignored.
        config: half-lives and horizons.

    Returns:
        The panel from the first to the last final month of any symbol.

    Raises:
        ValueError: if a column is missing, or no month is final.
    """
    check_frame(months, MONTH_TYPES, "months", PANEL_COLUMNS)
    final = months[months["is_final"].to_numpy(np.bool_)]
    if final.empty:
        raise ValueError(
            "`months` must have at least one final month: received none. Use an earlier start of the data."
        )
    time = pd.date_range(final["month"].min(), final["month"].max(), freq="MS", unit="ns")
    codes, symbols = pd.factorize(final["symbol"], sort=True)
    column = time.get_indexer(pd.DatetimeIndex(final["month"]))

    def grid(name: str) -> Floats:
        values = np.full((len(symbols), len(time)), np.nan)
        values[codes, column] = final[name].to_numpy(np.float64)
        return values

    returns, variance = grid("log_return"), grid("realised_variance")
    known = np.isfinite(grid("close"))
    # The first month of a symbol has no return, and its realised variance covers only a part of the month.
    variance = np.where(np.isfinite(returns), variance, np.nan)
    sigma = np.where(known, _volatility(variance, config.volatility_half_life, config), np.nan)
    last = np.nan_to_num(returns) / sigma
    volatility = {name: _volatility(variance, half_life, config) for name, half_life in SPANS.items()}
    against_sigma = {name: np.log(span / sigma) for name, span in volatility.items()}
    age = np.cumsum(np.isfinite(returns), axis=1).astype(np.float64)
    momentum = _trailing_sum(returns, 12) / (sigma * np.sqrt(12.0))
    ratio = _month_against_days(returns, variance, age, config)
    rhythm = _quarter_rhythm(variance, sigma, config)
    x = _terms(against_sigma, last, ratio, momentum, rhythm, config)
    bars = _bar_inputs(grid("high"), grid("low"), grid("close"), grid("volume"), sigma)
    inputs = _bounded(*against_sigma.values(), last, np.abs(last), momentum, *bars, np.log(sigma / _USUAL_SIGMA))
    known &= np.isfinite(sigma)
    return Panel(
        symbols=tuple(str(symbol) for symbol in symbols),
        months=time,
        returns=returns,
        sigma=sigma,
        random_walk_sd=np.maximum(np.sqrt(_ewma(returns**2, np.inf)), config.smallest_sigma),
        x=np.where(known[..., None], x, 0.0),
        inputs=np.where(known[..., None], inputs, 0.0),
        y=_targets(returns, config.horizons),
        location_factor=_location_factor(sigma, config),
        known=known,
        age=age,
    )


def _volatility(variance: Floats, half_life: float, config: ForecasterConfig) -> Floats:
    """[N, T] EWMA of monthly realised volatilities, log return a month."""
    return np.maximum(_ewma(np.sqrt(variance), half_life), config.smallest_sigma)


def _month_against_days(returns: Floats, variance: Floats, age: Floats, config: ForecasterConfig) -> Floats:
    """[N, T] log ratio of the volatility of monthly returns to that of daily returns.

    The former is estimated from mean absolute returns. The ratio is negative if daily moves reverse within the month,
    as with a bounce between quotes. It is shrunk towards zero for symbols with a short history.
    """
    half_life = config.ratio_half_life
    absolute = np.maximum(_ewma(np.abs(returns), half_life) / _GAUSSIAN_MEAN, config.smallest_sigma)
    ratio = np.log(absolute / _volatility(variance, half_life, config))
    shrunk: Floats = np.clip(ratio, -1.0, 1.0) * age / (age + half_life)
    return shrunk


def _terms(
    against_sigma: dict[str, Floats],
    last: Floats,
    ratio: Floats,
    momentum: Floats,
    rhythm: Sequence[Floats],
    config: ForecasterConfig,
) -> Floats:
    """[N, T, K] TERMS of the baseline."""
    market = _market(against_sigma["volatility_1"], config)
    long_run = against_sigma["volatility_long_run"]
    return _bounded(long_run, last, market, market**2, ratio, np.minimum(momentum, 0.0), *rhythm)


def _quarter_rhythm(variance: Floats, sigma: Floats, config: ForecasterConfig) -> tuple[Floats, ...]:
    """[N, T] each: mean surprise in volatility of the months in phase with target month 1 and 2, less that of all.

    A surprise is the log ratio of a month's volatility to the sigma of the month before. Both means are over the last
    `config.rhythm_quarters` quarters, and the difference is shrunk for a short history.
    """
    surprise = np.full(variance.shape, np.nan)
    floor = config.smallest_sigma
    surprise[:, 1:] = np.log(np.maximum(np.sqrt(variance[:, 1:]), floor) / sigma[:, :-1])
    surprise = np.clip(surprise, -config.rhythm_bound, config.rhythm_bound)
    span = _QUARTER * config.rhythm_quarters
    usual, _ = _lagged_mean(surprise, range(span))
    rhythm = []
    for h in range(1, RHYTHM_HORIZONS + 1):
        in_phase, count = _lagged_mean(surprise, range(_QUARTER - h, _QUARTER - h + span, _QUARTER))
        rhythm.append((in_phase - usual) * count / (count + config.rhythm_pull))
    return tuple(rhythm)


def _lagged_mean(values: Floats, lags: range) -> tuple[Floats, Floats]:
    """[N, T] mean of the known values at some lags, 0 without any, and their number."""
    present = np.isfinite(values)
    filled = np.where(present, values, 0.0)
    total, count = np.zeros(values.shape), np.zeros(values.shape)
    for lag in lags:
        length = max(values.shape[1] - lag, 0)
        total[:, lag:] += filled[:, :length]
        count[:, lag:] += present[:, :length]
    return total / np.maximum(count, 1.0), count


def _location_factor(sigma: Floats, config: ForecasterConfig) -> Floats:
    """[T] 1 + w (market sigma / its mean so far - 1), with the market's sigma the geometric mean over symbols."""
    present = np.isfinite(sigma)
    total = np.log(np.where(present, sigma, 1.0)).sum(axis=0)
    market = np.exp(total / np.maximum(present.sum(axis=0), 1))
    has_symbol = present.any(axis=0)
    usual = np.where(has_symbol, market, 0.0).cumsum() / np.maximum(has_symbol.cumsum(), 1)
    relative = np.where(has_symbol, market / np.where(usual > 0, usual, 1.0), 1.0)
    factor: Floats = 1.0 + config.location_market_weight * (relative - 1.0)
    return factor


def _bar_inputs(high: Floats, low: Floats, close: Floats, volume: Floats, sigma: Floats) -> tuple[Floats, ...]:
    """[N, T] each: log volume over its one-year EWMA, range in sigmas, position of the close in the range (-1 to 1)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log_volume = np.log(np.where(volume > 0, volume, np.nan))
        span = np.log(high / low)
        position = np.where(span > 0, 2.0 * np.log(close / low) / span - 1.0, 0.0)
    return log_volume - _ewma(log_volume, 12.0), span / sigma, position


def _bounded(*columns: Floats) -> Floats:
    """[N, T, C] stacked columns, clipped at LARGEST_FEATURE, 0 where unknown."""
    stacked: Floats = np.nan_to_num(np.clip(np.stack(columns, axis=-1), -LARGEST_FEATURE, LARGEST_FEATURE))
    return stacked


def _targets(returns: Floats, horizons: Sequence[int]) -> Floats:
    """[N, T, H] sum of the next h returns; NaN if one of them is unknown."""
    count = returns.shape[1]
    y = np.full((*returns.shape, len(horizons)), np.nan)
    total = np.zeros(returns.shape)
    for column, h in enumerate(horizons):  # horizons run from 1 without a gap
        total = total[:, : max(count - h, 0)] + returns[:, h:]
        y[:, : max(count - h, 0), column] = total
    return y


def _ewma(values: Floats, half_life: float) -> Floats:
    """[N, T] exponentially weighted mean up to each month; unknown months are skipped, NaN before the first."""
    keep = 0.5 ** (1.0 / half_life)
    present = np.isfinite(values)
    filled = np.where(present, values, 0.0)
    means = np.full(values.shape, np.nan)
    total, weight = np.zeros(len(values)), np.zeros(len(values))
    for t in range(values.shape[1]):
        decay = np.where(present[:, t], keep, 1.0)
        total = decay * total + filled[:, t]
        weight = decay * weight + present[:, t]
        np.divide(total, weight, out=means[:, t], where=weight > 0)
    return means


def _trailing_sum(values: Floats, length: int) -> Floats:
    """[N, T] sum of the last `length` values; unknown values count as 0."""
    padded = np.pad(np.nan_to_num(values), ((0, 0), (length, 0)))
    sums = np.cumsum(padded, axis=1)
    trailing: Floats = sums[:, length:] - sums[:, :-length]
    return trailing


def _market(values: Floats, config: ForecasterConfig) -> Floats:
    """[N, T] mean over the symbols of each month, repeated for every symbol; shrunk to 0 for a few symbols."""
    present = np.isfinite(values)
    count = present.sum(axis=0) + config.market_half_weight_symbols
    mean = np.where(present, values, 0.0).sum(axis=0) / np.maximum(count, 1e-9)
    return np.broadcast_to(mean, values.shape)
