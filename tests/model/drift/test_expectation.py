"""Tests of model.drift.expectation."""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model.config import DriftConfig
from model.drift.expectation import arrange, expected_values, target_months
from model.drift.monitor import Check
from tests.support.simulated import SMALL


def expectation_rows(count: int, **measures: float) -> pd.DataFrame:
    months = pd.date_range("2000-01-01", periods=count, freq="MS")
    rows = [
        {"origin_month": m, "horizon": h, "forecaster": "baseline", "measure": name, "symbols": 5, "value": value + k}
        for k, m in enumerate(months)
        for h in (1, 3)
        for name, value in measures.items()
    ]
    return pd.DataFrame(rows)


def test_arrange_aligns_checks_by_target_month() -> None:
    rows = expectation_rows(50, loss=0.0, calibration=1000.0, bias=5.0)
    gaps = rows.drop(rows[(rows["measure"] == "calibration") & (rows["value"] % 2 == 0)].index)
    checks, values, is_holdout = arrange(gaps, "baseline", date(2003, 1, 1))
    assert checks == [Check(1, "loss"), Check(3, "loss")]  # calibration has too few values, and bias is not monitored
    # The first target month is 2000-04, from the origins 2000-03 (horizon 1) and 2000-01 (horizon 3).
    assert values[:2].tolist() == [[2.0, 0.0], [3.0, 1.0]]
    assert len(values) == 48
    assert is_holdout.sum() == 12  # 2003-04, the first with all origins in the holdout months, to 2004-03
    assert arrange(gaps, "hybrid", date(2003, 1, 1))[0] == []


def test_expected_values_by_measure() -> None:
    rows = expectation_rows(40, loss=0.0, bias=0.0)
    values = expected_values(rows, date(2003, 1, 1)).set_index(["horizon", "measure"])
    deviation = np.arange(40).std(ddof=1)
    assert values.loc[(1, "loss"), "expected"] == pytest.approx(37.5 + deviation * (1 / 4) ** 0.5)  # 2003: 36 … 39
    assert values.loc[(1, "bias"), "expected"] == pytest.approx(19.5)
    assert expected_values(
        expectation_rows(DriftConfig().fewest_expectation_months - 1, loss=0.0), date(2003, 1, 1)
    ).empty


def test_target_months_cross_the_year() -> None:
    rows = pd.DataFrame({"origin_month": pd.to_datetime(["2000-11-01", "2000-12-01"]), "horizon": [3, 12]})
    assert target_months(rows).tolist() == [pd.Timestamp("2001-02-01"), pd.Timestamp("2001-12-01")]


def test_make_expectation_uses_known_months_only(market: dict[str, Any]) -> None:
    expectation, panel = market["expectation"], market["panel"]
    assert expectation["origin_month"].max() == panel.months[198]
    assert set(expectation["forecaster"]) == {"hybrid", "baseline"}
    # The pooled quantiles start one month after the first training origin.
    assert len(expectation["origin_month"].unique()) == 199 - SMALL.burn_in_months - 1
