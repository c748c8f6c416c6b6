"""Fixtures of the tests of the model."""

import pandas as pd
import pytest

from tests.support.simulated import simulate_months


@pytest.fixture(scope="session")
def months() -> pd.DataFrame:
    """Months with volatility that clusters."""
    return simulate_months(clustering=0.3)
