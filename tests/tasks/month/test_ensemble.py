"""Networks trained side by side in processes, by the real Prefect: the same networks as one after the other."""

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
def lesson() -> TrainingSet:
    """20 symbols, 60 months; the first input says how wide the next return spreads."""
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


def assert_same(found: list[Trained], expected: list[Trained]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert (one.epochs, one.validation_loss) == (other.epochs, other.validation_loss)
        for left, right in zip(one.weights, other.weights, strict=True):
            np.testing.assert_array_equal(left, right)


def test_teach_ensemble_gives_the_bits_of_one_after_the_other_and_its_progress(
    machine: pytest.MonkeyPatch, lesson: TrainingSet
) -> None:
    """As the month does it: from within a task of a flow, first new networks, then further from those."""
    machine.setattr(tasks.month.ensemble, "WORTHWHILE_ROWS", 1)
    machine.setattr(tasks.month.ensemble, "affordable_workers", lambda step: 2)
    epochs = list[Epoch]()

    @task
    def step(starts: list[Weights | None]) -> list[Trained]:
        return train_ensemble(lesson, CONFIG, starts, epochs.append)

    @flow
    def month() -> tuple[list[Trained], list[Trained]]:
        anew = step([None, None])
        return anew, step([each.weights for each in anew])

    anew, further = month()
    expected = train_sequentially(lesson, CONFIG, [None, None])
    assert_same(anew, expected)
    assert_same(further, train_sequentially(lesson, CONFIG, [each.weights for each in expected]))
    assert (expected[0].weights[0] != expected[1].weights[0]).any()
    for seed in CONFIG.seeds:
        assert [each.number for each in epochs if each.seed == seed] == [1, 2, 3, 1, 2, 3]


def test_teach_ensemble_stays_in_its_process_for_a_short_lesson(
    monkeypatch: pytest.MonkeyPatch, lesson: TrainingSet
) -> None:
    def refuse(workers: int, **_: object) -> None:
        raise AssertionError("a process would take longer than the lesson")

    monkeypatch.setattr(tasks.month.ensemble, "worker_pool", refuse)
    assert_same(train_ensemble(lesson, CONFIG, [None, None]), train_sequentially(lesson, CONFIG, [None, None]))
