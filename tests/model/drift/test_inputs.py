"""Tests of model.drift.inputs."""

import numpy as np
import pandas as pd
import pytest

from model.drift.inputs import check_inputs
from tests.support.simulated import simulate_months


def test_check_inputs_compares_with_earlier_years() -> None:
    months = simulate_months(symbols=4, months=120, seed=9)
    newest = months["month"].max()
    calm = check_inputs(months, newest, 0.0).set_index("input")
    assert not calm["is_unusual"].any()
    is_newest = months["month"] == newest
    wild = months.assign(
        realised_variance=months["realised_variance"].where(~is_newest, 1.0),
        volume=months["volume"].where(~is_newest, 4e6),
    )
    unusual = check_inputs(wild, newest, 0.06).set_index("input")
    assert unusual["is_unusual"].all()
    assert unusual.loc["volatility", "value"] == pytest.approx(1.0)
    assert unusual.loc["volume", "value"] == pytest.approx(4.0)
    before = months[~is_newest].groupby("month")["realised_variance"].apply(lambda v: np.exp(np.log(v).mean() / 2))
    # The first month of a symbol counts: it has a variance.
    assert unusual.loc["volatility", "highest"] == pytest.approx(before.quantile(0.99))
    assert np.isnan(check_inputs(months[months["month"] < "1992-01-01"], pd.Timestamp("1991-12-01"), 0.0)["lowest"][0])
