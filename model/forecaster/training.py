"""Training of networks: whole sequences, pinball loss, averaged weights, early stopping on later months.

The loop is written by hand. Keras' `fit` with `AdamW(use_ema=True)`, `SwapEMAWeights`, `EarlyStopping` and
`compute_loss` took 1.7 times as long on 128 symbols and 360 months, was no shorter, and gave other weights, because
Keras starts the average at the weights after the first step instead of at the initial ones.
"""

import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from model import Floats
from model.config import DriftConfig, ForecasterConfig, QualityConfig
from model.forecaster.network import Weights, assign, build_network, pinball_loss, split_corrections
from model.forecaster.training_set import TrainingSet

Batch = tuple[Any, Any, Any, Any]
"""Tensors of some symbols: inputs [N, T, F]; scale, target and weight, [N, T, H] each."""
BaselineParts = tuple[Any, Any]
"""Tensors of the baseline: location [H] and standardised quantiles [H, Q]."""

_FORWARD_SYMBOLS = 256  # symbols per forward pass, to bound memory
_NOT_COMPILED: dict[str, Any] = {
    "epochs": 1,
    "learning_rate": 1e-3,
    "seeds": (),
    "patience": 1,
    "smallest_gain": 0.0,
    "drift": DriftConfig(),
    "quality": QualityConfig(),
}
"""Choices that do not change the compiled network, each with one fixed value for its cache key."""
_ONE_AT_A_TIME = threading.Lock()  # trainings of one process share the compiled network


@dataclass(frozen=True)
class Epoch:
    """Losses of one epoch."""

    seed: int
    number: int
    """From 1."""
    train_loss: float
    """Relative to the baseline's, with dropout."""
    validation_loss: float
    """Relative to the baseline's, of the averaged weights."""
    is_best: bool


@dataclass(frozen=True)
class Trained:
    """The best averaged weights of a training."""

    weights: Weights
    epochs: int
    """Epochs behind the weights; 0 if none improved on the initial weights (the baseline for a new network)."""
    validation_loss: float
    """Relative to the baseline's; that of the initial weights, 1 for a new network, if `epochs` is 0."""


class Trainer(Protocol):
    """Trains one network per seed on the same training set. The result does not depend on the order of the seeds."""

    def __call__(
        self,
        training_set: TrainingSet,
        config: ForecasterConfig,
        starts: Sequence[Weights | None],
        on_epoch: Callable[[Epoch], None] | None = None,
        /,
    ) -> list[Trained]:
        """Return the networks in the order of `config.seeds`.

        Args:
            training_set: targets, baseline and sample weights.
            config: network and optimiser.
            starts: initial weights of each network, or None for a new one.
            on_epoch: called after each epoch.
        """


def train_sequentially(
    training_set: TrainingSet,
    config: ForecasterConfig,
    starts: Sequence[Weights | None],
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Trained]:
    """Train one network after the other in this process; see `Trainer`."""
    return [
        train_network(training_set, config, seed=seed, start=start, on_epoch=on_epoch)
        for seed, start in zip(config.seeds, starts, strict=True)
    ]


