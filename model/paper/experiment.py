"""The experiment of the paper behind the project, as published, with simple forecasts to compare it with.

Closes of an index, scaled to 0-1, are forecast one step ahead from windows of scaled open, high, low, close and volume.
The first 80 % of the rows are the training part, the last 20 % the test part. The inputs of the target at row t are the
`window` rows before it:

    rows     0 1 2 ... 59 | 60        inputs 0-59,  target: close of 60
    rows       1 2 ... 60 | 61        inputs 1-60,  target: close of 61

A target belongs to the part of its row, so that the first test windows contain training rows, which precede them.
`docs/paper.md` describes the differences from the monthly forecaster.

Sizes: M targets, W rows of a window, C columns.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from model import Floats
from model.bars.adjustment import actions_per_bar
from model.evaluation.metrics import mae, mse, rmse

PAPER_COLUMNS = ["open", "high", "low", "close", "volume"]
_CLOSE = PAPER_COLUMNS.index("close")
PAPER_SCALERS = ("everything", "training")
"""Rows that a scaler is fitted on: all, with the test part, as published; or the training part only."""
PAPER_NETWORKS = ("hybrid", "lstm", "gru")
PAPER_SCORES = ["mae", "mse", "rmse", "mae_points", "mse_points", "rmse_points", "train_rmse", "misplaced_rmse"]


@dataclass(frozen=True)
class PaperConfig:
    """Choices of the experiment, with defaults for daily bars.

    "Open" marks a choice that the paper does not state; `benchmarks.paper` compares its values.
    """

    window: int = 60
    """Rows of a window. Open; 60 is usual in notebooks of this kind."""
    test_share: float = 0.2
    """Newest share of the rows."""
    units: int = 50
    """Width of each recurrent layer."""
    dropout: float = 0.05
    """Rate after each recurrent layer. The paper uses dropout; the rate is open."""
    validation_share: float = 0.1
    """Newest share of the training targets, for early stopping. Open."""
    batch_windows: int = 128
    """Approximate number of windows in a batch. Open."""
    learning_rate: float = 5e-3
    """Initial learning rate of Adam. Open."""
    is_rate_falling: bool = True
    """Whether the learning rate falls to 0 over `epochs` as half a cosine (Loshchilov and Hutter 2017, eq. 5). Open."""
    clip_norm: float | None = None
    """Norm to which the gradient of each variable is clipped; None for no clipping. Open."""
    epochs: int = 40
    """Largest number of epochs. Open."""
    patience: int = 10
    """Epochs without a lower validation loss after which training stops. Open."""
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    """One training per seed."""

    def to_dict(self) -> dict[str, Any]:
        """Return the choices as values that JSON can hold."""
        return {**asdict(self), "seeds": list(self.seeds)}


@dataclass(frozen=True)
class Filled:
    """Rows without gaps, and the number of values filled."""

    bars: pd.DataFrame = field(repr=False)
    """session, open, high, low, close, volume; no value is missing."""
    opens: int
    """Missing opens, filled with the previous close, the last price known at the opening."""
    ranges: int
    """Rows with a missing high or low, filled with the higher or lower of open and close."""
    volumes: int
    """Missing volumes, filled with 0."""


@dataclass(frozen=True)
class Experiment:
    """Windows and targets of one series under one scaler."""

    scaler: str
    inputs: Floats = field(repr=False)
    """[M, W, C] float32, scaled; a read-only view."""
    target: Floats = field(repr=False)
    """[M] scaled closes."""
    sessions: pd.DatetimeIndex = field(repr=False)
    """[M] of the targets."""
    train: slice
    validation: slice
    test: slice
    low: float
    """Smallest close of the scaler's rows, in points: 0 on the scale."""
    span: float
    """Distance of the largest close from it, in points: 1 on the scale."""

    def to_points(self, scaled: Floats) -> Floats:
        """Convert scaled closes to points of the index."""
        return scaled * self.span + self.low

    @property
    def last_close(self) -> Floats:
        """[M] scaled close before each target: the persistence forecast."""
        close: Floats = self.inputs[:, -1, _CLOSE].astype(np.float64)
        return close

    @property
    def beyond_share(self) -> float:
        """Share of test targets outside 0-1, the range of the scaler's rows."""
        tested = self.target[self.test]
        return float(np.mean((tested < 0.0) | (tested > 1.0)))


def in_last_shares(bars: pd.DataFrame, actions: pd.DataFrame) -> pd.DataFrame:
    """Adjust one symbol's prices and volumes for splits, to the shares of its last bar, but not for dividends.

    Args:
        bars: as traded, sorted by symbol and session.
        actions: splits and dividends.

    Returns:
        A frame with the columns and rows of `bars`.
    """
    split, _ = actions_per_bar(bars, actions)
    later = np.append(np.cumprod(split[::-1])[::-1], 1.0)[1:]
    prices = {name: bars[name] / later for name in PAPER_COLUMNS[:-1]}
    return bars.assign(**prices, volume=bars["volume"] * later)


