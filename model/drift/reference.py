"""The reference: what is usual of a model, from all the months that it can be tried on.

The judged months alone are three years. Whether they were calm or wild, they say little of how much a month may differ
from another: on the recorded market the deviation of what followed was up to three times theirs. So the months that
the model was fitted on count too, for the noise; what they say of the mean is taken only where it is the worse.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from model import Flags, Floats
from model.backtest import known_returns
from model.drift.evidence import JUDGED_MEASURES, weigh_forecasts, weigh_months
from model.drift.watch import FEWEST_REFERENCE_MONTHS, Check, Usual, find_usual
from model.drift.yardstick import Yardstick
from model.features import Panel
from model.forecaster import Forecaster

LONGEST_REFERENCE_MONTHS = 240
SMALLEST_SHARE = 0.5
"""Of the newest month's symbols: a month with fewer is another fleet's."""
COMPLETE_SHARE = 0.8
"""Of the reference's months that a check has at least."""
_ROWS = 60_000  # symbols times origins that are forecast in one go, to bound memory


def make_reference(forecaster: Forecaster, panel: Panel, yardstick: Yardstick, horizons: Sequence[int]) -> pd.DataFrame:
    """Frame of `model.drift.evidence.weigh_months` for what the model would have said of the past.

    Args:
        forecaster: hybrid and baseline are both weighed.
        panel: all months that are known.
        yardstick: of the same months.
        horizons: months ahead.
    """
    count = panel.known.sum(axis=0)
    is_enough = count >= SMALLEST_SHARE * count[-1]
    is_enough[: forecaster.config.burn_in_months] = False
    origins = [int(t) for t in np.flatnonzero(is_enough[:-1])][-LONGEST_REFERENCE_MONTHS:]
    step = max(12, _ROWS // len(panel.symbols))
    parts = [
        _weigh(forecaster, panel, yardstick, origins[at : at + step], horizons) for at in range(0, len(origins), step)
    ]
    return pd.concat(parts, ignore_index=True)


def arrange(reference: pd.DataFrame, forecaster: str, judged_from: date) -> tuple[list[Check], Floats, Flags]:
    """The checks of a forecaster, and their values by the month at whose end the forecasts were scored.

    Args:
        reference: origin_month, horizon, forecaster, measure, value.
        forecaster: hybrid or baseline.
        judged_from: first origin month that the model had not seen.

    Returns:
        C checks, [T, C] values of the months that all of them have, and [T] whether all of their forecasts were made in
        judged months. Checks that many months lack are left out; there may be none.
    """
    is_own = (reference["forecaster"] == forecaster) & reference["measure"].isin(JUDGED_MEASURES)
    own = reference[is_own]
    wide = own.assign(target_month=target_months(own)).pivot(
        index="target_month", columns=["horizon", "measure"], values="value"
    )
    is_often = wide.notna().sum() >= COMPLETE_SHARE * len(wide)
    wide = wide.loc[:, is_often].sort_index(axis=1).dropna()
    horizons, measures = (wide.columns.get_level_values(name) for name in ("horizon", "measure"))
    checks = [Check(int(horizon), str(measure)) for horizon, measure in zip(horizons, measures, strict=True)]
    longest = max((check.horizon for check in checks), default=0)
    first = pd.Timestamp(judged_from) + pd.DateOffset(months=longest)
    return checks, wide.to_numpy(np.float64), np.asarray(wide.index >= first)


def usual_values(reference: pd.DataFrame, judged_from: date) -> pd.DataFrame:
    """What is usual, and the deviation from it, by forecaster, horizon and measure; not of too few months.

    Args:
        reference: origin_month, horizon, forecaster, measure, value.
        judged_from: first origin month that the model had not seen.

    Returns:
        forecaster, horizon, measure, usual, deviation.
    """
    rows = []
    for (forecaster, horizon, measure), own in reference.groupby(["forecaster", "horizon", "measure"]):
        if len(own) >= FEWEST_REFERENCE_MONTHS:
            is_judged = (own["origin_month"] >= pd.Timestamp(judged_from)).to_numpy()
            values = own[["value"]].to_numpy(np.float64)
            if measure in JUDGED_MEASURES:
                usual = find_usual([Check(int(str(horizon)), str(measure))], values, is_judged)
            else:  # what informs has no worse side
                usual = Usual(values.mean(axis=0), np.maximum(values.std(axis=0, ddof=1), 1e-6))
            rows.append((forecaster, horizon, measure, float(usual.mean[0]), float(usual.deviation[0])))
    return pd.DataFrame(rows, columns=["forecaster", "horizon", "measure", "usual", "deviation"])


def target_months(frame: pd.DataFrame) -> pd.Series:
    """First day of the month that each row's `horizon` months after its `origin_month` end with."""
    origin = frame["origin_month"].to_numpy().astype("datetime64[M]")
    target = origin + frame["horizon"].to_numpy().astype("timedelta64[M]")
    return pd.Series(target.astype("datetime64[ns]"), index=frame.index)


def _weigh(
    forecaster: Forecaster, panel: Panel, yardstick: Yardstick, origins: Sequence[int], horizons: Sequence[int]
) -> pd.DataFrame:
    forecasts = forecaster.forecast_many(panel, list(panel.months[list(origins)]))
    is_wanted = forecasts["horizon"].isin(horizons) & forecasts["forecaster"].isin(["hybrid", "baseline"])
    actuals = known_returns(panel, origins).rename(columns={"log_return": "actual_log_return"})
    known = forecasts[is_wanted].merge(actuals, on=["symbol", "origin_month", "horizon"])
    return weigh_months(weigh_forecasts(known, yardstick))
