"""Compare: the month's candidates on the same recent months, and which of them is served."""

from collections.abc import Mapping, Sequence

import pandas as pd
from prefect import task

from model.evaluation.backtest import score_origins
from model.evaluation.gate import Selection, select
from model.forecaster.split import split_origins
from tasks.errors import NotEnoughHistoryError
from tasks.month.train import Candidate, Candidates, Choice
from tasks.plans.month import MonthPlan
from tasks.progress import log_line
from tasks.registry import make_version
from tasks.retries import STEP

CANDIDATE_COLUMNS = [
    "candidate",
    "model_version_id",
    "holdout_months",
    "crps",
    "baseline_crps",
    "persistence_crps",
    "p_value",
    "is_served",
    "reason",
]
HOLDOUT_KEYS = ["origin_month", "horizon", "forecaster"]
_FORCED = {
    "keep": "The model in service is kept because the run was told to.",
    "fine-tune": "The model in service is fine-tuned because the run was told to.",
    "retrain": "A new model is trained because the run was told to.",
    "baseline": "The baseline is served because the run was told to.",
}


@task(name="compare", **STEP)
def compare_candidates(plan: MonthPlan, candidates: Candidates) -> Choice:
    """Judge the candidates on the same recent months, none of which any of them was trained on, and choose.

    Each is judged for what it would serve: its hybrid where that is better than its own baseline with evidence, else
    that baseline. The candidate that changes least is preferred unless another is better with evidence, see
    `model.evaluation.gate.select`. A mode that forces a model leaves the gate no choice of the model, but still that between
    hybrid and baseline.

    Raises:
        NotEnoughHistoryError: if no month is new to all candidates.
    """
    positions = holdout_positions(candidates)
    if not positions:
        raise NotEnoughHistoryError(
            f"{plan.key.universe} has no month that its models can be compared on: the bars end at "
            f"{candidates.models[0].panel.months[-1]:%Y-%m}. Run it with `--mode retrain`."
        )
    scored = {each.name: score_origins(each.forecaster, each.panel, positions) for each in candidates.models}
    selection = select(scored, candidates.config)
    chosen = next(each for each in candidates.models if each.name == selection.chosen)
    verdict = selection.verdicts[chosen.name]
    served = "baseline" if plan.mode == "baseline" else verdict.served
    reason = _reason(plan, candidates, selection)
    log_line("compare", reason)
    new_model = None
    if chosen.model_version_id is None:
        new_model = make_version(
            chosen.forecaster,
            verdict,
            kind=chosen.name,
            parent_id=chosen.parent_id,
            trained_through=chosen.trained_through,
            holdout_start=chosen.holdout_start,
            holdout_end=chosen.panel.months[positions[-1]].date(),
            data_fingerprint=candidates.data_fingerprint,
        )
    return Choice(
        panel=chosen.panel,
        forecaster=chosen.forecaster,
        served=served,
        reason=reason,
        new_model=new_model,
        kept_model_id=chosen.model_version_id,
        candidates=_candidate_rows(candidates.models, selection, served, reason),
        backtest_errors=_by_month(scored[chosen.name]),
        refused=candidates.refused,
    )


def holdout_positions(candidates: Candidates) -> Sequence[int]:
    """Origins that all candidates are judged on: the newest, after the last month that any of them learnt from.

    A model just trained or fine-tuned may be judged from its own split on, the one kept from the month that was stored
    with it; the latest of these months begins the comparison. It ends with the last origin whose next month is over.
    """
    months = candidates.models[0].panel.months
    latest = split_origins(len(months), candidates.config).holdout
    unseen = [int(months.searchsorted(pd.Timestamp(each.holdout_start))) for each in candidates.models]
    return range(max(latest.start, *unseen), latest.stop)


def _reason(plan: MonthPlan, candidates: Candidates, selection: Selection) -> str:
    """Why this model, and why its hybrid or its baseline."""
    refused = [each.reason for each in candidates.refused]
    told = [_FORCED[plan.mode]] if plan.mode in _FORCED else []
    why = selection.reasons[selection.chosen]
    judged = [] if plan.mode == "baseline" else [selection.verdicts[selection.chosen].reason]
    return " ".join([*refused, *told, *([why] if why else []), *judged])


def _by_month(scored: pd.DataFrame) -> pd.DataFrame:
    groups = scored.assign(absolute_error=scored["error"].abs()).groupby(HOLDOUT_KEYS)
    return groups.agg(
        symbols=("symbol", "size"),
        crps=("crps", "mean"),
        absolute_error=("absolute_error", "mean"),
        covered_80=("is_covered_80", "mean"),
        covered_95=("is_covered_95", "mean"),
    ).reset_index()


def _candidate_rows(models: Sequence[Candidate], selection: Selection, served: str, reason: str) -> pd.DataFrame:
    """One row a model, and one for the baseline of the chosen one: CANDIDATE_COLUMNS."""
    rows: list[Mapping[str, object]] = []
    for model in models:
        verdict = selection.verdicts[model.name]
        is_chosen = model.name == selection.chosen
        crps = verdict.numbers[["crps_hybrid", "crps_baseline", "crps_persistence"]].mean()
        row = {
            "candidate": model.name,
            "model_version_id": model.model_version_id,
            "holdout_months": verdict.months,
            "crps": crps["crps_hybrid"],
            "baseline_crps": crps["crps_baseline"],
            "persistence_crps": crps["crps_persistence"],
            "p_value": verdict.p_value,
            "is_served": is_chosen and served == "hybrid",
            "reason": reason if is_chosen else selection.reasons[model.name],
        }
        rows.append(row)
        if is_chosen:
            baseline = {"candidate": "baseline", "crps": row["baseline_crps"], "p_value": None}
            rows.append({**row, **baseline, "is_served": served == "baseline"})
    return pd.DataFrame(rows, columns=CANDIDATE_COLUMNS)
