"""What goes into the forecasts: is the newest month like the months before? It informs, and never pages."""

import numpy as np
import pandas as pd

HISTORY_MONTHS = 120
FEWEST_HISTORY_MONTHS = 36
USUAL_RANGE = (0.01, 0.99)
"""Quantiles of the months before, between which a month is expected."""
LARGEST_MISSING_SHARE = 0.05
INPUTS = ("volatility", "volume", "missing")
INPUT_COLUMNS = ["input", "value", "lowest", "highest", "is_unusual"]


def check_inputs(months: pd.DataFrame, origin_month: pd.Timestamp, missing_share: float) -> pd.DataFrame:
    """Compare the origin month with the ten years before it.

    Args:
        months: frame of `model.bars.months.build_months`.
        origin_month: the month.
        missing_share: of the symbols asked for.

    Returns:
        INPUT_COLUMNS, a row for each of INPUTS: volatility (log return a month, geometric mean over symbols), volume
        (over each symbol's own geometric mean of the twelve months before, geometric mean over symbols), missing
        (share). Lowest and highest are the ends of what is expected, NaN where there is too little history.
    """
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
        before = np.exp(values[values.index < origin_month].dropna().iloc[-HISTORY_MONTHS:])
        lowest, highest = before.quantile(USUAL_RANGE) if len(before) >= FEWEST_HISTORY_MONTHS else (np.nan, np.nan)
        rows.append((name, value, float(lowest), float(highest), bool(value < lowest or value > highest)))
    is_missing_much = missing_share > LARGEST_MISSING_SHARE
    rows.append(("missing", missing_share, 0.0, LARGEST_MISSING_SHARE, is_missing_much))
    return pd.DataFrame(rows, columns=INPUT_COLUMNS)
