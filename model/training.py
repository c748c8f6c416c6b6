"""Training of one network: full sequences, pinball loss, averaged weights, early stopping later in time."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from model import Floats
from model.config import ForecasterConfig

_FORWARD_SYMBOLS = 256  # symbols a forward pass, to bound memory

Weights = tuple[np.ndarray[Any, np.dtype[np.float32]], ...]


@dataclass(frozen=True)
class Lesson:
    """What a network is taught with: the baseline's forecast, the truth, and what each target counts."""

    inputs: Floats
    """[N, T, F] standardised."""
    centre: Floats
    """[H] of the baseline."""
    spread: Floats
    """[N, T, H] of the baseline."""
    shape: Floats
    """[H, Q] of the baseline."""
    target: Floats
    """[N, T, H], 0 where unknown."""
    train_weight: Floats
    """[N, T, H], 0 where not trained on; loss x weight sums to 1 for the baseline."""
    validation_weight: Floats
    """[N, T, H], the same for the validation."""

    def since(self, month: int) -> "Lesson":
        """The lesson without the months before the position."""
        names = ("inputs", "spread", "target", "train_weight", "validation_weight")
        return replace(self, **{name: getattr(self, name)[:, month:] for name in names})


@dataclass(frozen=True)
class Epoch:
    """Progress of a training."""

    seed: int
    number: int
    """From 1."""
    train_loss: float
    """Relative to the baseline's, with dropout."""
    validation_loss: float
    """Relative to the baseline's, averaged weights."""
    is_best: bool


@dataclass(frozen=True)
class Trained:
    """A network's best averaged weights."""

    weights: Weights
    epochs: int
    """Passes behind the weights; 0 when none beat the start (the baseline for a new network) on the validation."""
    validation_loss: float
    """Relative to the baseline's; that of the start, 1 for a new network, when `epochs` is 0."""


