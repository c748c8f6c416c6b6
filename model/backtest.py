"""Forecasts of many past origins, scored: what the gate judges and a backtest reports."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from model.features import Panel
from model.forecaster import Forecaster
from model.metrics import score_forecasts


def known_returns(panel: Panel, positions: Sequence[int]) -> pd.DataFrame:
    """What came after origins: symbol, origin_month, horizon, log_return, of the targets that the panel knows.

    Args:
        panel: Its targets.
        positions: Of the origins on the time axis.
    """
    y = panel.y[:, list(positions)]  # [N, origins, H]
    symbol, origin, horizon = np.nonzero(np.isfinite(y))
    return pd.DataFrame(
        {
            "symbol": np.asarray(panel.symbols, dtype=object)[symbol],
            "origin_month": panel.months[np.asarray(positions, dtype=np.int64)[origin]],
            "horizon": horizon + 1,
            "log_return": y[symbol, origin, horizon],
        }
    ).astype({"symbol": "str"})


def score_origins(forecaster: Forecaster, panel: Panel, positions: Sequence[int]) -> pd.DataFrame:
    """Scores of every forecaster at the origins whose targets are known; SCORE_COLUMNS of `model.metrics`.

    Args:
        forecaster: Trained on nothing that happened after the first origin, or the scores flatter it.
        panel: Features and targets.
        positions: Of the origins on the time axis.
    """
    forecasts = forecaster.forecast_many(panel, list(panel.months[list(positions)]))
    return score_forecasts(forecasts, known_returns(panel, positions))
