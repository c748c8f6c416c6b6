"""The network and its loss: LSTM -> GRU over a symbol's history, with one correction of the baseline per month.

The layers are those of the paper behind the project: two stacked recurrent layers and dropout. The network reads whole
sequences, so that one pass returns the corrections of all months, each from its own past. Its last layer starts at
zero: an untrained hybrid equals the baseline.
"""

from typing import Any

import numpy as np

from model.config import ForecasterConfig

Weights = tuple[np.ndarray[Any, np.dtype[np.float32]], ...]
"""Trainable arrays of a network, in the order of its layers."""


def load_library() -> None:
    """Import TensorFlow and Keras now. The import takes seconds; training and forecasting do it otherwise."""
    import keras  # noqa: F401
    import tensorflow

    # TensorFlow warns about repeated tracing. The few compiled networks of a process are intended.
    tensorflow.get_logger().setLevel("ERROR")


def build_network(input_count: int, config: ForecasterConfig, *, seed: int = 0) -> Any:
    """Build the network with new weights.

    Every layer has a seed. Without one, Keras draws it from Python's global `random`, which other threads of the
    process use at the same time, so that weights would differ from run to run.

    Args:
        input_count: F.
        config: units, dropout and horizons.
        seed: of the initial weights and of dropout.

    Returns:
        A `keras.Model` from inputs [N, T, F] to raw corrections [N, T, 2 H]: of the log scale, then of the location.
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
    state = recurrent(layers.LSTM)(inputs)  # [N, T, units]
    state = layers.Dropout(config.dropout, seed=next(seeds))(state)
    state = recurrent(layers.GRU)(state)  # [N, T, units]
    state = layers.Dropout(config.dropout, seed=next(seeds))(state)
    raw = layers.Dense(2 * len(config.horizons), kernel_initializer="zeros")(state)  # [N, T, 2 H]
    return Model(inputs, raw)


def split_corrections(raw: Any, config: ForecasterConfig) -> tuple[Any, Any]:
    """Split and shrink the output of the network.

    Both corrections shrink with h^-`config.horizon_fading`, because a history has fewer independent spans of twelve
    months than of one. The location shrinks further, because months contain little information about mean returns.

    Args:
        raw: tensor or array [..., 2 H].
        config: horizons and shrinkage factors.

    Returns:
        Corrections of the log scale and of the location (in units of the baseline's scale), [..., H] each.
    """
    fading = np.array(config.horizons, np.float32) ** -config.horizon_fading
    scale_factor, location_factor = config.scale_shrinkage * fading, config.location_shrinkage * fading
    return raw[..., : len(fading)] * scale_factor, raw[..., len(fading) :] * location_factor


def pinball_loss(
    corrections: tuple[Any, Any],
    *,
    location: Any,
    scale: Any,
    standardised_quantiles: Any,
    target: Any,
    weight: Any,
    levels: Any,
) -> Any:
    """Return the weighted pinball loss of the corrected baseline, summed over symbols, months, horizons and quantiles.

    With log-scale correction s and location correction m, the forecast of quantile level p is

        q_p = location + m scale + exp(s) scale z_p

    with z_p the standardised quantile, and its loss for a target y is max(p (y - q_p), (p - 1) (y - q_p)) (Koenker and
    Bassett 1978, Regression Quantiles, eq. 2.2). The sum over levels is proportional to a discrete CRPS.

    Args:
        corrections: of the log scale and of the location, [N, T, H] each, see `split_corrections`.
        location: [H] of the baseline, log return.
        scale: [N, T, H] of the baseline, log return.
        standardised_quantiles: [H, Q] of the baseline.
        target: [N, T, H] log return.
        weight: [N, T, H] sample weights, 0 where a target is unknown or unused.
        levels: [Q] in (0, 1).

    Returns:
        Scalar tensor, float32 like all arguments.
    """
    import tensorflow as tf

    log_scale_correction, location_correction = corrections
    corrected_scale = scale * tf.exp(log_scale_correction)
    error = target - location - scale * location_correction
    loss = tf.zeros_like(error)
    for q in range(standardised_quantiles.shape[1]):  # one level at a time: [N, T, H, Q] would not fit in memory
        miss = error - corrected_scale * standardised_quantiles[:, q]
        loss += tf.maximum(levels[q] * miss, (levels[q] - 1.0) * miss)
    return tf.reduce_sum(weight * loss)


def assign(variables: Any, values: Any) -> None:
    """Assign each variable its value: an array or another variable."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
