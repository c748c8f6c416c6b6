"""The neural part: LSTM -> GRU over a symbol's whole history, one correction of the baseline at every month.

The network of the paper (two stacked recurrent layers and dropout) reads sequences from left to right, so that one
pass gives the corrections of all months at once, each from its past alone. Its last layer starts at zero: before
training the hybrid is the baseline.
"""

from typing import Any

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


def split_corrections(raw: Any, inputs: Any, config: ForecasterConfig) -> tuple[Any, Any]:
    """Corrections of the log scale and of the centre (in units of the spread), [N, T, H] each, from [N, T, 2 H].

    What a month's corrections have in common is shrunk by `config.market_share`: errors of one month move together, so
    that there are hundreds of months to learn the market's moods from, but tens of thousands of pairs of symbols to
    learn their differences from. The centre is shrunk harder: months tell little about where returns go.

    Args:
        raw: [N, T, 2 H] of the network.
        inputs: [N, T, F] that it read; a symbol's missing months are all zero.
        config: shares kept.
    """
    from keras import ops

    is_there = ops.cast(ops.any(ops.not_equal(inputs, 0.0), axis=-1, keepdims=True), "float32")  # [N, T, 1]
    common = ops.sum(raw * is_there, axis=0) / ops.maximum(ops.sum(is_there, axis=0), 1.0)  # [T, 2 H]
    kept = raw - (1.0 - config.market_share) * common
    count = len(config.horizons)
    return config.scale_shrinkage * kept[..., :count], config.centre_shrinkage * kept[..., count:]
