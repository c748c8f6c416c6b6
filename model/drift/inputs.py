"""Comparison of a month's inputs with the years before; informative, never an alarm."""

import numpy as np
import pandas as pd

from model.config import DriftConfig
from model.frames import INPUT_CHECK_TYPES, INPUT_COLUMNS, MONTH_TYPES, check_frame

CHECKED_INPUTS = ("volatility", "volume", "missing")
"""Volatility: log return per month, geometric mean over symbols. Volume: ratio to the geometric mean of the symbol's
previous twelve months, geometric mean over symbols. Missing: share of the requested symbols."""


def check_inputs(
    months: pd.DataFrame, origin_month: pd.Timestamp, missing_share: float, config: DriftConfig = DriftConfig()
) -> pd.DataFrame:
    """Compare the inputs of the origin month with those of earlier months.

    Args:
        months: Frame of MONTH_TYPES; the columns INPUT_COLUMNS are used.
        origin_month: Month to check.
        missing_share: Share of the requested symbols without data.
        config: Length of the history and limits of the usual range.

    Returns:
        Frame of INPUT_CHECK_TYPES, one row for each of CHECKED_INPUTS.

    Raises:
        ValueError: If a column is missing or has another type.
    """
    check_frame(months, MONTH_TYPES, "months", INPUT_COLUMNS)
    final = months[months["is_final"].to_numpy(np.bool_) & (months["month"] <= origin_month).to_numpy()]

    def log_by_month(name: str) -> pd.DataFrame:
        wide: pd.DataFrame = final.pivot(index="month", columns="symbol", values=name).astype(np.float64)
        positive: pd.DataFrame = wide.where(wide > 0)
        return positive.map(np.log)

    volume = log_by_month("volume")
    volume = volume - volume.rolling(12, min_periods=6).mean().shift(1)
    series = {"volatility": log_by_month("realised_variance").mean(axis=1) / 2.0, "volume": volume.mean(axis=1)}
    rows: list[tuple[str, float, float, float, bool]] = []
    for name, values in series.items():
        value = float(np.exp(values.get(origin_month, np.nan)))
        history = np.exp(values[values.index < origin_month].dropna().iloc[-config.history_months :])
        has_history = len(history) >= config.fewest_history_months
        lowest, highest = history.quantile(config.usual_range) if has_history else (np.nan, np.nan)
        rows.append((name, value, float(lowest), float(highest), bool(value < lowest or value > highest)))
    largest = config.largest_missing_share
    rows.append(("missing", missing_share, 0.0, largest, missing_share > largest))
    return pd.DataFrame(rows, columns=list(INPUT_CHECK_TYPES))
