"""Eligible training rows and their weights, by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from model.forecaster.features import make_panel
from model.forecaster.training_rows import eligible_rows, month_weights
from tests.support.simulated import SMALL


def test_eligible_rows_need_a_target_and_earlier_months(months: pd.DataFrame) -> None:
    """One symbol starts at month 20, another ends at month 30; twelve months must precede an origin."""
    rows = months[months["symbol"].isin(["S00", "S01", "S02"])].copy()
    position = rows.groupby("symbol").cumcount()
    rows = rows[~((rows["symbol"] == "S01") & (position < 20)) & ~((rows["symbol"] == "S02") & (position > 30))]
    rows.loc[rows.groupby("symbol").head(1).index, "log_return"] = np.nan
    panel = make_panel(rows, SMALL)
    symbol, month = eligible_rows(panel, range(25, 35), 3, SMALL)
    found = {code: month[symbol == code].tolist() for code in range(3)}
    # S01 has its twelfth return at month 32; the returns of S02 are known up to month 30.
    assert found == {0: list(range(25, 35)), 1: [32, 33, 34], 2: [25, 26, 27]}


def test_eligible_rows_refuses_origins_without_any(months: pd.DataFrame) -> None:
    panel = make_panel(months, SMALL)
    with pytest.raises(ValueError, match=r"12 months before an origin .* received 5 origins of 12 symbols"):
        eligible_rows(panel, range(0, 5), 1, SMALL)


def test_month_weights_by_hand() -> None:
    """Two symbols in the older month, one in the newest, a year apart at a half-life of one year: 1/4, 1/4, 1."""
    rows = (np.array([0, 1, 0]), np.array([3, 3, 15]))
    weights = month_weights(rows, range(3, 16), replace(SMALL, sample_half_life_years=1.0))
    assert weights.tolist() == pytest.approx([1 / 6, 1 / 6, 4 / 6])
