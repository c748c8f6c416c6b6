"""Monitored universes: the due dates of their months, and the alerts about overdue months.

A universe is monitored from its first run for a current month on, if the run is unattended or of a universe file or a
whole source. Runs for past months and attended runs of typed symbols do not start monitoring. Due dates are stored
ahead, so the view `report.overdue` finds an overdue month although no program runs.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd

from sql.store import MonthKey, Store
from tasks.alerts.messages import MISSING_MONTH, overdue_alert
from tasks.calendars import due_days
from tasks.database import database_errors, records_of
from tasks.errors import BadRequestError
from tasks.plans.month import MonthPlan
from tasks.plans.universe import DEFAULT_EXCHANGE
from tasks.progress import log_line

MONTHS_AHEAD = 24
"""Months for which due dates are stored ahead."""
_CURRENT_WITHIN = timedelta(days=31)  # the rule of the column `ops.run.is_retrospective`


def monitor_months(
    store: Store, plan: MonthPlan, *, due_sessions: int, is_unattended: bool, is_symbol_list: bool
) -> None:
    """Monitor the universe of a plan for a current month from that month on.

    Args:
        store: The database.
        plan: The month to run.
        due_sessions: Sessions after a month within which it must be published.
        is_unattended: The run is unattended.
        is_symbol_list: The symbols were typed. An attended run of typed symbols is not monitored.
    """
    is_current = plan.prices.requested_at.date() <= plan.as_of + _CURRENT_WITHIN
    if is_current and (is_unattended or not is_symbol_list):
        mics = sorted({instrument.exchange_mic for instrument in plan.instruments})
        with database_errors():
            _monitor_universe(store, plan.key, mics, due_sessions)


def monitor_unstarted_universe(
    store: Store, source: str, universe: str, due_sessions: int, scheduled_for: datetime
) -> None:
    """Monitor a universe whose run failed before it was planned, from the month before `scheduled_for` on.

    A monitored universe stays unchanged. The exchange is not known yet, so due dates follow the default one.
    """
    monitored = store.read_report("monitored_universes")
    if ((monitored["source"] == source) & (monitored["universe"] == universe)).any():
        return
    origin_month = (pd.Timestamp(scheduled_for.date()).replace(day=1) - pd.DateOffset(months=1)).date()
    key = MonthKey(source=source, universe=universe, origin_month=origin_month)
    _monitor_universe(store, key, [DEFAULT_EXCHANGE], due_sessions)


def clear_missing_month(store: Store, key: MonthKey) -> None:
    """Clear the alerts that a published month is missing."""
    with database_errors():
        for kind in MISSING_MONTH:
            store.resolve_alert(
                kind, f"{key.source}/{key.universe}", now=datetime.now(UTC), origin_month=key.origin_month
            )


def extend_due_months(store: Store) -> None:
    """Store the due dates of every monitored universe's next months."""
    with database_errors():
        for row in records_of(store.read_report("monitored_universes")):
            key = MonthKey(
                source=row["source"], universe=row["universe"], origin_month=_as_date(row["next_origin_month"])
            )
            try:
                _plan_due_months(store, key, row["exchange_mics"], row["due_sessions"], datetime.now(UTC))
            except BadRequestError as error:  # no calendar for an exchange: the view counts weekdays instead
                log_line("check", f"{key.universe}: {error}")


def find_overdue_months(store: Store) -> pd.DataFrame:
    """Raise an alert about every universe with an overdue month, and clear the alerts of all others.

    Returns:
        Rows of `report.overdue`.
    """
    now = datetime.now(UTC)
    with database_errors():
        overdue = store.read_report("overdue")
        rows = records_of(overdue)
        for row in rows:
            newest = row["newest_origin_month"]
            months = {
                "origin_month": _as_date(row["origin_month"]),
                "newest_origin_month": newest and _as_date(newest),
            }
            store.open_alert(overdue_alert({**row, **months}), now=now)
        late = {f"{row['source']}/{row['universe']}" for row in rows}
        alerts = store.read_report("open_alerts")
        for subject in alerts.loc[alerts["kind"] == "overdue", "subject"]:
            if subject not in late:
                store.resolve_alert("overdue", subject, now=now)
    log_line("check", f"{len(overdue)} universes overdue")
    return overdue


def _monitor_universe(store: Store, key: MonthKey, mics: Sequence[str], due_sessions: int) -> None:
    """Monitor a universe from the key's month on, and store its due dates."""
    now = datetime.now(UTC)
    store.monitor_universe(
        key.source,
        key.universe,
        exchange_mics=mics,
        due_sessions=due_sessions,
        origin_month=key.origin_month,
        now=now,
    )
    _plan_due_months(store, key, mics, due_sessions, now)


def _plan_due_months(store: Store, key: MonthKey, mics: Sequence[str], due_sessions: int, now: datetime) -> None:
    """Store the due dates of the months from the key's on."""
    first = min(key.origin_month, now.date().replace(day=1))
    months: list[date] = [
        day.date() for day in pd.date_range(first, now.date() + timedelta(days=31 * MONTHS_AHEAD), freq="MS")
    ]
    store.plan_due_months(key.source, key.universe, due_days(mics, months, due_sessions), now=now)


def _as_date(value: Any) -> date:
    return pd.Timestamp(value).date()
