"""Metrics and the gate against values worked by hand, loops and other libraries."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import scoringrules
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from utilsforecast import losses

from model.evaluation.gate import evaluate, select
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


def make_scores(factor: float, noise: float, months: int = 40) -> pd.DataFrame:
    """CRPS of one symbol: the baseline's about 1, the hybrid's `factor` of it."""
    rng = np.random.default_rng(4)
    baseline = 1.0 + 0.2 * rng.random(months)
    losses = {
        "baseline": baseline,
        "hybrid": factor * baseline + noise * rng.normal(size=months),
        "persistence": baseline,
    }
    origins = pd.date_range("2010-01-01", periods=months, freq="MS")
    return pd.concat(
        pd.DataFrame({"symbol": "A", "origin_month": origins, "horizon": h, "forecaster": name, "crps": loss})
        for name, loss in losses.items()
        for h in (1, 2)
    )


@pytest.mark.parametrize(
    ("factor", "noise", "served"),
    [(0.9, 0.01, "hybrid"), (1.0, 0.01, "baseline"), (1.1, 0.01, "baseline"), (0.999, 0.3, "baseline")],
)
def test_judge_serves_the_hybrid_only_with_evidence(factor: float, noise: float, served: str) -> None:
    verdict = evaluate(make_scores(factor, noise), SMALL)
    assert verdict.served == served
    assert served in verdict.reason
    assert len(verdict.numbers) == 2


def test_judge_serves_the_baseline_when_there_is_too_little_to_judge() -> None:
    assert evaluate(make_scores(0.5, 0.0, months=5), SMALL).served == "baseline"


def hln_by_loops(difference: list[float], horizon: int) -> float:
    """One-sided p of Harvey, Leybourne and Newbold (1997), eqs. 5 to 9, term by term."""
    n, mean = len(difference), sum(difference) / len(difference)
    total = 0.0
    for lag in range(-(horizon - 1), horizon):
        covariance = 0.0
        for t in range(abs(lag), n):
            covariance += (difference[t] - mean) * (difference[t - abs(lag)] - mean) / n
        total += covariance
    corrected = mean / (total / n) ** 0.5 * ((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n) ** 0.5
    return float(stats.t.cdf(corrected, n - 1))


def test_judge_tests_all_horizons_together_and_each_with_its_own_overlap() -> None:
    """Two horizons with losses of different size, of which the longer lacks the last month."""
    rng = np.random.default_rng(8)
    config = replace(SMALL, horizons=(1, 2))
    origins = pd.date_range("2010-01-01", periods=40, freq="MS")
    baseline = {1: 1.0 + rng.random(40), 2: 10.0 * (1.0 + rng.random(40))[:39]}
    hybrid = {h: loss * (0.97 + 0.1 * rng.normal(size=len(loss))) for h, loss in baseline.items()}
    walk = {h: 1.2 * loss * (1.0 + 0.05 * rng.normal(size=len(loss))) for h, loss in baseline.items()}
    scored = pd.concat(
        pd.DataFrame(
            {
                "symbol": symbol,
                "origin_month": origins[: len(loss)],
                "horizon": h,
                "forecaster": name,
                "crps": loss + shift,  # the mean of two symbols is the loss
            }
        )
        for name, losses in {"hybrid": hybrid, "baseline": baseline, "persistence": walk}.items()
        for h, loss in losses.items()
        for symbol, shift in (("A", 0.1), ("B", -0.1))
    ).sample(frac=1.0, random_state=1)

    verdict = evaluate(scored, config)
    relative = [
        [series[h][t] / float(np.mean(baseline[h])) for h in (1, 2) if t < len(series[h])]
        for series in (hybrid, baseline)
        for t in range(40)
    ]
    means = [float(np.mean(month)) for month in relative]
    assert verdict.relative_loss == pytest.approx(sum(means[:40]) / sum(means[40:]))
    together = [a - b for a, b in zip(means[:40], means[40:], strict=True)]
    assert verdict.p_value == pytest.approx(hln_by_loops(together, 2))
    assert verdict.months == 40

    numbers = verdict.numbers.set_index("horizon")
    assert numbers["months"].to_dict() == {1: 40, 2: 39}
    for h in (1, 2):
        assert numbers.loc[h, "skill_against_persistence"] == pytest.approx(1 - hybrid[h].mean() / walk[h].mean())
        for name, reference in (("baseline", baseline), ("persistence", walk)):
            expected = hln_by_loops([float(each) for each in hybrid[h] - reference[h]], h)
            assert numbers.loc[h, f"p_against_{name}"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("factor", "noise", "chosen"),
    [(0.9, 0.01, "retrain"), (1.0, 0.01, "keep"), (1.1, 0.01, "keep"), (0.999, 0.3, "keep")],
)
def test_select_keeps_the_model_unless_another_is_better_with_evidence(
    factor: float, noise: float, chosen: str
) -> None:
    keep = make_scores(0.8, 0.0)
    losses = keep["crps"] * (factor + noise * np.random.default_rng(3).normal(size=len(keep)))
    retrain = keep.assign(crps=keep["crps"].where(keep["forecaster"] != "hybrid", losses))
    selection = select({"keep": keep, "retrain": retrain}, SMALL)
    assert selection.chosen == chosen
    loser = {"keep": "retrain", "retrain": "keep"}[chosen]
    assert selection.reasons[loser].startswith(f"{chosen} is preferred to {loser}")
    assert selection.reasons[chosen] == selection.reasons[loser]


def test_select_takes_the_least_change_among_equals() -> None:
    keep, better = make_scores(0.95, 0.0), make_scores(0.8, 0.0)
    selection = select({"keep": keep, "fine_tune": better, "retrain": better}, SMALL)
    assert selection.chosen == "fine_tune"
    assert "fine_tune is preferred to keep" in selection.reasons["keep"]
    assert "fine_tune is preferred to retrain" in selection.reasons["retrain"]
    assert selection.reasons["fine_tune"] == f"{selection.reasons['keep']} {selection.reasons['retrain']}"


def test_select_compares_what_would_be_served() -> None:
    """A network whose gain over its own baseline may be luck is taken for that baseline, which is worse than keep."""
    keep, lucky = make_scores(0.99, 0.0), make_scores(0.8, 2.0)
    means = [scores.groupby("forecaster")["crps"].mean() for scores in (keep, lucky)]
    assert means[1]["hybrid"] < means[0]["hybrid"] < means[1]["baseline"]
    selection = select({"keep": keep, "retrain": lucky}, SMALL)
    assert [selection.verdicts[name].served for name in ("keep", "retrain")] == ["hybrid", "baseline"]
    assert selection.chosen == "keep"
    assert "1.01% above that of keep" in selection.reasons["retrain"]  # 1 / 0.99


def test_select_needs_no_evidence_where_there_is_one_model() -> None:
    alone = select({"retrain": make_scores(1.1, 0.01)}, SMALL)
    assert (alone.chosen, alone.reasons["retrain"], alone.verdicts["retrain"].served) == ("retrain", "", "baseline")
