"""Reference forecasts of simulated months."""

import pandas as pd

from model import quantile_names
from model.drift.reference_forecast import ReferenceForecast, make_reference_forecast
from tests.support.simulated import SMALL

HORIZONS = (1, 3)
LEVELS = SMALL.quantile_levels
QUANTILES = quantile_names(LEVELS)


def reference_of(months: pd.DataFrame, horizons: tuple[int, ...] = HORIZONS) -> ReferenceForecast:
    return make_reference_forecast(months, horizons=horizons, levels=LEVELS)
