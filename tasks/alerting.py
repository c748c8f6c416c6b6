"""What an operator is told: what happened, since when, how bad, what to do, and where to look deeper."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from sql.store import MonthKey
from tasks.errors import PricesIncompleteError
from tasks.registry import Refusal

_SYMBOLS_NAMED = 5

Alert = Mapping[str, Any]
"""kind, subject, severity, title, detail, look_deeper_sql: columns of `ops.alert`."""


def failed_run_alert(key: MonthKey, message: str, error: BaseException) -> Alert:
    """The alert of a run that published nothing."""
    return {
        "kind": "coverage" if isinstance(error, PricesIncompleteError) else "failed_run",
        "subject": _subject(key),
        "severity": "critical",
        "title": f"No forecast for {key.universe} from {key.origin_month:%Y-%m}",
        "detail": f"{message} Nothing was published; the month before stays in force. "
        "Mend the cause and run the month again: a second run completes it and doubles nothing.",
        "look_deeper_sql": "select * from report.run_history limit 5",
    }


def drift_alerts(key: MonthKey, drift_checks: pd.DataFrame, drift_symbols: pd.DataFrame) -> list[Alert]:
    """The alert of the drift checks that tripped, or none: one for all of them.

    Args:
        key: The month checked.
        drift_checks: horizon, measure, status, since_month, reason: the run's checks.
        drift_symbols: horizon, symbol, share: who contributes most.
    """
    tripped = drift_checks[drift_checks["status"] == "alarm"]
    if tripped.empty:
        return []
    found = [
        f"{horizon} month{'s' if horizon > 1 else ''} ahead: {reason}"
        for horizon, reason in zip(tripped["horizon"].tolist(), tripped["reason"], strict=True)
    ]
    behind = drift_symbols[drift_symbols["horizon"].isin(tripped["horizon"])]
    largest = behind.groupby("symbol")["share"].max().nlargest(_SYMBOLS_NAMED)
    symbols = f" Most of it is in {', '.join(largest.index)}." if len(largest) else ""
    until_then = (
        " To serve the baseline until then, run the month again with `--mode baseline --rerun`."
        if (tripped["measure"] == "loss_against_baseline").any()
        else ""
    )
    return [
        {
            "kind": "drift",
            "subject": _subject(key),
            "severity": "warning",
            "title": f"The forecasts of {key.universe} have become worse than is usual of their model",
            "detail": f"Seen as of {key.origin_month:%Y-%m}, since {tripped['since_month'].min():%Y-%m}. "
            f"{' '.join(found)}{symbols} A crisis of the market does not do this by itself: ask first what has "
            "changed, the program, the source or its prices (report.data_quality, report.input_status). The next run "
            f"trains a new model, which serves if it is better with evidence.{until_then} The alert clears by itself.",
            "look_deeper_sql": "select horizon, measure, target_month, value, usual, surprise from report.drift_month "
            f"where source = '{_quoted(key.source)}' and universe = '{_quoted(key.universe)}' "
            "order by target_month desc, horizon, measure limit 60",
        }
    ]


def damaged_model_alerts(key: MonthKey, refused: Sequence[Refusal], kept_model_id: int | None) -> list[Alert]:
    """The alert of model versions that a run could not use, or none.

    Args:
        key: The month forecast without them.
        refused: The versions, newest first.
        kept_model_id: The version that was used instead; None when the run trained one.
    """
    if not refused:
        return []
    names = ", ".join(str(each.model_version_id) for each in refused)
    newest = refused[0]
    stored = f" on {newest.stored_at:%Y-%m-%d} by run {newest.run_id}" if newest.stored_at else ""
    used = "a model trained in that run" if kept_model_id is None else f"model {kept_model_id}, the good one before"
    return [
        {
            "kind": "damaged_model",
            "subject": _subject(key),
            "severity": "warning",
            "title": f"Model {names} of {key.universe} cannot be used",
            "detail": f"{' '.join(each.reason for each in refused)} The newest was stored{stored}, and found so by "
            f"the run of {key.origin_month:%Y-%m}, which published: its forecasts are those of {used}. Nothing is "
            "wrong with them. Find out what changed the table (the disk, a hand, "
            "an upgrade of the program); restore the row from a backup, or train a new model: run the month again "
            "with `--mode retrain --rerun`. The alert clears when a run again uses the newest version.",
            "look_deeper_sql": "select model_version_id, kind, run_id, created_at, length(weights) as weight_bytes, "
            "weights_sha256, encode(sha256(weights), 'hex') as found_sha256 from forecast.model_version "
            f"where source = '{_quoted(key.source)}' and universe = '{_quoted(key.universe)}' "
            "order by model_version_id desc limit 5",
        }
    ]


def cleared_alerts(key: MonthKey, drift_checks: pd.DataFrame, refused: Sequence[Refusal]) -> list[Alert]:
    """Alerts that a published month clears: those of failed runs, of drift and of damaged models when there is none."""
    kinds = ["failed_run", "coverage"]
    if not refused:
        kinds.append("damaged_model")
    if not (drift_checks["status"] == "alarm").any():
        kinds.append("drift")
    return [{"kind": kind, "subject": _subject(key)} for kind in kinds]


def _quoted(text: str) -> str:
    """Text as it stands between the quotes of an SQL literal."""
    return text.replace("'", "''")


def _subject(key: MonthKey) -> str:
    return f"{key.source}/{key.universe}"
