"""Monthly bars simulated from a known process."""

from dataclasses import replace

import numpy as np
import pandas as pd

from model.config import ForecasterConfig
from model.forecaster.features import make_panel
from model.forecaster.forecaster import Forecaster, train
from model.forecaster.split import split_origins

SMALL = replace(ForecasterConfig(), units=2, epochs=3, seeds=(1,), holdout_months=24, validation_months=24)


def simulate_months(
    symbols: int = 12, months: int = 300, *, clustering: float = 0.0, drift: float = 0.0, seed: int = 7
) -> pd.DataFrame:
    """Simulate months whose log volatility is autoregressive around log 0.06.

    Args:
        symbols: Number of symbols.
        months: Number of months.
        clustering: Standard deviation of the monthly change of log volatility; 0 makes returns a random walk.
        drift: Mean log return per month.
        seed: Of the random numbers.
    """
    rng = np.random.default_rng(seed)
    log_sigma = np.zeros((symbols, months))
    for t in range(1, months):
        log_sigma[:, t] = 0.9 * log_sigma[:, t - 1] + clustering * rng.standard_normal(symbols)
    sigma = 0.06 * np.exp(log_sigma)
    daily = drift / 21 + sigma[..., None] / np.sqrt(21) * rng.standard_normal((symbols, months, 21))
    returns = daily.sum(axis=2)
    close = 100 * np.exp(np.cumsum(returns, axis=1))
    frame = pd.DataFrame(
        {
            "symbol": np.repeat([f"S{number:02d}" for number in range(symbols)], months),
            "month": np.tile(pd.date_range("1990-01-01", periods=months, freq="MS"), symbols),
            "close": close.ravel(),
            "log_return": returns.ravel(),
            "realised_variance": (daily**2).sum(axis=2).ravel(),
            "volume": 1e6,
            "sessions_present": 21,
            "sessions_expected": 21,
            "is_final": True,
        }
    )
    frame["open"], frame["high"], frame["low"] = frame["close"], frame["close"] * 1.03, frame["close"] * 0.97
    frame.loc[frame.groupby("symbol").head(1).index, "log_return"] = np.nan
    return frame


def shuffle_after(months: pd.DataFrame, cut: pd.Timestamp) -> pd.DataFrame:
    """Return the months with the values of all months after `cut` permuted."""
    later = (months["month"] > cut).to_numpy()
    values = ["log_return", "realised_variance", "close", "high", "low", "volume"]
    order = np.random.default_rng(3).permutation(np.flatnonzero(later))
    shuffled = months.copy()
    shuffled.loc[later, values] = months.iloc[order][values].to_numpy()
    return shuffled


def train_on(months: pd.DataFrame, config: ForecasterConfig) -> Forecaster:
    """Train a forecaster on all months with a holdout."""
    panel = make_panel(months, config)
    return train(panel, split_origins(len(panel.months), config), config)
