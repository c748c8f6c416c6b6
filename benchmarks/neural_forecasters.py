"""LSTM and GRU of neuralforecast with its default settings, on the same months.

neuralforecast requires PyTorch and gigabytes, so it is no dependency of the project. Forecast in another environment:

    pip install neuralforecast
    python benchmarks/neural_forecasters.py forecast MONTHS.parquet FORECASTS.parquet

Write MONTHS.parquet and score FORECASTS.parquet in the project's environment:

    python -m benchmarks.neural_forecasters months MONTHS.parquet
    python -m benchmarks.neural_forecasters score MONTHS.parquet FORECASTS.parquet

Both networks are trained twice: on log prices (dividends reinvested) and on log returns. Their loss is that of all 13
quantiles instead of the mean. They are trained once, on months up to 2003-12, and forecast every third month up to
2017-11.
"""

import sys

import numpy as np
import pandas as pd

LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
FIRST_ORIGIN, LAST_MONTH = pd.Timestamp("2003-12-01"), pd.Timestamp("2018-11-01")
HORIZONS = (1, 3, 6, 12)
STEP = 3
_Z80 = 1.2815515655446004


def write_months(out: str) -> None:
    """Write symbol, month and log_return of the recorded daily file, up to 2018-11."""
    from benchmarks.skill import read_months

    months = read_months()
    months = months[months["is_final"] & (months["month"] <= LAST_MONTH)]
    months[["symbol", "month", "log_return"]].to_parquet(out, index=False)


def forecast(months: str, out: str) -> None:
    """Write symbol, origin_month, horizon, forecaster and a column per quantile level of the cumulative log return."""
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MQLoss
    from neuralforecast.models import GRU, LSTM

    frame = pd.read_parquet(months).dropna()
    frame["log_price"] = frame.groupby("symbol")["log_return"].cumsum()
    span = (LAST_MONTH.year - FIRST_ORIGIN.year) * 12 + LAST_MONTH.month - FIRST_ORIGIN.month
    windows = (span - 12) // STEP + 1
    parts = []
    for column in ("log_price", "log_return"):
        data = frame.rename(columns={"symbol": "unique_id", "month": "ds", column: "y"})[["unique_id", "ds", "y"]]
        # End the data where the first window starts at the first origin.
        data = data[data["ds"] <= FIRST_ORIGIN + pd.DateOffset(months=(windows - 1) * STEP + 12)]
        options = {"h": 12, "input_size": 60, "loss": MQLoss(quantiles=list(LEVELS)), "random_seed": 1}
        quiet = {"enable_progress_bar": False, "logger": False, "enable_model_summary": False}
        models = [kind(**options, **quiet, alias=kind.__name__) for kind in (LSTM, GRU)]
        done = NeuralForecast(models=models, freq="MS").cross_validation(
            df=data, n_windows=windows, step_size=STEP, refit=False
        )
        for model in models:
            parts.append(_cumulative(done, str(model), column, frame))
    pd.concat(parts, ignore_index=True).to_parquet(out, index=False)


def _cumulative(done: pd.DataFrame, name: str, column: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Convert quantiles of each month's log price or log return to those of the cumulative log return."""
    columns = [column_name for column_name in done.columns if column_name.startswith(name)]
    done = done.sort_values(["unique_id", "cutoff", "ds"])
    values = np.sort(done[columns].to_numpy().reshape(-1, 12, len(columns)), axis=2)
    first = done.groupby(["unique_id", "cutoff"], sort=True).head(1)[["unique_id", "cutoff"]]
    if column == "log_price":
        keys = pd.MultiIndex.from_frame(first)
        level = frame.set_index(["symbol", "month"])["log_price"].reindex(keys).to_numpy()
        cumulative = values - level[:, None, None]
    else:
        # With independent Gaussian months, medians and variances add up.
        low, middle, high = (values[..., LEVELS.index(q)] for q in (0.1, 0.5, 0.9))
        deviation = np.sqrt(np.cumsum(((high - low) / (2 * _Z80)) ** 2, axis=1))
        from scipy.stats import norm

        cumulative = np.cumsum(middle, axis=1)[..., None] + deviation[..., None] * norm.ppf(LEVELS)
    rows = []
    for h in HORIZONS:
        part = pd.DataFrame(cumulative[:, h - 1], columns=[str(level) for level in LEVELS])
        part.insert(0, "symbol", first["unique_id"].to_numpy())
        part.insert(1, "origin_month", first["cutoff"].to_numpy())
        part.insert(2, "horizon", h)
        part.insert(3, "forecaster", f"{name.lower()} on {column.replace('_', ' ')}s")
        rows.append(part)
    return pd.concat(rows, ignore_index=True)


def score(months: str, forecasts: str) -> None:
    """Print each network's skill against the random walk on the same origins."""
    frame = pd.read_parquet(months)
    grid = frame.pivot(index="month", columns="symbol", values="log_return")
    total = grid.fillna(0.0).cumsum()
    known = grid.notna()
    root_mean_square = np.sqrt((grid**2).expanding().mean())
    rows = pd.read_parquet(forecasts)
    from scipy.stats import norm

    lines = ["| months ahead | " + " | ".join(sorted(rows["forecaster"].unique())) + " |"]
    lines.append("| ---: |" + " ---: |" * rows["forecaster"].nunique())
    for h in HORIZONS:
        group = rows[rows["horizon"] == h]
        ahead = (total.shift(-h) - total).where(known.rolling(h).sum().shift(-h) == h)
        rows_at = grid.index.get_indexer(group["origin_month"]), grid.columns.get_indexer(group["symbol"])
        actual = ahead.to_numpy()[rows_at]
        walk = root_mean_square.to_numpy()[rows_at] * np.sqrt(h)
        losses = pd.DataFrame(
            {
                "forecaster": group["forecaster"].to_numpy(),
                "month": group["origin_month"].to_numpy(),
                "network": _crps(actual, group[[str(level) for level in LEVELS]].to_numpy()),
                "walk": _crps(actual, walk[:, None] * norm.ppf(LEVELS)),
            }
        ).dropna()
        means = losses.groupby(["forecaster", "month"])[["network", "walk"]].mean().groupby("forecaster").mean()
        lines.append(f"| {h} | " + " | ".join(f"{1 - row.network / row.walk:.1%}" for row in means.itertuples()) + " |")
    print("\n".join(lines))


def _crps(actual: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    levels = np.array(LEVELS)
    miss = actual[:, None] - quantiles
    return np.asarray(2 * np.maximum(levels * miss, (levels - 1) * miss).mean(axis=1))


if __name__ == "__main__":
    {"months": write_months, "forecast": forecast, "score": score}[sys.argv[1]](*sys.argv[2:])
