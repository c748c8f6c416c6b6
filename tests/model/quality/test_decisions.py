"""Decisions of the operator: moves, splits, units and histories with random sizes."""

import numpy as np
import pandas as pd
from hypothesis import assume, given
from hypothesis import strategies as st

from model.bars.adjustment import total_log_returns
from model.frames import DECISION_TYPES, PRICE_COLUMNS
from model.quality.screening import Screened, screen
from tests.support.quality import NO_DAYS, make_actions, outcomes, quiet_bars, scale

rows = st.integers(25, 90)
factors = st.floats(4.6, 900) | st.floats(0.001, 0.2)


def decide(row: int, kind: str, ratio: float = np.nan) -> pd.DataFrame:
    day = quiet_bars()["session"].iloc[row]
    frame = pd.DataFrame([("A", day, kind, ratio, "accepted by O")], columns=list(DECISION_TYPES))
    return frame.astype(DECISION_TYPES)


def run(bars: pd.DataFrame, decisions: pd.DataFrame, actions: pd.DataFrame | None = None) -> Screened:
    given_actions = make_actions() if actions is None else actions
    return screen(bars, given_actions, NO_DAYS, NO_DAYS, decisions=decisions)


@given(rows, factors)
def test_accepted_move_is_kept_at_any_size(row: int, factor: float) -> None:
    bars = scale(quiet_bars(), slice(row, None), factor)
    screened = run(bars, decide(row, "move"))
    assert outcomes(screened) == [("unexplained_move", row, "kept")]
    assert "accepted by O" in screened.findings["reason"].iloc[0]
    pd.testing.assert_frame_equal(screened.bars, bars)
    assert screened.actions.empty


@given(rows, factors)
def test_accepted_split_or_unit_leaves_no_jump(row: int, factor: float) -> None:
    bars = scale(quiet_bars(), slice(row, None), factor)
    split = run(bars, decide(row, "split", 1 / factor))
    assert outcomes(split) == [("missed_split", row, "repaired")]
    assert np.nanmax(np.abs(total_log_returns(split.bars, split.actions))) < 0.05
    unit = run(bars, decide(row, "unit", factor))
    assert outcomes(unit) == [("unit_jump", row, "repaired")]
    assert np.nanmax(np.abs(total_log_returns(unit.bars, unit.actions))) < 0.05
    assert np.allclose(unit.bars[PRICE_COLUMNS], quiet_bars()[PRICE_COLUMNS] * factor)


@given(rows, st.floats(2, 20))
def test_split_that_the_source_delivers_later_is_not_doubled(row: int, ratio: float) -> None:
    bars = scale(quiet_bars(), slice(row, None), 1 / ratio)
    recorded = make_actions((bars["session"].iloc[row], "split", ratio))
    screened = run(bars, decide(row, "split", ratio), recorded)
    assert screened.actions["value"].tolist() == [ratio]
    assert outcomes(screened) == []


@given(rows, factors)
def test_bars_before_an_accepted_history_are_excluded(row: int, factor: float) -> None:
    bars = scale(quiet_bars(), slice(row, None), factor)
    paid = 0.005 * bars["close"].iloc[row]
    old = make_actions((bars["session"].iloc[3], "dividend", 0.5), (bars["session"].iloc[row + 2], "dividend", paid))
    screened = run(bars, decide(row, "history"), old)
    assert outcomes(screened)[0] == ("other_history", 0, "excluded")
    assert screened.bars["session"].min() == bars["session"].iloc[row]
    assert len(screened.actions) == 1


@given(rows, rows, factors)
def test_decision_about_another_session_or_symbol_changes_nothing(row: int, other: int, factor: float) -> None:
    assume(other != row)
    bars = scale(quiet_bars(), slice(row, None), factor)
    plain = screen(bars, make_actions(), NO_DAYS, NO_DAYS)
    foreign = decide(row, "move").assign(symbol=pd.array(["B"], dtype="str"))
    for decisions in (decide(other, "move"), foreign):
        found = run(bars, decisions).findings
        pd.testing.assert_frame_equal(
            found[found["session"] == bars["session"].iloc[row]].reset_index(drop=True),
            plain.findings[plain.findings["session"] == bars["session"].iloc[row]].reset_index(drop=True),
        )
