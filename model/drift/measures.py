"""Drift measures of scored forecasts: a few numbers per month, averaged over symbols; higher is worse.

- `loss`: log ratio of the mean CRPS, served forecast to reference forecast, with each symbol in units of the width of
  the reference forecast, and with a control variate (see `control_variate`).
- `loss_against_baseline`: log ratio of the mean CRPS, hybrid to baseline; absent if the baseline is served.
- `calibration`: mean of (2 PIT - 1)², which is a third for a calibrated forecast and more for narrow intervals, minus
  the same mean of the reference forecast. The difference removes the market: a crisis exceeds both.
- `staleness`: lack of response to the latest volatility. The log widths, relative to the volatility of the month before
  the origin, are regressed over symbols on the change in volatility since then. The value is (1 - slope) times the
  standard deviation of the changes, so that months with small changes have small values. Forecasts from features that
  are a month old raise the loss too little to be detected for years; this measure detects them in months.

The other measures are informative: `coverage_80`, `coverage_95` (shares of actuals in the intervals) and `bias` (mean
PIT minus one half).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from model import Floats
from model.config import DriftConfig
from model.drift.reference_forecast import ReferenceForecast
from model.evaluation.metrics import crps, quantile_levels
from model.frames import DRIFT_FORECAST_TYPES, MEASURED_FORECAST_TYPES, MONTHLY_KEYS, check_frame

MONITORED_MEASURES = ("loss", "loss_against_baseline", "calibration", "staleness")
MEASURES = (*MONITORED_MEASURES, "coverage_80", "coverage_95", "bias")

CALIBRATED_DISPERSION = 1.0 / 3.0
"""Mean of (2 PIT - 1)² for a calibrated forecast."""


def measure_forecasts(forecasts: pd.DataFrame, reference_forecast: ReferenceForecast) -> pd.DataFrame:
    """Measure every forecast against the reference forecast.

    Args:
        forecasts: Frame of DRIFT_FORECAST_TYPES with quantile columns.
        reference_forecast: Reference forecast with the same levels, which covers the origins.

    Returns:
        Frame of MEASURED_FORECAST_TYPES, without forecasts that have no reference.

    Raises:
        ValueError: If a column is missing or has another type.
    """
    check_frame(forecasts, DRIFT_FORECAST_TYPES, "forecasts")
    levels = quantile_levels(forecasts.columns)
    names, values = list(levels), np.array(list(levels.values()))
    served = forecasts[names].to_numpy(np.float64)
    actual = forecasts["actual_log_return"].to_numpy(np.float64)
    horizon = forecasts["horizon"].to_numpy(np.int64)
    symbol, month = reference_forecast.positions(forecasts["symbol"], forecasts["origin_month"])
    reference = np.full(served.shape, np.nan)
    for h in np.unique(horizon):
        rows = horizon == h
        reference[rows] = reference_forecast.quantiles(symbol[rows], month[rows], int(h))
    low, middle, high = (names.index(name) for name in ("q10", "q50", "q90"))
    with np.errstate(invalid="ignore", divide="ignore"):
        unit, width = reference[:, high] - reference[:, low], served[:, high] - served[:, low]
        previous = np.where(month >= 1, reference_forecast.fast[symbol, month - 1], np.nan)
        volatility_change = np.log(reference_forecast.fast[symbol, month] / previous)
        lagged_width = np.log(width / np.sqrt(horizon) / previous)
    measured = forecasts[["symbol", *MONTHLY_KEYS]].assign(
        crps=crps(actual=actual, quantiles=served, levels=values) / unit,
        reference_crps=crps(actual=actual, quantiles=reference, levels=values) / unit,
        pit=probability_transform(actual, served, values),
        reference_pit=probability_transform(actual, reference, values),
        is_covered_80=(served[:, low] <= actual) & (actual <= served[:, high]),
        is_covered_95=(served[:, 0] <= actual) & (actual <= served[:, -1]),
        width=np.log(width / unit),
        shift=(served[:, middle] - reference[:, middle]) / unit,
        lagged_width=lagged_width,
        volatility_change=volatility_change,
    )
    is_known = np.isfinite(measured[["crps", "reference_crps"]].to_numpy()).all(axis=1)
    known: pd.DataFrame = measured[is_known].reset_index(drop=True)
    return known


def measure_months(measured: pd.DataFrame, config: DriftConfig = DriftConfig()) -> pd.DataFrame:
    """Average measured forecasts over the symbols of each month, horizon and forecaster.

    Args:
        measured: Frame of `measure_forecasts`. `loss_against_baseline` needs the rows of hybrid and baseline.
        config: Coefficients of the control variate, and fewest symbols for staleness.

    Returns:
        Frame of MEASURE_TYPES, sorted by origin month, horizon, forecaster and measure; unknown values have no row.

    Raises:
        ValueError: If a column is missing or has another type.
    """
    check_frame(measured, MEASURED_FORECAST_TYPES, "measured")
    target = ["symbol", "origin_month", "horizon"]
    baseline = measured.loc[measured["forecaster"] == "baseline", [*target, "crps"]]
    rows = measured.merge(baseline.rename(columns={"crps": "baseline_crps"}), on=target, how="left")
    rows["paired_crps"] = rows["crps"].where(rows["baseline_crps"].notna())
    rows["dispersion"] = dispersion(rows["pit"])
    rows["reference_dispersion"] = dispersion(rows["reference_pit"])
    is_known = rows["lagged_width"].notna() & rows["volatility_change"].notna()
    rows["known"] = is_known
    width, change = rows["lagged_width"].where(is_known), rows["volatility_change"].where(is_known)
    rows["lagged_width"], rows["volatility_change"] = width, change
    rows["change_squared"], rows["change_width"] = change**2, change * width
    groups = rows.drop(columns="symbol").groupby(MONTHLY_KEYS)
    mean = groups.mean()
    values = pd.DataFrame(
        {
            "loss": log_ratio(mean["crps"], mean["reference_crps"])
            + control_variate(
                width=mean["width"],
                reference_dispersion=mean["reference_dispersion"],
                shift=mean["shift"],
                reference_pit=mean["reference_pit"],
                config=config,
            ),
            "loss_against_baseline": log_ratio(mean["paired_crps"], mean["baseline_crps"]),
            "calibration": mean["dispersion"] - mean["reference_dispersion"],
            "staleness": staleness(
                groups["known"].sum(),
                mean["lagged_width"],
                mean["volatility_change"],
                mean["change_squared"],
                mean["change_width"],
                config,
            ),
            "coverage_80": mean["is_covered_80"],
            "coverage_95": mean["is_covered_95"],
            "bias": mean["pit"] - 0.5,
        }
    )
    is_baseline = values.index.get_level_values("forecaster") == "baseline"
    values["loss_against_baseline"] = values["loss_against_baseline"].mask(is_baseline)
    values = values.assign(symbols=groups.size()).set_index("symbols", append=True)
    long = values.reset_index().melt([*MONTHLY_KEYS, "symbols"], var_name="measure")
    is_known = np.isfinite(long["value"].to_numpy())
    known: pd.DataFrame = long[is_known].sort_values([*MONTHLY_KEYS, "measure"], ignore_index=True)
    return known


def log_ratio(loss: npt.ArrayLike, reference: npt.ArrayLike) -> Any:
    """Return the log ratio [...] of a mean loss to a mean reference loss."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.asarray(loss) / np.asarray(reference))


