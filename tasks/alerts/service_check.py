"""Service check: killed runs, stuck runs, and a summary.

Plain functions without Prefect, because the check must work when Prefect does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from sql.store import MonthKey, Store
from tasks.alerts.delivery import DeliveryRound
from tasks.alerts.messages import killed_run_alert, stuck_run_alert
from tasks.database import database_errors, records_of
from tasks.progress import log_line


@dataclass(frozen=True, kw_only=True)
class ServiceCheckSummary:
    """Results of a service check."""

    killed_run_ids: list[int]
    stuck_run_ids: list[int]
    monitored: pd.DataFrame = field(repr=False)
    """Rows of `report.monitored_universe`."""
    overdue: pd.DataFrame = field(repr=False)
    """Rows of `report.overdue`."""
    alerts: pd.DataFrame = field(repr=False)
    """Open alerts, see `queries/alerts/alert_history.sql`."""
    recipients: pd.DataFrame = field(repr=False)
    """Rows of `report.recipient`, also of other processes."""
    rounds: list[DeliveryRound]
    """Delivery results, one per recipient; empty if no recipient is configured."""


def find_killed_runs(store: Store) -> list[int]:
    """Mark every run whose process was killed as abandoned, and raise an alert about it.

    Returns:
        Ids of the runs.
    """
    killed = []
    with database_errors():
        for run in _read_running_runs(store):
            if run["is_held"]:
                continue
            key = MonthKey(source=run["source"], universe=run["universe"], origin_month=run["origin_month"])
            # The run may have ended since it was read. While this process holds the month, its status cannot change.
            with store.hold_month(key) as is_ours:
                if is_ours and store.abandon_run(int(run["run_id"]), killed_run_alert(run), now=datetime.now(UTC)):
                    killed.append(int(run["run_id"]))
    log_line("check", f"{len(killed)} runs killed")
    return killed


def find_stuck_runs(store: Store, stuck_hours: int) -> list[int]:
    """Raise an alert about every run whose process is alive and has not ended within `stuck_hours`.

    Returns:
        Ids of the runs.
    """
    now = datetime.now(UTC)
    with database_errors():
        stuck = [
            run
            for run in _read_running_runs(store)
            if run["is_held"] and run["started_at"] < now - timedelta(hours=stuck_hours)
        ]
        for run in stuck:
            store.open_alert(stuck_run_alert(run, stuck_hours), now=now)
    log_line("check", f"{len(stuck)} runs stuck")
    return [int(run["run_id"]) for run in stuck]


def summarise_service_check(
    store: Store, killed: Sequence[int], stuck: Sequence[int], rounds: Sequence[DeliveryRound]
) -> ServiceCheckSummary:
    """Read the state of the service after a check.

    Args:
        store: The database.
        killed: Ids of the killed runs.
        stuck: Ids of the stuck runs.
        rounds: Results of the delivery.
    """
    with database_errors():
        return ServiceCheckSummary(
            killed_run_ids=list(killed),
            stuck_run_ids=list(stuck),
            monitored=store.read_report("monitored_universes"),
            overdue=store.read_report("overdue"),
            alerts=store.read_report("alert_history", is_all=False, limit=100),
            recipients=store.read_report("recipients"),
            rounds=list(rounds),
        )


def _read_running_runs(store: Store) -> list[dict[str, Any]]:
    return [
        {**row, "origin_month": pd.Timestamp(row["origin_month"]).date()}
        for row in records_of(store.read_running_runs())
    ]
