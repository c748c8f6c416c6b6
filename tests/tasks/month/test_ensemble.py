"""Training in parallel processes, within a Prefect flow: the same weights as sequential training."""

from dataclasses import replace

import numpy as np
import pytest
from prefect import flow, task

import tasks.month.ensemble
from model.forecaster.network import Weights
from model.forecaster.training import Epoch, Trained, train_sequentially
from model.forecaster.training_set import TrainingSet
from tasks.month.ensemble import train_ensemble
from tests.support.few_units import SMALL

CONFIG = replace(SMALL, seeds=(3, 4), epochs=3, patience=9, smallest_gain=-1.0)


@pytest.fixture
def training_set() -> TrainingSet:
    """20 symbols and 60 months; the first input is the log scale of the next return."""
    rng = np.random.default_rng(1)
    symbols, months, horizons, levels = 20, 60, len(CONFIG.horizons), np.array(CONFIG.quantile_levels)
    inputs = rng.normal(size=(symbols, months, 3))
    train, validation = (np.zeros((symbols, months, horizons)) for _ in range(2))
    train[:, :40], validation[:, 44:] = 1e-4, 1e-4
    return TrainingSet(
        inputs=inputs,
        location=np.zeros(horizons),
        scale=np.ones((symbols, months, horizons)),
        standardised_quantiles=np.tile(2.0 * levels - 1.0, (horizons, 1)),
        target=rng.normal(size=(symbols, months, horizons)) * np.exp(inputs[..., :1]),
        train_weight=train,
        validation_weight=validation,
    )


def assert_same(actual: list[Trained], expected: list[Trained]) -> None:
    for one, other in zip(actual, expected, strict=True):
        assert (one.epochs, one.validation_loss) == (other.epochs, other.validation_loss)
        for left, right in zip(one.weights, other.weights, strict=True):
            np.testing.assert_array_equal(left, right)


def test_train_ensemble_in_processes_equals_sequential_training(
    machine: pytest.MonkeyPatch, training_set: TrainingSet
) -> None:
    """Within a task of a flow, as in the month: a new network, and one that starts from weights."""
    machine.setattr(tasks.month.ensemble, "WORTHWHILE_ROWS", 1)
    machine.setattr(tasks.month.ensemble, "affordable_workers", lambda step: 2)
    epochs = list[Epoch]()

    @task
    def step(starts: list[Weights | None]) -> list[Trained]:
        return train_ensemble(training_set, CONFIG, starts, epochs.append)

    @flow
    def month(starts: list[Weights | None]) -> list[Trained]:
        return step(starts)

    new = train_sequentially(training_set, CONFIG, [None, None])
    starts = [None, new[1].weights]
    trained = month(starts)
    assert_same(trained, train_sequentially(training_set, CONFIG, starts))
    assert_same(trained[:1], new[:1])
    for other in (trained[0], new[1]):
        assert (trained[1].weights[0] != other.weights[0]).any()
    for seed in CONFIG.seeds:
        assert [epoch.number for epoch in epochs if epoch.seed == seed] == [1, 2, 3]


def test_train_ensemble_trains_a_small_set_sequentially(
    monkeypatch: pytest.MonkeyPatch, training_set: TrainingSet
) -> None:
    def refuse(workers: int, **_: object) -> None:
        raise AssertionError("a worker process would take longer than the training")

    monkeypatch.setattr(tasks.month.ensemble, "worker_pool", refuse)
    assert_same(
        train_ensemble(training_set, CONFIG, [None, None]), train_sequentially(training_set, CONFIG, [None, None])
    )