def control_variate(
    *,
    width: npt.ArrayLike,
    reference_dispersion: npt.ArrayLike,
    shift: npt.ArrayLike,
    reference_pit: npt.ArrayLike,
    config: DriftConfig = DriftConfig(),
) -> Any:
    """Return the control variate [...] that is added to a log ratio of losses to reduce its variance.

    If the market moves further than the reference forecast expects, the wider of two forecasts has the lower loss; if
    the market rises, the higher one has. These two effects are the first-order terms of the difference of the losses.
    Their mean is zero for a calibrated reference forecast, so adding their negative removes noise and leaves the
    expected cost of a wrong forecast, which is of second order. Dispersion and PIT are bounded, so that a crash has
    a bounded effect. The coefficients minimise the noise on the origins before 2004, where they halve the standard
    deviation of a month's log ratio (see docs/drift.md).

    Args:
        width: [...] mean log ratio of the widths, forecast to reference forecast.
        reference_dispersion: [...] mean dispersion of the reference forecast's PIT.
        shift: [...] mean of median minus reference median, in widths of the reference forecast.
        reference_pit: [...] mean PIT of the reference forecast.
        config: Coefficients of the two terms.
    """
    by_width = np.asarray(width) * (np.asarray(reference_dispersion) - CALIBRATED_DISPERSION)
    by_shift = config.shift_factor * np.asarray(shift) * (2.0 * np.asarray(reference_pit) - 1.0)
    return config.width_factor * by_width + by_shift


