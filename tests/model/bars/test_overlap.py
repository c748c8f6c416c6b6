"""Comparison of two sources of one symbol."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from model.bars.overlap import compare_closes, join_history
from tests.support.quality import make_actions, quiet_bars, scale


@given(st.integers(0, 40), st.floats(0, 0.004), st.integers(0, 2**32 - 1))
def test_rounded_closes_are_the_same_series_from_ten_common_sessions(common: int, noise: float, seed: int) -> None:
    stored = quiet_bars(60)
    bars = quiet_bars(120).iloc[60 - common :].reset_index(drop=True)
    bars["close"] *= np.exp(np.random.default_rng(seed).uniform(-noise, noise, len(bars)))
    joined, overlap = join_history(bars, make_actions(), stored)
    assert (overlap.common, overlap.agreeing, overlap.first_difference) == (common, common, None)
    assert (joined is not None) == (common >= 10)


@given(st.sampled_from([2.0, 3.0, 5.0, 1.5, 0.25]), st.integers(12, 40))
def test_split_between_two_sources_is_rebased(ratio: float, common: int) -> None:
    stored = quiet_bars(60)
    bars = scale(quiet_bars(120), slice(None), 1 / ratio).iloc[60 - common :].reset_index(drop=True)
    bars["volume"] *= ratio
    joined, _ = join_history(bars, make_actions(), stored)
    assert joined is not None
    assert joined.actions["value"].tolist() == [ratio]
    assert joined.actions["ex_date"].tolist() == [quiet_bars(61)["session"].iloc[-1]]


@given(st.floats(0.02, 0.2), st.integers(0, 2**32 - 1))
def test_other_series_is_described_with_its_first_difference(move: float, seed: int) -> None:
    stored = quiet_bars(60)
    steps = np.random.default_rng(seed).normal(0, move, 60)
    other = stored.assign(close=stored["close"] * np.exp(np.where(np.arange(60) < 20, 0, 0.1 + steps.cumsum())))
    joined, overlap = join_history(other, make_actions(), stored)
    assert joined is None
    assert overlap.first_difference is not None
    assert overlap.first_difference[0] >= stored["session"].iloc[20]
    assert f"the first that differs is {overlap.first_difference[0]:%Y-%m-%d}" in overlap.describe()


def test_no_common_session_is_described() -> None:
    bars = quiet_bars(20)
    later = bars.assign(session=bars["session"] + pd.Timedelta(days=400))
    assert compare_closes(later, bars).describe() == "they have no common session"
