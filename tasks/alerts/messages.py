"""What an operator is told: what happened, since when, how bad, what to do, and where to look deeper.

Texts alone; who is told, and when, is in `tasks.alerts.delivery`.
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

_SYMBOLS_NAMED = 5

Alert = Mapping[str, Any]
"""kind, subject, severity, title, detail, look_deeper_sql, and of some origin_month: columns of `ops.alert`."""

MISSING_MONTH = ("failed_run", "coverage", "overdue")
"""Kinds of alerts that say a month is missing."""

_ENDINGS = {
    "published": "was published",
    "failed": "failed",
    "abandoned": "lost its process",
    "running": "has not ended",
}
# Within the smallest limit of common services (Discord: 2,000 characters), with room for what is written around them.
_LONGEST_DETAIL = 1200
_LONGEST_SQL = 350


@dataclass(frozen=True)
class Message:
    """What an recipient is sent."""

    title: str
    body: str
    severity: Severity


def compose_message(due: Mapping[str, Any], *, reminder_days: int, now: datetime) -> Message:
    """The words for one alert and one recipient.

    Args:
        due: A row of `Store.read_due_messages`.
        reminder_days: As set, for the sentence about reminders.
        now: The moment, UTC.
    """
    began = f"{due['opened_at']:%Y-%m-%d %H:%M} UTC"
    title, detail = " ".join(due["title"].split()), _cut(due["detail"], _LONGEST_DETAIL)
    if due["event"] == "cleared":
        lasted = _duration(due["resolved_at"] - due["opened_at"])
        cleared = f"It cleared on {due['resolved_at']:%Y-%m-%d %H:%M} UTC, {lasted} after it was raised on {began}."
        if due["is_opened_delivered"]:
            body = f"{cleared} Nothing is left to do."
        else:
            body = (
                f"{cleared} Nothing is left to do. Until now this recipient could not be told of it, so this is the only "
                f"message. What it was about:\n\n{detail}"
            )
        return Message(f"Bellwether, cleared: {title}", f"{body}\n\n{_reference(due)}", "cleared")
    times = "" if due["times_seen"] == 1 else f", found {due['times_seen']} times"
    lines = [
        detail,
        f"Since {began} ({_duration(now - due['opened_at'])}{times}). Severity: {due['severity']}.",
        f"To look deeper:\n{_cut(due['look_deeper_sql'], _LONGEST_SQL)}",
        _reminder_sentence(due, reminder_days),
        _reference(due),
    ]
    kind = f", reminder {due['number']}" if due["event"] == "reminder" else ""
    return Message(f"Bellwether{kind}: {title}", "\n\n".join(lines), due["severity"])


def failed_run_alert(key: MonthKey, message: str, error: BaseException, *, correction: int = 0) -> Alert:
    """The alert of a run that published nothing; one that was to correct a published month is no emergency."""
    what, stays = "No forecast for", "the month before stays in force"
    if correction:
        what, stays = "No correction of the forecast for", "what was published before stays in force"
    return {
        "kind": "coverage" if isinstance(error, PricesIncompleteError) else "failed_run",
        "subject": _subject(key),
        "severity": "warning" if correction else "critical",
        "title": f"{what} {key.universe} from {key.origin_month:%Y-%m}",
        "detail": f"{message} Nothing was published; {stays}. "
        "Mend the cause and run the month again: a second run completes it and doubles nothing.",
        "look_deeper_sql": "select * from report.run_history "
        f"where source = '{_quoted(key.source)}' and universe = '{_quoted(key.universe)}' limit 5",
    }


def unstarted_run_alert(source: str, universe: str, message: str, scheduled_for: datetime) -> Alert:
    """The alert of a run nobody watched that failed before it could be written into the ledger."""
    return {
        "kind": "failed_run",
        "subject": f"{source}/{universe}",
        "severity": "critical",
        "title": f"A run of {universe} could not begin",
        "detail": f"The run due at {scheduled_for:%Y-%m-%d %H:%M} UTC ended before the ledger knew of it. {message} "
        "Nothing was published; what was published before stays in force. Mend the cause (the deployment's parameters, "
        "the source, the universe file) and run the month again.",
        "look_deeper_sql": "select * from report.run_history "
        f"where source = '{_quoted(source)}' and universe = '{_quoted(universe)}' limit 5",
    }


def killed_run_alert(run: Mapping[str, Any]) -> Alert:
    """The alert of a run whose process ended without a word."""
    return {
        "kind": "failed_run",
        "subject": f"{run['source']}/{run['universe']}",
        "severity": "critical",
        "title": f"Run {run['run_id']} of {run['universe']} from {run['origin_month']:%Y-%m} lost its process",
        "detail": f"It began on {run['started_at']:%Y-%m-%d %H:%M} UTC and was killed: by the machine's restart, for "
        "want of memory, or by hand. Nothing was published, and nothing is half-written; what was published before "
        "stays in force. Run the month again: a second run completes it and doubles nothing.",
        "look_deeper_sql": f"select * from report.run_history where run_id = {run['run_id']}",
    }


def stuck_run_alert(run: Mapping[str, Any], hours: int) -> Alert:
    """The alert of a run that lives and does not end."""
    return {
        "kind": "failed_run",
        "subject": f"{run['source']}/{run['universe']}",
        "severity": "critical",
        "title": f"Run {run['run_id']} of {run['universe']} from {run['origin_month']:%Y-%m} does not end",
        "detail": f"It began on {run['started_at']:%Y-%m-%d %H:%M} UTC, over {hours} hours ago, and its process still "
        "holds the month. See what it does (the log of the run in Prefect, or the worker's output); if it does "
        "nothing, end its process and run the month again.",
        "look_deeper_sql": f"select * from report.run_history where run_id = {run['run_id']}",
        "origin_month": run["origin_month"],
    }


def overdue_alert(row: Mapping[str, Any]) -> Alert:
    """The alert of a universe whose months are not published in time: a row of `report.overdue`."""
    subject = f"{row['source']}/{row['universe']}"
    months, newest = int(row["months_overdue"]), row["newest_origin_month"]
    last = "no run of it was ever begun"
    if row["last_run_id"] is not None:
        last = f"its last run, {int(row['last_run_id'])}, {_ENDINGS[row['last_status']]}"
        last += f": {row['last_message'].rstrip('.')}" if row["last_message"] else ""
    in_force = (
        "nothing of it was ever published" if newest is None else f"the forecasts in force are from {newest:%Y-%m}"
    )
    missing = "it is" if months == 1 else f"{months} months up to it are"
    return {
        "kind": "overdue",
        "subject": subject,
        "severity": "critical",
        "title": f"{row['universe']} is overdue: no forecast from {row['origin_month']:%Y-%m}",
        "detail": f"It was due by {row['due_on']:%Y-%m-%d} (session {row['due_sessions']} after the month), "
        f"{_count(row['days_overdue'], 'day')} ago; {missing} missing, {in_force}, and {last}. Are Prefect's server "
        "and worker up? Run the month by hand; with `--catch-up` also those before. If the universe is out of service: "
        f"bellwether alerts stop_monitoring {shlex.quote(subject)}",
        "look_deeper_sql": "select * from report.overdue",
        "origin_month": row["origin_month"],
    }


def delivery_alert(recipient: Mapping[str, Any]) -> Alert:
    """The alert of an recipient that accepts nothing: a row of `report.recipient`."""
    return {
        "kind": "delivery",
        "subject": recipient["recipient_id"],
        "severity": "warning",
        "title": f"Alerts do not reach {recipient['recipient']}",
        "detail": f"It has accepted nothing since {recipient['failing_since']:%Y-%m-%d %H:%M} UTC, in "
        f"{recipient['failed_rounds']} rounds in a row: {recipient['last_error']}. What it is to be told waits and is "
        "tried at every run and every day. See whether the service is up and whether the recipient in "
        "BELLWETHER_ALERT_URLS still holds: `bellwether alerts test` sends a message to each. An recipient taken "
        "out of the setting is forgotten after a week.",
        "look_deeper_sql": "select * from report.delivery "
        f"where state = 'waiting' and recipient = '{_quoted(recipient['recipient'])}'",
    }


def database_alert(message: str) -> Alert:
    """The alert that the database cannot be reached; told first and written down when it can be."""
    return {
        "kind": "database",
        "subject": "database",
        "severity": "critical",
        "title": "The database does not answer",
        "detail": f"{message} Nothing can be forecast, scored or watched until it does; what is published is not "
        "lost. Embedded: `bellwether db start`, and its log $BELLWETHER_HOME/postgres/server.log. Your own: its server "
        "and the recipient in DATABASE_URL. Then run the month again.",
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
            "look_deeper_sql": "select horizon, measure, target_month, value, expected, surprise from report.drift_month "
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
    """Alerts that a published month clears: that it was missing; of drift and of damaged models when there is none."""
    kinds = list(MISSING_MONTH)
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


def _reminder_sentence(due: Mapping[str, Any], reminder_days: int) -> str:
    if due["acknowledged_at"] is not None:
        return f"Acknowledged on {due['acknowledged_at']:%Y-%m-%d}: there are no reminders."
    if reminder_days == 0:
        return "There are no reminders; that it cleared will be told."
    often = "every day" if reminder_days == 1 else f"every {reminder_days} days"
    return f"Told again {often} until it clears, or until somebody takes note: bellwether alerts ack {due['alert_id']}"


def _reference(due: Mapping[str, Any]) -> str:
    """What the same message carries at every attempt, so that one that came twice is seen to be the same."""
    number = f" {due['number']}" if due["number"] else ""
    return f"[alert {due['alert_id']}, {due['event']}{number}]"


def _duration(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    if hours < 1:
        return _count(round(hours * 60), "minute")
    return _count(round(hours), "hour") if hours < 48 else _count(round(hours / 24), "day")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 2]} …"
