"""The experiment of the paper behind this project, as published, beside what it must beat.

Closes of an index, scaled to 0-1, are forecast one step ahead from windows of scaled open, high, low, close and volume;
the first 80 % of the rows teach, the last 20 % test. Target t, a row number, is read from the `window` rows before it:

    rows     0 1 2 ... 59 | 60        inputs 0-59,  target: close of 60
    rows       1 2 ... 60 | 61        inputs 1-60,  target: close of 61

A target belongs to the part its own row lies in, so that the first test windows reach back into training rows, which
are their past. What the production forecaster does otherwise is told in `docs/paper.md`.

Letters: M targets, W rows of a window, C columns. Networks are trained in `paper_training`.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from model import Floats
from model.bars.adjustment import actions_per_bar
from model.evaluation.metrics import mae, mse, rmse

COLUMNS = ["open", "high", "low", "close", "volume"]
CLOSE = COLUMNS.index("close")
SCALERS = ("everything", "training")
"""The rows a scaler is fitted on: all of them, the test part included, as published; or the training part's alone."""
NETWORKS = ("hybrid", "lstm", "gru")
FORECASTERS = (*NETWORKS, "linear", "persistence")
SCORES = ["mae", "mse", "rmse", "mae_points", "mse_points", "rmse_points", "train_rmse", "misplaced_rmse"]


@dataclass(frozen=True)
class PaperConfig:
    """The choices of the experiment for days; those that the paper leaves open say so, see `benchmarks.paper`."""

    window: int = 60
    """Rows a forecast reads. Open; 60 is what such notebooks take."""
    test_share: float = 0.2
    units: int = 50
    """Width of each recurrent layer."""
    dropout: float = 0.05
    """After each recurrent layer. The paper has dropout, and leaves the rate open."""
    validation_share: float = 0.1
    """Newest share of the training part's targets, held back for early stopping. Open."""
    batch_windows: int = 128
    """Windows a step of Adam. Open."""
    learning_rate: float = 5e-3
    """Adam's, at the start. Open."""
    is_rate_falling: bool = True
    """Whether it falls to 0 over `epochs`, along half a cosine (Loshchilov and Hutter 2017, eq. 5). Open."""
    clip_norm: float | None = None
    """Largest norm of a gradient; None for any. Open."""
    epochs: int = 40
    """Most passes over the training part. Open."""
    patience: int = 10
    """Passes without a better validation loss after which training stops. Open."""
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    """One training each."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return {**asdict(self), "seeds": list(self.seeds)}


@dataclass(frozen=True)
class Filled:
    """Rows without a gap, and what was put into the gaps."""

    bars: pd.DataFrame = field(repr=False)
    """session, open, high, low, close, volume, no value missing."""
    opens: int
    """Missing opens, now the close before: the last price that was known at the opening."""
    ranges: int
    """Rows with a missing high or low, now the higher or lower of open and close."""
    volumes: int
    """Missing volumes, now 0."""


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
    """Smallest close the scaler saw, in points: 0 of the scale."""
    span: float
    """Points from there to the largest, 1 of the scale."""

    def to_points(self, scaled: Floats) -> Floats:
        """Scaled closes in points of the index."""
        return scaled * self.span + self.low

    @property
    def last_close(self) -> Floats:
        """[M] the close before each target, scaled: the forecast of persistence."""
        close: Floats = self.inputs[:, -1, CLOSE].astype(np.float64)
        return close

    @property
    def beyond_share(self) -> float:
        """Share of test targets outside of 0-1, where the training part's scaler has never been."""
        tested = self.target[self.test]
        return float(np.mean((tested < 0.0) | (tested > 1.0)))


def in_last_shares(bars: pd.DataFrame, actions: pd.DataFrame) -> pd.DataFrame:
    """One symbol's bars with prices and volumes in the shares of its last bar; dividends stay out, as published.

    Args:
        bars: As traded, sorted by symbol and session.
        actions: Splits and dividends as they were.
    """
    split, _ = actions_per_bar(bars, actions)
    later = np.append(np.cumprod(split[::-1])[::-1], 1.0)[1:]
    prices = {name: bars[name] / later for name in COLUMNS[:-1]}
    return bars.assign(**prices, volume=bars["volume"] * later)


