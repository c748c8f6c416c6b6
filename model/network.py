"""The neural part: LSTM -> GRU over a symbol's whole history, one correction of the baseline at every month.

The network of the paper (two stacked recurrent layers and dropout) reads sequences from left to right, so that one
pass gives the corrections of all months at once, each from its past alone. Its last layer starts at zero: before
training the hybrid is the baseline.
"""

from typing import Any

import numpy as np

from model.config import ForecasterConfig


def load_library() -> None:
    """Import TensorFlow and Keras, which takes seconds, so that a caller can choose when."""
    import keras  # noqa: F401
    import tensorflow  # noqa: F401


def build_network(input_count: int, config: ForecasterConfig) -> Any:
    """Stock Keras layers, uninitialised randomness: set the seed before the call.

    Args:
        input_count: F.
        config: units, dropout and horizons.

    Returns:
        A `keras.Model` from inputs [N, T, F] to raw corrections [N, T, 2 H]: of the log scale, then of the centre.
    """
    from keras import Input, Model, layers

    inputs = Input((None, input_count))
    state = layers.LSTM(config.units, return_sequences=True)(inputs)
    state = layers.Dropout(config.dropout)(state)
    state = layers.GRU(config.units, return_sequences=True)(state)
    state = layers.Dropout(config.dropout)(state)
    raw = layers.Dense(2 * len(config.horizons), kernel_initializer="zeros")(state)
    return Model(inputs, raw)


def split_corrections(raw: Any, config: ForecasterConfig) -> tuple[Any, Any]:
    """Corrections of the log scale and of the centre (in units of the spread), [N, T, H] each, from [N, T, 2 H].

    Works on tensors and arrays. Both are shrunk: longer horizons by h^-`config.horizon_fading`, as fewer spans of 12
    months than of one have been seen, and the centre harder, as months tell little about where returns go.
    """
    fading = np.array(config.horizons, np.float32) ** -config.horizon_fading
    to_scale, to_centre = config.scale_shrinkage * fading, config.centre_shrinkage * fading
    return raw[..., : len(fading)] * to_scale, raw[..., len(fading) :] * to_centre
