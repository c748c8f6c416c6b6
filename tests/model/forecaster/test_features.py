"""The panel: features worked by hand, no look into the future, and the order of the network's inputs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from model.forecaster.features import NETWORK_INPUTS, TERMS, Panel, make_panel
from tests.support.simulated import SMALL, shuffle_after

CUT = pd.Timestamp("2010-06-01")


def one_symbol(returns: list[float], volatility: list[float]) -> pd.DataFrame:
    """Months of a symbol with the given log returns and realised volatilities; the first month has no return."""
    count = len(returns)
    frame = pd.DataFrame({"symbol": "A", "month": pd.date_range("2000-01-01", periods=count, freq="MS")})
    frame["log_return"] = [np.nan, *returns[1:]]
    frame["realised_variance"] = np.array(volatility) ** 2
    return frame.assign(close=10.0, high=11.0, low=9.0, volume=1e6, is_final=True)


def term(panel: Panel, name: str) -> np.ndarray:
    return panel.x[0, :, TERMS.index(name)]


def test_make_panel_does_not_use_the_future(months: pd.DataFrame) -> None:
    panels = [make_panel(frame, SMALL) for frame in (months, shuffle_after(months, CUT))]
    stop = int(panels[0].months.searchsorted(CUT, side="right"))
    for name in ("sigma", "random_walk_sd", "x", "inputs"):
        original, shuffled = (getattr(panel, name)[:, :stop] for panel in panels)
        np.testing.assert_array_equal(original, shuffled)
    factors = [panel.location_factor for panel in panels]
    np.testing.assert_array_equal(factors[0][:stop], factors[1][:stop])
    assert not np.array_equal(panels[0].x, panels[1].x)


def test_sigma_is_an_exponentially_weighted_mean() -> None:
    """With a half-life of one month, weights 1, 1/2, 1/4 on 0.02, 0.08 and 0.04, newest first."""
    months = one_symbol([0.0, 0.01, 0.01, 0.01], [9.0, 0.04, 0.08, 0.02])
    panel = make_panel(months, replace(SMALL, volatility_half_life=1.0))
    assert panel.sigma[0, 3] == pytest.approx((0.02 + 0.08 / 2 + 0.04 / 4) / 1.75)


def test_month_against_days_by_hand() -> None:
    """Monthly returns of ±5 % at a volatility of 10 %, under which the mean absolute value of a Gaussian is 7.98 %."""
    months = one_symbol([0.05, -0.05] * 30, [0.1] * 60)
    panel = make_panel(months, SMALL)
    expected = np.log(0.05 / 0.0797884560802865)
    assert term(panel, "month_against_days")[59] == pytest.approx(expected * 59 / (59 + 60))


def test_fall_12_by_hand() -> None:
    """Twelve months of -1 % at a volatility of 5 %: -0.12 over 0.05 √12. Then twelve months of +1 %."""
    months = one_symbol([0.0] + [-0.01] * 12 + [0.01] * 12, [0.05] * 25)
    panel = make_panel(months, SMALL)
    in_sigmas = 0.12 / (0.05 * 12**0.5)
    assert term(panel, "fall_12")[[12, 24]].tolist() == pytest.approx([-in_sigmas, 0.0])


def test_quarter_rhythm_by_hand() -> None:
    """Every third month has e times the volatility of the others.

    The rhythm is the mean surprise of the months in phase less that of all months, shrunk by 20 / 24.
    """
    count = 120
    volatility = [0.05 * (np.e if month % 3 == 2 else 1.0) for month in range(count)]
    panel = make_panel(one_symbol([0.01] * count, volatility), replace(SMALL, volatility_half_life=1e9))
    log_sigma = np.log(panel.sigma[0])
    surprise = np.append(np.nan, np.clip(np.log(volatility[1:]) - log_sigma[:-1], -1.5, 1.5))
    at = 110  # month 111 is quiet, month 112 too, month 113 is a loud one
    for name, lag in (("quarter_rhythm_1", 2), ("quarter_rhythm_2", 1)):
        in_phase = np.mean([surprise[at - lag - 3 * quarter] for quarter in range(20)])
        usual = np.mean(surprise[at - 59 : at + 1])
        assert term(panel, name)[at] == pytest.approx((in_phase - usual) * 20 / 24)
    assert term(panel, "quarter_rhythm_1")[112] > 0.3 > 0 > term(panel, "quarter_rhythm_1")[110]


def test_location_factor_by_hand() -> None:
    """Volatilities 4 % and then 8 %: the second sigma, with a half-life of one month, is (8 + 4 / 2) / 1.5 %."""
    months = one_symbol([0.0, 0.01, 0.01], [9.0, 0.04, 0.08])
    panel = make_panel(months, replace(SMALL, volatility_half_life=1.0, location_market_weight=0.25))
    sigma = [0.04, (0.08 + 0.04 / 2) / 1.5]
    mean = sum(sigma) / 2
    assert panel.location_factor[1:].tolist() == pytest.approx([1.0, 1 + 0.25 * (sigma[1] / mean - 1)])


def test_market_terms_of_a_few_symbols_are_shrunk() -> None:
    """Two symbols with the same months: the mean has weight 2 / 3."""
    one = one_symbol([0.01] * 24, [0.05] * 23 + [0.1])
    two = pd.concat([one, one.assign(symbol="B")])
    whole = make_panel(two, replace(SMALL, market_half_weight_symbols=0.0))
    shrunk = make_panel(two, SMALL)
    for name, power in (("market_volatility_1", 1), ("market_volatility_1_squared", 2)):
        assert term(shrunk, name)[23] == pytest.approx(term(whole, name)[23] * (2 / 3) ** power)
    assert term(whole, "market_volatility_1")[23] > 0.1


def test_network_inputs_are_in_the_order_of_their_names() -> None:
    """Every input of one month by its name, worked from 14 months with a different value of every input."""
    returns = [0.0, *np.linspace(-0.03, 0.05, 13)]
    volatility = np.linspace(0.04, 0.09, 14)
    frame = one_symbol(returns, volatility.tolist())
    frame["volume"] = np.linspace(1e6, 3e6, 14)
    frame["high"], frame["low"] = 10.0 * np.exp(0.07), 10.0 * np.exp(-0.02)
    panel = make_panel(frame, SMALL)

    def mean(values: np.ndarray, half_life: float) -> float:
        return float(np.average(values, weights=0.5 ** (np.arange(len(values))[::-1] / half_life)))

    known = volatility[1:]  # the first month has no return, so its volatility is unknown
    sigma = mean(known, 4.0)
    log_volume = np.log(frame["volume"].to_numpy())
    expected = {
        "volatility_1": np.log(mean(known, 0.5) / sigma),
        "volatility_6": np.log(mean(known, 6.0) / sigma),
        "volatility_12": np.log(mean(known, 12.0) / sigma),
        "volatility_60": np.log(mean(known, 60.0) / sigma),
        "volatility_long_run": np.log(known.mean() / sigma),
        "last_return": 0.05 / sigma,
        "absolute_return": 0.05 / sigma,
        "momentum_12": sum(returns[-12:]) / (sigma * 12**0.5),
        "volume": log_volume[-1] - mean(log_volume, 12.0),
        "range": 0.09 / sigma,
        "position": 2 * 0.02 / 0.09 - 1,
        "level": np.log(sigma / 0.08),
    }
    assert tuple(expected) == NETWORK_INPUTS
    found = dict(zip(NETWORK_INPUTS, panel.inputs[0, -1].tolist(), strict=True))
    assert found == pytest.approx(expected)
    # The sign separates `last_return` from `absolute_return`.
    falling = make_panel(frame.assign(log_return=-frame["log_return"]), SMALL).inputs[0, -1]
    assert falling[NETWORK_INPUTS.index("last_return")] == pytest.approx(-0.05 / sigma)
    assert falling[NETWORK_INPUTS.index("absolute_return")] == pytest.approx(0.05 / sigma)


def test_positions_of_refuses_months_outside_the_panel(months: pd.DataFrame) -> None:
    panel = make_panel(months, SMALL)
    assert panel.positions_of([panel.months[3], panel.months[0]]) == [3, 0]
    with pytest.raises(ValueError, match="1990-01 to 2014-12: received 2020-01"):
        panel.positions_of([panel.months[3], pd.Timestamp("2020-01-01")])
