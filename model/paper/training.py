"""The paper's networks and their training: windows, squared error, Adam, early stopping on later targets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from model import Floats
from model.paper.experiment import PAPER_COLUMNS, PAPER_NETWORKS, Experiment, PaperConfig

_FORWARD_WINDOWS = 1024  # windows per forward pass, to bound memory


@dataclass(frozen=True)
class PaperEpoch:
    """Losses of one epoch."""

    number: int
    """From 1."""
    train_loss: float
    """Mean squared error of scaled closes, with dropout."""
    validation_loss: float
    """The same for the validation targets, without dropout."""


@dataclass(frozen=True)
class PaperTrained:
    """Result of one training."""

    network: str
    scaler: str
    seed: int
    forecast: Floats = field(repr=False)
    """[M] scaled closes, forecast with the weights of the best epoch."""
    curve: tuple[PaperEpoch, ...] = field(repr=False)
    """All epochs."""
    best_epoch: int
    """Number of the epoch with the lowest validation loss."""


def use_one_thread() -> None:
    """Limit TensorFlow to one thread in this process. Call it before the first TensorFlow operation."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def build_paper_network(kind: str, config: PaperConfig) -> Any:
    """Build the paper's network or one of its parts, with weights from the global seed of Keras.

    Args:
        kind: `hybrid` for LSTM -> GRU, `lstm` or `gru` for one layer.
        config: window, units and dropout.

    Returns:
        A `keras.Model` from windows [M, W, C] to scaled closes [M, 1].

    Raises:
        ValueError: if the kind is unknown.
    """
    from keras import Input, Model, layers

    if kind not in PAPER_NETWORKS:
        raise ValueError(f"`kind` must be one of {', '.join(PAPER_NETWORKS)}; received {kind!r}.")
    inputs = state = Input((config.window, len(PAPER_COLUMNS)))
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
    """Train one network. The same experiment, config, kind and seed give bit-identical forecasts.

    Not thread-safe: sets TensorFlow's global seed and deterministic kernels. Run concurrent trainings in separate
    processes. The test part does not influence the training.

    Args:
        experiment: windows and targets.
        config: network and optimiser.
        kind: one of PAPER_NETWORKS.
        seed: of initial weights, dropout and the order of windows.
        on_epoch: called after each epoch.
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
    # Batches differ in size. The signature avoids a new trace for each size.
    window = tf.TensorSpec((None, *inputs.shape[1:]), tf.float32)
    signature = (window, tf.TensorSpec((None,), tf.float32))

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def step(batch: Any, actual: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((network(batch, training=True)[:, 0] - actual) ** 2)
        variables = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    @tf.function(input_signature=(window,))  # type: ignore[untyped-decorator]
    def predict(batch: Any) -> Any:
        return network(batch, training=False)[:, 0]

    def forecast(part: slice) -> Floats:
        rows = range(*part.indices(len(target)))
        chunks = [rows[start : start + _FORWARD_WINDOWS] for start in range(0, len(rows), _FORWARD_WINDOWS)]
        return np.concatenate([predict(inputs[chunk.start : chunk.stop]).numpy() for chunk in chunks])

    rng = np.random.default_rng(seed)
    curve: list[PaperEpoch] = []
    best, best_weights = 0, network.get_weights()
    for number in range(1, config.epochs + 1):
        losses, sizes = [], []
        for rows in np.array_split(rng.permutation(count), batches):
            losses.append(float(step(inputs[rows], target[rows])))
            sizes.append(len(rows))
        error = forecast(experiment.validation) - target[experiment.validation]
        curve.append(PaperEpoch(number, float(np.average(losses, weights=sizes)), float(np.mean(error**2))))
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