def dispersion(pit: Any) -> Any:
    """Return (2 PIT - 1)² [...], with mean CALIBRATED_DISPERSION for a calibrated forecast."""
    return (2.0 * pit - 1.0) ** 2


def staleness(
    count: npt.ArrayLike,
    width: npt.ArrayLike,
    change: npt.ArrayLike,
    change_squared: npt.ArrayLike,
    change_width: npt.ArrayLike,
    config: DriftConfig = DriftConfig(),
) -> Floats:
    """Return (1 - slope of width on change) times the standard deviation of the change, over the symbols of a month.

    Args:
        count: [...] number of symbols.
        width: [...] mean `lagged_width`.
        change: [...] mean `volatility_change`.
        change_squared: [...] mean square of the change.
        change_width: [...] mean product of change and width.
        config: Fewest symbols.

    Returns:
        [...] staleness; NaN with too few symbols, where the symbols cannot be separated from the market.
    """
    count, width, change, change_squared, change_width = map(
        np.asarray, (count, width, change, change_squared, change_width)
    )
    variance = change_squared - change**2
    with np.errstate(divide="ignore", invalid="ignore"):
        values: Floats = (variance - (change_width - change * width)) / np.sqrt(variance)
    return np.where((count >= config.fewest_symbols) & (variance > 1e-12), values, np.nan)


def probability_transform(actual: Floats, quantiles: Floats, levels: Sequence[float] | Floats) -> Floats:
    """Return the probability integral transform [R]: the share of the forecast distribution below the actual.

    The distribution is linear between the quantiles. Its tails continue the outermost segments.

    Args:
        actual: [R] actual values.
        quantiles: [R, Q] quantiles, ascending.
        levels: [Q] in (0, 1).
    """
    level = np.asarray(levels, dtype=np.float64)
    first, last = quantiles[:, 1] - quantiles[:, 0], quantiles[:, -1] - quantiles[:, -2]
    low = quantiles[:, 0] - level[0] / (level[1] - level[0]) * first
    high = quantiles[:, -1] + (1.0 - level[-1]) / (level[-1] - level[-2]) * last
    edge = np.column_stack([low, quantiles, high])  # [R, Q + 2]
    share = np.concatenate([[0.0], level, [1.0]])
    segment = np.clip((actual[:, None] >= edge).sum(axis=1) - 1, 0, len(share) - 2)
    row = np.arange(len(actual))
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = (actual - edge[row, segment]) / (edge[row, segment + 1] - edge[row, segment])
    transform: Floats = share[segment] + np.clip(inside, 0.0, 1.0) * (share[segment + 1] - share[segment])
    return np.where(np.isfinite(edge).all(axis=1), transform, np.nan)
