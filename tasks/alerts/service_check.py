"""Watch the service: runs that lost their process or do not end, and months that are due and missing.

Plain functions, not steps of Prefect: the watch must work when Prefect does not.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from sql.store import MonthKey, Store
from tasks.alerts.delivery import DeliveryRound
from tasks.alerts.duty import plan_due_months
from tasks.alerts.messages import killed_run_alert, overdue_alert, stuck_run_alert
from tasks.database import database_errors, records_of
from tasks.errors import BadRequestError
from tasks.progress import log_line


@dataclass(frozen=True)
class ServiceCheckSummary:
    """What a look around found."""

    killed_run_ids: list[int]
    stuck_run_ids: list[int]
    watched: pd.DataFrame = field(repr=False)
    """Rows of `report.monitored_universe`."""
    overdue: pd.DataFrame = field(repr=False)
    """Rows of `report.overdue`."""
    alerts: pd.DataFrame = field(repr=False)
    """Open alerts, see `queries/alert_history.sql`."""
    rounds: list[DeliveryRound]
    """What came of delivery, one an recipient; none when no recipient is set."""


def extend_due_months(store: Store) -> None:
    """Write ahead when the months of every watched universe are due."""
    with database_errors():
        for row in records_of(store.read_report("monitored_universes")):
            key = MonthKey(
                source=row["source"], universe=row["universe"], origin_month=_month(row["next_origin_month"])
            )
            try:
                plan_due_months(store, key, row["exchange_mics"], row["due_sessions"], datetime.now(UTC))
            except BadRequestError as error:  # an exchange without a calendar: the view falls back on weekdays
                log_line("watch", f"{key.universe}: {error}")


def find_killed_runs(store: Store, stuck_hours: int) -> tuple[list[int], list[int]]:
    """Raise an alert about every run that lost its process, and about every one that has not ended in `stuck_hours`.

    Returns:
        Their numbers: lost, then stuck.
    """
    now = datetime.now(UTC)
    lost, stuck = [], []
    with database_errors():
        for row in records_of(store.read_running_runs()):
            run = {**row, "origin_month": _month(row["origin_month"])}
            if row["is_held"]:
                if row["started_at"] < now - timedelta(hours=stuck_hours):
                    store.open_alert(stuck_run_alert(run, stuck_hours), now=now)
                    stuck.append(int(row["run_id"]))
                continue
            key = MonthKey(source=row["source"], universe=row["universe"], origin_month=run["origin_month"])
            # It may have ended between the two looks; with the month in our hands the ledger has the last word.
            with store.hold_month(key) as is_ours:
                if is_ours and store.abandon_run(int(row["run_id"]), killed_run_alert(run), now=now):
                    lost.append(int(row["run_id"]))
    log_line("watch", f"{len(lost)} runs lost their process, {len(stuck)} do not end")
    return lost, stuck


def find_overdue(store: Store) -> pd.DataFrame:
    """Raise an alert about every universe with a month overdue, and clear those of the others; `report.overdue`."""
    now = datetime.now(UTC)
    with database_errors():
        overdue = store.read_report("overdue")
        rows = records_of(overdue)
        for row in rows:
            newest = row["newest_origin_month"]
            months = {"origin_month": _month(row["origin_month"]), "newest_origin_month": newest and _month(newest)}
            store.open_alert(overdue_alert({**row, **months}), now=now)
        late = {f"{row['source']}/{row['universe']}" for row in rows}
        alerts = store.read_report("open_alerts")
        for subject in alerts.loc[alerts["kind"] == "overdue", "subject"]:
            if subject not in late:
                store.resolve_alert("overdue", subject, now=now)
    log_line("watch", f"{len(overdue)} universes overdue")
    return overdue


def summarise_service_check(
    store: Store, found: tuple[list[int], list[int]], rounds: list[DeliveryRound]
) -> ServiceCheckSummary:
    """How things stand after a look around."""
    with database_errors():
        return ServiceCheckSummary(
            killed_run_ids=found[0],
            stuck_run_ids=found[1],
            watched=store.read_report("monitored_universes"),
            overdue=store.read_report("overdue"),
            alerts=store.read_report("alert_history", is_all=False, limit=100),
            rounds=rounds,
        )


def _month(value: Any) -> Any:
    return pd.Timestamp(value).date()
