"""Tests of model.drift.measures."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from model.drift.measures import (
    control_variate,
    dispersion,
    log_ratio,
    measure_forecasts,
    measure_months,
    probability_transform,
    staleness,
)
from model.evaluation.backtest import known_returns
from model.forecaster.features import Panel, make_panel
from tests.support.drift import HORIZONS, LEVELS, QUANTILES, reference_of
from tests.support.simulated import SMALL


def test_probability_transform_is_linear_between_quantiles() -> None:
    levels = [0.1, 0.5, 0.9]
    quantiles = np.tile([-2.0, 0.0, 1.0], (7, 1))
    actual = np.array([-2.0, 0.0, 1.0, -1.0, -2.25, 1.25, 9.0])
    # A quarter of the outermost distances is 0.1 of probability, so the distribution ends at -2.5 and 1.25.
    expected = [0.1, 0.5, 0.9, 0.3, 0.05, 1.0, 1.0]
    np.testing.assert_allclose(probability_transform(actual, quantiles, levels), expected)


def test_staleness_equals_a_regression() -> None:
    rng = np.random.default_rng(1)
    change = rng.normal(0.1, 0.2, 50)
    for share in (1.0, 0.3, 0.0):
        width = 0.7 + share * change + rng.normal(0.0, 0.05, 50)
        slope = np.polyfit(change, width, 1)[0]
        value = staleness(50, width.mean(), change.mean(), (change**2).mean(), (change * width).mean())
        assert value == pytest.approx((1 - slope) * change.std())
    assert np.isnan(staleness(4, 0.0, 0.0, 1.0, 1.0))


def test_control_variate_by_hand() -> None:
    assert control_variate(width=0.3, reference_dispersion=1 / 3, shift=0.4, reference_pit=0.5) == 0.0
    # In a volatile and falling month the wider and lower forecast has the lower loss; the difference is added.
    value = control_variate(width=0.1, reference_dispersion=1 / 3 + 0.2, shift=-0.05, reference_pit=0.4)
    assert value == pytest.approx(0.02 + 0.03)


def test_control_variate_removes_noise_and_keeps_the_mean() -> None:
    """With a common factor, the mean loss of forecasts of 1.3 times the right scale stays the same."""
    rng = np.random.default_rng(2)
    market, own = rng.normal(size=(2000, 1)), rng.normal(size=(2000, 50))
    actual = np.sqrt(0.5) * (market + own)

    def score(scale: float) -> tuple[np.ndarray, np.ndarray]:
        z = actual / scale
        return scale * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi)), norm.cdf(z)

    (reference, pit), (wide, _) = score(1.0), score(1.3)
    raw = log_ratio(wide.mean(axis=1), reference.mean(axis=1))
    added = control_variate(
        width=np.log(1.3),
        reference_dispersion=dispersion(pit).mean(axis=1),
        shift=0.0,
        reference_pit=pit.mean(axis=1),
    )
    assert (raw + added).mean() == pytest.approx(raw.mean(), abs=0.005)
    assert (raw + added).std() < 0.6 * raw.std()


def test_measure_months_agrees_with_plain_means(months: pd.DataFrame) -> None:
    reference_forecast = reference_of(months)
    panel = make_panel(months, SMALL)
    rows = random_forecasts(panel, [200, 201], np.random.default_rng(3))
    measured = measure_forecasts(rows, reference_forecast)
    values = measure_months(measured).set_index(["origin_month", "horizon", "forecaster", "measure"])["value"]
    origin = panel.months[201]
    groups = {
        name: measured[
            (measured["origin_month"] == origin) & (measured["horizon"] == 3) & (measured["forecaster"] == name)
        ]
        for name in ("baseline", "hybrid")
    }
    hybrid = groups["hybrid"]
    reference_dispersion = np.mean((2 * hybrid["reference_pit"] - 1) ** 2)
    expected: dict[str, float] = {
        "loss": np.log(hybrid["crps"].mean() / hybrid["reference_crps"].mean())
        + hybrid["width"].mean() * (reference_dispersion - 1 / 3)
        + 3 * hybrid["shift"].mean() * (2 * hybrid["reference_pit"].mean() - 1),
        "loss_against_baseline": np.log(hybrid["crps"].mean() / groups["baseline"]["crps"].mean()),
        "calibration": np.mean((2 * hybrid["pit"] - 1) ** 2) - reference_dispersion,
        "staleness": (1 - np.polyfit(hybrid["volatility_change"], hybrid["lagged_width"], 1)[0])
        * hybrid["volatility_change"].std(ddof=0),
        "coverage_80": hybrid["is_covered_80"].mean(),
        "coverage_95": hybrid["is_covered_95"].mean(),
        "bias": hybrid["pit"].mean() - 0.5,
    }
    assert values.loc[origin, 3, "hybrid"].to_dict() == pytest.approx(expected)
    assert "loss_against_baseline" not in values.loc[origin, 3, "baseline"].index


def random_forecasts(panel: Panel, origins: list[int], rng: np.random.Generator) -> pd.DataFrame:
    """Make Gaussian quantiles of random scale by two forecasters."""
    known = known_returns(panel, origins)
    known = known[known["horizon"].isin(HORIZONS)].rename(columns={"log_return": "actual_log_return"})
    parts = []
    for name in ("baseline", "hybrid"):
        scale = np.exp(rng.normal(-2.5, 0.3, len(known)))
        values = rng.normal(0.0, 0.01, len(known))[:, None] + scale[:, None] * norm.ppf(LEVELS)
        parts.append(known.assign(forecaster=name, **dict(zip(QUANTILES, values.T, strict=True))))
    return pd.concat(parts, ignore_index=True)
