"""Metrics against values worked by hand, loops and other libraries."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import scoringrules
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from utilsforecast import losses

from model.evaluation.metrics import (
    always_up_rate,
    coverage,
    crps,
    hit_rate,
    mae,
    mase,
    mse,
    pinball,
    rank_ic,
    rank_ic_by_group,
    rmse,
    score_forecasts,
    winkler,
)
from tests.support.simulated import SMALL

LEVELS = np.array(SMALL.quantile_levels)


def test_pinball_by_hand() -> None:
    loss = pinball(actual=np.array([1.0]), quantiles=np.array([[0.0, 3.0]]), levels=[0.1, 0.9])
    assert loss.tolist() == [[pytest.approx(0.1), pytest.approx(0.2)]]


def test_crps_equals_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    actual, quantiles = rng.normal(size=5), np.sort(rng.normal(size=(5, 13)), axis=1)
    expected = []
    for y, row in zip(actual, quantiles, strict=True):
        total = 0.0
        for level, q in zip(LEVELS, row, strict=True):
            total += 2 * (level * (y - q) if y >= q else (1 - level) * (q - y))
        expected.append(total / 13)
    assert crps(actual=actual, quantiles=quantiles, levels=LEVELS) == pytest.approx(expected)


def test_crps_on_a_fine_grid_tends_to_the_gaussian_one() -> None:
    """Gneiting and Raftery 2007, eq. 21: for N(0, 1) and y = 0.7."""
    levels = (np.arange(4000) + 0.5) / 4000
    y = 0.7
    exact = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / np.sqrt(np.pi)
    (loss,) = crps(actual=np.array([y]), quantiles=stats.norm.ppf(levels)[None], levels=levels)
    assert loss == pytest.approx(exact, abs=1e-4)


def test_point_metrics_by_hand() -> None:
    actual, forecast = np.array([1.0, -2.0, 3.0]), np.array([2.0, -2.0, 1.0])
    assert mae(actual=actual, forecast=forecast) == pytest.approx(1.0)
    assert mse(actual=actual, forecast=forecast) == pytest.approx(5 / 3)
    assert rmse(actual=actual, forecast=forecast) == pytest.approx(np.sqrt(5 / 3))
    assert mase(actual=actual, forecast=forecast) == pytest.approx(0.5)
    assert hit_rate(actual=actual, forecast=forecast) == pytest.approx(1.0)
    assert coverage(actual=actual, lower=np.array([0.0, -1.0, 3.0]), upper=np.full(3, 3.0)) == pytest.approx(2 / 3)


def test_winkler_by_hand() -> None:
    scores = winkler(actual=np.array([0.0, 3.0]), lower=np.array([-1.0, -1.0]), upper=np.array([1.0, 1.0]), level=0.8)
    assert scores == pytest.approx([2.0, 2.0 + 10 * 2.0])


@settings(deadline=None)
@given(seed=st.integers(0, 2**16), size=st.integers(1, 40), decimals=st.integers(0, 8))
def test_metrics_agree_with_other_libraries(seed: int, size: int, decimals: int) -> None:
    """To 1e-9; few decimals make ties, and actual values at the ends of intervals."""
    rng = np.random.default_rng(seed)
    actual = rng.normal(size=size).round(decimals)
    quantiles = np.sort(rng.normal(size=(size, 13)).round(decimals), axis=1)
    median, naive = quantiles[:, 6], rng.normal(size=size) + 0.1
    lower, upper = quantiles[:, 2], quantiles[:, 10]
    frame = pd.DataFrame({"unique_id": "all", "y": actual, "m": median, "n": naive, "m-lo-80": lower, "m-hi-80": upper})

    def theirs(name: str, model: str = "m", **options: int) -> float:
        return float(getattr(losses, name)(frame, [model], **options)[model].iloc[0])

    exactly = partial(pytest.approx, rel=1e-9, abs=1e-12)
    of_quantiles = {"actual": actual, "quantiles": quantiles, "levels": LEVELS}
    assert crps(**of_quantiles) == exactly(scoringrules.crps_quantile(actual, quantiles, LEVELS))
    by_level = np.stack([scoringrules.quantile_score(actual, quantiles[:, q], LEVELS[q]) for q in range(13)], axis=1)
    assert pinball(**of_quantiles) == exactly(by_level)
    for level in (0.8, 0.95):
        interval = scoringrules.interval_score(actual, lower, upper, 1 - level)
        assert winkler(actual=actual, lower=lower, upper=upper, level=level) == exactly(np.atleast_1d(interval))
    for name, ours in {"mae": mae, "mse": mse, "rmse": rmse}.items():
        assert ours(actual=actual, forecast=median) == exactly(theirs(name))
    assert mase(actual=actual, forecast=median, naive=naive) == exactly(theirs("mae") / theirs("mae", "n"))
    assert coverage(actual=actual, lower=lower, upper=upper) == exactly(theirs("coverage", level=80))
    up = pd.Series(actual > 0)
    assert hit_rate(actual=actual, forecast=median) == exactly(float((up == (median > 0)).mean()))
    assert always_up_rate(actual=actual) == exactly(float(up.mean()))
    if size < 3 or len(set(actual)) == 1 or len(set(median)) == 1:
        assert np.isnan(rank_ic(actual=actual, forecast=median))
    else:
        assert rank_ic(actual=actual, forecast=median) == exactly(stats.spearmanr(actual, median).statistic)


def test_rank_ic_by_group_is_that_of_each_group() -> None:
    """Groups of none, two, three and many symbols, with ties, and one without variation."""
    rng = np.random.default_rng(5)
    group = np.array([1] * 2 + [2] * 3 + [3] * 40 + [4] * 5)
    actual, forecast = rng.normal(size=50).round(1), rng.normal(size=50).round(1)
    forecast[group == 4] = 0.0
    order = rng.permutation(50)
    correlations = rank_ic_by_group(actual=actual[order], forecast=forecast[order], group=group[order], groups=5)
    assert np.isnan(correlations).tolist() == [True, True, False, False, True]
    for number in (2, 3):
        expected = stats.spearmanr(actual[group == number], forecast[group == number]).statistic
        assert correlations[number] == pytest.approx(expected, abs=1e-12)


def test_score_forecasts_omits_forecasts_without_an_outcome() -> None:
    names = ["q025", "q05", "q10", "q20", "q30", "q40", "q50", "q60", "q70", "q80", "q90", "q95", "q975"]
    origin = pd.Timestamp("2020-01-01")
    forecasts = pd.DataFrame(
        {
            "symbol": ["A", "B"],
            "origin_month": origin,
            "target_month": pd.Timestamp("2020-02-01"),
            "horizon": 1,
            "forecaster": "hybrid",
        }
    ).assign(**{name: (place - 6) / 100 for place, name in enumerate(names)})
    actuals = pd.DataFrame({"symbol": ["A", "B"], "origin_month": origin, "horizon": 1, "log_return": [0.05, np.nan]})
    (row,) = score_forecasts(forecasts, actuals).to_dict("records")
    assert (row["symbol"], row["actual_log_return"], row["error"]) == ("A", 0.05, -0.05)
    assert (row["is_covered_80"], row["is_covered_95"], row["is_direction_right"]) == (False, True, False)
