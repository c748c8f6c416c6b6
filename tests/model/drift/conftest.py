"""Fixtures of the tests of the drift monitor."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from model.drift.expectation import make_expectation
from model.forecaster.features import make_panel
from model.forecaster.forecaster import train
from model.forecaster.split import split_origins
from tests.support.drift import HORIZONS, reference_of
from tests.support.simulated import SMALL, simulate_months

CRISES = (40, 90, 140, 185, 215)
"""First months of six months with threefold moves. The last crisis is after the end of the training data."""


@pytest.fixture(scope="session")
def market() -> dict[str, Any]:
    """A market of calm years and crises, and a model trained on the first two thirds of it."""
    months = simulate_months(symbols=30, months=300, clustering=0.3, seed=11)
    times = pd.date_range(months["month"].min(), periods=300, freq="MS")
    is_wild = months["month"].isin([times[start + k] for start in CRISES for k in range(6)])
    months["log_return"] *= np.where(is_wild, 3.0, 1.0)
    months["realised_variance"] *= np.where(is_wild, 9.0, 1.0)
    panel = make_panel(months, SMALL)
    past = panel.until(times[199])
    split = split_origins(len(past.months), SMALL)
    forecaster = train(past, split, SMALL)
    reference_forecast = reference_of(months)
    return {
        "panel": panel,
        "forecaster": forecaster,
        "reference_forecast": reference_forecast,
        "expectation": make_expectation(forecaster, past, reference_forecast, HORIZONS),
        "holdout_start": past.months[split.holdout.start].date(),
    }
