"""Checks of a restored forecaster: its config, the shapes of its arrays, and their values.

A stored model may be damaged although its checksum fits. A forecaster that passes these checks can forecast and be
fine-tuned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from model.config import ForecasterConfig
from model.forecaster.forecaster import Forecaster

_TRAINED_COLUMNS = ("seed", "epochs", "validation_loss")
_LARGEST = 1e6
"""Largest magnitude of a parameter. Trained ones are below 100."""
_LARGEST_LOCATION = 10.0
"""Largest location, log return."""
_LARGEST_QUANTILE = 1e3
"""Largest standardised quantile, in units of the scale."""


def require_sound_config(config: ForecasterConfig) -> None:
    """Check that every choice has the type of its default, and that horizons, levels and seeds are possible.

    Raises:
        ValueError: if one has not; the message names the choice.
    """
    _require_types(config, ForecasterConfig())
    horizons, levels = config.horizons, config.quantile_levels
    if horizons != tuple(range(1, len(horizons) + 1)) or not horizons:
        raise ValueError("horizons must be 1, 2, ... without a gap")
    if not all(0 < level < 1 for level in levels) or list(levels) != sorted(set(levels)) or not levels:
        raise ValueError("quantile_levels must rise between 0 and 1")
    if not config.seeds or config.units < 1:
        raise ValueError("seeds and units must not be empty")


def require_sound_forecaster(forecaster: Forecaster) -> None:
    """Check that the arrays of a forecaster have the shapes that its config requires, and possible values.

    Raises:
        ValueError: if one has not; the message names the array.
    """
    config, baseline = forecaster.config, forecaster.baseline
    horizons, levels = len(config.horizons), len(config.quantile_levels)
    inputs, terms = forecaster.input_mean.size, baseline.beta.shape[-1] if baseline.beta.ndim else 0
    if forecaster.input_deviation.shape != forecaster.input_mean.shape:
        raise ValueError(f"it reads {inputs} inputs and has {forecaster.input_deviation.size} deviations")
    _require("location", baseline.location, (horizons,), _LARGEST_LOCATION)
    _require("beta", baseline.beta, (horizons, terms))
    _require("intercept", baseline.intercept, (horizons,))
    _require("standardised_quantiles", baseline.standardised_quantiles, (horizons, levels), _LARGEST_QUANTILE)
    _require("outside", baseline.outside, (horizons,), 1.0)
    _require("term_low", baseline.term_low, (terms,))
    _require("term_high", baseline.term_high, (terms,))
    _require("input_mean", forecaster.input_mean, (inputs,))
    _require("input_deviation", forecaster.input_deviation, (inputs,))
    if (np.diff(baseline.standardised_quantiles, axis=1) < 0).any():
        raise ValueError("standardised_quantiles must rise")
    if (baseline.term_low > baseline.term_high).any():
        raise ValueError("term_low must not be above term_high")
    if (baseline.outside < 0).any() or (forecaster.input_deviation <= 0).any():
        raise ValueError("outside and input_deviation must not be negative or zero")
    _require_networks(forecaster.networks, config, inputs)


def require_sound_training(trained: Mapping[str, Any], config: ForecasterConfig) -> None:
    """Check the table of the trained seeds: one number per column and seed.

    Raises:
        ValueError: if it is another table.
    """
    if sorted(trained) != sorted(_TRAINED_COLUMNS):
        raise ValueError(f"trained must have the columns {', '.join(_TRAINED_COLUMNS)}")
    for column in trained.values():
        if not isinstance(column, list) or len(column) != len(config.seeds) or not all(map(_is_number, column)):
            raise ValueError("trained must have one number per seed")


def _require_networks(networks: Sequence[Any], config: ForecasterConfig, inputs: int) -> None:
    """Check the weights of every network: LSTM, GRU and the last layer, see `model.forecaster.network`."""
    if len(networks) not in (0, len(config.seeds)):
        raise ValueError(f"there must be a network per seed; received {len(networks)}")
    units, outputs = config.units, 2 * len(config.horizons)
    lstm = ((inputs, 4 * units), (units, 4 * units), (4 * units,))
    gru = ((units, 3 * units), (units, 3 * units), (2, 3 * units))
    shapes = (*lstm, *gru, (units, outputs), (outputs,))
    for n, weights in enumerate(networks):
        if len(weights) != len(shapes):
            raise ValueError(f"network {n} must have {len(shapes)} arrays; received {len(weights)}")
        for i, (weight, shape) in enumerate(zip(weights, shapes, strict=True)):
            _require(f"network {n}, array {i}", weight, shape, kind="float32")


def _require(
    name: str, array: np.ndarray[Any, Any], shape: tuple[int, ...], largest: float = _LARGEST, kind: str | None = None
) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}; received {array.shape}")
    if kind is not None and array.dtype != np.dtype(kind):
        raise ValueError(f"{name} must be {kind}; received {array.dtype}")
    if not np.isfinite(array).all() or (np.abs(array) > largest).any():
        raise ValueError(f"{name} must be finite and at most {largest:g}")


def _require_types(value: Any, default: Any, name: str = "config") -> None:
    if is_dataclass(default):
        for field in fields(default):
            _require_types(getattr(value, field.name), getattr(default, field.name), field.name)
    elif isinstance(default, tuple):
        is_table = bool(default) and isinstance(default[0], tuple)
        if not isinstance(value, tuple) or (is_table and not all(isinstance(row, tuple) for row in value)):
            raise ValueError(f"{name} must be a list")
        if not is_table and default:
            for item in value:
                _require_types(item, default[0], name)
        elif is_table:
            for row in value:
                if len(row) != len(default[0]):
                    raise ValueError(f"{name} must have {len(default[0])} values a row")
                for item, like in zip(row, default[0], strict=True):
                    _require_types(item, like, name)
    elif isinstance(default, float):
        if not _is_number(value) or not np.isfinite(value):
            raise ValueError(f"{name} must be a finite number")
    elif type(value) is not type(default):
        raise ValueError(f"{name} must be {type(default).__name__}")


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value != value or abs(value) < 2**63  # NaN: a loss that was not measured
