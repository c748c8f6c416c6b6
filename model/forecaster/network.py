"""The neural part: LSTM -> GRU over a symbol's whole history, one correction of the baseline at every month.

The network of the paper (two stacked recurrent layers and dropout) reads sequences from left to right, so that one
pass gives the corrections of all months at once, each from its past alone. Its last layer starts at zero: before
training the hybrid is the baseline.
"""

from typing import Any

import numpy as np

from model.config import ForecasterConfig

Weights = tuple[np.ndarray[Any, np.dtype[np.float32]], ...]
"""A network's trainable arrays, in the order of its layers."""


def load_library() -> None:
    """Import TensorFlow and Keras, which takes seconds, so that a caller can choose when."""
    import keras  # noqa: F401
    import tensorflow

    # Each training is a program of its own; that compiling several costs time need not be said every month.
    tensorflow.get_logger().setLevel("ERROR")


def build_network(input_count: int, config: ForecasterConfig, *, seed: int = 0) -> Any:
    """Stock Keras layers.

    Every layer gets seeds of its own. Left to themselves, layers draw them from Python's global `random`, which any
    other thread of the process (Prefect's are many) may draw from in between: then the same seed gives other weights.

    Args:
        input_count: F.
        config: units, dropout and horizons.
        seed: of the initial weights and of dropout.

    Returns:
        A `keras.Model` from inputs [N, T, F] to raw corrections [N, T, 2 H]: of the log scale, then of the centre.
    """
    from keras import Input, Model, initializers, layers

    seeds = iter(np.random.default_rng(seed).integers(2**31 - 1, size=8).tolist())

    def recurrent(kind: Any) -> Any:
        return kind(
            config.units,
            return_sequences=True,
            kernel_initializer=initializers.GlorotUniform(next(seeds)),
            recurrent_initializer=initializers.Orthogonal(seed=next(seeds)),
            seed=next(seeds),
        )

    inputs = Input((None, input_count))
    state = recurrent(layers.LSTM)(inputs)
    state = layers.Dropout(config.dropout, seed=next(seeds))(state)
    state = recurrent(layers.GRU)(state)
    state = layers.Dropout(config.dropout, seed=next(seeds))(state)
    raw = layers.Dense(2 * len(config.horizons), kernel_initializer="zeros")(state)
    return Model(inputs, raw)


def split_corrections(raw: Any, config: ForecasterConfig) -> tuple[Any, Any]:
    """Corrections of the log scale and of the centre (in units of the spread), [N, T, H] each, from [N, T, 2 H].

    Works on tensors and arrays. Both are shrunk: longer horizons by h^-`config.horizon_fading`, as fewer spans of 12
    months than of one have been seen, and the centre harder, as months tell little about where returns go.
    """
    fading = np.array(config.horizons, np.float32) ** -config.horizon_fading
    to_scale, to_location = config.scale_shrinkage * fading, config.location_shrinkage * fading
    return raw[..., : len(fading)] * to_scale, raw[..., len(fading) :] * to_location


def assign(variables: Any, values: Any) -> None:
    """Give each variable its value: arrays, or other variables."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