def fill_gaps(bars: pd.DataFrame) -> Filled:
    """Fill the gaps of one symbol's bars from the same or earlier rows; rows without a close are dropped.

    Args:
        bars: session, open, high, low, close, volume; sorted by session. NaN is missing.
    """
    rows = bars.loc[bars["close"] > 0, ["session", *PAPER_COLUMNS]].reset_index(drop=True)
    is_open_missing, is_volume_missing = rows["open"].isna(), rows["volume"].isna()
    is_range_missing = rows["high"].isna() | rows["low"].isna()
    rows["open"] = rows["open"].fillna(rows["close"].shift()).fillna(rows["close"])
    rows["high"] = rows["high"].fillna(rows[["open", "close"]].max(axis=1))
    rows["low"] = rows["low"].fillna(rows[["open", "close"]].min(axis=1))
    rows["volume"] = rows["volume"].fillna(0.0)
    return Filled(rows, int(is_open_missing.sum()), int(is_range_missing.sum()), int(is_volume_missing.sum()))


def make_experiment(bars: pd.DataFrame, config: PaperConfig, *, scaler: str) -> Experiment:
    """Scale the rows, make windows and split the targets by time.

    Args:
        bars: of `fill_gaps`.
        config: window and shares.
        scaler: one of PAPER_SCALERS.

    Raises:
        ValueError: if a part would have no target, or the scaler is unknown.
    """
    if scaler not in PAPER_SCALERS:
        raise ValueError(f"`scaler` must be one of {', '.join(PAPER_SCALERS)}; received {scaler!r}.")
    rows = bars[PAPER_COLUMNS].to_numpy(np.float64)
    test_start = int(len(rows) * (1.0 - config.test_share))
    train_count = test_start - config.window
    validation_count = round(train_count * config.validation_share)
    if validation_count < 1 or train_count - validation_count < 1 or test_start >= len(rows):
        raise ValueError(
            f"The training part, the first {1 - config.test_share:.0%} of the bars, must have a training and "
            f"a validation target after a window of {config.window}: received {len(rows)} bars. Use an earlier start "
            "or a shorter window."
        )
    scaler_rows = rows if scaler == "everything" else rows[:test_start]
    low, span = scaler_rows.min(axis=0), np.ptp(scaler_rows, axis=0)
    # A constant column, such as a volume that is missing everywhere, becomes 0.
    scaled = (rows - low) / np.where(span > 0, span, 1.0)
    windows = np.lib.stride_tricks.sliding_window_view(scaled.astype(np.float32)[:-1], config.window, axis=0)
    return Experiment(
        scaler=scaler,
        inputs=windows.transpose(0, 2, 1),  # [M, W, C]
        target=scaled[config.window :, _CLOSE],
        sessions=pd.DatetimeIndex(bars["session"].iloc[config.window :]),
        train=slice(0, train_count - validation_count),
        validation=slice(train_count - validation_count, train_count),
        test=slice(train_count, len(rows) - config.window),
        low=float(low[_CLOSE]),
        span=float(span[_CLOSE]),
    )


def forecast_linear(experiment: Experiment) -> Floats:
    """Forecast with least squares on the values of the window and a constant, fitted on the training part.

    There is no early stopping, so the fit includes the validation targets.

    Returns:
        [M] scaled closes.
    """
    flat = experiment.inputs.reshape(len(experiment.target), -1).astype(np.float64)
    flat = np.column_stack([flat, np.ones(len(flat))])
    fitted = slice(0, experiment.validation.stop)
    coefficients = np.linalg.lstsq(flat[fitted], experiment.target[fitted], rcond=None)[0]
    forecast: Floats = flat @ coefficients
    return forecast


def score(experiment: Experiment, forecast: Floats) -> dict[str, float]:
    """Score a forecast: PAPER_SCORES by name.

    `mae` to `rmse_points` are errors on the test part, scaled and in points of the index. The notebook of the paper
    prints two others: `train_rmse`, of the training targets, and `misplaced_rmse`, of the test part's forecasts against
    the first targets of the series.

    Args:
        experiment: windows and targets.
        forecast: [M] scaled closes.
    """
    actual, tested = experiment.target[experiment.test], forecast[experiment.test]
    scaled = [measure(actual=actual, forecast=tested) for measure in (mae, mse, rmse)]
    points = [value * experiment.span**power for value, power in zip(scaled, (1, 2, 1), strict=True)]
    trained = rmse(actual=experiment.target[experiment.train], forecast=forecast[experiment.train])
    misplaced = rmse(actual=experiment.target[: len(tested)], forecast=tested)
    return dict(zip(PAPER_SCORES, [*scaled, *points, trained, misplaced], strict=True))


def autocorrelation(values: Floats, lags: int) -> Floats:
    """Return the sample autocorrelation at lags 1, 2, ... (Box and Jenkins, Time Series Analysis, eq. 2.1.12)."""
    centred = values - values.mean()
    total = float(centred @ centred)
    return np.array([float(centred[lag:] @ centred[:-lag]) / total for lag in range(1, lags + 1)])
