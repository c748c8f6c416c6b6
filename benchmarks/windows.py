"""Training on windows of 60 months, one per target, beside training on whole sequences.

Months, inputs, loss, layers and optimizer are the same. Windows have two epochs, which take as long as dozens of epochs
of whole sequences.
"""

import itertools
import time
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.skill import DATA, END, read_months
from benchmarks.speed import MONTHS, make_months
from model.config import ForecasterConfig
from model.forecaster.baseline import fit_baseline
from model.forecaster.features import Panel, make_panel
from model.forecaster.forecaster import standardise
from model.forecaster.network import build_network, load_library, pinball_loss, split_corrections
from model.forecaster.split import Split, split_origins
from model.forecaster.training import train_network
from model.forecaster.training_set import TrainingSet, make_training_set

WINDOW = 60
BATCHES = (32, 256, 1024)
STEPS = 40
SYMBOLS = 500


def run() -> str:
    """Return the cost per month on simulated months and the validation loss on recorded months."""
    load_library()
    config = ForecasterConfig()
    panel = make_panel(make_months(SYMBOLS), config)
    training_set = _make_training_set(panel, split_origins(len(panel.months), config), config)
    months = int((training_set.train_weight > 0).any(axis=2).sum())
    costs = {"whole sequences": _train_on_sequences(training_set, config)[0]}
    for batch in BATCHES:
        name = f"windows of {WINDOW} months, batches of {batch}"
        costs[name] = _train_on_windows(training_set, config, batch, steps=STEPS)[0]
    cheapest = min(costs.values())
    lines = [
        f"| {name} | {cost:.1f} | {1e6 * cost / months:.0f} | {cost / cheapest:.0f} |" for name, cost in costs.items()
    ]
    return "\n".join(
        [
            "## Whole sequences against windows",
            "",
            f"{SYMBOLS} symbols × {MONTHS} months, {months:,} of them training rows, with 12 targets each. An epoch of "
            f"windows is extrapolated from {STEPS} steps. Keras' default batch is 32.",
            "",
            "| training | seconds per epoch | µs per month | times the fastest |",
            "| --- | ---: | ---: | ---: |",
            *lines,
            "",
            *_validation_losses(config),
        ]
    )


def _validation_losses(config: ForecasterConfig) -> list[str]:
    if not DATA.exists():
        return ["Validation losses not measured: needs recorded market data in ../shared/data.", ""]
    panel = make_panel(read_months(), config).until(END)
    training_set = _make_training_set(panel, split_origins(len(panel.months), config, has_holdout=False), config)
    sequences = _train_on_sequences(training_set, config)[1]
    windows = _train_on_windows(training_set, config, 256, epochs=2)[1]
    return [
        "Lowest validation loss on the recorded months up to 2003-12, relative to the baseline: "
        f"{min(sequences):.4f} in {len(sequences)} epochs of whole sequences, "
        f"{min(windows):.4f} in {len(windows)} epochs of windows.",
        "",
    ]


def _make_training_set(panel: Panel, split: Split, config: ForecasterConfig) -> TrainingSet:
    rows = panel.inputs[:, split.train][panel.known[:, split.train]]
    inputs = standardise(panel.inputs, rows.mean(axis=0), rows.std(axis=0) + 1e-6)
    return make_training_set(panel, split, fit_baseline(panel, split.fitted, config), inputs, config)


def _train_on_sequences(training_set: TrainingSet, config: ForecasterConfig) -> tuple[float, list[float]]:
    """Return seconds per epoch, with validation and without the first, which also compiles; and validation losses."""
    epochs: list[tuple[float, float]] = []
    train_network(
        training_set,
        replace(config, patience=config.epochs),
        seed=1,
        on_epoch=lambda epoch: epochs.append((time.perf_counter(), epoch.validation_loss)),
    )
    return (epochs[-1][0] - epochs[0][0]) / (len(epochs) - 1), [loss for _, loss in epochs]


def _train_on_windows(
    training_set: TrainingSet, config: ForecasterConfig, batch_size: int, *, epochs: int = 1, steps: int | None = None
) -> tuple[float, list[float]]:
    """Return seconds per epoch, without compilation and from the given `steps` only; and validation losses."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    network = build_network(training_set.inputs.shape[2], config)
    optimizer = keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay, clipnorm=1.0)
    levels = tf.constant(config.quantile_levels, tf.float32)
    location = tf.constant(training_set.location, tf.float32)
    standardised_quantiles = tf.constant(training_set.standardised_quantiles, tf.float32)
    padded = np.pad(training_set.inputs, ((0, 0), (WINDOW - 1, 0), (0, 0))).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=1)  # [N, T, F, WINDOW]

    def loss_of(batch: tuple[Any, ...], training: bool) -> Any:
        window, scale, target, weight = batch
        return pinball_loss(
            split_corrections(network(window, training=training)[:, -1], config),
            location=location,
            scale=scale,
            standardised_quantiles=standardised_quantiles,
            target=target,
            weight=weight,
            levels=levels,
        )

    @tf.function(reduce_retracing=True)
    def step(batch: tuple[Any, ...]) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(batch, True)
        variables = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    @tf.function(reduce_retracing=True)
    def validate(batch: tuple[Any, ...]) -> Any:
        return loss_of(batch, False)

    def batches(weight: np.ndarray, order: np.ndarray, size: int) -> Any:
        for rows in np.array_split(order, max(1, len(order) // size)):
            at = np.unravel_index(rows, weight.shape[:2])
            window = np.ascontiguousarray(windows[at].transpose(0, 2, 1))
            parts = (window, training_set.scale[at], training_set.target[at], weight[at])
            yield tuple(tf.constant(part, tf.float32) for part in parts)

    train_rows = np.flatnonzero((training_set.train_weight > 0).any(axis=2))
    validation_rows = np.flatnonzero((training_set.validation_weight > 0).any(axis=2))
    rng = np.random.default_rng(1)
    step(next(iter(batches(training_set.train_weight, train_rows[:batch_size], batch_size))))
    count = max(1, len(train_rows) // batch_size)
    start = time.perf_counter()
    if steps is not None:
        for batch in itertools.islice(
            batches(training_set.train_weight, rng.permutation(train_rows), batch_size), steps
        ):
            step(batch)
        return (time.perf_counter() - start) / steps * count, []
    losses, seconds = [], 0.0
    for _ in range(epochs):
        start = time.perf_counter()
        for batch in batches(training_set.train_weight * count, rng.permutation(train_rows), batch_size):
            step(batch)
        seconds += time.perf_counter() - start
        losses.append(
            sum(float(validate(batch)) for batch in batches(training_set.validation_weight, validation_rows, 2048))
        )
    return seconds / epochs, losses
