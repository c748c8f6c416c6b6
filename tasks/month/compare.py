"""Compare: the evaluation of the candidates on holdout months, and the selection of one."""

from collections.abc import Mapping, Sequence

import pandas as pd
from prefect import task

from model.evaluation.backtest import score_origins
from model.evaluation.gate import Selection, select
from model.forecaster.split import split_origins
from model.frames import MONTHLY_KEYS
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
_FORCED = {
    "keep": "The served model is kept, as requested (mode keep).",
    "fine-tune": "The served model is fine-tuned, as requested (mode fine-tune).",
    "retrain": "A new model is trained, as requested (mode retrain).",
    "baseline": "The baseline is served, as requested (mode baseline).",
}


@task(name="compare", **STEP)
def compare_candidates(plan: MonthPlan, candidates: Candidates) -> Choice:
    """Evaluate the candidates on the same holdout months and select one.

    No candidate was fitted on any of these months. A candidate is evaluated by the forecaster that it would serve: its
    hybrid if that is significantly better than its baseline, else the baseline. The candidate with the least change is
    selected unless another is significantly better, see `model.evaluation.gate.select`. A mode that forces a model
    leaves the gate only the choice between hybrid and baseline.

    Raises:
        NotEnoughHistoryError: if the candidates have no holdout month in common.
    """
    positions = holdout_positions(candidates)
    if not positions:
        raise NotEnoughHistoryError(
            f"The models of {plan.key.universe} need a common holdout month to be compared, and there is none: the "
            f"bars end at {candidates.models[0].panel.months[-1]:%Y-%m}. Run the month with `--mode retrain`."
        )
    scored = {model.name: score_origins(model.forecaster, model.panel, positions) for model in candidates.models}
    selection = select(scored, candidates.config)
    chosen = next(model for model in candidates.models if model.name == selection.chosen)
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
    """Return the positions of the origins on which all candidates are evaluated.

    They begin at the latest holdout start of any candidate: for a new model the start of the split's holdout, for a
    kept model the date stored with it. They end with the last origin whose next month is complete.
    """
    months = candidates.models[0].panel.months
    latest = split_origins(len(months), candidates.config).holdout
    starts = [int(months.searchsorted(pd.Timestamp(model.holdout_start))) for model in candidates.models]
    return range(max(latest.start, *starts), latest.stop)


def _reason(plan: MonthPlan, candidates: Candidates, selection: Selection) -> str:
    """Explain the selection of the model, and of its hybrid or its baseline."""
    refusals = [refusal.reason for refusal in candidates.refused]
    forced = [_FORCED[plan.mode]] if plan.mode in _FORCED else []
    selected = selection.reasons[selection.chosen]
    verdict = [] if plan.mode == "baseline" else [selection.verdicts[selection.chosen].reason]
    return " ".join([*refusals, *forced, *([selected] if selected else []), *verdict])


def _by_month(scored: pd.DataFrame) -> pd.DataFrame:
    """Average the errors of one model over symbols: one row per origin month, horizon and forecaster."""
    groups = scored.assign(absolute_error=scored["error"].abs()).groupby(MONTHLY_KEYS)
    return groups.agg(
        symbols=("symbol", "size"),
        crps=("crps", "mean"),
        absolute_error=("absolute_error", "mean"),
        covered_80=("is_covered_80", "mean"),
        covered_95=("is_covered_95", "mean"),
    ).reset_index()


def _candidate_rows(models: Sequence[Candidate], selection: Selection, served: str, reason: str) -> pd.DataFrame:
    """Return CANDIDATE_COLUMNS: one row per model, and one for the baseline of the selected model."""
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
