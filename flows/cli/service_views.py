"""Output about the service: runs, alerts, recipients, monitored universes and overdue months."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.cli.views import records

if TYPE_CHECKING:  # these modules import Prefect or apprise
    from tasks.alerts.recipients import Recipient
    from tasks.alerts.sender import SendResult
    from tasks.alerts.service_check import ServiceCheckSummary

_RECENTLY = timedelta(days=35)  # a worker without the daily check uses its recipients once a month
_SEVERITY_STYLES = {"critical": "bold red", "warning": "yellow"}


def show_status(
    console: Console,
    runs: pd.DataFrame,
    alerts: pd.DataFrame,
    overdue: pd.DataFrame,
    recipients: pd.DataFrame,
    database_address: str,
    *,
    has_recipients: bool,
) -> None:
    """Print recent runs, open alerts, overdue months and failing recipients.

    Args:
        console: Where the tables are printed.
        runs: Rows of the run history, latest first.
        alerts: Open alerts.
        overdue: Overdue months.
        recipients: All recipients; only failing ones are shown.
        database_address: Without the password.
        has_recipients: Whether alerts have recipients, here or in other processes.
    """
    if runs.empty:
        console.print("No runs yet. Start with: bellwether run --source sample")
    else:
        table = Table(
            "run", "source", "universe", "month", "status", "served", "symbols", "finished (UTC)", title="Recent runs"
        )
        for run in records(runs):
            finished = "" if run.finished_at is None else f"{run.finished_at:%Y-%m-%d %H:%M}"
            symbols = f"{int(run.symbols_forecast or 0)}/{run.symbols_requested}"
            status = run.status if run.status == "published" else f"[red]{run.status}[/]"
            cells = (run.source, escape(run.universe), f"{run.origin_month:%Y-%m}", status, run.served or "", symbols)
            table.add_row(str(run.run_id), *cells, finished)
        console.print(table)
        latest = records(runs)[0]
        console.print(f"Run {latest.run_id}: {escape(latest.message or 'running')}", highlight=False)
    _show_alerts(console, alerts, overdue, recipients, has_runs=not runs.empty, has_recipients=has_recipients)
    console.print(f"[dim]Database: {escape(database_address)}[/]", highlight=False)


def show_alerts(console: Console, alerts: pd.DataFrame, recipients: pd.DataFrame, *, has_recipients: bool) -> None:
    """Print alerts with their details and diagnostic queries, and the recipients."""
    if alerts.empty:
        console.print("[green]No alerts.[/]")
    else:
        console.print(_alert_table(alerts))
    for alert in records(alerts[alerts["resolved_at"].isna()]):
        console.print(f"\n[bold]{alert.alert_id}[/] {escape(alert.detail)}", highlight=False, soft_wrap=True)
        console.print(f"  [dim]{escape(alert.look_deeper_sql)};[/]", highlight=False, soft_wrap=True)
    if len(recipients):
        console.print()
        console.print(_recipient_table(recipients))
    _show_missing_recipients(console, has_recipients=has_recipients)


def show_service_check(console: Console, summary: "ServiceCheckSummary") -> None:
    """Print killed runs, monitored universes, alerts, overdue months and deliveries."""
    if summary.killed_run_ids or summary.stuck_run_ids:
        groups = (("Killed runs", summary.killed_run_ids), ("Runs that do not end", summary.stuck_run_ids))
        for title, run_ids in groups:
            if run_ids:
                console.print(f"[bold red]{title}: {', '.join(map(str, run_ids))}.[/]", highlight=False)
    if summary.monitored.empty:
        console.print("No universe is monitored yet.")
    else:
        show_monitored(console, summary.monitored)
    _show_alerts(
        console,
        summary.alerts,
        summary.overdue,
        pd.DataFrame(),
        has_runs=True,
        has_recipients=bool(summary.rounds) or is_notified_elsewhere(summary.recipients),
    )
    if summary.rounds:
        table = Table("recipient", "delivered", "waiting", "error", title="Deliveries")
        for result in summary.rounds:
            table.add_row(
                escape(result.recipient), f"{result.delivered}", f"{result.waiting}", escape(result.reason or "")
            )
        console.print(table)


def show_monitored(console: Console, universes: pd.DataFrame) -> None:
    """Print monitored universes and their next due months."""
    if universes.empty:
        console.print("No universe is monitored. A run of the latest month starts monitoring.")
        return
    table = Table(
        "source/universe", "latest month", "next month", "due by", "sessions", "exchanges", title="Monitored universes"
    )
    for row in records(universes):
        name, due_by = escape(f"{row.source}/{row.universe}"), f"{row.next_due_on:%Y-%m-%d}"
        latest, exchanges = _month(row.newest_origin_month), ", ".join(row.exchange_mics)
        table.add_row(name, latest, f"{row.next_origin_month:%Y-%m}", due_by, f"{row.due_sessions}", exchanges)
    console.print(table)


def show_decisions(console: Console, decisions: pd.DataFrame) -> None:
    """Print the decisions about doubtful prices."""
    if decisions.empty:
        console.print("No decisions about prices.")
        return
    table = Table("ID", "symbol", "session", "as", "ratio", "by", "decided (UTC)", "state", "note", title="Decisions")
    for row in records(decisions):
        state = "in force"
        if row.withdrawn_at is not None and not pd.isna(row.withdrawn_at):
            state = f"withdrawn {row.withdrawn_at:%Y-%m-%d} by {row.withdrawn_by}"
        elif row.applied_at is not None and not pd.isna(row.applied_at):
            state = f"applied {row.applied_at:%Y-%m-%d}"
        elif row.kind == "history":
            state = "waits for the next download"
        session = "" if row.session is None or pd.isna(row.session) else f"{row.session:%Y-%m-%d}"
        ratio = "" if row.ratio is None or pd.isna(row.ratio) else f"{row.ratio:.6g}"
        decided = f"{row.decided_at:%Y-%m-%d %H:%M}"
        cells = (row.symbol, session, row.kind, ratio, row.decided_by, decided, state, row.note)
        table.add_row(f"{row.decision_id}", *map(escape, cells))
    console.print(table)


def show_test(console: Console, results: "list[tuple[Recipient, SendResult]]") -> None:
    """Print the delivery results of test messages."""
    table = Table("recipient", "result", title="Test message")
    for recipient, result in results:
        text = "[green]delivered[/]" if result.is_delivered else f"[red]{escape(result.reason or '')}[/]"
        table.add_row(escape(recipient.name), text)
    console.print(table)


def _show_alerts(
    console: Console,
    alerts: pd.DataFrame,
    overdue: pd.DataFrame,
    recipients: pd.DataFrame,
    *,
    has_runs: bool,
    has_recipients: bool,
) -> None:
    """Print open alerts, overdue months and failing recipients, or one line if there are none."""
    if len(alerts):
        console.print(_alert_table(alerts))
        console.print("[dim]Details: bellwether alerts list. Stop the reminders: bellwether alerts ack ID[/]")
    if len(overdue):
        table = Table("source/universe", "month", "due by", "days overdue", "latest month", title="Overdue months")
        for row in records(overdue):
            earlier = f" and {row.months_overdue - 1} earlier" if row.months_overdue > 1 else ""
            name, latest = escape(f"{row.source}/{row.universe}"), _month(row.newest_origin_month)
            month = f"{row.origin_month:%Y-%m}{earlier}"
            table.add_row(name, month, f"{row.due_on:%Y-%m-%d}", f"{row.days_overdue}", latest)
        console.print(table)
    failing = recipients[recipients["failed_rounds"] > 0] if len(recipients) else recipients
    if len(failing):
        console.print(_recipient_table(failing))
    if alerts.empty and overdue.empty and has_runs:
        console.print("[green]No open alerts and no overdue months.[/]")
    _show_missing_recipients(console, has_recipients=has_recipients)


def is_notified_elsewhere(recipients: pd.DataFrame) -> bool:
    """Return whether other processes, such as a worker, have recipients: the variable may be set for them only.

    Args:
        recipients: All recipients in the database.
    """
    recently = datetime.now(UTC) - _RECENTLY
    return any(row.last_used_at >= recently for row in records(recipients))


def _show_missing_recipients(console: Console, *, has_recipients: bool) -> None:
    if not has_recipients:
        console.print("[yellow]Alerts are not delivered:[/] set BELLWETHER_ALERT_URLS.")


def _alert_table(alerts: pd.DataFrame) -> Table:
    table = Table("alert", "severity", "title", "opened (UTC)", "notified", "state", title="Alerts")
    for row in records(alerts):
        style = _SEVERITY_STYLES[row.severity]
        state = "open"
        if row.resolved_at is not None:
            state, style = f"cleared {row.resolved_at:%Y-%m-%d}", "dim"
        elif row.acknowledged_at is not None:
            state = f"acknowledged {row.acknowledged_at:%Y-%m-%d}"
        notified = "" if row.recipients_notified is None else f"{int(row.recipients_notified)}"
        if row.messages_waiting:
            notified += f", {int(row.messages_waiting)} waiting"
        opened = f"{row.opened_at:%Y-%m-%d %H:%M}"
        table.add_row(f"{row.alert_id}", f"[{style}]{row.severity}[/]", escape(row.title), opened, notified, state)
    return table


def _recipient_table(recipients: pd.DataFrame) -> Table:
    table = Table("recipient", "last delivery (UTC)", "failing since (UTC)", "failures", "error", title="Recipients")
    for row in records(recipients):
        last = "never" if row.last_delivered_at is None else f"{row.last_delivered_at:%Y-%m-%d %H:%M}"
        since = "" if row.failing_since is None else f"{row.failing_since:%Y-%m-%d %H:%M}"
        failures = f"{row.failed_rounds}" if row.failed_rounds else ""
        table.add_row(escape(row.recipient), last, since, failures, escape(row.last_error or ""))
    return table


def _month(month: date | None) -> str:
    return "none yet" if month is None else f"{month:%Y-%m}"
