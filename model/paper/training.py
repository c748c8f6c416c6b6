"""The paper's networks, trained as published: windows, squared error, Adam, early stopping later in time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from model import Floats
from model.paper.experiment import COLUMNS, NETWORKS, Experiment, PaperConfig

_FORWARD_WINDOWS = 1024  # windows a forward pass, to bound memory


@dataclass(frozen=True)
class PaperEpoch:
    """One pass over the training part."""

    number: int
    """From 1."""
    train_loss: float
    """Mean squared error of scaled closes, with dropout."""
    validation_loss: float
    """The same of the validation's targets, without."""


@dataclass(frozen=True)
class PaperTrained:
    """What a training gave."""

    network: str
    scaler: str
    seed: int
    forecast: Floats = field(repr=False)
    """[M] scaled closes, by the weights of the best pass."""
    curve: tuple[PaperEpoch, ...] = field(repr=False)
    best_epoch: int
    """Pass that early stopping took the weights of."""


def use_one_thread() -> None:
    """Keep TensorFlow to one thread in this process; must come before its first operation."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def build_paper_network(kind: str, config: PaperConfig) -> Any:
    """The paper's network or one of its parts, uninitialised randomness: set the seed before the call.

    Args:
        kind: `hybrid`, LSTM -> GRU; `lstm` or `gru`, that layer alone.
        config: Window, units and dropout.

    Returns:
        A `keras.Model` from windows [M, W, C] to scaled closes [M, 1].

    Raises:
        ValueError: if the kind is none of these.
    """
    from keras import Input, Model, layers

    if kind not in NETWORKS:
        raise ValueError(f"`kind` must be one of {', '.join(NETWORKS)}; received {kind!r}.")
    inputs = state = Input((config.window, len(COLUMNS)))
    if kind in ("hybrid", "lstm"):
        state = layers.LSTM(config.units, return_sequences=kind == "hybrid")(state)
        state = layers.Dropout(config.dropout)(state)
    if kind in ("hybrid", "gru"):
        state = layers.GRU(config.units)(state)
        state = layers.Dropout(config.dropout)(state)
    return Model(inputs, layers.Dense(1)(state))


def train_paper_network(
    experiment: Experiment,
    config: PaperConfig,
    *,
    kind: str,
    seed: int,
    on_epoch: Callable[[PaperEpoch], None] | None = None,
) -> PaperTrained:
    """Train one network; the same experiment, config, kind and seed give the same forecasts bit for bit.

    Sets TensorFlow's global seed and deterministic kernels, so that trainings side by side belong in processes, not
    in threads. The test part is forecast, and never looked at before.

    Args:
        experiment: Windows and targets.
        config: Network and optimiser.
        kind: One of NETWORKS.
        seed: Of initial weights, dropout and the order of windows.
        on_epoch: Called after each pass.
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    network = build_paper_network(kind, config)
    count = experiment.train.stop
    batches = max(1, round(count / config.batch_windows))
    rate: Any = config.learning_rate
    if config.is_rate_falling:
        rate = keras.optimizers.schedules.CosineDecay(rate, decay_steps=batches * config.epochs)
    optimizer = keras.optimizers.Adam(rate, clipnorm=config.clip_norm)
    optimizer.build(network.trainable_variables)
    inputs, target = experiment.inputs, experiment.target.astype(np.float32)
    # The last batch is smaller: without the signature its size would be traced anew.
    window = tf.TensorSpec((None, *inputs.shape[1:]), tf.float32)
    signature = (window, tf.TensorSpec((None,), tf.float32))

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def step(batch: Any, truth: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((network(batch, training=True)[:, 0] - truth) ** 2)
        variables = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    @tf.function(input_signature=(window,))  # type: ignore[untyped-decorator]
    def read(batch: Any) -> Any:
        return network(batch, training=False)[:, 0]

    def forecast(part: slice) -> Floats:
        rows = range(*part.indices(len(target)))
        chunks = [rows[start : start + _FORWARD_WINDOWS] for start in range(0, len(rows), _FORWARD_WINDOWS)]
        return np.concatenate([read(inputs[chunk.start : chunk.stop]).numpy() for chunk in chunks])

    rng = np.random.default_rng(seed)
    curve: list[PaperEpoch] = []
    best, best_weights = 0, network.get_weights()
    for number in range(1, config.epochs + 1):
        losses, sizes = [], []
        for rows in np.array_split(rng.permutation(count), batches):
            losses.append(float(step(inputs[rows], target[rows])))
            sizes.append(len(rows))
        missed = forecast(experiment.validation) - target[experiment.validation]
        curve.append(PaperEpoch(number, float(np.average(losses, weights=sizes)), float(np.mean(missed**2))))
        if best == 0 or curve[-1].validation_loss < curve[best - 1].validation_loss:
            best, best_weights = number, network.get_weights()
        if on_epoch is not None:
            on_epoch(curve[-1])
        if number - best >= config.patience:
            break
    network.set_weights(best_weights)
    return PaperTrained(
        network=kind,
        scaler=experiment.scaler,
        seed=seed,
        forecast=forecast(slice(0, len(target))).astype(np.float64),
        curve=tuple(curve),
        best_epoch=best,
    )
