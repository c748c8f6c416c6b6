"""Training of one network: full sequences, pinball loss, averaged weights, early stopping later in time."""

import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from model import Floats
from model.config import ForecasterConfig
from model.forecaster.compiled_network import CompiledNetwork, get_compiled_network
from model.forecaster.network import Weights, assign, build_network, split_corrections

_FORWARD_SYMBOLS = 256  # symbols a forward pass, to bound memory

_ONE_AT_A_TIME = threading.Lock()  # a process has one compiled


@dataclass(frozen=True)
class TrainingSet:
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

    def since(self, month: int) -> "TrainingSet":
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


class Trainer(Protocol):
    """Trains one network a seed on the same lesson, in whatever order; what comes out does not depend on it."""

    def __call__(
        self,
        lesson: TrainingSet,
        config: ForecasterConfig,
        starts: Sequence[Weights | None],
        on_epoch: Callable[[Epoch], None] | None = None,
    ) -> list[Trained]:
        """The networks in the order of `config.seeds`; `starts` are the weights that each goes on from, if any."""


def train_sequentially(
    lesson: TrainingSet,
    config: ForecasterConfig,
    starts: Sequence[Weights | None],
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Trained]:
    """One network after the other, in this process; see `Trainer`."""
    return [
        train_network(lesson, config, seed=seed, start=start, on_epoch=on_epoch)
        for seed, start in zip(config.seeds, starts, strict=True)
    ]


def train_network(
    lesson: TrainingSet,
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

    with _ONE_AT_A_TIME:
        keras.utils.set_random_seed(seed)
        tf.config.experimental.enable_op_determinism()
        compiled = get_compiled_network(lesson.inputs.shape[2], config)
        compiled.begin(seed, config.learning_rate, start)
        return _run_epochs(compiled, lesson, config, seed=seed, is_new=start is None, on_epoch=on_epoch)


def _run_epochs(
    compiled: CompiledNetwork,
    lesson: TrainingSet,
    config: ForecasterConfig,
    *,
    seed: int,
    is_new: bool,
    on_epoch: Callable[[Epoch], None] | None,
) -> Trained:
    """Pass over the lesson until the validation stops getting better."""
    import tensorflow as tf

    outlook = (tf.constant(lesson.centre, tf.float32), tf.constant(lesson.shape, tf.float32))
    to_train = _batches(lesson, lesson.train_weight, config)
    to_validate = _batches(lesson, lesson.validation_weight, config)
    rng = np.random.default_rng(seed)
    # A new network's corrections are zero, so that its loss is the baseline's.
    first_loss = 1.0 if is_new else sum(float(compiled.validate(batch, outlook)) for batch in to_validate)
    first = best = Trained(_values(compiled.averaged), epochs=0, validation_loss=first_loss)
    for number in range(1, config.epochs + 1):
        # A batch holds a share of the symbols; scaled up, its loss is that of all of them.
        train_loss = sum(float(compiled.step(to_train[i], outlook)) for i in rng.permutation(len(to_train)))
        current = _values(compiled.variables)
        assign(compiled.variables, compiled.averaged)
        validation_loss = sum(float(compiled.validate(batch, outlook)) for batch in to_validate)
        assign(compiled.variables, current)
        is_best = validation_loss < best.validation_loss
        if is_best:
            best = Trained(_values(compiled.averaged), number, validation_loss)
        if on_epoch is not None:
            on_epoch(Epoch(seed, number, train_loss, validation_loss, is_best))
        if number - best.epochs >= config.patience:
            break
    return best if best.validation_loss <= first_loss * (1.0 - config.smallest_gain) else first


@functools.lru_cache(maxsize=4)
def _reader(input_count: int, config: ForecasterConfig) -> tuple[Any, Callable[[Any], Any]]:
    """A network to put weights in, and its compiled forward pass; tracing it costs more than most passes."""
    import tensorflow as tf

    network = build_network(input_count, config)
    return network, tf.function(lambda batch: network(batch, training=False), reduce_retracing=True)


def _batches(lesson: TrainingSet, weight: Floats, config: ForecasterConfig) -> list[tuple[Any, ...]]:
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


def corrections_of(networks: Sequence[Weights], inputs: Floats, config: ForecasterConfig) -> tuple[Floats, Floats]:
    """Mean correction of the log scale and of the centre over the networks, [N, T, H] each, from inputs [N, T, F]."""
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    network, forward = _reader(inputs.shape[2], config)
    total = np.zeros((*inputs.shape[:2], 2 * len(config.horizons)), dtype=np.float32)
    for weights in networks:
        assign(network.trainable_variables, weights)
        for start in range(0, len(inputs), _FORWARD_SYMBOLS):
            batch = tf.constant(inputs[start : start + _FORWARD_SYMBOLS], tf.float32)
            total[start : start + _FORWARD_SYMBOLS] += forward(batch).numpy()
    to_scale, to_location = split_corrections(total / max(len(networks), 1), config)
    return to_scale, to_location
