"""Bars without faults, faults to plant in them, and a short form of the findings."""

import numpy as np
import pandas as pd

from model.frames import ACTION_TYPES, PRICE_COLUMNS
from model.quality.screening import Screened, screen

NO_DAYS = pd.DatetimeIndex([])


def quiet_bars(count: int = 100, symbol: str = "A") -> pd.DataFrame:
    """Make bars with closes of 100 and 101 in turn, and low and high half a per cent away."""
    close = 100 * 1.01 ** (np.arange(count) % 2)
    prices = {"open": close, "high": close * 1.005, "low": close * 0.995, "close": close}
    days = pd.bdate_range("2020-01-01", periods=count).as_unit("ns")
    return pd.DataFrame({"symbol": symbol, "session": days, **prices, "volume": 1000.0 + np.arange(count) % 3})


def make_actions(*rows: tuple[pd.Timestamp, str, float], symbol: str = "A") -> pd.DataFrame:
    return pd.DataFrame([(symbol, *row) for row in rows], columns=list(ACTION_TYPES)).astype(ACTION_TYPES)


def run_screen(
    bars: pd.DataFrame, actions: pd.DataFrame | None = None, sessions: pd.DatetimeIndex = NO_DAYS
) -> Screened:
    return screen(bars, make_actions() if actions is None else actions, sessions, NO_DAYS)


def outcomes(screened: Screened) -> list[tuple[str, int, str]]:
    """Return rule, position of the session among the quiet bars, and treatment of each finding."""
    days = quiet_bars(300)["session"]
    findings = screened.findings
    positions = days.searchsorted(findings["session"]).tolist()
    return list(zip(findings["rule"], positions, findings["treatment"], strict=True))


def scale(bars: pd.DataFrame, rows: slice, factor: float, columns: list[str] = PRICE_COLUMNS) -> pd.DataFrame:
    scaled = bars.copy()
    scaled.loc[scaled.index[rows], columns] *= factor
    return scaled


def omit_split(bars: pd.DataFrame, row: int, ratio: float) -> pd.DataFrame:
    """Convert to bars as traded around a split at a row."""
    return scale(scale(bars, slice(0, row), ratio), slice(0, row), 1 / ratio, ["volume"])
