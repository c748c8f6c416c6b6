"""The baseline: its distribution by hand and its fit."""

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
    found = outside_interval(target, 0.1, np.full(4, 0.5), np.array([-1.0, 0.0, 1.0]), (0.1, 0.5, 0.9))
    assert found.tolist() == [True, False, False, True]


def test_coefficients_name_location_intercept_and_terms() -> None:
    baseline = Baseline(
        np.array([0.01, 0.02]), np.arange(12.0).reshape(2, 6), np.array([3.0, 4.0]), np.zeros((2, 3)), np.zeros(2)
    )
    frame = baseline.coefficients()
    assert frame["term"].tolist() == ["location", "intercept", *TERMS] * 2
    assert frame.query("horizon == 2")["value"].tolist() == [0.02, 4.0, *range(6, 12)]


def test_fit_baseline_reports_the_share_outside_its_intervals() -> None:
    panel = make_panel(simulate_months(symbols=60), SMALL)
    baseline = fit_baseline(panel, range(12, 280), SMALL)
    assert baseline.outside == pytest.approx(np.full(12, 0.2), abs=0.03)
    # The newest origin has weight 1, one ten years earlier 1/2.
    symbol, month = np.nonzero(np.isfinite(panel.y[..., 0]) & (panel.age >= 12) & (np.arange(300) < 280))
    scale = baseline.scale(panel.sigma, panel.x)[symbol, month, 0]
    error = (panel.y[symbol, month, 0] - baseline.location[0]) / scale
    is_outside = (error < baseline.standardised_quantiles[0, 2]) | (error > baseline.standardised_quantiles[0, 10])
    assert baseline.outside[0] == pytest.approx(np.average(is_outside, weights=0.5 ** ((279 - month) / 120)))


def test_fit_baseline_finds_clustered_volatility(months: pd.DataFrame, forecaster: Forecaster) -> None:
    panel = make_panel(months, SMALL)
    scored = score_origins(forecaster, panel, split_origins(len(panel.months), SMALL).holdout)
    crps = scored[scored["horizon"] == 1].groupby("forecaster")["crps"].mean()
    assert crps["baseline"] < 0.97 * crps["persistence"]
