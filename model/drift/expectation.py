"""The reference: what is expected of a model, from all the months that it can be tried on.

The judged months alone are three years. Whether they were calm or wild, they say little of how much a month may differ
from another: on the recorded market the deviation of what followed was up to three times theirs. So the months that
the model was fitted on count too, for the noise; what they say of the mean is taken only where it is the worse.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from model import Flags, Floats
from model.drift.measures import MONITORED_MEASURES, measure_forecasts, measure_months
from model.drift.monitor import FEWEST_EXPECTATION_MONTHS, Check, Expected, estimate_expected
from model.drift.reference_forecast import ReferenceForecast
from model.evaluation.backtest import known_returns
from model.forecaster.features import Panel
from model.forecaster.forecaster import Forecaster

LONGEST_EXPECTATION_MONTHS = 240
SMALLEST_SHARE = 0.5
"""Of the newest month's symbols: a month with fewer is another fleet's."""
COMPLETE_SHARE = 0.8
"""Of the reference's months that a check has at least."""
_ROWS = 60_000  # symbols times origins that are forecast in one go, to bound memory


def make_expectation(
    forecaster: Forecaster, panel: Panel, reference_forecast: ReferenceForecast, horizons: Sequence[int]
) -> pd.DataFrame:
    """Frame of `model.drift.measures.measure_months` for what the model would have said of the past.

    Args:
        forecaster: hybrid and baseline are both weighed.
        panel: all months that are known.
        reference_forecast: of the same months.
        horizons: months ahead.
    """
    count = panel.known.sum(axis=0)
    is_enough = count >= SMALLEST_SHARE * count[-1]
    is_enough[: forecaster.config.burn_in_months] = False
    origins = [int(t) for t in np.flatnonzero(is_enough[:-1])][-LONGEST_EXPECTATION_MONTHS:]
    step = max(12, _ROWS // len(panel.symbols))
    parts = [
        _weigh(forecaster, panel, reference_forecast, origins[at : at + step], horizons)
        for at in range(0, len(origins), step)
    ]
    return pd.concat(parts, ignore_index=True)


def arrange(reference: pd.DataFrame, forecaster: str, holdout_start: date) -> tuple[list[Check], Floats, Flags]:
    """The checks of a forecaster, and their values by the month at whose end the forecasts were scored.

    Args:
        reference: origin_month, horizon, forecaster, measure, value.
        forecaster: hybrid or baseline.
        holdout_start: first origin month that the model had not seen.

    Returns:
        C checks, [T, C] values of the months that all of them have, and [T] whether all of their forecasts were made in
        judged months. Checks that many months lack are left out; there may be none.
    """
    is_own = (reference["forecaster"] == forecaster) & reference["measure"].isin(MONITORED_MEASURES)
    own = reference[is_own]
    wide = own.assign(target_month=target_months(own)).pivot(
        index="target_month", columns=["horizon", "measure"], values="value"
    )
    is_often = wide.notna().sum() >= COMPLETE_SHARE * len(wide)
    wide = wide.loc[:, is_often].sort_index(axis=1).dropna()
    horizons, measures = (wide.columns.get_level_values(name) for name in ("horizon", "measure"))
    checks = [Check(int(horizon), str(measure)) for horizon, measure in zip(horizons, measures, strict=True)]
    longest = max((check.horizon for check in checks), default=0)
    first = pd.Timestamp(holdout_start) + pd.DateOffset(months=longest)
    return checks, wide.to_numpy(np.float64), np.asarray(wide.index >= first)


def expected_values(reference: pd.DataFrame, holdout_start: date) -> pd.DataFrame:
    """What is expected, and the deviation from it, by forecaster, horizon and measure; not of too few months.

    Args:
        reference: origin_month, horizon, forecaster, measure, value.
        holdout_start: first origin month that the model had not seen.

    Returns:
        forecaster, horizon, measure, expected, deviation.
    """
    rows = []
    for (forecaster, horizon, measure), own in reference.groupby(["forecaster", "horizon", "measure"]):
        if len(own) >= FEWEST_EXPECTATION_MONTHS:
            has_holdout = (own["origin_month"] >= pd.Timestamp(holdout_start)).to_numpy()
            values = own[["value"]].to_numpy(np.float64)
            if measure in MONITORED_MEASURES:
                expected = estimate_expected([Check(int(str(horizon)), str(measure))], values, has_holdout)
            else:  # what informs has no worse side
                expected = Expected(values.mean(axis=0), np.maximum(values.std(axis=0, ddof=1), 1e-6))
            rows.append((forecaster, horizon, measure, float(expected.mean[0]), float(expected.deviation[0])))
    return pd.DataFrame(rows, columns=["forecaster", "horizon", "measure", "expected", "deviation"])


def target_months(frame: pd.DataFrame) -> pd.Series:
    """First day of the month that each row's `horizon` months after its `origin_month` end with."""
    origin = frame["origin_month"].to_numpy().astype("datetime64[M]")
    target = origin + frame["horizon"].to_numpy().astype("timedelta64[M]")
    return pd.Series(target.astype("datetime64[ns]"), index=frame.index)


def _weigh(
    forecaster: Forecaster,
    panel: Panel,
    reference_forecast: ReferenceForecast,
    origins: Sequence[int],
    horizons: Sequence[int],
) -> pd.DataFrame:
    forecasts = forecaster.forecast_many(panel, list(panel.months[list(origins)]))
    is_wanted = forecasts["horizon"].isin(horizons) & forecasts["forecaster"].isin(["hybrid", "baseline"])
    actuals = known_returns(panel, origins).rename(columns={"log_return": "actual_log_return"})
    known = forecasts[is_wanted].merge(actuals, on=["symbol", "origin_month", "horizon"])
    return measure_months(measure_forecasts(known, reference_forecast))
