"""Which forecast is served, decided on recent months that no part of it was fitted to."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from model.config import ForecasterConfig
from model.skill import Comparison, compare, skill


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


def judge(scored: pd.DataFrame, config: ForecasterConfig) -> Verdict:
    """Serve the hybrid only when it beat the baseline on the judged months with evidence.

    The loss of a month is its mean CRPS over the symbols; each horizon's is divided by the baseline's mean, so that
    every horizon counts as much as another, and averaged over the horizons known at that origin. The hybrid is served
    when its mean is below the baseline's and the one-sided p of the Harvey-Leybourne-Newbold test, with the
    longest horizon's overlap, is at most `config.gate_level`.

    Args:
        scored: `model.metrics.score_forecasts` of the judged origins; rows that one of the three forecasters lacks
            are left out for all.
        config: `gate_level` and the longest of `horizons`.

    Returns:
        The verdict; 'baseline' when there are too few months for a test.
    """
    losses = _monthly_losses(scored)
    numbers = pd.DataFrame([_numbers(int(str(h)), of_horizon) for h, of_horizon in losses.groupby("horizon")])
    if losses.empty:
        return Verdict("baseline", "The baseline is served: no judged month was there.", np.nan, 1.0, 0, numbers)
    scale = losses["baseline"].groupby("horizon").transform("mean")
    relative = losses[["hybrid", "baseline"]].div(scale, axis=0).groupby("origin_month").mean()
    test = compare(loss=relative["hybrid"], reference=relative["baseline"], horizon=config.longest_horizon)
    ratio = float(relative["hybrid"].mean() / relative["baseline"].mean())
    is_better = ratio < 1.0 and test.p_one_sided <= config.gate_level
    return Verdict(
        served="hybrid" if is_better else "baseline",
        reason=_reason(is_better, ratio, test, config.gate_level),
        relative_loss=ratio,
        p_value=test.p_one_sided,
        months=test.months,
        numbers=numbers,
    )


def _monthly_losses(scored: pd.DataFrame) -> pd.DataFrame:
    """Mean CRPS by horizon and origin_month (rows) and forecaster (columns), over the rows that all three have."""
    keys = ["horizon", "origin_month", "symbol"]
    by_forecaster = {
        name: scored[scored["forecaster"] == name].set_index(keys)["crps"]
        for name in ("hybrid", "baseline", "persistence")
    }
    return pd.DataFrame(by_forecaster).dropna().groupby(["horizon", "origin_month"]).mean()


def _numbers(horizon: int, losses: pd.DataFrame) -> dict[str, float]:
    hybrid = losses["hybrid"]
    row: dict[str, float] = {"horizon": horizon, "months": len(losses)}
    row |= {f"crps_{name}": float(losses[name].mean()) for name in ("hybrid", "baseline", "persistence")}
    for name in ("baseline", "persistence"):
        row[f"skill_against_{name}"] = skill(loss=hybrid, reference=losses[name])
        row[f"p_against_{name}"] = compare(loss=hybrid, reference=losses[name], horizon=horizon).p_one_sided
    return row


def _reason(is_better: bool, ratio: float, test: Comparison, level: float) -> str:
    change = (
        f"{abs(1.0 - ratio):.2%} {'below' if ratio < 1.0 else 'above'} the baseline's over {test.months} judged months"
    )
    evidence = f"p = {test.p_one_sided:.3f}, {'at most' if test.p_one_sided <= level else 'above'} {level:g}"
    return f"The {'hybrid' if is_better else 'baseline'} is served: the hybrid's CRPS is {change} ({evidence})."
