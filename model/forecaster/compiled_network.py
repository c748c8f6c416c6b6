"""A network that is taught: compiled once, and begun afresh for every seed and month."""

import functools
from dataclasses import replace
from typing import Any

import numpy as np

from model.config import ForecasterConfig
from model.forecaster.network import Weights, assign, build_network, split_corrections

# Choices that are not compiled in, each at any one value.
_NOT_COMPILED: dict[str, Any] = {"epochs": 1, "learning_rate": 1e-3, "seeds": (), "patience": 1, "smallest_gain": 0.0}

Batch = tuple[Any, Any, Any, Any]
"""Inputs [N, T, F], spread, target and weight [N, T, H], of some symbols."""
Outlook = tuple[Any, Any]
"""Centre [H] and shape [H, Q] of the baseline."""


def get_compiled_network(input_count: int, config: ForecasterConfig) -> "CompiledNetwork":
    """The process's one compiled for such a network; it still knows what it was last taught."""
    return _compile_network(input_count, replace(config, **_NOT_COMPILED))


@functools.lru_cache(maxsize=2)
def _compile_network(input_count: int, config: ForecasterConfig) -> "CompiledNetwork":
    return CompiledNetwork(input_count, config)


class CompiledNetwork:
    """A network, its optimiser and their compiled passes, which every training begins with afresh.

    Tracing and compiling takes longer than a pass over the newest months, so it is done once for all seeds and months.
    """

    def __init__(self, input_count: int, config: ForecasterConfig) -> None:
        import keras
        import tensorflow as tf

        self._config = config
        self._network = network = build_network(input_count, config)
        self.variables = variables = network.trainable_variables
        self._optimizer = optimizer = keras.optimizers.AdamW(weight_decay=config.weight_decay, clipnorm=1.0)
        optimizer.build(variables)
        self.averaged = averaged = [tf.Variable(variable, trainable=False) for variable in variables]
        levels = tf.constant(config.quantile_levels, tf.float32)

        def loss_of(batch: Batch, outlook: Outlook, training: bool) -> Any:
            inputs, spread, target, weight = batch
            centre, shape = outlook
            to_scale, to_location = split_corrections(network(inputs, training=training), config)
            scale = spread * tf.exp(to_scale)
            # One quantile at a time keeps [N, T, H, Q] out of memory.
            error = target - centre - spread * to_location
            loss = tf.zeros_like(error)
            for q in range(len(config.quantile_levels)):
                miss = error - scale * shape[:, q]
                loss += tf.maximum(levels[q] * miss, (levels[q] - 1.0) * miss)
            return tf.reduce_sum(weight * loss)

        # Shares and months differ in number: without the signature each size would be traced anew.
        horizons = len(config.horizons)
        batch = tuple(tf.TensorSpec((None, None, size), tf.float32) for size in (input_count, *[horizons] * 3))
        outlook = (
            tf.TensorSpec((horizons,), tf.float32),
            tf.TensorSpec((horizons, len(config.quantile_levels)), tf.float32),
        )

        @tf.function(input_signature=(batch, outlook))  # type: ignore[untyped-decorator]
        def step(batch: Batch, outlook: Outlook) -> Any:
            with tf.GradientTape() as tape:
                loss = loss_of(batch, outlook, True)
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            for mean, variable in zip(averaged, variables, strict=True):
                mean.assign(config.ema_momentum * mean + (1.0 - config.ema_momentum) * variable)
            return loss

        @tf.function(input_signature=(batch, outlook))  # type: ignore[untyped-decorator]
        def validate(batch: Batch, outlook: Outlook) -> Any:
            return loss_of(batch, outlook, False)

        self.step = step
        """One step of the optimiser on a batch; returns its loss before the step."""
        self.validate = validate
        """Loss of a batch with the present weights, without dropout."""

    def begin(self, seed: int, learning_rate: float, start: Weights | None) -> None:
        """Forget all: weights and dropout become the seed's, or weights those of `start`."""
        fresh = build_network(self._network.input_shape[-1], self._config, seed=seed)
        assign(self._network.variables, fresh.variables)  # the states of dropout's generators are among them
        if start is not None:
            assign(self.variables, start)
        assign(self.averaged, self.variables)
        for variable in self._optimizer.variables:
            variable.assign(np.zeros(variable.shape))
        self._optimizer.learning_rate = learning_rate
