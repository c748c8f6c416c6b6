"""Dividends 100 times too large or too small beside adjusted closes and prices of random size."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.bars.adjustment import adjusted_close
from model.quality.dividend_units import repair_dividend_units
from tests.support.quality import make_actions, quiet_bars, scale

prices = st.floats(0.01, 50_000)
yields = st.lists(st.floats(0.001, 0.06), min_size=1, max_size=4)


def make_closes(price: float, shares: list[float], *, is_adjusted: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return closes with adjusted closes, and the true dividends."""
    bars = scale(quiet_bars(), slice(None), price / 100)
    rows = range(10, 10 + 20 * len(shares), 20)
    actions = make_actions(
        *(
            (bars["session"][row], "dividend", bars["close"][row - 1] * share)
            for row, share in zip(rows, shares, strict=True)
        )
    )
    adjusted = adjusted_close(bars, actions, bars["session"].iloc[-1]) if is_adjusted else bars["close"]
    return bars[["symbol", "session", "close"]].assign(adj_close=adjusted), actions


@given(prices, yields, st.sampled_from([100.0, 0.01]), st.booleans())
def test_adjusted_closes_reveal_the_unit(price: float, shares: list[float], factor: float, is_hundredth: bool) -> None:
    closes, actions = make_closes(price, shares)
    wrong = actions.assign(value=actions["value"] * factor)
    repaired, findings = repair_dividend_units(wrong, closes, is_hundredth=is_hundredth)
    assert repaired["value"].tolist() == pytest.approx(actions["value"].tolist())
    assert [(finding.rule, str(finding.treatment)) for finding in findings] == [("dividend_unit", "repaired")] * len(
        shares
    )
    same, none = repair_dividend_units(actions, closes, is_hundredth=is_hundredth)
    assert (same.equals(actions), none) == (True, [])


@given(prices, st.lists(st.floats(0.001, 0.0299), min_size=1, max_size=4))
def test_tiny_dividends_on_a_line_in_hundredths_are_findings(price: float, shares: list[float]) -> None:
    closes, actions = make_closes(price, shares, is_adjusted=False)
    tiny = actions.assign(value=actions["value"] / 100)
    same, findings = repair_dividend_units(tiny, closes, is_hundredth=True)
    assert same.equals(tiny)
    assert [str(finding.treatment) for finding in findings] == ["kept"] * len(shares)
    assert repair_dividend_units(tiny, closes, is_hundredth=False)[1] == []
    assert repair_dividend_units(actions, closes, is_hundredth=True)[1] == []
