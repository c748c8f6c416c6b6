"""Significance tests against values worked by hand, scipy and statsmodels."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from model.evaluation.significance import better_p, compare, coverage_p, kupiec_p, skill
from tests.support import other_scores


@settings(deadline=None)
@given(seed=st.integers(0, 2**16), size=st.integers(3, 60), horizon=st.integers(1, 12))
def test_compare_agrees_with_the_autocovariances_of_statsmodels(seed: int, size: int, horizon: int) -> None:
    rng = np.random.default_rng(seed)
    loss, reference = rng.normal(size=(2, size))
    expected = other_scores.better_p(loss - reference, horizon)
    comparison = compare(loss=loss, reference=reference, horizon=horizon)
    assert comparison.p_one_sided == pytest.approx(1.0 if expected is None else expected, rel=1e-9, abs=1e-9)


def test_compare_is_the_t_test_of_the_mean_at_one_month() -> None:
    rng = np.random.default_rng(2)
    loss, reference = rng.normal(1.0, 0.1, 40), rng.normal(1.05, 0.1, 40)
    expected = stats.ttest_1samp(loss - reference, 0.0)
    comparison = compare(loss=loss, reference=reference, horizon=1)
    # With h = 1 the correction turns the variance over n into the one over n - 1: exactly Student's test.
    assert comparison.statistic == pytest.approx(expected.statistic)
    assert comparison.p_two_sided == pytest.approx(expected.pvalue)
    assert comparison.p_one_sided == pytest.approx(expected.pvalue / 2)


def test_compare_by_hand_at_two_months() -> None:
    """D = 1, -1, 2, 0, 3: mean 1, gamma_0 = 2, gamma_1 = (0·-2 + -2·1 + 1·-1 + -1·2) / 5 = -1."""
    d = np.array([1.0, -1.0, 2.0, 0.0, 3.0])
    variance = (2.0 + 2 * -1.0) / 5
    assert variance == 0.0  # hence Bartlett weights: 2 + 2 · 0.5 · -1 = 1
    expected = 1.0 / np.sqrt(1.0 / 5) * np.sqrt((5 + 1 - 4 + 2 / 5) / 5)
    assert compare(loss=d, reference=np.zeros(5), horizon=2).statistic == pytest.approx(expected)


def test_compare_gives_no_verdict_on_too_few_months() -> None:
    few = compare(loss=np.zeros(4), reference=np.ones(4), horizon=3)
    assert (few.p_one_sided, few.months) == (1.0, 4)


def test_skill_is_the_share_of_loss_saved() -> None:
    assert skill(loss=np.array([1.0, 2.0]), reference=np.array([2.0, 2.0])) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("reference", "horizon", "words"), [(np.zeros(3), 1, "the same months"), (np.zeros(4), 0, "1 or more")]
)
def test_compare_refuses_other_months_and_horizons(reference: np.ndarray, horizon: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compare(loss=np.ones(4), reference=reference, horizon=horizon)


def series_of_all_kinds() -> list[np.ndarray]:
    """Differences of loss: short, long, constant, and with autocovariances that add up to zero or less."""
    rng = np.random.default_rng(7)
    series = [rng.normal(0.1, 1.0, size) for size in (1, 3, 4, 13, 14, 25, 120)]
    return [
        *series,
        np.zeros(20),
        np.full(20, -0.3),
        np.array([1.0, -1.0, 2.0, 0.0, 3.0]),
        np.tile([1.0, -1.0], 30),
    ]


def with_gaps(series: list[np.ndarray], months: int = 150) -> np.ndarray:
    """[G, T] a row per series, with missing months at random places."""
    rng = np.random.default_rng(8)
    table = np.full((len(series), months), np.nan)
    for row, values in zip(table, series, strict=True):
        row[np.sort(rng.choice(months, len(values), replace=False))] = values
    return table


@pytest.mark.parametrize("horizon", [1, 2, 12])
def test_better_p_agrees_with_compare_and_statsmodels(horizon: int) -> None:
    """All series at once give the p-values that the gate computes one by one."""
    series = series_of_all_kinds()
    p_values = better_p(with_gaps(series), horizon)
    for p, difference in zip(p_values, series, strict=True):
        if len(difference) < horizon + 2:
            assert np.isnan(p)
            continue
        comparison = compare(loss=difference, reference=np.zeros(len(difference)), horizon=horizon)
        assert p == pytest.approx(comparison.p_one_sided, abs=1e-12)
        assert p == pytest.approx(other_scores.better_p(difference, horizon), abs=1e-9)


@pytest.mark.parametrize("horizon", [1, 3, 12])
def test_coverage_p_agrees_with_other_libraries(horizon: int) -> None:
    """Few and many months, unequal numbers of forecasts, and coverage that is complete, absent or constant."""
    rng = np.random.default_rng(9)
    covered, forecasts = [], []
    for months, share in itertools.product((1, 3, 13, 14, 24, 30, 120), (0.0, 0.6, 0.8, 1.0)):
        size = rng.integers(1, 30, months)
        forecasts.append(size.astype(float))
        covered.append(rng.binomial(size, share).astype(float))
    forecasts.append(np.full(40, 10.0))
    covered.append(np.full(40, 8.0))
    p_values = coverage_p(covered=with_gaps(covered), forecasts=with_gaps(forecasts), level=0.8, horizon=horizon)
    for p, hits, size in zip(p_values, covered, forecasts, strict=True):
        expected = other_scores.kupiec_p(hits, size, 0.8, horizon)
        assert p == pytest.approx(np.nan if expected is None else expected, abs=1e-9, nan_ok=True)


def test_kupiec_p_is_the_chi_square_test_of_the_likelihood_ratio() -> None:
    share, forecasts = np.array([0.0, 0.75, 0.8, 1.0]), np.array([20.0, 1000.0, 50.0, 20.0])
    ratios = [other_scores.kupiec_ratio(*pair, 0.8) for pair in zip(share, forecasts, strict=True)]
    assert kupiec_p(share=share, forecasts=forecasts, level=0.8) == pytest.approx(stats.chi2.sf(ratios, 1), abs=1e-12)


def test_coverage_p_seldom_rejects_correct_intervals_of_dependent_symbols() -> None:
    """The test for independent forecasts rejects correct intervals of twenty dependent symbols in 30 of 100 cases."""
    rng = np.random.default_rng(8)
    months, symbols, bound = 60, 20, stats.norm.ppf(0.9)
    moves = np.sqrt(0.5) * (rng.normal(size=(60, months, 1)) + rng.normal(size=(60, months, symbols)))
    covered = (np.abs(moves) < bound).sum(axis=2).astype(float)  # [60 cases, months]
    forecasts = np.full_like(covered, symbols)
    dependent = coverage_p(covered=covered, forecasts=forecasts, level=0.8, horizon=1)
    total = forecasts.sum(axis=1)
    independent = kupiec_p(share=covered.sum(axis=1) / total, forecasts=total, level=0.8)
    assert (dependent < 0.05).sum() <= 9  # of 60 at 5 %: exceeded in 1 of 500 cases
    assert (independent < 0.05).sum() > 15


@pytest.mark.parametrize("months", [3, 4, 5, 12, 60, 501])
def test_better_p_is_students_t_everywhere(months: int) -> None:
    """At one month ahead, for series with a given statistic: deviations with mean zero, shifted."""
    rng = np.random.default_rng(3)
    noise = rng.normal(size=months)
    noise = (noise - noise.mean()) / noise.std(ddof=1) * np.sqrt(months)
    statistics = np.array([sign * size for size in (0.01, 0.3, 1.0, 1.96, 2.6, 5.0, 40.0, 1e5) for sign in (-1, 1)])
    p_values = better_p(noise + statistics[:, None], 1)
    assert p_values == pytest.approx(stats.t.cdf(statistics, months - 1), abs=1e-12)