def train_network(
    lesson: Lesson,
    config: ForecasterConfig,
    *,
    seed: int,
    start: Weights | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Fit one network; the same lesson, config and seed give the same weights bit for bit.

    Sets TensorFlow's global seed and deterministic kernels, so that trainings side by side belong in processes, not
    in threads.

    Args:
        lesson: baseline, truth and weights.
        config: network and optimiser.
        seed: of initial weights, dropout and the order of symbols.
        start: weights to go on from, which are what comes out unless a pass beats them; by default a new network.
        on_epoch: called after each pass.

    Returns:
        The averaged weights of the pass with the best validation loss, or those of the start where it saves less than
        `config.smallest_gain`.
    """
    import keras
    import tensorflow as tf

    from model.network import build_network, split_corrections

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    network = build_network(lesson.inputs.shape[2], config, seed=seed)
    optimizer = keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay, clipnorm=1.0)
    optimizer.build(network.trainable_variables)
    if start is not None:
        _assign(network.trainable_variables, start)
    averaged = [tf.Variable(variable, trainable=False) for variable in network.trainable_variables]
    levels = tf.constant(config.quantile_levels, tf.float32)
    centre, shape = tf.constant(lesson.centre, tf.float32), tf.constant(lesson.shape, tf.float32)

    def loss_of(batch: tuple[Any, ...], training: bool) -> Any:
        inputs, spread, target, weight = batch
        to_scale, to_centre = split_corrections(network(inputs, training=training), config)
        scale = spread * tf.exp(to_scale)
        # One quantile at a time keeps [N, T, H, Q] out of memory.
        error = target - centre - spread * to_centre
        loss = tf.zeros_like(error)
        for q in range(len(config.quantile_levels)):
            miss = error - scale * shape[:, q]
            loss += tf.maximum(levels[q] * miss, (levels[q] - 1.0) * miss)
        return tf.reduce_sum(weight * loss)

    # Shares differ in size by one: without the signature each size would be traced anew, which costs more than a pass.
    sizes = (lesson.inputs.shape[2], *[len(config.horizons)] * 3)
    signature = (tuple(tf.TensorSpec((None, None, size), tf.float32) for size in sizes),)

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def step(batch: tuple[Any, ...]) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(batch, True)
        variables = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        for mean, variable in zip(averaged, variables, strict=True):
            mean.assign(config.ema_momentum * mean + (1.0 - config.ema_momentum) * variable)
        return loss

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def validate(batch: tuple[Any, ...]) -> Any:
        return loss_of(batch, False)

    to_train = _batches(lesson, lesson.train_weight, config)
    to_validate = _batches(lesson, lesson.validation_weight, config)
    rng = np.random.default_rng(seed)
    # A new network's corrections are zero, so that its loss is the baseline's.
    first_loss = 1.0 if start is None else sum(float(validate(batch)) for batch in to_validate)
    first = best = Trained(_values(averaged), epochs=0, validation_loss=first_loss)
    for number in range(1, config.epochs + 1):
        # A batch holds a share of the symbols; scaled up, its loss is that of all of them.
        train_loss = sum(float(step(to_train[i])) for i in rng.permutation(len(to_train)))
        current = _values(network.trainable_variables)
        _assign(network.trainable_variables, averaged)
        validation_loss = sum(float(validate(batch)) for batch in to_validate)
        _assign(network.trainable_variables, current)
        is_best = validation_loss < best.validation_loss
        if is_best:
            best = Trained(_values(averaged), number, validation_loss)
        if on_epoch is not None:
            on_epoch(Epoch(seed, number, train_loss, validation_loss, is_best))
        if number - best.epochs >= config.patience:
            break
    return best if best.validation_loss <= first_loss * (1.0 - config.smallest_gain) else first


@functools.lru_cache(maxsize=4)
def _reader(input_count: int, config: ForecasterConfig) -> tuple[Any, Callable[[Any], Any]]:
    """A network to put weights in, and its compiled forward pass; tracing it costs more than most passes."""
    import tensorflow as tf

    from model.network import build_network

    network = build_network(input_count, config)
    return network, tf.function(lambda batch: network(batch, training=False), reduce_retracing=True)


def _batches(lesson: Lesson, weight: Floats, config: ForecasterConfig) -> list[tuple[Any, ...]]:
    """Tensors of a share of the symbols each, cut after the last month that counts."""
    import tensorflow as tf

    counts = np.flatnonzero(weight.any(axis=(0, 2)))
    stop = int(counts[-1]) + 1
    order = np.arange(len(weight))
    shares = max(1, round(len(order) / config.batch_symbols))
    parts = [order[start::shares] for start in range(shares)]
    arrays = (lesson.inputs, lesson.spread, lesson.target, weight)
    return [tuple(tf.constant(array[part, :stop], tf.float32) for array in arrays) for part in parts]


def _values(variables: Any) -> Weights:
    return tuple(np.asarray(variable.numpy(), dtype=np.float32) for variable in variables)


def _assign(variables: Any, values: Any) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def corrections_of(networks: Sequence[Weights], inputs: Floats, config: ForecasterConfig) -> tuple[Floats, Floats]:
    """Mean correction of the log scale and of the centre over the networks, [N, T, H] each, from inputs [N, T, F]."""
    import tensorflow as tf

    from model.network import split_corrections

    tf.config.experimental.enable_op_determinism()
    network, forward = _reader(inputs.shape[2], config)
    total = np.zeros((*inputs.shape[:2], 2 * len(config.horizons)), dtype=np.float32)
    for weights in networks:
        _assign(network.trainable_variables, weights)
        for start in range(0, len(inputs), _FORWARD_SYMBOLS):
            batch = tf.constant(inputs[start : start + _FORWARD_SYMBOLS], tf.float32)
            total[start : start + _FORWARD_SYMBOLS] += forward(batch).numpy()
    to_scale, to_centre = split_corrections(total / max(len(networks), 1), config)
    return to_scale, to_centre
