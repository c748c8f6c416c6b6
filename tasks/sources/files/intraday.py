"""Bars within the day, aggregated to daily bars."""

from collections.abc import Sequence
from datetime import date

import pyarrow as pa

_FEWEST_DAYS = 0.5
"""Share of the days with several times from which a file holds bars within the day."""
_AGGREGATIONS = {"open": "first", "high": "max", "low": "min", "volume": "sum", "dividends": "sum"}


def has_intraday_bars(sessions: Sequence[date], times: Sequence[str]) -> bool:
    """Return whether most days have several rows at different times.

    Args:
        sessions: Date of each row.
        times: Time of day of each row, '' without one.
    """
    by_day: dict[date, set[str]] = {}
    for session, time in zip(sessions, times, strict=True):
        by_day.setdefault(session, set()).add(time)
    several = sum(len(group) > 1 for group in by_day.values())
    return several > _FEWEST_DAYS * len(by_day)


def aggregate_days(columns: pa.Table, times: Sequence[str]) -> tuple[pa.Table, list[date]]:
    """Aggregate the rows of each date: first open, highest high, lowest low, last close, sum of the volumes.

    The date is that of the offset in the file, which is the date at the exchange.

    Args:
        columns: Rows in the order of the file, with the column `date`.
        times: Time of day of each row.

    Returns:
        One row a day, and the days.
    """
    frame = columns.to_pandas().assign(time=list(times)).sort_values(["date", "time"], kind="stable")
    names = [name for name in columns.column_names if name != "date"]
    groups = frame.groupby("date", sort=True)
    daily = groups.agg({name: _AGGREGATIONS.get(name, "last") for name in names}).reset_index()
    if "volume" in names:
        daily["volume"] = groups["volume"].sum(min_count=1).to_numpy()
    table = pa.Table.from_pandas(daily[columns.column_names], preserve_index=False)
    days = [day if isinstance(day, date) else day.date() for day in daily["date"]]
    return table.set_column(table.column_names.index("date"), "date", pa.array(days, pa.date32())), days
