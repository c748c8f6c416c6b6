"""Texts of alerts: what happened, since when, its severity, what to do, and a query for details.

Recipients and times of delivery are in `tasks.alerts.delivery`.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from sql.store import MonthKey
from tasks.alerts.sender import Severity
from tasks.errors import PricesIncompleteError
from tasks.registry import Refusal

_MAX_SYMBOLS_NAMED = 5

Alert = Mapping[str, Any]
"""Columns of `ops.alert`: kind, subject, severity, title, detail, look_deeper_sql, and for some kinds origin_month."""

MISSING_MONTH = ("failed_run", "coverage", "overdue")
"""Kinds of alerts about a month without a published forecast."""

_STATUS_VERBS = {
    "published": "was published",
    "failed": "failed",
    "abandoned": "was killed",
    "running": "has not ended",
}
# With the rest of the message, within the smallest limit of common services (Discord: 2,000 characters).
_MAX_DETAIL_LENGTH = 1200
_MAX_SQL_LENGTH = 350


@dataclass(frozen=True)
class Message:
    """Message to a recipient."""

    title: str
    body: str
    severity: Severity


def compose_message(due: Mapping[str, Any], *, reminder_days: int, now: datetime) -> Message:
    """Compose the message about one alert to one recipient.

    Args:
        due: A row of `Store.read_due_messages`.
        reminder_days: Days between reminders; 0: no reminders.
        now: Current time, UTC.
    """
    opened = f"{due['opened_at']:%Y-%m-%d %H:%M} UTC"
    title, detail = " ".join(due["title"].split()), _cut(due["detail"], _MAX_DETAIL_LENGTH)
    if due["event"] == "cleared":
        lasted = _duration(due["resolved_at"] - due["opened_at"])
        cleared = f"It cleared on {due['resolved_at']:%Y-%m-%d %H:%M} UTC, {lasted} after it was raised on {opened}."
        if due["is_opened_delivered"]:
            body = f"{cleared} Nothing is left to do."
        else:
            body = (
                f"{cleared} Nothing is left to do. Earlier messages could not be delivered, so this is the only "
                f"message about this alert:\n\n{detail}"
            )
        return Message(f"Bellwether, cleared: {title}", f"{body}\n\n{_reference(due)}", "cleared")
    times = "" if due["times_seen"] == 1 else f", raised {due['times_seen']} times"
    lines = [
        detail,
        f"Since {opened} ({_duration(now - due['opened_at'])}{times}). Severity: {due['severity']}.",
        f"Query for details:\n{_cut(due['look_deeper_sql'], _MAX_SQL_LENGTH)}",
        _reminder_sentence(due, reminder_days),
        _reference(due),
    ]
    kind = f", reminder {due['number']}" if due["event"] == "reminder" else ""
    return Message(f"Bellwether{kind}: {title}", "\n\n".join(lines), due["severity"])


def failed_run_alert(key: MonthKey, message: str, error: BaseException, *, correction: int = 0) -> Alert:
    """Return the alert about a run that failed. A failed correction of a published month is only a warning.

    Args:
        key: Month of the run.
        message: The error, without secrets.
        error: The error.
        correction: Number of the correction; 0 for the first run of the month.
    """
    what, in_force = "No forecast for", "the forecasts of the month before stay in force"
    if correction:
        what, in_force = "No correction of the forecast for", "the published forecasts stay in force"
    return {
        "kind": "coverage" if isinstance(error, PricesIncompleteError) else "failed_run",
        "subject": _subject(key),
        "severity": "warning" if correction else "critical",
        "title": f"{what} {key.universe} from {key.origin_month:%Y-%m}",
        "detail": f"{_sentence(message)} Nothing was published; {in_force}. "
        "Fix the cause and run the month again: a second run completes the month and duplicates nothing.",
        "look_deeper_sql": "select * from report.run_history "
        f"where source = '{_quoted(key.source)}' and universe = '{_quoted(key.universe)}' limit 5",
    }


def unstarted_run_alert(source: str, universe: str, message: str, scheduled_for: datetime) -> Alert:
    """Return the alert about an unattended run that failed before it had a row in the ledger.

    Args:
        source: Source of the bars.
        universe: Name of the universe.
        message: The error, without secrets.
        scheduled_for: Scheduled start of the run, UTC.
    """
    return {
        "kind": "failed_run",
        "subject": f"{source}/{universe}",
        "severity": "critical",
        "title": f"A run of {universe} could not start",
        "detail": f"The run scheduled for {scheduled_for:%Y-%m-%d %H:%M} UTC failed before it had a row in `ops.run`. "
        f"{_sentence(message)} Nothing was published; the published forecasts stay in force. Fix the cause (parameters "
        "of the run, source or universe file) and run the month again.",
        "look_deeper_sql": "select * from report.run_history "
        f"where source = '{_quoted(source)}' and universe = '{_quoted(universe)}' limit 5",
    }


def failed_check_alert(subject: str, message: str) -> Alert:
    """Return the alert about a service check that failed.

    Args:
        subject: Subject of the alert.
        message: The error, without secrets.
    """
    return {
        "kind": "failed_run",
        "subject": subject,
        "severity": "critical",
        "title": "The service check failed",
        "detail": f"{_sentence(message)} Killed runs and overdue months are not detected until a check ends. Fix the "
        "cause and run `bellwether check-service`; the alert clears when a check ends.",
        "look_deeper_sql": "select * from report.run_history limit 5",
    }


def killed_run_alert(run: Mapping[str, Any]) -> Alert:
    """Return the alert about a run whose process was killed.

    Args:
        run: A row of `Store.read_running_runs`.
    """
    return {
        "kind": "failed_run",
        "subject": f"{run['source']}/{run['universe']}",
        "severity": "critical",
        "title": f"Run {run['run_id']} of {run['universe']} from {run['origin_month']:%Y-%m} was killed",
        "detail": f"The run started on {run['started_at']:%Y-%m-%d %H:%M} UTC, and its process ended without a result. "
        "Likely causes are a restart of the machine, too little memory, or a kill by hand. Nothing was published, not "
        "even in part; the published forecasts stay in force. Run the month again: a second run completes the month "
        "and duplicates nothing.",
        "look_deeper_sql": f"select * from report.run_history where run_id = {run['run_id']}",
    }


def stuck_run_alert(run: Mapping[str, Any], hours: int) -> Alert:
    """Return the alert about a run that does not end although its process is alive.

    Args:
        run: A row of `Store.read_running_runs`.
        hours: Hours after which a run counts as stuck.
    """
    return {
        "kind": "failed_run",
        "subject": f"{run['source']}/{run['universe']}",
        "severity": "critical",
        "title": f"Run {run['run_id']} of {run['universe']} from {run['origin_month']:%Y-%m} does not end",
        "detail": f"The run started on {run['started_at']:%Y-%m-%d %H:%M} UTC, over {hours} hours ago, and its process "
        "still holds the month. Read the run's log in Prefect or the worker's output. If the run makes no progress, "
        "end its process and run the month again.",
        "look_deeper_sql": f"select * from report.run_history where run_id = {run['run_id']}",
        "origin_month": run["origin_month"],
    }


def overdue_alert(row: Mapping[str, Any]) -> Alert:
    """Return the alert about a universe with overdue months.

    Args:
        row: A row of `report.overdue`.
    """
    subject = f"{row['source']}/{row['universe']}"
    months, newest = int(row["months_overdue"]), row["newest_origin_month"]
    last = "the universe was never run"
    if row["last_run_id"] is not None:
        last = f"its last run, {int(row['last_run_id'])}, {_STATUS_VERBS[row['last_status']]}"
        last += f": {row['last_message'].rstrip('.')}" if row["last_message"] else ""
    in_force = "no month was ever published" if newest is None else f"the forecasts in force are from {newest:%Y-%m}"
    due, missing = "The month", "1 month is"
    if months > 1:
        due, missing = "The first missing month", f"{months} months are"
    return {
        "kind": "overdue",
        "subject": subject,
        "severity": "critical",
        "title": f"{row['universe']} is overdue: no forecast from {row['origin_month']:%Y-%m}",
        "detail": f"{due} was due by {row['due_on']:%Y-%m-%d} (session {row['due_sessions']} after the month), "
        f"{_count(row['days_overdue'], 'day')} ago. {missing} missing, {in_force}, and {last}. Check that Prefect's "
        "server and worker are up. Run the month by hand, with `--catch-up` also the months before. If the universe is "
        f"no longer in use: bellwether alerts stop-monitoring {shlex.quote(subject)}",
        "look_deeper_sql": "select * from report.overdue",
        "origin_month": row["origin_month"],
    }


def delivery_alert(recipient: Mapping[str, Any]) -> Alert:
    """Return the alert about a recipient that accepts no message.

    Args:
        recipient: A row of `report.recipient`.
    """
    return {
        "kind": "delivery",
        "subject": recipient["recipient_id"],
        "severity": "warning",
        "title": f"Alerts do not reach {recipient['recipient']}",
        "detail": f"The recipient has accepted no message since {recipient['failing_since']:%Y-%m-%d %H:%M} UTC, in "
        f"{recipient['failed_rounds']} consecutive rounds: {recipient['last_error']}. Its messages wait, and every run "
        "and every service check tries again. Check that the service is up and that the URL in BELLWETHER_ALERT_URLS "
        "is still valid: `bellwether alerts test` sends a message to each recipient. If you remove the recipient from "
        "the setting, this alert clears after a week.",
        "look_deeper_sql": "select * from report.delivery "
        f"where state = 'waiting' and recipient = '{_quoted(recipient['recipient'])}'",
    }


def database_alert(message: str) -> Alert:
    """Return the alert that the database is unavailable. It is delivered first, and stored later.

    Args:
        message: The error, without secrets.
    """
    return {
        "kind": "database",
        "subject": "database",
        "severity": "critical",
        "title": "The database is unavailable",
        "detail": f"{_sentence(message)} No forecast, score or check is possible until it is available again; "
        "published forecasts are not lost. Embedded database: run `bellwether db start` and read "
        "$BELLWETHER_HOME/postgres/server.log. External database: check its server and DATABASE_URL. Then run the "
        "month again.",
        "look_deeper_sql": "select * from report.run_history limit 5",
    }


def drift_alerts(key: MonthKey, drift_checks: pd.DataFrame, drift_symbols: pd.DataFrame) -> list[Alert]:
    """Return one alert about all drift checks with an alarm; empty if there is none.

    Args:
        key: The month checked.
        drift_checks: The run's checks: horizon, measure, status, since_month, reason.
        drift_symbols: The symbols that contribute most: horizon, symbol, share.
    """
    alarms = drift_checks[drift_checks["status"] == "alarm"]
    if alarms.empty:
        return []
    reasons = [
        f"{horizon} month{'s' if horizon > 1 else ''} ahead: {reason}"
        for horizon, reason in zip(alarms["horizon"].tolist(), alarms["reason"], strict=True)
    ]
    contributions = drift_symbols[drift_symbols["horizon"].isin(alarms["horizon"])]
    largest = contributions.groupby("symbol")["share"].max().nlargest(_MAX_SYMBOLS_NAMED)
    symbols = f" The largest contributions are from {', '.join(largest.index)}." if len(largest) else ""
    until_then = (
        " To publish the baseline until then, run the month again with `--mode baseline --rerun`."
        if (alarms["measure"] == "loss_against_baseline").any()
        else ""
    )
    return [
        {
            "kind": "drift",
            "subject": _subject(key),
            "severity": "warning",
            "title": f"The forecasts for {key.universe} are less accurate than expected of the model",
            "detail": f"Detected in {key.origin_month:%Y-%m}, since {alarms['since_month'].min():%Y-%m}. "
            f"{' '.join(reasons)}{symbols} A market crisis alone does not cause this alert. Check first for changes of "
            "the program, the source or its prices (report.data_quality, report.input_status). The next run trains a "
            f"new model and publishes it if it is significantly better.{until_then} The alert clears by itself.",
            "look_deeper_sql": "select horizon, measure, target_month, value, expected, surprise "
            "from report.drift_month "
            f"where source = '{_quoted(key.source)}' and universe = '{_quoted(key.universe)}' "
            "order by target_month desc, horizon, measure limit 60",
        }
    ]


def damaged_model_alerts(key: MonthKey, refused: Sequence[Refusal], kept_model_id: int | None) -> list[Alert]:
    """Return one alert about all model versions that a run could not use; empty if there is none.

    Args:
        key: The month of the run.
        refused: The unusable versions, newest first.
        kept_model_id: The version that was used instead; None if the run trained one.
    """
    if not refused:
        return []
    names = ", ".join(str(refusal.model_version_id) for refusal in refused)
    newest = refused[0]
    stored = f" on {newest.stored_at:%Y-%m-%d} by run {newest.run_id}" if newest.stored_at else ""
    used = "a model trained in that run" if kept_model_id is None else f"model {kept_model_id}, the newest valid one"
    return [
        {
            "kind": "damaged_model",
            "subject": _subject(key),
            "severity": "warning",
            "title": f"Model {names} of {key.universe} cannot be used",
            "detail": f"{' '.join(refusal.reason for refusal in refused)} The newest of them was stored{stored}. The "
            f"run of {key.origin_month:%Y-%m} detected this and published forecasts of {used}; they are valid. Find "
            "the cause of the change (disk, manual edit or upgrade of the program) and restore the row from a backup. "
            "Or train a new model: run the month again with `--mode retrain --rerun`. The alert clears when a run uses "
            "the newest version again.",
            "look_deeper_sql": "select model_version_id, kind, run_id, created_at, length(weights) as weight_bytes, "
            "weights_sha256, encode(sha256(weights), 'hex') as actual_sha256 from forecast.model_version "
            f"where source = '{_quoted(key.source)}' and universe = '{_quoted(key.universe)}' "
            "order by model_version_id desc limit 5",
        }
    ]


def cleared_alerts(key: MonthKey, drift_checks: pd.DataFrame, refused: Sequence[Refusal]) -> list[Alert]:
    """Return the alerts that a published month clears.

    Args:
        key: The published month; alerts that it is missing are cleared.
        drift_checks: Its drift checks; without an alarm the drift alert is cleared.
        refused: Unusable model versions; without any the alert about damaged models is cleared.
    """
    kinds = list(MISSING_MONTH)
    if not refused:
        kinds.append("damaged_model")
    if not (drift_checks["status"] == "alarm").any():
        kinds.append("drift")
    return [{"kind": kind, "subject": _subject(key)} for kind in kinds]


def _quoted(text: str) -> str:
    """Escape a text for use between the quotes of an SQL literal."""
    return text.replace("'", "''")


def _subject(key: MonthKey) -> str:
    return f"{key.source}/{key.universe}"


def _reminder_sentence(due: Mapping[str, Any], reminder_days: int) -> str:
    if not due.get("is_recorded", True):
        return "This alert could not be recorded: a repeated failure sends it again."
    if due["acknowledged_at"] is not None:
        return f"Acknowledged on {due['acknowledged_at']:%Y-%m-%d}: there are no reminders."
    if reminder_days == 0:
        return "There are no reminders; you are notified when the alert clears."
    interval = "every day" if reminder_days == 1 else f"every {reminder_days} days"
    return f"Reminder {interval} until it clears or is acknowledged: bellwether alerts ack {due['alert_id']}"


def _reference(due: Mapping[str, Any]) -> str:
    """Return a reference that is the same at every attempt, so that a duplicate message can be recognised."""
    number = f" {due['number']}" if due["number"] else ""
    return f"[alert {due['alert_id']}, {due['event']}{number}]"


def _duration(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    if hours < 1:
        return _count(round(hours * 60), "minute")
    return _count(round(hours), "hour") if hours < 48 else _count(round(hours / 24), "day")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _cut(text: str, max_length: int) -> str:
    return text if len(text) <= max_length else f"{text[: max_length - 2]} …"


def _sentence(text: str) -> str:
    """Return a text with a full stop."""
    text = text.rstrip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