def train_network(
    training_set: TrainingSet,
    config: ForecasterConfig,
    *,
    seed: int,
    start: Weights | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Fit one network. The same training set, config, seed and start give bit-identical weights.

    Not thread-safe: sets TensorFlow's global seed and deterministic kernels. Run concurrent trainings in separate
    processes.

    Args:
        training_set: targets, baseline and sample weights.
        config: network and optimiser.
        seed: of initial weights, dropout and the order of batches.
        start: initial weights; by default those of a new network.
        on_epoch: called after each epoch.

    Returns:
        The averaged weights of the epoch with the lowest validation loss, or the initial weights if these reduce it by
        less than `config.smallest_gain`.
    """
    import keras
    import tensorflow as tf

    with _ONE_AT_A_TIME:
        keras.utils.set_random_seed(seed)
        tf.config.experimental.enable_op_determinism()
        compiled = get_compiled_network(training_set.inputs.shape[2], config)
        compiled.reset(seed, config.learning_rate, start)
        return _run_epochs(compiled, training_set, config, seed=seed, is_new=start is None, on_epoch=on_epoch)


def corrections_of(networks: Sequence[Weights], inputs: Floats, config: ForecasterConfig) -> tuple[Floats, Floats]:
    """Return the corrections of the log scale and of the location, averaged over networks.

    Args:
        networks: weights; without any, the corrections are 0.
        inputs: [N, T, F] standardised.
        config: network and shrinkage.

    Returns:
        [N, T, H] each, float32; the location in units of the baseline's scale.
    """
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    network, forward = _forward_network(inputs.shape[2], config)
    total = np.zeros((*inputs.shape[:2], 2 * len(config.horizons)), dtype=np.float32)
    for weights in networks:
        assign(network.trainable_variables, weights)
        for start in range(0, len(inputs), _FORWARD_SYMBOLS):
            batch = tf.constant(inputs[start : start + _FORWARD_SYMBOLS], tf.float32)
            total[start : start + _FORWARD_SYMBOLS] += forward(batch).numpy()
    log_scale_correction, location_correction = split_corrections(total / max(len(networks), 1), config)
    return log_scale_correction, location_correction


class CompiledNetwork:
    """A network, its optimiser and their compiled steps.

    Compilation takes longer than an epoch of fine-tuning, so all seeds and months of a process share one object and
    `reset` it first.
    """

    def __init__(self, input_count: int, config: ForecasterConfig) -> None:
        import keras
        import tensorflow as tf

        self._config = config
        self._network = build_network(input_count, config)
        self.variables = self._network.trainable_variables
        self.averaged = [tf.Variable(variable, trainable=False) for variable in self.variables]
        """Exponential moving average of the variables."""
        self._optimizer = keras.optimizers.AdamW(weight_decay=config.weight_decay, clipnorm=config.clip_norm)
        self._optimizer.build(self.variables)
        self._levels = tf.constant(config.quantile_levels, tf.float32)
        # Batches differ in symbols and months. The signature avoids a new trace for each size.
        horizons = len(config.horizons)
        batch = tuple(tf.TensorSpec((None, None, size), tf.float32) for size in (input_count, *[horizons] * 3))
        baseline = (
            tf.TensorSpec((horizons,), tf.float32),
            tf.TensorSpec((horizons, len(config.quantile_levels)), tf.float32),
        )
        self.step = tf.function(self._step, input_signature=(batch, baseline))
        """Update the weights by one batch; return its loss before the update, with dropout."""
        self.validate = tf.function(self._validate, input_signature=(batch, baseline))
        """Return the loss of a batch with the current weights, without dropout."""

    def reset(self, seed: int, learning_rate: float, start: Weights | None) -> None:
        """Restore the initial state: weights and dropout of the seed, or weights of `start`; optimiser at zero."""
        fresh = build_network(self._network.input_shape[-1], self._config, seed=seed)
        assign(self._network.variables, fresh.variables)  # includes the state of dropout's generators
        if start is not None:
            assign(self.variables, start)
        assign(self.averaged, self.variables)
        for variable in self._optimizer.variables:
            variable.assign(np.zeros(variable.shape))
        self._optimizer.learning_rate = learning_rate

    def _loss(self, batch: Batch, baseline: BaselineParts, *, training: bool) -> Any:
        inputs, scale, target, weight = batch
        location, standardised_quantiles = baseline
        return pinball_loss(
            split_corrections(self._network(inputs, training=training), self._config),
            location=location,
            scale=scale,
            standardised_quantiles=standardised_quantiles,
            target=target,
            weight=weight,
            levels=self._levels,
        )

    def _step(self, batch: Batch, baseline: BaselineParts) -> Any:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = self._loss(batch, baseline, training=True)
        self._optimizer.apply_gradients(zip(tape.gradient(loss, self.variables), self.variables, strict=True))
        momentum = self._config.ema_momentum
        for mean, variable in zip(self.averaged, self.variables, strict=True):
            mean.assign(momentum * mean + (1.0 - momentum) * variable)
        return loss

    def _validate(self, batch: Batch, baseline: BaselineParts) -> Any:
        return self._loss(batch, baseline, training=False)


def get_compiled_network(input_count: int, config: ForecasterConfig) -> CompiledNetwork:
    """Return the compiled network that the process shares, in the state of its last training."""
    return _compile_network(input_count, replace(config, **_NOT_COMPILED))


@functools.lru_cache(maxsize=2)
def _compile_network(input_count: int, config: ForecasterConfig) -> CompiledNetwork:
    return CompiledNetwork(input_count, config)


@functools.lru_cache(maxsize=4)
def _forward_network(input_count: int, config: ForecasterConfig) -> tuple[Any, Callable[[Any], Any]]:
    """A network for given weights and its compiled forward pass. Tracing takes longer than most passes."""
    import tensorflow as tf

    network = build_network(input_count, config)
    return network, tf.function(lambda batch: network(batch, training=False), reduce_retracing=True)


def _run_epochs(
    compiled: CompiledNetwork,
    training_set: TrainingSet,
    config: ForecasterConfig,
    *,
    seed: int,
    is_new: bool,
    on_epoch: Callable[[Epoch], None] | None,
) -> Trained:
    """Run epochs until the validation loss has not improved for `config.patience` of them."""
    import tensorflow as tf

    location, standardised_quantiles = training_set.location, training_set.standardised_quantiles
    baseline = (tf.constant(location, tf.float32), tf.constant(standardised_quantiles, tf.float32))
    train_batches = _batches(training_set, training_set.train_weight, config)
    validation_batches = _batches(training_set, training_set.validation_weight, config)
    rng = np.random.default_rng(seed)
    # The corrections of a new network are zero, so that its loss is the baseline's.
    first_loss = 1.0 if is_new else sum(float(compiled.validate(batch, baseline)) for batch in validation_batches)
    first = best = Trained(_values(compiled.averaged), epochs=0, validation_loss=first_loss)
    for number in range(1, config.epochs + 1):
        # The weights sum over all batches, so the loss of an epoch is the sum, not the mean, of its batches' losses.
        order = rng.permutation(len(train_batches))
        train_loss = sum(float(compiled.step(train_batches[i], baseline)) for i in order)
        current = _values(compiled.variables)
        assign(compiled.variables, compiled.averaged)
        validation_loss = sum(float(compiled.validate(batch, baseline)) for batch in validation_batches)
        assign(compiled.variables, current)
        is_best = validation_loss < best.validation_loss
        if is_best:
            best = Trained(_values(compiled.averaged), number, validation_loss)
        if on_epoch is not None:
            on_epoch(Epoch(seed, number, train_loss, validation_loss, is_best))
        if number - best.epochs >= config.patience:
            break
    return best if best.validation_loss <= first_loss * (1.0 - config.smallest_gain) else first


def _batches(training_set: TrainingSet, weight: Floats, config: ForecasterConfig) -> list[Batch]:
    """Tensors of equal shares of the symbols, up to the last month with a weight."""
    import tensorflow as tf

    months = np.flatnonzero(weight.any(axis=(0, 2)))
    stop = int(months[-1]) + 1
    order = np.arange(len(weight))
    shares = max(1, round(len(order) / config.batch_symbols))
    parts = [order[start::shares] for start in range(shares)]
    arrays = (training_set.inputs, training_set.scale, training_set.target, weight)
    inputs, scale, target, weights = (
        [tf.constant(array[part, :stop], tf.float32) for part in parts] for array in arrays
    )
    return list(zip(inputs, scale, target, weights, strict=True))


def _values(variables: Any) -> Weights:
    return tuple(np.asarray(variable.numpy(), dtype=np.float32) for variable in variables)
