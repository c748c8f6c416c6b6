"""What the command line shows of the service: its last runs, alerts, what is waited for and who was told."""

from datetime import date
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.cli.views import records
from tasks.alerts.recipients import Recipient
from tasks.alerts.sender import SendResult

if TYPE_CHECKING:
    from tasks.alerts.service_check import ServiceCheckSummary  # only its name: the module waits for Prefect


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
    """Print the last runs and whatever is wrong; `has_recipients` says whether alerts go anywhere."""
    if runs.empty:
        console.print("No run yet: `bellwether run --source sample` makes the first.")
    else:
        table = Table(
            "run", "source", "universe", "month", "status", "served", "symbols", "finished (UTC)", title="Last runs"
        )
        for run in records(runs):
            finished = "" if run.finished_at is None else f"{run.finished_at:%Y-%m-%d %H:%M}"
            symbols = f"{int(run.symbols_forecast or 0)}/{run.symbols_requested}"
            status = run.status if run.status == "published" else f"[red]{run.status}[/]"
            cells = (run.source, escape(run.universe), f"{run.origin_month:%Y-%m}", status, run.served or "", symbols)
            table.add_row(str(run.run_id), *cells, finished)
        console.print(table)
        newest = records(runs)[0]
        console.print(f"Run {newest.run_id}: {escape(newest.message or 'under way')}", highlight=False)
    _show_alerts(console, alerts, overdue, recipients, has_runs=not runs.empty, has_recipients=has_recipients)
    console.print(f"[dim]Database: {escape(database_address)}[/]", highlight=False)


def show_alerts(console: Console, alerts: pd.DataFrame, recipients: pd.DataFrame, *, has_recipients: bool) -> None:
    """Print alerts, each with what to do and where to look deeper, and the recipients they go to."""
    if alerts.empty:
        console.print("[green]No alert.[/]")
    else:
        console.print(_alert_table(alerts))
    for alert in records(alerts[alerts["resolved_at"].isna()]):
        console.print(f"\n[bold]{alert.alert_id}[/] {escape(alert.detail)}", highlight=False, soft_wrap=True)
        console.print(f"  [dim]{escape(alert.look_deeper_sql)};[/]", highlight=False, soft_wrap=True)
    if len(recipients):
        console.print()
        console.print(_recipient_table(recipients))
    _show_where(console, has_recipients=has_recipients)


def show_service_check(console: Console, summary: "ServiceCheckSummary") -> None:
    """Print what a look around found, and what was delivered."""
    if summary.killed_run_ids or summary.stuck_run_ids:
        parts = [
            f"{what}: {', '.join(map(str, run_ids))}"
            for what, run_ids in (("lost their process", summary.killed_run_ids), ("do not end", summary.stuck_run_ids))
            if run_ids
        ]
        console.print(f"[bold red]Runs that {'; that '.join(parts)}.[/]", highlight=False)
    if summary.monitored.empty:
        console.print("No universe is in regular service yet, so no month is waited for.")
    else:
        show_monitored(console, summary.monitored)
    _show_alerts(
        console, summary.alerts, summary.overdue, pd.DataFrame(), has_runs=True, has_recipients=bool(summary.rounds)
    )
    if summary.rounds:
        table = Table("recipient", "delivered", "waiting", "why", title="Delivered now")
        for each in summary.rounds:
            table.add_row(escape(each.recipient), f"{each.delivered}", f"{each.waiting}", escape(each.reason or ""))
        console.print(table)


def show_monitored(console: Console, watched: pd.DataFrame) -> None:
    """Print the universes in regular service and what is waited for."""
    if watched.empty:
        console.print("No universe is in regular service: a run of the newest month puts one there.")
        return
    table = Table(
        "source/universe", "newest month", "waited for", "due by", "sessions", "exchanges", title="In regular service"
    )
    for row in records(watched):
        name, due = escape(f"{row.source}/{row.universe}"), f"{row.next_due_on:%Y-%m-%d}"
        newest, exchanges = _month(row.newest_origin_month), ", ".join(row.exchange_mics)
        table.add_row(name, newest, f"{row.next_origin_month:%Y-%m}", due, f"{row.due_sessions}", exchanges)
    console.print(table)


def show_test(console: Console, answers: list[tuple[Recipient, SendResult]]) -> None:
    """Print what became of test messages."""
    table = Table("recipient", "result", title="Test message")
    for recipient, answer in answers:
        result = "[green]delivered[/]" if answer.is_delivered else f"[red]{escape(answer.reason or '')}[/]"
        table.add_row(escape(recipient.name), result)
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
    """Whatever is wrong, in tables; a line when nothing is."""
    if len(alerts):
        console.print(_alert_table(alerts))
        console.print("[dim]What to do about each: bellwether alerts list; that you know: bellwether alerts ack ID[/]")
    if len(overdue):
        table = Table("source/universe", "missing", "was due by", "days ago", "newest month", title="Overdue")
        for row in records(overdue):
            count = f"{row.origin_month:%Y-%m}" + (
                f" and {row.months_overdue - 1} before" if row.months_overdue > 1 else ""
            )
            name, newest = escape(f"{row.source}/{row.universe}"), _month(row.newest_origin_month)
            table.add_row(name, count, f"{row.due_on:%Y-%m-%d}", f"{row.days_overdue}", newest)
        console.print(table)
    failing = recipients[recipients["failed_rounds"] > 0] if len(recipients) else recipients
    if len(failing):
        console.print(_recipient_table(failing))
    if alerts.empty and overdue.empty and has_runs:
        console.print("[green]No open alert, nothing overdue.[/]")
    _show_where(console, has_recipients=has_recipients)


def _show_where(console: Console, *, has_recipients: bool) -> None:
    if not has_recipients:
        console.print("[yellow]No recipient is set, so nobody is told of alerts:[/] see BELLWETHER_ALERT_URLS.")


def _alert_table(alerts: pd.DataFrame) -> Table:
    table = Table("alert", "severity", "what", "since (UTC)", "recipients told", "state", title="Alerts")
    for row in records(alerts):
        style = {"critical": "bold red", "warning": "yellow"}[row.severity]
        state = "open"
        if row.resolved_at is not None:
            state, style = f"cleared {row.resolved_at:%Y-%m-%d}", "dim"
        elif row.acknowledged_at is not None:
            state = f"acknowledged {row.acknowledged_at:%Y-%m-%d}"
        told = "" if row.recipients_notified is None else f"{int(row.recipients_notified)}"
        if row.messages_waiting:
            told += f", {int(row.messages_waiting)} waiting"
        since = f"{row.opened_at:%Y-%m-%d %H:%M}"
        table.add_row(f"{row.alert_id}", f"[{style}]{row.severity}[/]", escape(row.title), since, told, state)
    return table


def _recipient_table(recipients: pd.DataFrame) -> Table:
    table = Table("recipient", "accepted last (UTC)", "failing since (UTC)", "rounds", "why", title="Recipients")
    for row in records(recipients):
        last = "never" if row.last_delivered_at is None else f"{row.last_delivered_at:%Y-%m-%d %H:%M}"
        since = "" if row.failing_since is None else f"{row.failing_since:%Y-%m-%d %H:%M}"
        rounds = f"{row.failed_rounds}" if row.failed_rounds else ""
        table.add_row(escape(row.recipient), last, since, rounds, escape(row.last_error or ""))
    return table


def _month(newest: date | None) -> str:
    return "none yet" if newest is None else f"{newest:%Y-%m}"
