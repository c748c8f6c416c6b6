"""A stored forecaster of format 2, written by hand with the names of that format."""

import io
import json
import zipfile
from typing import Any

import numpy as np

from model.config import CHOICES_BY_FORMAT, RENAMED_CHOICES, ForecasterConfig
from model.forecaster.forecaster import Forecaster


def format_2_config(config: ForecasterConfig) -> dict[str, Any]:
    """Return the stored choices as format 2 has them: old names, and none that format 3 added."""
    old_names = {new: old for old, new in RENAMED_CHOICES.items()}
    values = {name: value for name, value in config.to_dict().items() if name not in CHOICES_BY_FORMAT[3]}
    return {old_names.get(name, name): value for name, value in values.items()}


def format_2_bytes(forecaster: Forecaster, **config: Any) -> bytes:
    """Return the forecaster as a file of format 2; `config` replaces choices of its header."""
    baseline = forecaster.baseline
    arrays = {
        "baseline/centre": baseline.location,
        "baseline/beta": baseline.beta,
        "baseline/intercept": baseline.intercept,
        "baseline/shape": baseline.standardised_quantiles,
        "baseline/outside": baseline.outside,
        "input_mean": forecaster.input_mean,
        "input_deviation": forecaster.input_deviation,
    }
    for n, weights in enumerate(forecaster.networks):
        arrays |= {f"network/{n}/{i}": weight for i, weight in enumerate(weights)}
    header = {
        "format": 2,
        "config": format_2_config(forecaster.config) | config,
        "trained": forecaster.trained.to_dict(orient="list"),
        "networks": [len(weights) for weights in forecaster.networks],
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("header.json", json.dumps(header))
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array, allow_pickle=False)
            archive.writestr(f"{name}.npy", content.getvalue())
    return buffer.getvalue()
