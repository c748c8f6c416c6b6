"""Evidence: a few numbers of each scored month, averaged over symbols, in which worse is higher.

- `loss`: log of the mean CRPS of what was served over the reference_forecast's, each symbol in units of the reference_forecast's spread,
  less what the month's luck added to it (see `luck`).
- `loss_against_baseline`: the same against the model's own baseline; not there where that is what was served.
- `calibration`: mean of (2 PIT - 1)², a third when calibrated and more when intervals are too narrow, less the
  reference_forecast's in the same month: a crisis surprises both.
- `staleness`: how far the served spreads fell short of following the month's news. The symbols' log spreads against the
  reference_forecast's volatility of the month before are regressed on its change since then, less the market's; the value is
  (1 - slope) times the deviation of the changes, so that months with little news count little. Forecasts that are a
  month old lose too little to be seen in any loss within years, and are seen here.

The others inform: `coverage_80`, `coverage_95` (shares of returns inside) and `bias` (mean PIT less one half).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from model import Floats
from model.drift.reference_forecast import ReferenceForecast
from model.evaluation.metrics import crps, quantile_levels

MONITORED_MEASURES = ("loss", "loss_against_baseline", "calibration", "staleness")
MEASURES = (*MONITORED_MEASURES, "coverage_80", "coverage_95", "bias")

FEWEST_SYMBOLS = 5
"""Below it a month's news cannot be told from the market's: no staleness."""

CALIBRATED_DISPERSION = 1.0 / 3.0
WIDTH_FACTOR = 1.0
SHIFT_FACTOR = 3.0

_KEYS = ["origin_month", "horizon", "forecaster"]


def measure_forecasts(forecasts: pd.DataFrame, reference_forecast: ReferenceForecast) -> pd.DataFrame:
    """Every forecast held against the reference_forecast.

    Args:
        forecasts: symbol, origin_month, horizon, forecaster, quantile columns and actual_log_return.
        reference_forecast: of the same levels, and of months up to the origins at least.

    Returns:
        The forecasts' symbol, origin_month, horizon and forecaster with crps and reference_crps (in units of the
        reference_forecast's spread, the width of its 80 % interval), pit and yardstick_pit, is_covered_80, is_covered_95, width
        (log spread over the reference_forecast's), shift (median less the reference_forecast's, in the same units), lag (log spread over
        the reference_forecast's volatility a month before the origin) and news (log change of that volatility since). Forecasts
        that the reference_forecast does not have are left out.
    """
    levels = quantile_levels(forecasts.columns)
    names, values = list(levels), np.array(list(levels.values()))
    served = forecasts[names].to_numpy(np.float64)
    actual = forecasts["actual_log_return"].to_numpy(np.float64)
    horizon = forecasts["horizon"].to_numpy(np.int64)
    symbol, month = reference_forecast.positions(forecasts["symbol"], forecasts["origin_month"])
    theirs = np.full(served.shape, np.nan)
    for h in np.unique(horizon):
        own = horizon == h
        theirs[own] = reference_forecast.quantiles(symbol[own], month[own], int(h))
    low, middle, high = (names.index(name) for name in ("q10", "q50", "q90"))
    with np.errstate(invalid="ignore", divide="ignore"):
        unit, width = theirs[:, high] - theirs[:, low], served[:, high] - served[:, low]
        before = np.where(month >= 1, reference_forecast.fast[symbol, month - 1], np.nan)
        news = np.log(reference_forecast.fast[symbol, month] / before)
        lag = np.log(width / np.sqrt(horizon) / before)
    weighed = forecasts[["symbol", *_KEYS]].assign(
        crps=crps(actual=actual, quantiles=served, levels=values) / unit,
        reference_crps=crps(actual=actual, quantiles=theirs, levels=values) / unit,
        pit=probability_transform(actual, served, values),
        yardstick_pit=probability_transform(actual, theirs, values),
        is_covered_80=(served[:, low] <= actual) & (actual <= served[:, high]),
        is_covered_95=(served[:, 0] <= actual) & (actual <= served[:, -1]),
        width=np.log(width / unit),
        shift=(served[:, middle] - theirs[:, middle]) / unit,
        lag=lag,
        news=news,
    )
    is_known = np.isfinite(weighed[["crps", "reference_crps"]].to_numpy()).all(axis=1)
    known: pd.DataFrame = weighed[is_known].reset_index(drop=True)
    return known


def measure_months(weighed: pd.DataFrame) -> pd.DataFrame:
    """The numbers of each month: origin_month, horizon, forecaster, symbols, measure, value; sorted so.

    Args:
        weighed: of `measure_forecasts`; where a month has both hybrid and baseline, the hybrid is held against it.
    """
    target = ["symbol", "origin_month", "horizon"]
    baseline = weighed.loc[weighed["forecaster"] == "baseline", [*target, "crps"]]
    both = weighed.merge(baseline.rename(columns={"crps": "baseline_crps"}), on=target, how="left")
    both["paired_crps"] = both["crps"].where(both["baseline_crps"].notna())
    both["dispersion"], both["yardstick_dispersion"] = dispersion(both["pit"]), dispersion(both["yardstick_pit"])
    is_known = both["lag"].notna() & both["news"].notna()
    both["known"], both["lag"], both["news"] = is_known, both["lag"].where(is_known), both["news"].where(is_known)
    both["news_squared"], both["news_lag"] = both["news"] ** 2, both["news"] * both["lag"]
    groups = both.drop(columns="symbol").groupby(_KEYS)
    mean = groups.mean()
    values = pd.DataFrame(
        {
            "loss": log_ratio(mean["crps"], mean["reference_crps"])
            + control_variate(
                width=mean["width"],
                surprise=mean["yardstick_dispersion"],
                shift=mean["shift"],
                direction=mean["yardstick_pit"],
            ),
            "loss_against_baseline": log_ratio(mean["paired_crps"], mean["baseline_crps"]),
            "calibration": mean["dispersion"] - mean["yardstick_dispersion"],
            "staleness": staleness(
                groups["known"].sum(), mean["lag"], mean["news"], mean["news_squared"], mean["news_lag"]
            ),
            "coverage_80": mean["is_covered_80"],
            "coverage_95": mean["is_covered_95"],
            "bias": mean["pit"] - 0.5,
        }
    )
    is_baseline = values.index.get_level_values("forecaster") == "baseline"
    values["loss_against_baseline"] = values["loss_against_baseline"].mask(is_baseline)
    values = values.assign(symbols=groups.size()).set_index("symbols", append=True)
    long = values.reset_index().melt([*_KEYS, "symbols"], var_name="measure")
    is_known = np.isfinite(long["value"].to_numpy())
    known: pd.DataFrame = long[is_known].sort_values([*_KEYS, "measure"], ignore_index=True)
    return known


def log_ratio(loss: npt.ArrayLike, reference: npt.ArrayLike) -> Any:
    """[...] log of a mean loss over a mean reference loss."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.asarray(loss) / np.asarray(reference))


def control_variate(
    *, width: npt.ArrayLike, surprise: npt.ArrayLike, shift: npt.ArrayLike, direction: npt.ArrayLike
) -> Any:
    """[...] what the month's luck took off a log ratio of losses, to be added to it.

    When the market moves further than the reference_forecast expected, the wider of two forecasts wins, whichever is right; when
    it rises, the higher one. These are the terms of first order of the difference between the two losses, whose mean is
    zero as long as the reference_forecast is calibrated; what is left is the cost of being wrong, of second order. Surprise and
    direction are bounded, so that no crash can make much of them. The factors are those that left the least noise in
    the origins before 2004: they take half of the deviation off a month's ratio (see docs/drift.md).

    Args:
        width: [...] mean log of the forecast's spread over the reference_forecast's.
        surprise: [...] mean dispersion of the reference_forecast's PIT.
        shift: [...] mean of the forecast's median less the reference_forecast's, over the reference_forecast's spread.
        direction: [...] mean of the reference_forecast's PIT.
    """
    by_width = np.asarray(width) * (np.asarray(surprise) - CALIBRATED_DISPERSION)
    return WIDTH_FACTOR * by_width + SHIFT_FACTOR * np.asarray(shift) * (2.0 * np.asarray(direction) - 1.0)


def dispersion(pit: Any) -> Any:
    """[...] (2 PIT - 1)², whose mean is a third when the forecasts are calibrated."""
    return (2.0 * pit - 1.0) ** 2


def staleness(
    count: npt.ArrayLike, lag: npt.ArrayLike, news: npt.ArrayLike, news_squared: npt.ArrayLike, news_lag: npt.ArrayLike
) -> Floats:
    """[...] (1 - slope of lag on news) times the deviation of the news; NaN with fewer than FEWEST_SYMBOLS symbols.

    Args:
        count: [...] symbols.
        lag: [...] their mean log served spread over the reference_forecast's volatility a month earlier.
        news: [...] their mean log change of that volatility since.
        news_squared: [...] mean square of the changes.
        news_lag: [...] mean product of both.
    """
    count, lag, news, news_squared, news_lag = map(np.asarray, (count, lag, news, news_squared, news_lag))
    variance = news_squared - news**2
    with np.errstate(divide="ignore", invalid="ignore"):
        lost: Floats = (variance - (news_lag - news * lag)) / np.sqrt(variance)
    return np.where((count >= FEWEST_SYMBOLS) & (variance > 1e-12), lost, np.nan)


def probability_transform(actual: Floats, quantiles: Floats, levels: Sequence[float] | Floats) -> Floats:
    """[R] share of the forecast below the actual, linear between the quantiles and as far again beyond the outer ones.

    Args:
        actual: [R].
        quantiles: [R, Q], rising.
        levels: [Q] in (0, 1).
    """
    level = np.asarray(levels, dtype=np.float64)
    first, last = quantiles[:, 1] - quantiles[:, 0], quantiles[:, -1] - quantiles[:, -2]
    low = quantiles[:, 0] - level[0] / (level[1] - level[0]) * first
    high = quantiles[:, -1] + (1.0 - level[-1]) / (level[-1] - level[-2]) * last
    edge = np.column_stack([low, quantiles, high])  # [R, Q + 2]
    share = np.concatenate([[0.0], level, [1.0]])
    place = np.clip((actual[:, None] >= edge).sum(axis=1) - 1, 0, len(share) - 2)
    row = np.arange(len(actual))
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = (actual - edge[row, place]) / (edge[row, place + 1] - edge[row, place])
    found: Floats = share[place] + np.clip(inside, 0.0, 1.0) * (share[place + 1] - share[place])
    return np.where(np.isfinite(edge).all(axis=1), found, np.nan)
