"""Tests of model.evaluation.benchmark_forecasters and benchmarks.peers, against libraries and by hand."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from arch import arch_model
from scipy.stats import norm
from statsforecast.models import AutoETS

from benchmarks.benchmark_forecasters import drift as benchmark_drift
from benchmarks.benchmark_forecasters import pooled_ewma
from model.evaluation.benchmark_forecasters import FEWEST_RETURNS, drift, ets, garch, persistence
from model.forecaster.features import make_panel
from tests.support.simulated import SMALL, simulate_months


def test_persistence_and_drift_by_hand(months: pd.DataFrame) -> None:
    panel = make_panel(months, SMALL)
    returns = months.loc[months["symbol"] == "S02", "log_return"].iloc[1:101]
    ahead = np.arange(1, 13)
    expected = np.sqrt((returns**2).mean() * ahead) * norm.ppf(0.9)
    place = SMALL.quantile_levels.index(0.9)
    assert persistence(panel, [100], SMALL)[2, 0, :, place] == pytest.approx(expected)
    assert drift(panel, [100], SMALL)[2, 0, :, place] == pytest.approx(returns.mean() * ahead + expected)
    assert benchmark_drift(panel, [100], SMALL)[2, 0] == pytest.approx(returns.mean() * ahead)


def test_garch_agrees_with_the_library() -> None:
    panel = make_panel(simulate_months(symbols=2, months=200, clustering=0.3), SMALL)
    end = len(panel.months) - 1
    returns = 100 * panel.returns[1][1:]
    fit = arch_model(returns, mean="Constant", vol="GARCH", p=1, q=1, rescale=False).fit(disp="off")
    variance = fit.forecast(horizon=12, reindex=False).variance.to_numpy()[0]
    quantiles = garch(panel, [end], end, SMALL)[1, 0]
    deviation = (quantiles[:, -1] - quantiles[:, 0]) / (2 * 1.959963984540054) * 100
    # The recursions start from different variances, which hardly matters after 200 months.
    assert deviation == pytest.approx(np.sqrt(np.cumsum(variance)), rel=2e-3)
    assert quantiles[:, 6] == pytest.approx(fit.params["mu"] / 100 * np.arange(1, 13), rel=2e-3)


def test_garch_is_scale_invariant() -> None:
    """Returns a thousand times smaller give quantiles a thousand times smaller."""
    config = replace(SMALL, smallest_sigma=1e-9)
    months = simulate_months(symbols=1, months=150, clustering=0.3)
    panel = make_panel(months, config)
    calm = replace(panel, returns=panel.returns / 1000)
    usual, small = (garch(scaled, [149], 149, config) for scaled in (panel, calm))
    np.testing.assert_allclose(small * 1000, usual, rtol=1e-4)


def test_ets_agrees_with_the_library_on_the_log_index(months: pd.DataFrame) -> None:
    panel = make_panel(months, SMALL)
    price = np.concatenate([[0.0], np.cumsum(panel.returns[3][1:201])])
    forecast = AutoETS(season_length=1, model="AZN").forecast(y=price, h=12, level=[80, 95])
    quantiles = ets(panel, [200], 200, SMALL)[3, 0]
    for level, name in ((0.1, "lo-80"), (0.5, "mean"), (0.975, "hi-95")):
        column = SMALL.quantile_levels.index(level)
        assert quantiles[:, column] == pytest.approx(forecast[name] - price[-1], abs=1e-9)


@pytest.mark.parametrize("benchmark", [garch, ets])
def test_fitted_benchmarks_use_no_month_after_an_origin(
    benchmark: Callable[..., np.ndarray], months: pd.DataFrame
) -> None:
    later = months.copy()
    later.loc[later["month"] > "2008-01-01", "log_return"] *= 3.0
    before, after = (
        benchmark(panel, panel.positions_of([pd.Timestamp("2008-01-01"), pd.Timestamp("2009-01-01")]), 210, SMALL)
        for panel in (make_panel(frame, SMALL) for frame in (months, later))
    )
    np.testing.assert_array_equal(before[:, 0], after[:, 0])
    assert np.isfinite(before).all()
    assert (before[:, 1] != after[:, 1]).any()


@pytest.mark.parametrize("benchmark", [garch, ets])
def test_fitted_benchmarks_are_nan_for_symbols_without_a_fit(
    benchmark: Callable[..., np.ndarray], months: pd.DataFrame
) -> None:
    panel = make_panel(months, SMALL)
    returns = panel.returns.copy()
    returns[1, : 200 - FEWEST_RETURNS + 2] = np.nan  # one month too few
    returns[2] = 0.0  # a constant price
    known = panel.known.copy()
    known[3, 200] = False  # no such month
    quantiles = benchmark(replace(panel, returns=returns, known=known), [200], 200, SMALL)
    assert np.isnan(quantiles[[1, 2, 3]]).all()
    assert np.isfinite(quantiles[[0, 4, 5]]).all()


def test_ets_is_nan_if_the_fit_fails(months: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Exception("no model able to be fitted")

    monkeypatch.setattr(AutoETS, "fit", fail)
    assert np.isnan(ets(make_panel(months, SMALL), [200], 200, SMALL)).all()


def test_pooled_ewma_by_hand() -> None:
    """Volatility 0.1 and returns of -0.1, 0, 0.1 and 0.2 in turn: z is -1, 0, 1 or 2, each in a quarter."""
    months = simulate_months(symbols=1, months=401)
    months["realised_variance"] = 0.01
    months["log_return"] = [np.nan, *np.tile([-0.1, 0.0, 0.1, 0.2], 100)]
    config = replace(SMALL, horizons=(1,), burn_in_months=0)
    panel = make_panel(months, config)
    quantiles = pooled_ewma(months, panel, [400], 400, config)[0, 0, 0]
    expected = {0.1: -0.1, 0.3: 0.0, 0.4: 0.0, 0.6: 0.1, 0.7: 0.1, 0.8: 0.2, 0.975: 0.2}
    for level, value in expected.items():
        assert quantiles[config.quantile_levels.index(level)] == pytest.approx(value)


def test_pooled_ewma_uses_no_month_after_its_end(months: pd.DataFrame) -> None:
    panel = make_panel(months, SMALL)
    later = months.copy()
    later.loc[later["month"] > panel.months[200], "log_return"] *= 3.0
    early, late = (pooled_ewma(frame, make_panel(frame, SMALL), [200], 200, SMALL) for frame in (months, later))
    np.testing.assert_array_equal(early, late)
