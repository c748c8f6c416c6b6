"""The traditional part: its terms by hand, and the scale that past misses teach it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from model.forecaster.baseline import Baseline, fit_baseline
from model.forecaster.calibration import market_scale
from model.forecaster.features import TERMS, Panel, make_panel
from tests.support.simulated import SMALL, simulate_months

ONE_MONTH = replace(SMALL, horizons=(1,), burn_in_months=0, calibration_pull=10.0, sample_half_life_years=1.0)


def one_symbol(returns: list[float], volatility: list[float]) -> pd.DataFrame:
    """Months of a symbol with the given log returns and realised volatilities; the first month has no return."""
    count = len(returns)
    frame = pd.DataFrame({"symbol": "A", "month": pd.date_range("2000-01-01", periods=count, freq="MS")})
    frame["log_return"] = [np.nan, *returns[1:]]
    frame["realised_variance"] = np.array(volatility) ** 2
    return frame.assign(close=10.0, high=11.0, low=9.0, volume=1e6, is_final=True)


def term(panel: Panel, name: str) -> np.ndarray:
    return panel.x[0, :, TERMS.index(name)]


def test_sigma_is_the_mean_of_volatilities_newest_most() -> None:
    """With a half-life of one month, weights 1, 1/2, 1/4 on 0.02, 0.08 and 0.04, newest first."""
    months = one_symbol([0.0, 0.01, 0.01, 0.01], [9.0, 0.04, 0.08, 0.02])
    panel = make_panel(months, replace(SMALL, volatility_half_life=1.0))
    assert panel.sigma[0, 3] == pytest.approx((0.02 + 0.08 / 2 + 0.04 / 4) / 1.75)


def test_month_against_days_by_hand() -> None:
    """Months of ±5 % though the days moved by 10 %: a Gaussian of 10 % has a mean absolute value of 7.98 %."""
    months = one_symbol([0.05, -0.05] * 30, [0.1] * 60)
    panel = make_panel(months, SMALL)
    expected = np.log(0.05 / 0.0797884560802865)
    assert term(panel, "month_against_days")[59] == pytest.approx(expected * 59 / (59 + 60))


def test_fall_of_twelve_months_by_hand() -> None:
    """Twelve months of 1 % down at a volatility of 5 %: -0.12 over 0.05 √12; then a year up."""
    months = one_symbol([0.0] + [-0.01] * 12 + [0.01] * 12, [0.05] * 25)
    panel = make_panel(months, SMALL)
    in_sigmas = 0.12 / (0.05 * 12**0.5)
    assert term(panel, "fall_12")[[12, 24]].tolist() == pytest.approx([-in_sigmas, 0.0])


def outsiders(shares: list[float]) -> tuple[Baseline, Panel]:
    """Ten symbols; in each month the given share of them misses an interval that is meant to hold 80 %."""
    count, levels = len(shares), len(SMALL.quantile_levels)
    baseline = Baseline(
        centre=np.zeros(1),
        beta=np.zeros((1, len(TERMS))),
        intercept=np.zeros(1),
        shape=np.linspace(-1.2, 1.2, levels)[None],
        outside=np.array([0.2]),
    )
    y = np.where(np.arange(10)[:, None] < 10 * np.array(shares), 5.0, 0.0)[..., None]
    y[:, -1] = np.nan
    flat = np.ones((10, count))
    panel = Panel(
        symbols=tuple("ABCDEFGHIJ"),
        months=pd.date_range("2000-01-01", periods=count, freq="MS"),
        returns=flat,
        sigma=flat,
        random_walk_sd=flat,
        x=np.zeros((10, count, len(TERMS))),
        inputs=np.zeros((10, count, 1)),
        y=y,
        known=flat > 0,
        age=flat,
    )
    return baseline, panel


def test_market_scale_by_hand() -> None:
    """Ten months at 0.2 beside the shares known, the newest weighing 1 and the one before 0.5^(1/12)."""
    keep = 0.5 ** (1 / 12)
    expected = [1.0, (10 * 0.2 + 0.4) / 11 / 0.2, (10 * 0.2 + 0.4 * keep + 0.3) / (11 + keep) / 0.2]
    assert market_scale(*outsiders([0.4, 0.3, 0.2]), ONE_MONTH).tolist() == pytest.approx(expected)


def test_market_scale_stays_at_one_while_the_share_is_the_fitted_one() -> None:
    assert market_scale(*outsiders([0.2] * 60), ONE_MONTH) == pytest.approx(np.ones(60))


def test_market_scale_is_bounded() -> None:
    assert market_scale(*outsiders([1.0] * 200), ONE_MONTH)[-1] == pytest.approx(1.5)


def test_market_scale_narrows_intervals_when_the_months_become_calmer_than_their_days() -> None:
    """From half-way on, months move by 0.7 of what they did while the days go on as before."""
    months = simulate_months(symbols=40, months=400)
    cut = pd.Timestamp("2006-01-01")
    months.loc[months["month"] > cut, "log_return"] *= 0.7
    config = replace(SMALL, horizons=(1, 2, 3))
    panel = make_panel(months, config)
    end = int(panel.months.searchsorted(cut))
    baseline = fit_baseline(panel.until(cut), range(12, end), config)
    scale = market_scale(baseline, panel, config)
    assert scale[: end + 1] == pytest.approx(np.ones(end + 1), abs=0.15)
    assert scale[end] == pytest.approx(1.0, abs=0.03)
    later = slice(end + 60, -1)
    target = panel.y[:, later, 0]
    spread = baseline.spread(panel.sigma, panel.x)[:, later, 0]
    held = [np.mean(np.abs(target) <= spread * k * baseline.shape[0, 10]) for k in (1.0, scale[later])]
    assert held[0] > 0.9
    assert abs(held[1] - 0.8) < 0.5 * abs(held[0] - 0.8)


def test_fit_baseline_reports_the_share_of_its_own_misses() -> None:
    panel = make_panel(simulate_months(symbols=60), SMALL)
    baseline = fit_baseline(panel, range(12, 280), SMALL)
    assert baseline.outside == pytest.approx(np.full(12, 0.2), abs=0.03)
    # The newest origin with a target counts all, one ten years earlier half.
    symbol, month = np.nonzero(np.isfinite(panel.y[..., 0]) & (panel.age >= 12) & (np.arange(300) < 280))
    spread = baseline.spread(panel.sigma, panel.x)[symbol, month, 0]
    miss = (panel.y[symbol, month, 0] - baseline.centre[0]) / spread
    is_outside = (miss < baseline.shape[0, 2]) | (miss > baseline.shape[0, 10])
    assert baseline.outside[0] == pytest.approx(np.average(is_outside, weights=0.5 ** ((279 - month) / 120)))
