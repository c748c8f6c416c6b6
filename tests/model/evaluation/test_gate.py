"""Tests of model.evaluation.gate."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from model.evaluation.gate import evaluate, select
from tests.support.simulated import SMALL


def make_scores(factor: float, noise: float, months: int = 40) -> pd.DataFrame:
    """Make the CRPS of one symbol: about 1 for the baseline, `factor` times that for the hybrid."""
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
def test_evaluate_serves_the_hybrid_only_with_evidence(factor: float, noise: float, served: str) -> None:
    verdict = evaluate(make_scores(factor, noise), SMALL)
    assert verdict.served == served
    assert served in verdict.reason
    assert len(verdict.numbers) == 2


def test_evaluate_serves_the_baseline_with_too_few_months() -> None:
    assert evaluate(make_scores(0.5, 0.0, months=5), SMALL).served == "baseline"


def hln_by_loops(difference: list[float], horizon: int) -> float:
    """Compute the one-sided p-value of Harvey, Leybourne and Newbold (1997), eqs. 5 to 9, term by term."""
    n, mean = len(difference), sum(difference) / len(difference)
    total = 0.0
    for lag in range(-(horizon - 1), horizon):
        covariance = 0.0
        for t in range(abs(lag), n):
            covariance += (difference[t] - mean) * (difference[t - abs(lag)] - mean) / n
        total += covariance
    corrected = mean / (total / n) ** 0.5 * ((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n) ** 0.5
    return float(stats.t.cdf(corrected, n - 1))


def test_evaluate_tests_the_horizons_jointly_and_one_by_one() -> None:
    """Two horizons with losses of different size; the longer one lacks the last month."""
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
            expected = hln_by_loops([float(value) for value in hybrid[h] - reference[h]], h)
            assert numbers.loc[h, f"p_against_{name}"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("factor", "noise", "chosen"),
    [(0.9, 0.01, "retrain"), (1.0, 0.01, "keep"), (1.1, 0.01, "keep"), (0.999, 0.3, "keep")],
)
def test_select_keeps_the_model_without_evidence_for_another(factor: float, noise: float, chosen: str) -> None:
    keep = make_scores(0.8, 0.0)
    losses = keep["crps"] * (factor + noise * np.random.default_rng(3).normal(size=len(keep)))
    retrain = keep.assign(crps=keep["crps"].where(keep["forecaster"] != "hybrid", losses))
    selection = select({"keep": keep, "retrain": retrain}, SMALL)
    assert selection.chosen == chosen
    loser = {"keep": "retrain", "retrain": "keep"}[chosen]
    assert selection.reasons[loser].startswith(f"{chosen} is preferred to {loser}")
    assert selection.reasons[chosen] == selection.reasons[loser]


def test_select_prefers_the_smallest_change_among_equals() -> None:
    keep, better = make_scores(0.95, 0.0), make_scores(0.8, 0.0)
    selection = select({"keep": keep, "fine_tune": better, "retrain": better}, SMALL)
    assert selection.chosen == "fine_tune"
    assert "fine_tune is preferred to keep" in selection.reasons["keep"]
    assert "fine_tune is preferred to retrain" in selection.reasons["retrain"]
    assert selection.reasons["fine_tune"] == f"{selection.reasons['keep']} {selection.reasons['retrain']}"


def test_select_compares_the_served_forecasters() -> None:
    """A network without significant gain is represented by its baseline, which is worse than keep."""
    keep, noisy = make_scores(0.99, 0.0), make_scores(0.8, 2.0)
    means = [scores.groupby("forecaster")["crps"].mean() for scores in (keep, noisy)]
    assert means[1]["hybrid"] < means[0]["hybrid"] < means[1]["baseline"]
    selection = select({"keep": keep, "retrain": noisy}, SMALL)
    assert [selection.verdicts[name].served for name in ("keep", "retrain")] == ["hybrid", "baseline"]
    assert selection.chosen == "keep"
    assert "1.01% above that of keep" in selection.reasons["retrain"]  # 1 / 0.99


def test_select_returns_a_single_model_without_comparison() -> None:
    alone = select({"retrain": make_scores(1.1, 0.01)}, SMALL)
    assert (alone.chosen, alone.reasons["retrain"], alone.verdicts["retrain"].served) == ("retrain", "", "baseline")


def test_evaluate_refuses_scores_without_a_column() -> None:
    with pytest.raises(ValueError, match=r"crps \(missing\)"):
        evaluate(make_scores(0.9, 0.01).drop(columns="crps"), SMALL)
