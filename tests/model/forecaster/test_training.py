"""The training of networks: reproducible, isolated from earlier trainings, stopped by the validation."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from model.forecaster import training
from model.forecaster.features import make_panel
from model.forecaster.forecaster import Forecaster, fine_tune, train
from model.forecaster.network import build_network
from model.forecaster.serialization import to_bytes
from model.forecaster.split import split_origins
from model.forecaster.training import Epoch, corrections_of, train_network, train_sequentially
from model.forecaster.training_set import TrainingSet
from tests.support.simulated import SMALL, train_on

CONFIG = replace(SMALL, horizons=(1, 2), smallest_gain=-1.0, patience=9)


@pytest.fixture(scope="module")
def training_set() -> TrainingSet:
    """Six symbols, 60 months; the first input raises the scale of the target. The baseline's loss is 1."""
    rng = np.random.default_rng(1)
    shape, levels = (6, 60, 2), np.array(CONFIG.quantile_levels)
    inputs = rng.normal(size=(6, 60, 3)).astype(np.float32)
    target = rng.normal(size=shape) * np.exp(inputs[..., :1])
    error = target[..., None] - (2.0 * levels - 1.0)
    loss = np.maximum(levels * error, (levels - 1.0) * error).sum(axis=-1)
    train_weight, validation_weight = np.zeros(shape), np.zeros(shape)
    train_weight[:, :40], validation_weight[:, 44:] = 1.0 / loss[:, :40].sum(), 1.0 / loss[:, 44:].sum()
    return TrainingSet(
        inputs=inputs,
        location=np.zeros(2),
        scale=np.ones(shape),
        standardised_quantiles=np.tile(2.0 * levels - 1.0, (2, 1)),
        target=target,
        train_weight=train_weight,
        validation_weight=validation_weight,
    )


def test_train_sequentially_trains_one_network_per_seed(training_set: TrainingSet) -> None:
    config = replace(CONFIG, seeds=(3, 4))
    both = train_sequentially(training_set, config, [None, None])
    for result, seed in zip(both, (3, 4), strict=True):
        alone = train_network(training_set, config, seed=seed)
        assert (result.epochs, result.validation_loss) == (alone.epochs, alone.validation_loss)
        for left, right in zip(result.weights, alone.weights, strict=True):
            np.testing.assert_array_equal(left, right)
    assert not np.array_equal(both[0].weights[0], both[1].weights[0])


def test_train_network_returns_the_best_epoch(training_set: TrainingSet) -> None:
    epochs = list[Epoch]()
    result = train_network(training_set, replace(CONFIG, epochs=6), seed=3, on_epoch=epochs.append)
    losses = [epoch.validation_loss for epoch in epochs]
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4, 5, 6]
    assert result.validation_loss == min(losses)
    assert losses[result.epochs - 1] == min(losses)
    assert [epoch.is_best for epoch in epochs] == [loss < min([np.inf, *losses[:i]]) for i, loss in enumerate(losses)]


def test_train_network_stops_after_epochs_without_gain(training_set: TrainingSet) -> None:
    """With a learning rate of 0 no epoch improves on the start, so that `patience` epochs run."""
    epochs = list[Epoch]()
    start = train_network(training_set, CONFIG, seed=3).weights
    constant = replace(CONFIG, learning_rate=0.0, patience=2, epochs=7)
    result = train_network(training_set, constant, seed=3, start=start, on_epoch=epochs.append)
    assert len(epochs) == 2
    assert result.epochs == 0
    for left, right in zip(result.weights, start, strict=True):
        np.testing.assert_array_equal(left, right)


def test_train_network_averages_the_weights_from_the_start(training_set: TrainingSet) -> None:
    """One step: the average keeps `ema_momentum` of the initial weights and takes the rest from the new ones."""
    one_step = replace(CONFIG, epochs=1, smallest_gain=-np.inf)
    initial = build_network(3, one_step, seed=3).get_weights()
    plain = train_network(training_set, replace(one_step, ema_momentum=0.0), seed=3)
    averaged = train_network(training_set, replace(one_step, ema_momentum=0.75), seed=3)
    assert (plain.epochs, averaged.epochs) == (1, 1)
    is_moved = False
    for start, new, mean in zip(initial, plain.weights, averaged.weights, strict=True):
        np.testing.assert_allclose(mean, 0.75 * start + 0.25 * new, rtol=1e-5, atol=1e-7)
        is_moved |= not np.array_equal(start, new)
    assert is_moved


def test_corrections_of_averages_the_networks(training_set: TrainingSet) -> None:
    networks = [train_network(training_set, CONFIG, seed=seed).weights for seed in (3, 4)]
    singles = [corrections_of([weights], training_set.inputs, CONFIG) for weights in networks]
    both = corrections_of(networks, training_set.inputs, CONFIG)
    for part in (0, 1):
        np.testing.assert_allclose(both[part], (singles[0][part] + singles[1][part]) / 2, rtol=1e-5, atol=1e-7)
        assert both[part].any()
    assert not any(part.any() for part in corrections_of([], training_set.inputs, CONFIG))


def test_training_is_bit_identical_for_the_same_seed(months: pd.DataFrame, forecaster: Forecaster) -> None:
    assert to_bytes(train_on(months, SMALL)) == to_bytes(forecaster)
    assert to_bytes(train_on(months, replace(SMALL, seeds=(2,)))) != to_bytes(forecaster)


def test_training_is_independent_of_earlier_trainings(months: pd.DataFrame) -> None:
    """The compiled network is shared by trainings; its weights, dropout and optimiser state are not."""
    panel = make_panel(months, SMALL)
    panel = panel.until(panel.months[119])
    split = split_origins(len(panel.months), SMALL)
    eager = replace(SMALL, smallest_gain=-1.0, patience=9)  # weights move, and every epoch counts
    fine_tune(train(panel, split, replace(eager, seeds=(7,))), panel, split)
    late = to_bytes(train(panel, split, eager))
    training._compile_network.cache_clear()
    assert to_bytes(train(panel, split, eager)) == late
