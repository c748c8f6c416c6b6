"""Training settings tried for the paper's networks: `python -m benchmarks.paper daily`, or `monthly`.

Each setting trains the hybrid on the sample's S&P 500, with the scaler fitted on all data as published and the seeds 1
and 2. The validation part, which is cut from the training part, selects the setting. Test errors are printed as well.
"""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from model.paper.experiment import PaperConfig, score
from model.paper.training import train_paper_network, use_one_thread
from tasks.plans.paper import CONFIGS, PaperPlan
from tasks.processes import worker_pool
from tasks.research.paper import read_series
from tasks.settings import Interval

DAILY = {"batch_windows": 128, "learning_rate": 0.005, "is_rate_falling": True, "dropout": 0.1, "epochs": 40}
STEADY = {"is_rate_falling": False, "patience": 10}
ATTEMPTS: dict[Interval, list[dict[str, Any]]] = {
    "daily": [
        DAILY,
        {**DAILY, "dropout": 0.05},
        {**DAILY, "learning_rate": 0.01, "clip_norm": 1.0},
        {**DAILY, "clip_norm": 1.0},
        {**DAILY, "validation_share": 0.2},
        {**DAILY, **STEADY},
        {**DAILY, **STEADY, "learning_rate": 0.002, "dropout": 0.2, "epochs": 100},
        {**DAILY, **STEADY, "batch_windows": 64, "learning_rate": 0.001, "dropout": 0.2, "epochs": 100},
    ],
    "monthly": [
        {"batch_windows": 64, "learning_rate": 0.001, **STEADY, "dropout": 0.2, "epochs": 100},
        {"batch_windows": 16, "learning_rate": 0.001, **STEADY, "dropout": 0.2, "epochs": 300, "patience": 30},
        {"batch_windows": 16, "learning_rate": 0.005, **STEADY, "dropout": 0.1, "epochs": 300, "patience": 30},
        {"batch_windows": 16, "learning_rate": 0.005, "is_rate_falling": True, "dropout": 0.1, "epochs": 100},
    ],
}


def main(interval: Interval) -> None:
    """Print a line per setting as soon as it is trained."""
    names = list(DAILY)
    print("| " + " | ".join([*names, "others", "validation RMSE", "MAE", "MSE", "RMSE", "epochs"]) + " |")
    for attempt in ATTEMPTS[interval]:
        config = replace(CONFIGS[interval], seeds=(1, 2), **attempt)
        experiment = read_series.fn(_plan(interval, config)).experiments[0]
        with worker_pool(2, advice="free some and run again", initializer=use_one_thread) as pool:
            futures = [
                pool.submit(train_paper_network, experiment, config, kind="hybrid", seed=seed) for seed in config.seeds
            ]
            trained = [future.result() for future in futures]
        losses = [result.curve[result.best_epoch - 1].validation_loss for result in trained]
        errors = [score(experiment, result.forecast) for result in trained]
        cells = [f"{attempt[name]:g}" for name in names]
        cells.append(", ".join(f"{name} {value:g}" for name, value in attempt.items() if name not in names))
        cells.append(f"{np.sqrt(np.mean(losses)):.4f}")
        cells += [f"{np.mean([error[name] for error in errors]):.{digits}f}" for name, digits in _SHOWN.items()]
        cells.append(" and ".join(str(len(result.curve)) for result in trained))
        print("| " + " | ".join(cells) + " |", flush=True)


_SHOWN = {"mae": 4, "mse": 6, "rmse": 4}


def _plan(interval: Interval, config: PaperConfig) -> PaperPlan:
    return PaperPlan(
        source_spec="sample",
        symbol="^GSPC",
        interval=interval,
        first=None,
        config=config,
        directory=Path(),
        requested_at=datetime.now(UTC),
    )


if __name__ == "__main__":
    main("monthly" if sys.argv[1:] == ["monthly"] else "daily")
