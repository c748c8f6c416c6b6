"""Expected values of a model's drift measures, from its forecasts of past months.

The holdout months cover three years. Their calm or wild market carries little information on the variation from month
to month: on the recorded market, the standard deviation of later months was up to three times that of the holdout
months. The standard deviation is therefore estimated from the fitted months too. Their mean counts only if it is
worse.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from model import Flags, Floats
from model.config import DriftConfig
from model.drift.measures import MONITORED_MEASURES, measure_forecasts, measure_months
from model.drift.monitor import Check, Expected, estimate_expected
from model.drift.reference_forecast import ReferenceForecast
from model.evaluation.backtest import known_returns
from model.forecaster.features import Panel
from model.forecaster.forecaster import Forecaster
from model.frames import EXPECTED_VALUE_TYPES, MEASURE_TYPES, check_frame

_ROWS = 60_000  # symbols times origins forecast at once, to bound memory
_MEASURE_COLUMNS = ["origin_month", "horizon", "forecaster", "measure", "value"]


def make_expectation(
    forecaster: Forecaster,
    panel: Panel,
    reference_forecast: ReferenceForecast,
    horizons: Sequence[int],
    config: DriftConfig = DriftConfig(),
) -> pd.DataFrame:
    """Measure the forecasts that a model makes for past months.

    Args:
        forecaster: The model; hybrid and baseline are measured.
        panel: Panel of all known months.
        reference_forecast: Reference forecast of the same months.
        horizons: Months ahead.
        config: Number of months, and smallest share of symbols in a month.

    Returns:
        Frame of MEASURE_TYPES.
    """
    count = panel.known.sum(axis=0)
    is_usable = count >= config.smallest_share * count[-1]
    is_usable[: forecaster.config.burn_in_months] = False
    origins = [int(t) for t in np.flatnonzero(is_usable[:-1])][-config.longest_expectation_months :]
    step = max(12, _ROWS // len(panel.symbols))
    parts = [
        _measure_origins(forecaster, panel, reference_forecast, origins[start : start + step], horizons, config)
        for start in range(0, len(origins), step)
    ]
    return pd.concat(parts, ignore_index=True)


def arrange(
    expectation: pd.DataFrame, forecaster: str, holdout_start: date, config: DriftConfig = DriftConfig()
) -> tuple[list[Check], Floats, Flags]:
    """Arrange the measures of one forecaster as checks by target month.

    Args:
        expectation: Frame of MEASURE_TYPES; the column symbols is not used.
        forecaster: hybrid or baseline.
        holdout_start: First origin month that the model was not fitted on.
        config: Smallest share of months that a check must have.

    Returns:
        C checks, [T, C] their values in the target months that all of them have, oldest first, and [T] whether all
        forecasts for the month have their origin in the holdout months. Checks without enough months are left out;
        there may be none.

    Raises:
        ValueError: If a column is missing or has another type.
    """
    check_frame(expectation, MEASURE_TYPES, "expectation", _MEASURE_COLUMNS)
    is_monitored = (expectation["forecaster"] == forecaster) & expectation["measure"].isin(MONITORED_MEASURES)
    rows = expectation[is_monitored]
    wide = rows.assign(target_month=target_months(rows)).pivot(
        index="target_month", columns=["horizon", "measure"], values="value"
    )
    is_complete = wide.notna().sum() >= config.complete_share * len(wide)
    wide = wide.loc[:, is_complete].sort_index(axis=1).dropna()
    horizons, measures = (wide.columns.get_level_values(name) for name in ("horizon", "measure"))
    checks = [Check(int(horizon), str(measure)) for horizon, measure in zip(horizons, measures, strict=True)]
    longest = max((check.horizon for check in checks), default=0)
    first = pd.Timestamp(holdout_start) + pd.DateOffset(months=longest)
    return checks, wide.to_numpy(np.float64), np.asarray(wide.index >= first)


def expected_values(
    expectation: pd.DataFrame, holdout_start: date, config: DriftConfig = DriftConfig()
) -> pd.DataFrame:
    """Estimate expected value and standard deviation by forecaster, horizon and measure.

    Args:
        expectation: Frame of MEASURE_TYPES; the column symbols is not used.
        holdout_start: First origin month that the model was not fitted on.
        config: Fewest months of an estimate.

    Returns:
        Frame of EXPECTED_VALUE_TYPES, without rows for too few months.

    Raises:
        ValueError: If a column is missing or has another type.
    """
    check_frame(expectation, MEASURE_TYPES, "expectation", _MEASURE_COLUMNS)
    rows = []
    for (forecaster, horizon, measure), group in expectation.groupby(["forecaster", "horizon", "measure"]):
        if len(group) >= config.fewest_expectation_months:
            is_holdout = (group["origin_month"] >= pd.Timestamp(holdout_start)).to_numpy()
            values = group[["value"]].to_numpy(np.float64)
            if measure in MONITORED_MEASURES:
                check = Check(int(str(horizon)), str(measure))
                expected = estimate_expected([check], values, is_holdout, config)
            else:  # an informative measure has no worse side
                expected = Expected(values.mean(axis=0), np.maximum(values.std(axis=0, ddof=1), 1e-6))
            rows.append((forecaster, horizon, measure, float(expected.mean[0]), float(expected.deviation[0])))
    return pd.DataFrame(rows, columns=list(EXPECTED_VALUE_TYPES))


def target_months(frame: pd.DataFrame) -> pd.Series:
    """Return the target month of each row, `horizon` months after its `origin_month`."""
    origin = frame["origin_month"].to_numpy().astype("datetime64[M]")
    target = origin + frame["horizon"].to_numpy().astype("timedelta64[M]")
    return pd.Series(target.astype("datetime64[ns]"), index=frame.index)


def _measure_origins(
    forecaster: Forecaster,
    panel: Panel,
    reference_forecast: ReferenceForecast,
    origins: Sequence[int],
    horizons: Sequence[int],
    config: DriftConfig,
) -> pd.DataFrame:
    forecasts = forecaster.forecast_many(panel, list(panel.months[list(origins)]))
    is_wanted = forecasts["horizon"].isin(horizons) & forecasts["forecaster"].isin(["hybrid", "baseline"])
    actuals = known_returns(panel, origins).rename(columns={"log_return": "actual_log_return"})
    known = forecasts[is_wanted].merge(actuals, on=["symbol", "origin_month", "horizon"])
    return measure_months(measure_forecasts(known, reference_forecast), config)
