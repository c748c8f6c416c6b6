"""A universe of two symbols, its plan, and a forecaster that needs no training."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd

from model.config import ForecasterConfig
from model.forecaster.baseline import Baseline
from model.forecaster.features import NETWORK_INPUTS, TERMS, make_panel
from model.forecaster.forecaster import Forecaster
from model.forecaster.serialization import to_bytes
from sql.store import ModelVersion, MonthKey
from tasks.plans.month import MonthPlan
from tasks.plans.prices import PricesPlan

CONFIG = replace(ForecasterConfig(), units=2, seeds=(1,))
KEY = MonthKey(source="file", universe="test", origin_month=date(2009, 12, 1))
NOW = datetime(2010, 1, 3, tzinfo=UTC)


def make_months(count: int = 120) -> pd.DataFrame:
    """Make months of two symbols up to 2009-12, in the columns of `build_months`."""
    rng = np.random.default_rng(3)
    frames = []
    for symbol in ("A", "B"):
        returns = rng.normal(0.0, 0.05, count)
        close = 100 * np.exp(returns.cumsum())
        frames.append(
            pd.DataFrame(
                {
                    "symbol": symbol,
                    "month": pd.date_range(end="2009-12-01", periods=count, freq="MS"),
                    "open": close,
                    "high": close * 1.01,
                    "low": close * 0.99,
                    "close": close,
                    "volume": 1e6,
                    "log_return": [np.nan, *returns[1:]],
                    "realised_variance": 0.05**2,
                    "is_final": True,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


MONTHS = make_months()
PANEL = make_panel(MONTHS, CONFIG)


def make_forecaster(config: ForecasterConfig = CONFIG, **changes: Any) -> Forecaster:
    """Make a forecaster without networks, with a Gaussian baseline."""
    horizons, terms = len(config.horizons), len(TERMS)
    gaussian = np.array([-1.96, -1.64, -1.28, -0.84, -0.52, -0.25, 0.0, 0.25, 0.52, 0.84, 1.28, 1.64, 1.96])
    parts: dict[str, Any] = {
        "config": config,
        "baseline": Baseline(
            location=np.zeros(horizons),
            beta=np.zeros((horizons, terms)),
            intercept=np.zeros(horizons),
            standardised_quantiles=np.tile(gaussian, (horizons, 1)),
            outside=np.full(horizons, 0.2),
        ),
        "input_mean": np.zeros(len(NETWORK_INPUTS)),
        "input_deviation": np.ones(len(NETWORK_INPUTS)),
        "networks": (),
        "trained": pd.DataFrame({"seed": [1], "epochs": [0], "validation_loss": [1.0]}),
    }
    return Forecaster(**(parts | changes))


def make_stored(
    forecaster: Forecaster, number: int = 12, month: date = date(2009, 11, 1), **changes: Any
) -> ModelVersion:
    """Make a version as the database returns it."""
    weights = to_bytes(forecaster)
    parts: dict[str, Any] = {
        "kind": "retrain",
        "trained_through": date(2006, 1, 1),
        "holdout_start": date(2006, 1, 1),
        "holdout_end": date(2009, 10, 1),
        "verdict": "baseline",
        "verdict_reason": "",
        "weights": weights,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "model_version_id": number,
        "trained_at_month": month,
        "config": json.loads(json.dumps(forecaster.config.to_dict())),
        "run_id": 3,
        "created_at": NOW,
    }
    return ModelVersion(**(parts | changes))


def make_plan(mode: str) -> MonthPlan:
    """Make the plan of the universe's newest month."""
    prices = PricesPlan(source_spec="file:p.csv", universe="test", instruments=(), requested_at=NOW)
    return MonthPlan(
        key=KEY,
        as_of=date(2009, 12, 31),
        known_at=NOW,
        prices=prices,
        mode=mode,  # type: ignore[arg-type]
        correction=0,
        min_coverage=0.9,
        published_run_id=None,
    )
