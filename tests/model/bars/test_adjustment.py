"""Tests of model.bars.adjustment, by hand and against the adjusted close of a provider."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.bars.adjustment import adjusted_close, read_adjusted_steps, total_log_returns, undo_splits
from model.frames import ADJUSTED_BAR_TYPES
from tests.support.bars import DAYS, actions_from_adjusted_close, make_actions, make_bars


def test_total_log_returns_by_hand() -> None:
    """From 100 to 51 over a 2:1 split and a dividend of 1 per new share: the price before is 100/2 - 1 = 49."""
    bars = make_bars([100.0, 51.0, 51.0])
    actions = make_actions(("2020-01-31", "split", 2.0), ("2020-01-31", "dividend", 1.0))
    returns = total_log_returns(bars, actions)
    assert np.isnan(returns[0])
    assert returns[1:].tolist() == pytest.approx([np.log(51 / 49), 0.0])


def test_undo_splits_by_hand() -> None:
    """A later 4:1 split divides price and dividend by 4 and multiplies volume by 4."""
    bars = make_bars([25.0, 26.0, 27.0])
    actions = make_actions(("2020-02-03", "split", 4.0), ("2020-01-31", "dividend", 0.25))
    traded, undone = undo_splits(bars, actions)
    assert traded["close"].tolist() == [100.0, 104.0, 27.0]
    assert traded["volume"].tolist() == [250.0, 250.0, 1000.0]
    assert undone.set_index("kind")["value"].to_dict() == {"split": 4.0, "dividend": 1.0}


def test_actions_from_adjusted_close_by_hand() -> None:
    """A dividend of 2 on a close of 100 scales earlier prices by 0.98."""
    bars = make_bars([100.0, 98.0, 99.0]).assign(adj_close=[98.0, 98.0, 99.0])
    actions = actions_from_adjusted_close(bars)
    assert actions["ex_date"].tolist() == [DAYS[1]]
    assert actions["value"].tolist() == pytest.approx([2.0])


@settings(max_examples=50, deadline=None)
@given(
    close=st.lists(st.floats(20, 200), min_size=3, max_size=30),
    dividends=st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.3, 1.1]), min_size=30, max_size=30),
)
def test_actions_from_adjusted_close_recover_the_dividends(close: list[float], dividends: list[float]) -> None:
    price = np.array(close)
    paid = np.array(dividends[: len(price)])
    paid[0] = 0.0
    kept = 1 - paid[1:] / price[:-1]
    adjusted = price * np.append(np.cumprod(kept[::-1])[::-1], 1.0)
    bars = make_bars(close, days=pd.bdate_range("2020-01-01", periods=30)).assign(adj_close=adjusted)
    actions = actions_from_adjusted_close(bars)
    assert actions["value"].tolist() == pytest.approx(paid[paid > 0].tolist(), rel=1e-6)


def test_adjusted_close_agrees_with_the_recorded_one(shared_data: Path) -> None:
    columns = {"ticker": "symbol", "date": "session"}
    bars = pd.read_csv(shared_data / "daily.csv.gz", engine="pyarrow").rename(columns=columns)
    bars = bars[bars["symbol"].isin(sorted(bars["symbol"].unique())[::8])].reset_index(drop=True)
    bars["session"] = pd.to_datetime(bars["session"])
    adjusted = adjusted_close(bars, actions_from_adjusted_close(bars), pd.Timestamp("2018-12-18"))
    ratio = adjusted / bars["adj_close"]
    # The provider adjusts to a later day, which is one factor per symbol.
    variation = ratio.groupby(bars["symbol"]).agg(lambda group: group.max() / group.min() - 1)
    assert variation.max() < 1e-4


@given(
    ratio=st.integers(2, 1000),
    dividends=st.lists(st.integers(10, 190), min_size=1, max_size=6, unique=True),
    split=st.integers(30, 170),
    seed=st.integers(0, 2**32 - 1),
)
def test_dividends_on_both_sides_of_a_raw_reverse_split_are_found(
    ratio: int, dividends: list[int], split: int, seed: int
) -> None:
    dividends = sorted(row for row in dividends if abs(row - split) > 3)
    level = 50 * np.exp(np.random.default_rng(seed).normal(0, 0.01, 200).cumsum())
    factor = np.ones(200)
    for row in dividends:
        factor[:row] *= 0.99
    raw = np.where(np.arange(200) < split, level / ratio, level)
    bars = pd.DataFrame(
        {
            "symbol": "A",
            "session": pd.bdate_range("2020-01-01", periods=200).as_unit("ns"),
            "close": raw,
            "adj_close": level * factor,
        }
    ).astype(ADJUSTED_BAR_TYPES)
    steps = read_adjusted_steps(bars)
    assert steps.actions["ex_date"].tolist() == [bars["session"][row] for row in dividends]
    assert steps.actions["value"].tolist() == pytest.approx([0.01 * raw[row - 1] for row in dividends])
    assert steps.falls["session"].tolist() == [bars["session"][split]]
    assert np.exp(-steps.falls["size"]).tolist() == pytest.approx([ratio])
