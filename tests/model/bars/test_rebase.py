"""Tests of model.bars.rebase."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.bars.adjustment import total_log_returns
from model.bars.rebase import rebase_history
from tests.support import bars as support_bars
from tests.support.bars import make_actions

NO_ACTIONS = make_actions()


def make_bars(closes: list[float] | np.ndarray) -> pd.DataFrame:
    """Make bars on consecutive business days."""
    return support_bars.make_bars(closes, days=pd.bdate_range("2020-01-01", periods=len(closes)).as_unit("ns"))


def splits(actions: pd.DataFrame) -> list[tuple[str, float]]:
    rows = actions[actions["kind"] == "split"]
    return [(f"{day:%Y-%m-%d}", value) for day, value in zip(rows["ex_date"], rows["value"], strict=True)]


def test_rebase_history_infers_the_split_of_a_restated_download() -> None:
    """Stored as traded with a 2:1 split on the fourth day; downloaded with the first three days halved."""
    traded = make_bars([100.0, 102.0, 98.0, 50.0, 51.0, 49.0])
    download = make_bars([50.0, 51.0, 49.0, 50.0, 51.0, 49.0]).assign(volume=[2000.0] * 3 + [1000.0] * 3)
    rebased = rebase_history(download, NO_ACTIONS, traded)
    assert rebased is not None
    pd.testing.assert_frame_equal(rebased.bars, traded)
    assert splits(rebased.actions) == [("2020-01-06", 2.0)]


def test_rebase_history_joins_later_bars_by_a_split() -> None:
    """The download restates all stored bars by 2 and continues; no false return arises at the join."""
    stored = make_bars([100.0, 102.0, 98.0])
    download = make_bars([50.0, 51.0, 49.0, 50.0, 51.0])
    rebased = rebase_history(download, NO_ACTIONS, stored)
    assert rebased is not None
    assert rebased.bars["close"].tolist() == [100.0, 102.0, 98.0, 50.0, 51.0]
    assert splits(rebased.actions) == [("2020-01-06", 2.0)]
    returns = total_log_returns(rebased.bars, rebased.actions)
    np.testing.assert_allclose(returns[1:], np.diff(np.log(download["close"])), rtol=1e-12)


def test_rebase_history_infers_no_split_from_an_unadjusted_download() -> None:
    """Stored adjusted, downloaded as traded: the stored price has no jump, so there is no split to add."""
    adjusted = make_bars([50.0, 51.0, 49.0, 50.0, 51.0, 49.0])
    rebased = rebase_history(make_bars([100.0, 102.0, 98.0, 50.0, 51.0, 49.0]), NO_ACTIONS, adjusted)
    assert rebased is not None
    assert splits(rebased.actions) == []
    np.testing.assert_allclose(rebased.bars["close"], adjusted["close"])


def test_rebase_history_rebases_dividends() -> None:
    dividend = make_actions(("2020-01-02", "dividend", 0.5))
    rebased = rebase_history(make_bars([50.0, 51.0, 49.0, 50.0]), dividend, make_bars([100.0, 102.0, 98.0]))
    assert rebased is not None
    values = rebased.actions.set_index("kind")["value"]
    assert values.to_dict() == {"dividend": 1.0, "split": 2.0}


@pytest.mark.parametrize(
    "closes",
    [
        np.linspace(10, 30, 30),  # another company
        100.0 * np.repeat([0.99**5, 0.99**4, 0.99**3, 0.99**2, 0.99, 1.0], 5),  # adjusted for dividends
        [200.0, 200.0],  # too few bars
    ],
)
def test_rebase_history_refuses_other_differences(closes: np.ndarray) -> None:
    assert rebase_history(make_bars(closes), NO_ACTIONS, make_bars(np.full(30, 100.0))) is None


@given(
    st.lists(st.floats(-0.1, 0.1), min_size=12, max_size=60),
    st.sampled_from([2.0, 3.0, 1.5, 7.0, 0.1]),
    st.integers(4, 8),
)
def test_rebase_history_recovers_the_bars_as_traded(moves: list[float], ratio: float, place: int) -> None:
    """With a split away from the edges, the rebased download equals the stored bars."""
    adjusted = 100 * np.exp(np.cumsum(moves))
    scale = np.where(np.arange(len(moves)) < place, ratio, 1.0)
    traded = make_bars(adjusted * scale)
    rebased = rebase_history(make_bars(np.round(adjusted, 4)), NO_ACTIONS, traded)
    assert rebased is not None
    np.testing.assert_allclose(rebased.bars["close"], traded["close"], rtol=1e-5)
    assert [value for _, value in splits(rebased.actions)] == pytest.approx([ratio], rel=1e-4)


def test_rebase_history_unites_six_recorded_downloads(shared_data: Path) -> None:
    """Raw in 2017, later restated for 7:1, 4:1 and 20:1 splits, the last one adjusted for dividends."""
    vintages = pd.read_csv(shared_data / "messy" / "vintages_2014_2016.csv.gz")
    vintages.columns = ["vintage", "symbol", "session", "open", "high", "low", "close", "adj_close", "volume"]
    vintages["session"] = pd.to_datetime(vintages["session"]).astype("datetime64[ns]")
    pays_dividends = {"AAPL", "DIS", "GE", "XOM"}
    raw = vintages[vintages["vintage"] == "2017-03_raw_close"]
    known_splits = {"AAPL": [("2014-06-09", 7.0)], "NFLX": [("2015-07-15", 7.0)]}
    compared = 0
    for (symbol, vintage), download in vintages[vintages["symbol"].isin(raw["symbol"])].groupby(["symbol", "vintage"]):
        stored = raw[raw["symbol"] == symbol].reset_index(drop=True)
        rebased = rebase_history(download.reset_index(drop=True), NO_ACTIONS, stored)
        if vintage == "2025-08_auto_adjusted" and symbol in pays_dividends:
            assert rebased is None, symbol
            continue
        assert rebased is not None, (symbol, vintage)
        np.testing.assert_allclose(rebased.bars["close"], stored["close"], rtol=1e-5)
        expected = [] if vintage == "2017-03_raw_close" else known_splits.get(str(symbol), [])
        assert splits(rebased.actions) == expected
        compared += 1
    assert compared == 28
