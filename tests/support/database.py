"""Price files, digests of all tables, and damage to a stored model."""

import hashlib
from pathlib import Path

import pandas as pd

from tests.support.rows import query

TABLES = [
    "market.instrument",
    "market.daily_bar",
    "market.corporate_action",
    "market.bar_revision",
    "market.finding",
    "ops.download",
    "ops.run",
    "ops.symbol_outcome",
    "ops.drift_check",
    "ops.drift_month",
    "ops.drift_symbol",
    "ops.input_check",
    "ops.alert",
    "forecast.model_version",
    "forecast.baseline_coefficient",
    "forecast.candidate",
    "forecast.forecast_origin",
    "forecast.forecast",
    "forecast.forecast_error",
    "forecast.restated_error",
    "forecast.month_score",
    "forecast.scorecard",
    "forecast.backtest_error",
    "forecast.backtest_scorecard",
    "forecast.drift_expectation",
]


def snapshot(url: str) -> dict[str, str]:
    """Return a digest of the rows of each table."""
    # One statement, because a connection takes longer than the rows of most tables.
    columns = ", ".join(f"(select array_agg(t::text order by t::text) from {table} t)" for table in TABLES)
    (rows,) = query(url, f"select {columns}")
    digests = (hashlib.sha256(repr(content).encode()).hexdigest() for content in rows)
    return dict(zip(TABLES, digests, strict=True))


def write_prices(path: Path, bars: pd.DataFrame) -> str:
    """Write bars as a price file and return its source specification."""
    bars.to_csv(path, index=False)
    return f"file:{path}"


def damage(url: str, model_version_id: int) -> None:
    """Overwrite the stored weights of a model version."""
    query(url, f"update forecast.model_version set weights = '\\x00' where model_version_id = {model_version_id}")
