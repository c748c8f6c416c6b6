"""Tests of model.quality.moves."""

import numpy as np
import pandas as pd
import pytest

from model.bars.adjustment import total_log_returns
from model.frames import PRICE_COLUMNS
from model.quality.screening import screen
from tests.support.quality import NO_DAYS, make_actions, omit_split, outcomes, quiet_bars, run_screen, scale


def test_unit_jump_of_a_stretch_is_repaired() -> None:
    screened = run_screen(scale(quiet_bars(), slice(40, 70), 100))
    assert outcomes(screened) == [("unit_jump", 40, "repaired")]
    pd.testing.assert_frame_equal(screened.bars, quiet_bars())


def test_lasting_unit_jump_is_repaired_after_20_sessions() -> None:
    """The older side and its dividends are scaled to the newer. With fewer sessions the symbol is rejected."""
    bars, paid = scale(quiet_bars(), slice(0, 80), 100), quiet_bars()["session"][30]
    screened = run_screen(bars, make_actions((paid, "dividend", 100.0)))
    assert outcomes(screened) == [("unit_jump", 80, "repaired")]
    pd.testing.assert_frame_equal(screened.bars, quiet_bars())
    assert screened.actions["value"].tolist() == pytest.approx([1.0])
    screened = run_screen(bars.iloc[:99])
    assert outcomes(screened) == [("unit_jump", 80, "rejected")]


@pytest.mark.parametrize("ratio", [1.5, 2, 3, 7, 20, 50, 1 / 2, 1 / 10])
def test_missed_split_is_added(ratio: float) -> None:
    screened = run_screen(omit_split(quiet_bars(), 60, ratio))
    assert outcomes(screened) == [("missed_split", 60, "repaired")]
    assert screened.actions["value"].tolist() == pytest.approx([ratio])
    returns = total_log_returns(screened.bars, screened.actions)
    assert returns.abs().max() == pytest.approx(np.log(1.01))


def test_missed_split_is_added_if_only_volume_was_restated() -> None:
    assert outcomes(run_screen(scale(quiet_bars(), slice(0, 60), 7))) == [("missed_split", 60, "repaired")]


def test_missed_split_is_not_inferred_from_a_crash() -> None:
    """The price halves with five times the volume, with swings after it, or with trades at the old price that day."""
    halved = scale(quiet_bars(), slice(60, None), 0.5)
    burst = scale(halved, slice(60, 70), 5.0, ["volume"])
    swings = scale(omit_split(quiet_bars(), 60, 2), slice(61, 75, 2), 1.07)
    traded = omit_split(quiet_bars(), 60, 2)
    traded.loc[60, ["open", "high"]] = 200.0
    for crash in (burst, swings, traded):
        assert outcomes(run_screen(crash)) == [("unexplained_move", 60, "kept")]


def test_missed_split_of_2_needs_three_more_sessions_than_one_of_4() -> None:
    for ratio, after, rule in ((4, 1, "missed_split"), (2, 3, "unexplained_move"), (2, 4, "missed_split")):
        screened = run_screen(omit_split(quiet_bars(), 60, ratio).iloc[: 60 + after])
        assert screened.findings["rule"].tolist() == [rule]


def test_split_recorded_a_day_late_scales_the_bar() -> None:
    """The bar before the ex-date has the new price, as CMG before its 50:1 split of 2024-06-26 in a recorded feed."""
    recorded = make_actions((quiet_bars()["session"][61], "split", 50.0))
    screened = run_screen(omit_split(quiet_bars(), 60, 50), recorded)
    assert outcomes(screened) == [("unit_jump", 60, "repaired")]
    pd.testing.assert_frame_equal(screened.bars, omit_split(quiet_bars(), 61, 50))


def test_split_that_the_price_did_not_follow_is_cancelled() -> None:
    screened = run_screen(quiet_bars(), make_actions((quiet_bars()["session"][60], "split", 2.0)))
    assert outcomes(screened) == [("missed_split", 60, "repaired")]
    assert screened.actions["value"].prod() == 1.0


def test_price_spike_is_excluded_and_a_volatile_day_is_kept() -> None:
    assert outcomes(run_screen(scale(quiet_bars(), slice(60, 61), 1.8))) == [("price_spike", 60, "excluded")]
    wild = scale(quiet_bars(), slice(60, 61), 1.8, ["high", "close"])
    assert outcomes(run_screen(wild)) == [("unexplained_move", 60, "kept"), ("unexplained_move", 61, "kept")]


def test_unexplained_move_is_kept_unless_an_action_explains_it() -> None:
    day = quiet_bars()["session"][60]
    fallen = scale(quiet_bars(), slice(60, None), 0.6)
    screened = run_screen(fallen)
    assert outcomes(screened) == [("unexplained_move", 60, "kept")]
    assert screened.findings["value"].tolist() == pytest.approx([np.log(0.6 / 1.01)])
    assert outcomes(run_screen(fallen, make_actions((day, "dividend", 40.0)))) == []


def test_unexplained_move_is_relative_to_the_symbols_volatility() -> None:
    """A move of 60 % is less than ten standard deviations of 8 %."""
    wild = quiet_bars()
    wild[PRICE_COLUMNS] = wild[PRICE_COLUMNS].mul(1.08 ** (np.arange(100) % 2), axis=0)
    assert outcomes(run_screen(scale(wild, slice(60, None), 1.6))) == []


def test_erratic_symbol_is_rejected() -> None:
    """Eight moves by a factor of ten, four in each direction, in monthly bars."""
    bars = quiet_bars()
    bars["session"] = pd.date_range("2000-01-01", periods=100, freq="MS").as_unit("ns")
    for start in (10, 30, 50, 70):
        bars = scale(bars, slice(start, start + 10), 10)
    screened = screen(bars, make_actions(), pd.DatetimeIndex(quiet_bars()["session"]), NO_DAYS, ["A"])
    assert screened.findings["rule"].value_counts().to_dict() == {"unexplained_move": 8, "erratic": 1}
    assert screened.findings.set_index("rule").loc["erratic", "treatment"] == "rejected"
    pd.testing.assert_frame_equal(screened.bars, bars)
