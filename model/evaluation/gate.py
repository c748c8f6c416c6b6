"""Selection of the served model on holdout months.

`evaluate` compares the hybrid of one model with its own baseline. `select` then compares the candidate models of a
month with each other, each by the forecaster that it would serve. All candidates are evaluated on the same months,
and none of them was fitted on these months.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from model.config import ForecasterConfig
from model.evaluation.significance import Comparison, compare, skill
from model.frames import LOSS_TYPES, check_frame


@dataclass(frozen=True)
class Verdict:
    """Result of the evaluation of one model: the forecaster to serve, with reason and numbers."""

    served: str
    """'hybrid' or 'baseline'."""
    reason: str
    """One sentence with the deciding numbers."""
    relative_loss: float
    """Mean over horizons of CRPS hybrid / CRPS baseline; NaN without holdout months."""
    p_value: float
    """One-sided p-value of a lower loss of the hybrid; 1 with too few months for the test."""
    months: int
    """Holdout months compared."""
    numbers: pd.DataFrame
    """One row per horizon: horizon, months, crps_hybrid, crps_baseline, crps_persistence, skill_against_baseline,
    p_against_baseline, skill_against_persistence, p_against_persistence. All p-values are one-sided for a lower loss
    of the hybrid."""


@dataclass(frozen=True)
class Selection:
    """Selected model of a month, with the evaluation of every candidate."""

    chosen: str
    """Name of the selected model."""
    verdicts: dict[str, Verdict]
    """By model: evaluation of its hybrid against its own baseline."""
    reasons: dict[str, str]
    """By model: the comparison that ruled it out. For the selected model: all comparisons, empty without others."""


def select(scored: Mapping[str, pd.DataFrame], config: ForecasterConfig) -> Selection:
    """Select one of several models; a model with a larger change needs evidence that it is better.

    Each model is represented by the forecaster that it would serve: its hybrid or, if `evaluate` does not support
    that, its own baseline. The models are compared in order, from the smallest change to the largest. A model replaces
    the current choice if its mean loss on the same months is lower and the one-sided p-value of the
    Harvey-Leybourne-Newbold test, with the overlap of the longest horizon, is at most `config.gate_level`. Losses are
    those of `evaluate`, relative to the current choice.

    Args:
        scored: By model, from the smallest change (keep) to the largest (retrain): frame of
            `model.evaluation.metrics.score_forecasts` on the same holdout months.
        config: `gate_level` and the longest of `horizons`.

    Returns:
        The selection.

    Raises:
        ValueError: If there is no model, or a frame lacks a column.
    """
    if not scored:
        raise ValueError("`scored` must hold at least one model; received none.")
    verdicts = {name: evaluate(scores, config) for name, scores in scored.items()}
    served = {name: _losses_of(scores, verdicts[name].served) for name, scores in scored.items()}
    chosen, *challengers = scored
    reasons: dict[str, str] = {}
    comparisons = []
    for challenger in challengers:
        losses = _monthly_means({"chosen": served[chosen], "challenger": served[challenger]})
        ratio, test = _compare_horizons(losses, "challenger", "chosen", config)
        is_better = _is_better(ratio, test, config)
        winner, loser = (challenger, chosen) if is_better else (chosen, challenger)
        evidence = _evidence(ratio, test, f"that of {chosen}", config)
        reasons[loser] = (
            f"{winner} is preferred to {loser}: the CRPS of the forecasts served by {challenger} is {evidence}."
        )
        comparisons.append(reasons[loser])
        chosen = winner
    return Selection(chosen, verdicts, {**reasons, chosen: " ".join(comparisons)})


def evaluate(scored: pd.DataFrame, config: ForecasterConfig) -> Verdict:
    """Decide whether a model serves its hybrid or its baseline.

    The loss of a month is its mean CRPS over symbols. The losses of each horizon are divided by the mean loss of the
    baseline, so that all horizons have the same weight, and averaged over the horizons with a known outcome. The
    hybrid is served if its mean loss is lower than that of the baseline and the one-sided p-value of the
    Harvey-Leybourne-Newbold test, with the overlap of the longest horizon, is at most `config.gate_level`.

    Args:
        scored: Frame of `model.evaluation.metrics.score_forecasts` on the holdout months. A symbol, month and horizon
            counts only if hybrid, baseline and persistence all have it.
        config: `gate_level` and the longest of `horizons`.

    Returns:
        The verdict; 'baseline' with too few months for the test.

    Raises:
        ValueError: If a column is missing or has another type.
    """
    check_frame(scored, LOSS_TYPES, "scored")
    losses = _monthly_means({name: _losses_of(scored, name) for name in ("hybrid", "baseline", "persistence")})
    numbers = pd.DataFrame([_numbers(int(str(h)), of_horizon) for h, of_horizon in losses.groupby("horizon")])
    if losses.empty:
        reason = "The baseline is served: no holdout month has a known outcome."
        return Verdict("baseline", reason, np.nan, 1.0, 0, numbers)
    ratio, test = _compare_horizons(losses, "hybrid", "baseline", config)
    served = "hybrid" if _is_better(ratio, test, config) else "baseline"
    evidence = _evidence(ratio, test, "that of the baseline", config)
    return Verdict(
        served=served,
        reason=f"The {served} is served: the CRPS of the hybrid is {evidence}.",
        relative_loss=ratio,
        p_value=test.p_one_sided,
        months=test.months,
        numbers=numbers,
    )


def _losses_of(scored: pd.DataFrame, forecaster: str) -> pd.Series:
    """Return the CRPS of one forecaster by horizon, origin_month and symbol."""
    rows = scored[scored["forecaster"] == forecaster]
    losses: pd.Series = rows.set_index(["horizon", "origin_month", "symbol"])["crps"]
    return losses


def _monthly_means(losses: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Average the losses over symbols by horizon and origin_month, oldest first, without incomplete rows."""
    return pd.DataFrame(losses).dropna().groupby(["horizon", "origin_month"]).mean()


def _compare_horizons(
    losses: pd.DataFrame, candidate: str, reference: str, config: ForecasterConfig
) -> tuple[float, Comparison]:
    """Compare two columns over all horizons at once.

    Returns:
        Ratio of the mean losses, candidate to reference, and the test of their difference.
    """
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


def _evidence(ratio: float, test: Comparison, reference: str, config: ForecasterConfig) -> str:
    p, level = test.p_one_sided, config.gate_level
    return (
        f"{abs(1.0 - ratio):.2%} {'below' if ratio < 1.0 else 'above'} {reference} over {test.months} holdout months "
        f"(p = {p:.3f}, {'at most' if p <= level else 'above'} {level:g})"
    )
