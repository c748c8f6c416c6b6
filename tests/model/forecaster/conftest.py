"""Fixtures of the tests of the forecaster."""

import pandas as pd
import pytest

from model.forecaster.forecaster import Forecaster
from tests.support.simulated import SMALL, train_on


@pytest.fixture(scope="session")
def forecaster(months: pd.DataFrame) -> Forecaster:
    """A small forecaster trained on `months`."""
    return train_on(months, SMALL)