def fill_gaps(bars: pd.DataFrame) -> Filled:
    """One symbol's bars with every gap filled from its own past; a row without a close is left out.

    Args:
        bars: session, open, high, low, close, volume; sorted by session. Missing is NaN.
    """
    rows = bars.loc[bars["close"] > 0, ["session", *COLUMNS]].reset_index(drop=True)
    is_open_missing, is_volume_missing = rows["open"].isna(), rows["volume"].isna()
    is_range_missing = rows["high"].isna() | rows["low"].isna()
    rows["open"] = rows["open"].fillna(rows["close"].shift()).fillna(rows["close"])
    rows["high"] = rows["high"].fillna(rows[["open", "close"]].max(axis=1))
    rows["low"] = rows["low"].fillna(rows[["open", "close"]].min(axis=1))
    rows["volume"] = rows["volume"].fillna(0.0)
    return Filled(rows, int(is_open_missing.sum()), int(is_range_missing.sum()), int(is_volume_missing.sum()))


def make_experiment(bars: pd.DataFrame, config: PaperConfig, *, scaler: str) -> Experiment:
    """Scale the rows, cut windows and split their targets in time.

    Args:
        bars: Of `fill_gaps`.
        config: Window and shares.
        scaler: One of SCALERS.

    Raises:
        ValueError: if the rows are too few for one target in each part, or the scaler is unknown.
    """
    if scaler not in SCALERS:
        raise ValueError(f"`scaler` must be one of {', '.join(SCALERS)}; received {scaler!r}.")
    rows = bars[COLUMNS].to_numpy(np.float64)
    first_tested = int(len(rows) * (1.0 - config.test_share))
    taught = first_tested - config.window
    validated = round(taught * config.validation_share)
    if validated < 1 or taught - validated < 1 or first_tested >= len(rows):
        raise ValueError(
            f"Too few bars for windows of {config.window}: the training part, the first {1 - config.test_share:.0%}, "
            f"must be longer than that, validation included; received {len(rows)} bars."
        )
    seen = rows if scaler == "everything" else rows[:first_tested]
    low, span = seen.min(axis=0), np.ptp(seen, axis=0)
    # A column that never moves, such as a volume nobody recorded, is 0 throughout.
    scaled = (rows - low) / np.where(span > 0, span, 1.0)
    windows = np.lib.stride_tricks.sliding_window_view(scaled.astype(np.float32)[:-1], config.window, axis=0)
    return Experiment(
        scaler=scaler,
        inputs=windows.transpose(0, 2, 1),  # [M, W, C]
        target=scaled[config.window :, CLOSE],
        sessions=pd.DatetimeIndex(bars["session"].iloc[config.window :]),
        train=slice(0, taught - validated),
        validation=slice(taught - validated, taught),
        test=slice(taught, len(rows) - config.window),
        low=float(low[CLOSE]),
        span=float(span[CLOSE]),
    )


def forecast_linear(experiment: Experiment) -> Floats:
    """[M] scaled closes: least squares on the values of the window and a constant, fitted on the training part.

    It stops nowhere, so that it has the validation's targets to learn from, too.
    """
    flat = experiment.inputs.reshape(len(experiment.target), -1).astype(np.float64)
    flat = np.column_stack([flat, np.ones(len(flat))])
    taught = slice(0, experiment.validation.stop)
    coefficients = np.linalg.lstsq(flat[taught], experiment.target[taught], rcond=None)[0]
    forecast: Floats = flat @ coefficients
    return forecast


def score(experiment: Experiment, forecast: Floats) -> dict[str, float]:
    """SCORES: errors on the test part, scaled and in points of the index, and the two that the notebook printed.

    `train_rmse` is of the targets that were trained on. `misplaced_rmse` compares the forecasts of the test part with
    the first targets of the series, as if these were the test part's.

    Args:
        experiment: Knows the truth.
        forecast: [M] scaled closes.
    """
    actual, said = experiment.target[experiment.test], forecast[experiment.test]
    scaled = [measure(actual=actual, forecast=said) for measure in (mae, mse, rmse)]
    points = [value * experiment.span**power for value, power in zip(scaled, (1, 2, 1), strict=True)]
    trained = rmse(actual=experiment.target[experiment.train], forecast=forecast[experiment.train])
    misplaced = rmse(actual=experiment.target[: len(said)], forecast=said)
    return dict(zip(SCORES, [*scaled, *points, trained, misplaced], strict=True))


def autocorrelation(values: Floats, lags: int) -> Floats:
    """[lags] sample autocorrelation at lags 1, 2, ... (Box and Jenkins, Time Series Analysis, eq. 2.1.12)."""
    centred = values - values.mean()
    total = float(centred @ centred)
    return np.array([float(centred[lag:] @ centred[:-lag]) / total for lag in range(1, lags + 1)])
