"""Seconds and memory of training and forecasting on simulated months."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from flows.cli.runtime import prepare_prefect
from model.config import ForecasterConfig
from model.forecaster.features import Panel, make_panel
from model.forecaster.forecaster import fine_tune, train
from model.forecaster.network import load_library
from model.forecaster.split import Split, split_origins

MONTHS = 400
SIZES = (500, 1500, 5000)


def make_months(symbols: int, months: int = MONTHS) -> pd.DataFrame:
    """Simulate months with clustered volatility, in the columns of `model.bars.months.build_months`."""
    rng = np.random.default_rng(1)
    log_sigma = np.zeros((symbols, months))
    for t in range(1, months):
        log_sigma[:, t] = 0.9 * log_sigma[:, t - 1] + 0.2 * rng.standard_normal(symbols)
    sigma = 0.08 * np.exp(log_sigma)
    returns = sigma * rng.standard_normal((symbols, months)) + 0.03 * rng.standard_normal(months)
    close = 50.0 * np.exp(np.cumsum(returns - returns.mean(), axis=1) / 4)
    frame = pd.DataFrame(
        {
            "symbol": np.repeat([f"S{n:05d}" for n in range(symbols)], months),
            "month": np.tile(pd.date_range("1990-01-01", periods=months, freq="MS"), symbols),
            "close": close.ravel(),
            "high": close.ravel() * 1.04,
            "low": close.ravel() * 0.96,
            "volume": rng.lognormal(13, 0.3, symbols * months),
            "log_return": returns.ravel(),
            "realised_variance": (sigma**2 * rng.lognormal(0, 0.3, sigma.shape)).ravel(),
            "is_final": True,
        }
    )
    frame.loc[frame.groupby("symbol").head(1).index, "log_return"] = np.nan
    return frame


def measure(symbols: int) -> dict[str, float]:
    """Measure the seconds of each step and the peak memory of this process.

    Training runs all epochs of all seeds; for the larger sizes, two epochs of one seed.
    """
    import resource

    load_library()
    config = ForecasterConfig()
    if symbols > SIZES[0]:
        config = replace(config, epochs=2, seeds=config.seeds[:1])
    months = make_months(symbols)
    seconds: dict[str, float] = {}
    clock = time.perf_counter()
    panel = make_panel(months, config)
    seconds["features"] = time.perf_counter() - clock
    split = split_origins(len(panel.months), config)
    clock = time.perf_counter()
    # The patience rules out early stopping, which random months would make unlikely.
    forecaster = train(panel, split, replace(config, patience=config.epochs))
    seconds["training"] = time.perf_counter() - clock
    seconds["epochs"] = config.epochs * len(config.seeds)
    if symbols == SIZES[0]:
        seconds["parallel training"] = _train_in_parallel(panel, split, replace(config, patience=config.epochs))
    clock = time.perf_counter()
    fine_tune(forecaster, panel, split)
    seconds["fine-tuning"] = time.perf_counter() - clock
    clock = time.perf_counter()
    forecaster.forecast(panel, panel.months[-1])
    seconds["forecasting"] = time.perf_counter() - clock
    return seconds | {"peak GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


def _train_in_parallel(panel: Panel, split: Split, config: ForecasterConfig) -> float:
    """Measure the same training in a flow, with a process per network."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as home:
        prepare_prefect(Path(home), log_level="CRITICAL")
        from prefect import flow

        from tasks.month.ensemble import train_ensemble

        @flow
        def month() -> float:
            clock = time.perf_counter()
            train(panel, split, config, trainer=train_ensemble)
            return time.perf_counter() - clock

        return month()


def run() -> str:
    """Return a table; each size is measured in a new process, which separates the memory."""
    rows = {}
    for symbols in SIZES:
        command = [sys.executable, "-m", "benchmarks.speed", str(symbols)]
        rows[symbols] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    names = list(rows[SIZES[0]])
    lines = ["| symbols | " + " | ".join(names) + " |", "| ---: |" + " ---: |" * len(names)]
    lines += [
        f"| {n} | " + " | ".join(f"{row[name]:.1f}" if name in row else "" for name in names) + " |"
        for n, row in rows.items()
    ]
    return "\n".join(
        [
            f"## Speed, {MONTHS} months, seconds",
            "",
            "Training includes the fit of the baseline and runs all epochs. Parallel training has a process per "
            "network, whose start is included. Fine-tuning has two epochs of ten years.",
            "",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
