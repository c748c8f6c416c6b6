"""What an operator is told: what happened, since when, how bad, what to do, and where to look deeper."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sql.store import MonthKey
from tasks.errors import PricesIncompleteError

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


def drift_alerts(key: MonthKey, drift_checks: pd.DataFrame) -> list[Alert]:
    """The alert of a drift check that tripped, or none.

    Args:
        key: The month checked.
        drift_checks: horizon, status, reason: the run's checks.
    """
    tripped = drift_checks[drift_checks["status"] == "alarm"]
    if tripped.empty:
        return []
    universe = key.universe.replace("'", "''")
    horizons = ", ".join(str(horizon) for horizon in tripped["horizon"])
    return [
        {
            "kind": "drift",
            "subject": _subject(key),
            "severity": "warning",
            "title": f"The forecasts of {key.universe} have become worse than their baseline",
            "detail": f"Seen in the forecasts {horizons} months ahead, as of {key.origin_month:%Y-%m}. "
            f"{' '.join(tripped['reason'])} The next run trains a new model; "
            "to serve the baseline until then, run the month again with `--mode baseline --rerun`.",
            "look_deeper_sql": f"select * from report.drift_status where universe = '{universe}'",
        }
    ]


def cleared_alerts(key: MonthKey, drift_checks: pd.DataFrame) -> list[Alert]:
    """Alerts that a published month clears: those of failed runs, and of drift when no check is in alarm."""
    kinds = ["failed_run", "coverage"]
    if not (drift_checks["status"] == "alarm").any():
        kinds.append("drift")
    return [{"kind": kind, "subject": _subject(key)} for kind in kinds]


def _subject(key: MonthKey) -> str:
    return f"{key.source}/{key.universe}"
