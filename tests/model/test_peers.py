"""The peers of the benchmark against the library they come from and against values by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from arch import arch_model
from simulated import SMALL, simulate_months

from benchmarks.peers import drift, garch, pooled_ewma
from model.features import make_panel


def test_garch_is_what_the_library_forecasts() -> None:
    panel = make_panel(simulate_months(symbols=2, months=200, clustering=0.3), SMALL)
    end = len(panel.months) - 1
    returns = 100 * panel.returns[1][1:]
    fit = arch_model(returns, mean="Constant", vol="GARCH", p=1, q=1, rescale=False).fit(disp="off")
    variance = fit.forecast(horizon=12, reindex=False).variance.to_numpy()[0]
    found = garch(panel, [end], end, SMALL)[1, 0]
    spread = (found[:, -1] - found[:, 0]) / (2 * 1.959963984540054) * 100
    # The library starts its recursion from a weighted variance, ours from the plain one: 200 months on, hardly.
    assert spread == pytest.approx(np.sqrt(np.cumsum(variance)), rel=1e-3)
    assert found[:, 6] == pytest.approx(fit.params["mu"] / 100 * np.arange(1, 13))


def test_pooled_ewma_by_hand() -> None:
    """Constant volatility 0.1 and returns of -0.1, 0, 0.1 and 0.2 in turn: z is -1, 0, 1 or 2, each a quarter."""
    months = simulate_months(symbols=1, months=401)
    months["realised_variance"] = 0.01
    months["log_return"] = [np.nan, *np.tile([-0.1, 0.0, 0.1, 0.2], 100)]
    config = replace(SMALL, horizons=(1,), burn_in_months=0)
    panel = make_panel(months, config)
    found = pooled_ewma(months, panel, [400], 400, config)[0, 0, 0]
    expected = {0.1: -0.1, 0.3: 0.0, 0.4: 0.0, 0.6: 0.1, 0.7: 0.1, 0.8: 0.2, 0.975: 0.2}
    for level, value in expected.items():
        assert found[config.quantile_levels.index(level)] == pytest.approx(value)


def test_pooled_ewma_knows_nothing_after_its_end(months: pd.DataFrame) -> None:
    panel = make_panel(months, SMALL)
    later = months.copy()
    later.loc[later["month"] > panel.months[200], "log_return"] *= 3.0
    early, late = (pooled_ewma(frame, make_panel(frame, SMALL), [200], 200, SMALL) for frame in (months, later))
    np.testing.assert_array_equal(early, late)


def test_drift_is_the_mean_return_times_the_months(months: pd.DataFrame) -> None:
    panel = make_panel(months, SMALL)
    own = months.loc[months["symbol"] == "S02", "log_return"].iloc[:101].mean()
    assert drift(panel, [100], SMALL)[2, 0] == pytest.approx(own * np.arange(1, 13))
