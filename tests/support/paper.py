"""A small experiment of the paper."""

import pandas as pd

from model.paper.experiment import PaperConfig

TINY = PaperConfig(window=3, units=2, epochs=4, patience=2, batch_windows=16, seeds=(1,))


def flat_bars(closes: list[float]) -> pd.DataFrame:
    """Return bars of successive days whose four prices are equal."""
    sessions = pd.date_range("2000-01-01", periods=len(closes))
    return pd.DataFrame({"session": sessions, **dict.fromkeys(["open", "high", "low", "close"], closes), "volume": 1.0})
