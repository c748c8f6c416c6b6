"""Which forecast is served, decided on recent months that no part of it was fitted to.

A model is first judged against its own baseline (`judge`), and then the models of a month against each other, each by
what it would serve (`select`). The months are the same for all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from model.config import ForecasterConfig
from model.evaluation.significance import Comparison, compare, skill


@dataclass(frozen=True)
class Verdict:
    """What is served and why."""

    served: str
    """'hybrid' or 'baseline'."""
    reason: str
    """One sentence with the numbers that decided."""
    relative_loss: float
    """Mean over horizons of CRPS hybrid / CRPS baseline; NaN when it cannot be told."""
    p_value: float
    """One-sided, of a relative loss as low or lower if both were equally good."""
    months: int
    """Judged origins."""
    numbers: pd.DataFrame
    """One row a horizon: horizon, months, crps_hybrid, crps_baseline, crps_persistence, skill_against_baseline,
    p_against_baseline, skill_against_persistence, p_against_persistence (all p one-sided, hybrid better)."""


@dataclass(frozen=True)
class Selection:
    """Which of a month's models is chosen and why."""

    chosen: str
    """Name of the model."""
    verdicts: dict[str, Verdict]
    """By model: its hybrid against its own baseline."""
    reasons: dict[str, str]
    """By model: the comparison that it lost; for the one chosen all comparisons, empty when it was alone."""


def select(scored: Mapping[str, pd.DataFrame], config: ForecasterConfig) -> Selection:
    """Choose among models, preferring the one that changes least unless another is better with evidence.

    Each is taken for what it would serve: its hybrid where `judge` lets it be served, else its own baseline, which
    differs from model to model. Going from the least change to the most, a model takes the place of the one chosen so
    far when its mean loss on the same months is lower and the one-sided p of the Harvey-Leybourne-Newbold test, with
    the longest horizon's overlap, is at most `config.gate_level`. Losses are those of `judge`, in units of the model
    chosen so far.

    Args:
        scored: By model, from the least change (keep) to the most (retrain): `model.evaluation.metrics.score_forecasts` of the
            same judged origins, which none of the models was fitted to.
        config: `gate_level` and the longest of `horizons`.

    Returns:
        The selection.

    Raises:
        ValueError: if there is no model.
    """
    if not scored:
        raise ValueError("`scored` must hold at least one model: received none.")
    verdicts = {name: judge(scores, config) for name, scores in scored.items()}
    served = {name: _losses_of(scores, verdicts[name].served) for name, scores in scored.items()}
    chosen, *challengers = scored
    reasons: dict[str, str] = {}
    duels = []
    for challenger in challengers:
        losses = _monthly_means({"chosen": served[chosen], "challenger": served[challenger]})
        ratio, test = _compare_together(losses, "challenger", "chosen", config)
        is_better = _is_better(ratio, test, config)
        winner, loser = (challenger, chosen) if is_better else (chosen, challenger)
        evidence = _evidence(ratio, test, f"that of {chosen}", config)
        reasons[loser] = f"{winner} is preferred to {loser}: the served CRPS of {challenger} is {evidence}."
        duels.append(reasons[loser])
        chosen = winner
    return Selection(chosen, verdicts, {**reasons, chosen: " ".join(duels)})


def judge(scored: pd.DataFrame, config: ForecasterConfig) -> Verdict:
    """Serve the hybrid only when it beat the baseline on the judged months with evidence.

    The loss of a month is its mean CRPS over the symbols; each horizon's is divided by the baseline's mean, so that
    every horizon counts as much as another, and averaged over the horizons known at that origin. The hybrid is served
    when its mean is below the baseline's and the one-sided p of the Harvey-Leybourne-Newbold test, with the
    longest horizon's overlap, is at most `config.gate_level`.

    Args:
        scored: `model.evaluation.metrics.score_forecasts` of the judged origins; rows that one of the three forecasters lacks
            are left out for all.
        config: `gate_level` and the longest of `horizons`.

    Returns:
        The verdict; 'baseline' when there are too few months for a test.
    """
    losses = _monthly_means({name: _losses_of(scored, name) for name in ("hybrid", "baseline", "persistence")})
    numbers = pd.DataFrame([_numbers(int(str(h)), of_horizon) for h, of_horizon in losses.groupby("horizon")])
    if losses.empty:
        return Verdict("baseline", "The baseline is served: no judged month was there.", np.nan, 1.0, 0, numbers)
    ratio, test = _compare_together(losses, "hybrid", "baseline", config)
    served = "hybrid" if _is_better(ratio, test, config) else "baseline"
    evidence = _evidence(ratio, test, "the baseline's", config)
    return Verdict(
        served=served,
        reason=f"The {served} is served: the hybrid's CRPS is {evidence}.",
        relative_loss=ratio,
        p_value=test.p_one_sided,
        months=test.months,
        numbers=numbers,
    )


def _losses_of(scored: pd.DataFrame, forecaster: str) -> pd.Series:
    """CRPS of a forecaster by horizon, origin_month and symbol."""
    own = scored[scored["forecaster"] == forecaster]
    losses: pd.Series = own.set_index(["horizon", "origin_month", "symbol"])["crps"]
    return losses


def _monthly_means(losses: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Mean CRPS by horizon and origin_month (rows, oldest first) over the rows that all columns have."""
    return pd.DataFrame(losses).dropna().groupby(["horizon", "origin_month"]).mean()


def _compare_together(
    losses: pd.DataFrame, candidate: str, reference: str, config: ForecasterConfig
) -> tuple[float, Comparison]:
    """All horizons as one loss a month: candidate's mean over reference's, and the test of their difference."""
    scale = losses[reference].groupby("horizon").transform("mean")
    relative = losses[[candidate, reference]].div(scale, axis=0).groupby("origin_month").mean()
    test = compare(loss=relative[candidate], reference=relative[reference], horizon=config.longest_horizon)
    return float(relative[candidate].mean() / relative[reference].mean()), test


def _is_better(ratio: float, test: Comparison, config: ForecasterConfig) -> bool:
    return ratio < 1.0 and test.p_one_sided <= config.gate_level


def _numbers(horizon: int, losses: pd.DataFrame) -> dict[str, float]:
    hybrid = losses["hybrid"]
    row: dict[str, float] = {"horizon": horizon, "months": len(losses)}
    row |= {f"crps_{name}": float(losses[name].mean()) for name in ("hybrid", "baseline", "persistence")}
    for name in ("baseline", "persistence"):
        row[f"skill_against_{name}"] = skill(loss=hybrid, reference=losses[name])
        row[f"p_against_{name}"] = compare(loss=hybrid, reference=losses[name], horizon=horizon).p_one_sided
    return row


def _evidence(ratio: float, test: Comparison, of_reference: str, config: ForecasterConfig) -> str:
    p, level = test.p_one_sided, config.gate_level
    return (
        f"{abs(1.0 - ratio):.2%} {'below' if ratio < 1.0 else 'above'} {of_reference} over {test.months} judged months "
        f"(p = {p:.3f}, {'at most' if p <= level else 'above'} {level:g})"
    )
