"""Is the served forecast losing its edge over the baseline? A one-sided CUSUM, one value a month."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from model import Floats

Status = Literal["ok", "warning", "alarm", "not_enough_data"]

FEWEST_MONTHS = 6
ALLOWANCE = 0.5
"""Standard deviations a month that are let pass: the CUSUM is quickest for a shift of twice as much."""
ALARM_THRESHOLD = 5.0
"""A false alarm every 930 months on average while nothing changes (Montgomery 2009, table 9.3, one-sided)."""
WARNING_THRESHOLD = 3.0
"""A false warning every 118 months on average (Siegmund 1985, eq. 2.56)."""
_SIMULATED_PATHS = 4000


@dataclass(frozen=True)
class DriftResult:
    """State of the watch at its last month."""

    status: Status
    statistic: float
    """CUSUM after the last month, in standard deviations; NaN with too few months."""
    threshold: float
    """Statistic above which the status is 'alarm'."""
    p_value: float
    """Chance that a CUSUM of so many months ends as high or higher while nothing has changed."""
    months_used: int


def check_drift(relative_loss_by_month: pd.Series, *, reference_mean: float, reference_sd: float) -> DriftResult:
    """Sum up how much worse than usual the served forecast has become against the baseline.

    S_t = max(0, S_{t-1} + z_t - ALLOWANCE) with z_t the log of CRPS served / CRPS baseline, less its mean and over its
    standard deviation in the reference months (Page 1954). Dividing by the baseline's loss of the same month takes the
    market's own turbulence out.

    Args:
        relative_loss_by_month: CRPS served / CRPS baseline, oldest first; NaN months are left out.
        reference_mean: of the log ratio, in the months the model was judged on.
        reference_sd: likewise. Zero, as when the baseline itself is served, leaves only ratios above the mean to alarm.

    Returns:
        The state; 'not_enough_data' with fewer than FEWEST_MONTHS months.
    """
    ratio = relative_loss_by_month.to_numpy(np.float64)
    ratio = ratio[np.isfinite(ratio) & (ratio > 0)]
    if len(ratio) < FEWEST_MONTHS:
        return DriftResult("not_enough_data", float("nan"), ALARM_THRESHOLD, 1.0, len(ratio))
    surprise = (np.log(ratio) - reference_mean) / max(reference_sd, 1e-6)
    statistic = float(_cusum(surprise[None])[0])
    status: Status = "ok"
    if statistic > ALARM_THRESHOLD:
        status = "alarm"
    elif statistic > WARNING_THRESHOLD:
        status = "warning"
    by_chance = _cusum(np.random.default_rng(0).standard_normal((_SIMULATED_PATHS, len(ratio))))
    p_value = float((1 + (by_chance >= statistic).sum()) / (1 + _SIMULATED_PATHS))
    return DriftResult(status, statistic, ALARM_THRESHOLD, p_value if statistic > 0 else 1.0, len(ratio))


def _cusum(surprise: Floats) -> Floats:
    """Last value of each row's one-sided CUSUM."""
    total = np.zeros(len(surprise))
    for month in surprise.T:
        total = np.maximum(0.0, total + month - ALLOWANCE)
    return total
