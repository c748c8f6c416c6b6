"""Tests of model.bars.months."""

import numpy as np
import pandas as pd
import pytest

from model.bars.months import build_months
from tests.support.bars import make_actions, make_bars

MONTHS = pd.DataFrame(
    {
        "month": pd.to_datetime(["2020-01-01", "2020-02-01", "2020-03-01"]),
        "last_session": pd.to_datetime(["2020-01-31", "2020-02-28", "2020-03-31"]),
        "sessions_expected": [21, 19, 22],
    }
)


def test_build_months_by_hand() -> None:
    bars = make_bars([100.0, 110.0, 121.0, 99.0, 98.0])
    months = build_months(bars, make_actions(), MONTHS, pd.Timestamp("2020-03-02")).set_index("month")
    assert months["close"].tolist() == [110.0, 99.0, 98.0]
    assert months["high"].tolist() == [110.0, 121.0, 98.0]
    assert months["volume"].tolist() == [2000.0, 2000.0, 1000.0]
    assert months["is_final"].tolist() == [True, True, False]
    february = months.loc["2020-02-01"]
    assert february["log_return"] == pytest.approx(np.log(99 / 110))
    assert february["realised_variance"] == pytest.approx(np.log(1.1) ** 2 + np.log(99 / 121) ** 2)
    assert (february["sessions_present"], february["sessions_expected"]) == (2, 19)
    assert february["last_session"] == pd.Timestamp("2020-02-28")
    assert np.isnan(months["log_return"].iloc[0])


def test_build_months_is_final_only_with_the_last_session() -> None:
    bars = make_bars([100.0, 110.0, 121.0])
    months = build_months(bars, make_actions(), MONTHS, pd.Timestamp("2020-03-31"))
    assert months["is_final"].tolist() == [True, False]


def test_build_months_ignores_data_after_as_of() -> None:
    bars = make_bars([100.0, 110.0, 121.0, 99.0, 98.0])
    actions = make_actions(("2020-02-28", "dividend", 5.0))
    early = build_months(bars, actions, MONTHS, pd.Timestamp("2020-02-10"))
    assert early["close"].tolist() == [110.0, 121.0]
    assert early["log_return"].tolist()[1] == pytest.approx(np.log(1.1))


def test_build_months_refuses_bars_without_a_column() -> None:
    bars = make_bars([100.0, 110.0]).drop(columns="volume")
    with pytest.raises(ValueError, match=r"`bars` must have .* volume \(float64\); received: volume \(missing\)"):
        build_months(bars, make_actions(), MONTHS, pd.Timestamp("2020-03-31"))
