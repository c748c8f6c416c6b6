"""Downloads on another basis, brought to the one stored."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.bars.adjustment import total_log_returns
from model.bars.rebase import rebase_history

NO_ACTIONS = pd.DataFrame({"symbol": [], "ex_date": [], "kind": [], "value": []}).astype(
    {"symbol": "str", "ex_date": "datetime64[ns]", "kind": "str", "value": "float64"}
)


def make_bars(closes: list[float] | np.ndarray, first: str = "2020-01-01") -> pd.DataFrame:
    sessions = pd.bdate_range(first, periods=len(closes)).astype("datetime64[ns]")
    close = np.asarray(closes, dtype=float)
    bars = pd.DataFrame({"symbol": "A", "session": sessions})
    return bars.assign(open=close, high=close, low=close, close=close, volume=1000.0)


def splits(actions: pd.DataFrame) -> list[tuple[str, float]]:
    facts = actions[actions["kind"] == "split"]
    return [(f"{day:%Y-%m-%d}", value) for day, value in zip(facts["ex_date"], facts["value"], strict=True)]


def test_align_finds_the_split_that_a_download_undid() -> None:
    """Stored as traded, 100 and then 50 after a 2:1 split on the fourth day; downloaded with the first days halved."""
    traded = make_bars([100.0, 102.0, 98.0, 50.0, 51.0, 49.0])
    download = make_bars([50.0, 51.0, 49.0, 50.0, 51.0, 49.0]).assign(volume=[2000.0] * 3 + [1000.0] * 3)
    rebased = rebase_history(download, NO_ACTIONS, traded)
    assert rebased is not None
    pd.testing.assert_frame_equal(rebased.bars, traded)
    assert splits(rebased.actions) == [("2020-01-06", 2.0)]


def test_align_joins_new_bars_by_a_split_when_its_day_is_not_known() -> None:
    """All that is stored was restated by 2, and the download goes on: no return is made up at the seam."""
    stored = make_bars([100.0, 102.0, 98.0])
    download = make_bars([50.0, 51.0, 49.0, 50.0, 51.0])
    rebased = rebase_history(download, NO_ACTIONS, stored)
    assert rebased is not None
    assert rebased.bars["close"].tolist() == [100.0, 102.0, 98.0, 50.0, 51.0]
    assert splits(rebased.actions) == [("2020-01-06", 2.0)]
    returns = total_log_returns(rebased.bars, rebased.actions)
    np.testing.assert_allclose(returns[1:], np.diff(np.log(download["close"])), rtol=1e-12)


def test_align_takes_an_unadjusted_download_for_no_split() -> None:
    """Stored adjusted, downloaded as traded: the stored price does not jump, so nothing happened on that day."""
    adjusted = make_bars([50.0, 51.0, 49.0, 50.0, 51.0, 49.0])
    rebased = rebase_history(make_bars([100.0, 102.0, 98.0, 50.0, 51.0, 49.0]), NO_ACTIONS, adjusted)
    assert rebased is not None
    assert splits(rebased.actions) == []
    np.testing.assert_allclose(rebased.bars["close"], adjusted["close"])


def test_align_brings_dividends_to_the_stored_basis() -> None:
    dividend = pd.DataFrame(
        {"symbol": ["A"], "ex_date": pd.to_datetime(["2020-01-02"]), "kind": ["dividend"], "value": [0.5]}
    )
    rebased = rebase_history(make_bars([50.0, 51.0, 49.0, 50.0]), dividend, make_bars([100.0, 102.0, 98.0]))
    assert rebased is not None
    facts = rebased.actions.set_index("kind")["value"]
    assert facts.to_dict() == {"dividend": 1.0, "split": 2.0}


@pytest.mark.parametrize(
    "closes",
    [
        np.linspace(10, 30, 30),  # another company
        100.0 * np.repeat([0.99**5, 0.99**4, 0.99**3, 0.99**2, 0.99, 1.0], 5),  # adjusted for dividends
        [200.0, 200.0],  # too few to tell
    ],
)
def test_align_refuses_what_no_split_explains(closes: np.ndarray) -> None:
    stored = make_bars(np.full(30, 100.0) * np.exp(np.random.default_rng(1).normal(0, 0.01, 30)))
    assert rebase_history(make_bars(closes).assign(), NO_ACTIONS, make_bars(np.full(30, 100.0))) is None
    assert len(stored) == 30


@given(
    st.lists(st.floats(-0.1, 0.1), min_size=12, max_size=60),
    st.sampled_from([2.0, 3.0, 1.5, 7.0, 0.1]),
    st.integers(4, 8),
)
def test_align_gives_back_what_was_traded(moves: list[float], ratio: float, place: int) -> None:
    """A split anywhere but at the edges, in any market: the restated download becomes the stored bars again."""
    adjusted = 100 * np.exp(np.cumsum(moves))
    scale = np.where(np.arange(len(moves)) < place, ratio, 1.0)
    traded = make_bars(adjusted * scale)
    rebased = rebase_history(make_bars(np.round(adjusted, 4)), NO_ACTIONS, traded)
    assert rebased is not None
    np.testing.assert_allclose(rebased.bars["close"], traded["close"], rtol=1e-5)
    assert [value for _, value in splits(rebased.actions)] == pytest.approx([ratio], rel=1e-4)


def test_align_brings_six_downloads_of_the_same_bars_together(shared_data: Path) -> None:
    """Raw in 2017, restated for 7:1, 4:1 and 20:1 splits later, adjusted for dividends in the last one."""
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
