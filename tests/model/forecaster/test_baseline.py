"""The baseline: its distribution by hand, its fit and its shrinkage towards a vintage."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from model.evaluation.backtest import score_origins
from model.forecaster.baseline import Baseline, fit_baseline, outside_interval, quantiles
from model.forecaster.features import TERMS, make_panel
from model.forecaster.forecaster import Forecaster
from model.forecaster.split import split_origins
from tests.support.simulated import SMALL, simulate_months


def test_quantiles_by_hand() -> None:
    """Two horizons; sigma 0.1 and a log scale of log 2 from intercept and one term."""
    beta = np.zeros((2, len(TERMS)))
    beta[:, 1] = 0.5 * np.log(2.0)
    baseline = Baseline(
        location=np.array([0.01, 0.02]),
        beta=beta,
        intercept=np.full(2, 0.5 * np.log(2.0)),
        standardised_quantiles=np.array([[-1.0, 0.0, 2.0], [-3.0, 0.0, 1.0]]),
        outside=np.full(2, 0.2),
    )
    x = np.zeros((1, len(TERMS)))
    x[0, 1] = 1.0
    scale = baseline.scale(np.array([0.1]), x)
    assert scale[0].tolist() == pytest.approx([0.2, 0.2 * 2**0.5])
    assert [float(baseline.scale_at(column, np.array([0.1]), x)[0]) for column in (0, 1)] == pytest.approx(scale[0])
    found = quantiles(baseline.location, scale, baseline.standardised_quantiles)
    assert found[0, 0].tolist() == pytest.approx([-0.19, 0.01, 0.41])
    assert found[0, 1].tolist() == pytest.approx([0.02 - 0.6 * 2**0.5, 0.02, 0.02 + 0.2 * 2**0.5])


def test_log_scale_is_bounded() -> None:
    baseline = Baseline(np.zeros(1), np.ones((1, len(TERMS))), np.zeros(1), np.zeros((1, 3)), np.zeros(1))
    x = np.array([np.full(len(TERMS), sign * 4.0) for sign in (1, -1)])
    assert baseline.log_scale(x)[:, 0].tolist() == [1.5, -1.5]


def test_outside_interval_by_hand() -> None:
    """Location 0.1, scale 0.5 and interval ±1: from -0.4 to 0.6."""
    target = np.array([-0.41, -0.39, 0.59, 0.61])
    found = outside_interval(target, np.full(4, 0.1), np.full(4, 0.5), np.array([-1.0, 0.0, 1.0]), (0.1, 0.5, 0.9))
    assert found.tolist() == [True, False, False, True]


def test_coefficients_name_location_intercept_and_terms() -> None:
    baseline = Baseline(
        np.array([0.01, 0.02]), np.arange(16.0).reshape(2, 8), np.array([3.0, 4.0]), np.zeros((2, 3)), np.zeros(2)
    )
    frame = baseline.coefficients()
    assert frame["term"].tolist() == ["location", "intercept", *TERMS] * 2
    assert frame.query("horizon == 2")["value"].tolist() == [0.02, 4.0, *range(8, 16)]


def test_fit_baseline_reports_the_share_outside_its_intervals() -> None:
    panel = make_panel(simulate_months(symbols=60), SMALL)
    baseline = fit_baseline(panel, range(12, 280), SMALL)
    assert baseline.outside == pytest.approx(np.full(12, 0.2), abs=0.03)
    # The newest origin has weight 1, one ten years earlier 1/2.
    symbol, month = np.nonzero(np.isfinite(panel.y[..., 0]) & (panel.age >= 12) & (np.arange(300) < 280))
    scale = baseline.scale(panel.sigma, panel.x)[symbol, month, 0]
    error = (panel.y[symbol, month, 0] - baseline.location[0] * panel.location_factor[month]) / scale
    is_outside = (error < baseline.standardised_quantiles[0, 2]) | (error > baseline.standardised_quantiles[0, 10])
    assert baseline.outside[0] == pytest.approx(np.average(is_outside, weights=0.5 ** ((279 - month) / 120)))


def test_baseline_does_not_extrapolate_its_terms() -> None:
    low, high = np.full(len(TERMS), -1.0), np.full(len(TERMS), 0.5)
    beta = np.full((1, len(TERMS)), 0.1)
    baseline = Baseline(np.zeros(1), beta, np.zeros(1), np.zeros((1, 3)), np.zeros(1), low, high)
    x = np.array([np.full(len(TERMS), value) for value in (-3.0, -0.5, 3.0)])
    expected = 0.1 * len(TERMS) * np.array([-1.0, -0.5, 0.5])
    assert baseline.log_scale(x)[:, 0] == pytest.approx(expected)
    assert np.log(baseline.scale_at(0, np.ones(3), x)) == pytest.approx(expected)


def test_fit_baseline_keeps_the_range_of_the_fitted_terms() -> None:
    panel = make_panel(simulate_months(symbols=4), SMALL)
    origins = range(12, 200)
    baseline = fit_baseline(panel, origins, SMALL)
    fitted = panel.x[:, list(origins)][panel.age[:, list(origins)] >= 12]
    np.testing.assert_array_equal(baseline.term_low, fitted.min(axis=0))
    np.testing.assert_array_equal(baseline.term_high, fitted.max(axis=0))


def test_fit_baseline_is_shrunk_towards_a_vintage_by_the_number_of_rows() -> None:
    """Two symbols remain close to the coefficients of sixty others; with more rows the distance grows."""
    config = replace(SMALL, horizons=(1, 2, 3))
    vintage = fit_baseline(
        make_panel(simulate_months(symbols=60, clustering=0.2, seed=1), config), range(12, 280), config
    )
    distances = []
    for symbols in (2, 40):
        panel = make_panel(simulate_months(symbols=symbols, clustering=0.05, drift=0.01, seed=2), config)
        own = fit_baseline(panel, range(12, 280), config)
        shrunk = fit_baseline(panel, range(12, 280), config, vintage)
        for name in ("beta", "location"):
            towards, away = (np.abs(getattr(part, name) - getattr(vintage, name)).sum() for part in (shrunk, own))
            assert towards < away
        distances.append(np.abs(shrunk.location - vintage.location).sum())
    assert distances[0] < distances[1]


def test_a_strong_vintage_is_kept() -> None:
    config = replace(SMALL, horizons=(1, 2), vintage_rows=1e9, vintage_location_rows=1e9, ridge_rows=1e9)
    vintage = fit_baseline(make_panel(simulate_months(symbols=30, clustering=0.2), SMALL), range(12, 280), SMALL)
    panel = make_panel(simulate_months(symbols=2, drift=0.02, seed=5), config)
    found = fit_baseline(panel, range(12, 280), config, vintage)
    assert found.location == pytest.approx(vintage.location[:2], abs=1e-4)
    assert found.beta == pytest.approx(vintage.beta[:2], abs=1e-3)
    x = panel.x[:, 280]
    expected = np.exp(vintage.log_scale(x))[:, :2, None] * vintage.standardised_quantiles[:2]
    assert np.exp(found.log_scale(x))[..., None] * found.standardised_quantiles == pytest.approx(expected, abs=2e-3)


def test_quarter_rhythm_is_for_short_horizons_only() -> None:
    panel = make_panel(simulate_months(symbols=4), SMALL)
    beta = fit_baseline(panel, range(12, 200), SMALL).beta[:, -2:]
    assert (beta[:2] != 0).all()
    assert (beta[2:] == 0).all()


def test_fit_baseline_finds_clustered_volatility(months: pd.DataFrame, forecaster: Forecaster) -> None:
    panel = make_panel(months, SMALL)
    scored = score_origins(forecaster, panel, split_origins(len(panel.months), SMALL).holdout)
    crps = scored[scored["horizon"] == 1].groupby("forecaster")["crps"].mean()
    assert crps["baseline"] < 0.97 * crps["persistence"]
