"""Bars and actions written by hand."""

import numpy as np
import pandas as pd

from model.bars.adjustment import read_adjusted_steps
from model.frames import ACTION_TYPES

DAYS = pd.to_datetime(["2020-01-30", "2020-01-31", "2020-02-03", "2020-02-28", "2020-03-02"])


def make_bars(close: list[float] | np.ndarray, symbol: str = "A", days: pd.DatetimeIndex = DAYS) -> pd.DataFrame:
    """Make bars with the same price all day and a volume of 1,000 shares."""
    price = np.asarray(close, dtype=np.float64)
    prices = {"open": price, "high": price, "low": price, "close": price}
    return pd.DataFrame({"symbol": symbol, "session": days[: len(price)], **prices, "volume": 1000.0})


def make_actions(*rows: tuple[str, str, float], symbol: str = "A") -> pd.DataFrame:
    """Make actions of one symbol from ex-date, kind and value."""
    actions = pd.DataFrame([(symbol, *row) for row in rows], columns=list(ACTION_TYPES))
    return actions.astype(ACTION_TYPES)


def actions_from_adjusted_close(bars: pd.DataFrame) -> pd.DataFrame:
    """Infer dividends from the steps of adj_close / close."""
    return read_adjusted_steps(bars).actions
