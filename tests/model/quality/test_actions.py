"""Tests of model.quality.actions."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.quality.screening import screen
from tests.support.quality import NO_DAYS, make_actions, omit_split, outcomes, quiet_bars, run_screen, scale


def quarterly_dividends(value: float, count: int = 4) -> list[tuple[pd.Timestamp, str, float]]:
    return [(day, "dividend", value) for day in quiet_bars()["session"][10 : 10 + 20 * count : 20]]


def test_implausible_dividend_of_100_times_is_divided() -> None:
    day = quiet_bars()["session"][60]
    screened = run_screen(quiet_bars(), make_actions(*quarterly_dividends(0.5), (day, "dividend", 50.0)))
    assert outcomes(screened) == [("implausible_dividend", 60, "repaired")]
    assert screened.actions["value"].tolist() == [0.5] * 5


def test_implausible_dividend_is_divided_by_the_split_of_the_day() -> None:
    day = quiet_bars()["session"][60]
    actions = make_actions((day, "split", 5.0), (day, "dividend", 7.5), *quarterly_dividends(7.5, 2))
    screened = run_screen(omit_split(quiet_bars(), 60, 5), actions)
    # 7.5 is 1.5 % of 500 before the split, and 1.5 is 1.5 % of 100 after it.
    assert outcomes(screened) == [("implausible_dividend", 60, "repaired")]
    assert screened.actions.loc[screened.actions["ex_date"] == day, "value"].tolist() == [5.0, 1.5]


@pytest.mark.parametrize("value", [10.0, 30.0, 150.0])
def test_implausible_dividend_without_explanation_is_dropped(value: float) -> None:
    day = quiet_bars()["session"][60]
    screened = run_screen(quiet_bars(), make_actions((day, "dividend", value)))
    assert outcomes(screened) == [("implausible_dividend", 60, "repaired")]
    assert len(screened.actions) == 0


def test_large_dividend_that_the_price_followed_is_kept() -> None:
    day = quiet_bars()["session"][60]
    actions = make_actions((day, "dividend", 60.0))
    screened = run_screen(scale(quiet_bars(), slice(60, None), 0.4), actions)
    assert outcomes(screened) == [("implausible_dividend", 60, "kept")]
    assert screened.actions.equals(actions)


def test_repeated_dividend_is_dropped_and_a_weekly_one_is_kept() -> None:
    first, next_day, next_week = (quiet_bars()["session"][row] for row in (60, 61, 66))
    screened = run_screen(quiet_bars(), make_actions(*((day, "dividend", 0.5) for day in (first, next_day, next_week))))
    assert outcomes(screened) == [("repeated_dividend", 61, "repaired")]
    assert screened.actions["ex_date"].tolist() == [first, next_week]


@given(
    price=st.floats(0.05, 5000),
    yields=st.lists(st.floats(0.008, 0.02), min_size=2, max_size=4),
    size=st.floats(0.15, 2.5),
)
def test_dividends_of_100_times_on_a_line_in_hundredths_are_all_divided(
    price: float, yields: list[float], size: float
) -> None:
    """Every dividend is 100 times too large, the largest 2.5 times the smallest."""
    bars = scale(quiet_bars(), slice(None), price / 100)
    amounts = [price * size * share for share in yields]
    days = quiet_bars()["session"][10 : 10 + 20 * len(amounts) : 20]
    large = make_actions(*((day, "dividend", amount * 100) for day, amount in zip(days, amounts, strict=True)))
    screened = screen(bars, large, NO_DAYS, NO_DAYS, has_hundredths=True)
    assert screened.actions["value"].tolist() == pytest.approx(amounts)
    assert [(rule, treatment) for rule, _, treatment in outcomes(screened)] == [
        ("implausible_dividend", "repaired")
    ] * len(amounts)
    # Right dividends of any size that the price follows, or ordinary ones, stay.
    right = make_actions(*((day, "dividend", amount) for day, amount in zip(days, amounts, strict=True)))
    assert screen(bars, right, NO_DAYS, NO_DAYS, has_hundredths=True).actions.equals(right)


def test_large_dividends_that_the_price_followed_are_kept_on_a_line_in_hundredths() -> None:
    bars, facts = quiet_bars(), []
    for row in (20, 40, 60):
        bars = scale(bars, slice(row, None), 0.85)
        facts.append((bars["session"][row], "dividend", 0.15 * float(bars["close"][row - 1])))
    actions = make_actions(*facts)
    assert screen(bars, actions, NO_DAYS, NO_DAYS, has_hundredths=True).actions.equals(actions)
