"""The market scale: worked by hand, bounded, and closer to nominal coverage."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from model.forecaster.baseline import Baseline, fit_baseline
from model.forecaster.calibration import market_scale
from model.forecaster.features import TERMS, Panel, make_panel
from tests.support.simulated import SMALL, simulate_months

ONE_MONTH = replace(SMALL, horizons=(1,), burn_in_months=0, calibration_pull=10.0, sample_half_life_years=1.0)


def make_panel_with_misses(shares: list[float]) -> tuple[Baseline, Panel]:
    """Ten symbols; in each month the given share of them is outside the 80 % interval."""
    count, levels = len(shares), len(SMALL.quantile_levels)
    baseline = Baseline(
        location=np.zeros(1),
        beta=np.zeros((1, len(TERMS))),
        intercept=np.zeros(1),
        standardised_quantiles=np.linspace(-1.2, 1.2, levels)[None],
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
        location_factor=np.ones(count),
        known=flat > 0,
        age=flat,
    )
    return baseline, panel


def test_market_scale_by_hand() -> None:
    """Ten months at 0.2 and the known shares, the newest with weight 1 and the one before with 0.5^(1/12)."""
    keep = 0.5 ** (1 / 12)
    expected = [1.0, (10 * 0.2 + 0.4) / 11 / 0.2, (10 * 0.2 + 0.4 * keep + 0.3) / (11 + keep) / 0.2]
    assert market_scale(*make_panel_with_misses([0.4, 0.3, 0.2]), ONE_MONTH).tolist() == pytest.approx(expected)


def test_market_scale_is_one_at_the_fitted_share() -> None:
    assert market_scale(*make_panel_with_misses([0.2] * 60), ONE_MONTH) == pytest.approx(np.ones(60))


def test_market_scale_is_bounded() -> None:
    assert market_scale(*make_panel_with_misses([1.0] * 200), ONE_MONTH)[-1] == pytest.approx(1.5)
    narrow = replace(ONE_MONTH, largest_market_scale=1.2)
    assert market_scale(*make_panel_with_misses([1.0] * 200), narrow)[-1] == pytest.approx(1.2)


def test_market_scale_narrows_when_months_become_calmer_than_days() -> None:
    """In the second half, monthly returns are 0.7 times as large and daily volatility is unchanged."""
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
    upper = baseline.scale(panel.sigma, panel.x)[:, later, 0] * baseline.standardised_quantiles[0, 10]
    plain, calibrated = (np.mean(np.abs(target) <= upper * factor) for factor in (1.0, scale[later]))
    assert plain > 0.9
    assert abs(calibrated - 0.8) < 0.5 * abs(plain - 0.8)
