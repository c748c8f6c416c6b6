"""Networks trained side by side in processes, by the real Prefect: the same networks as one after the other."""

from dataclasses import replace

import numpy as np
import pytest
from few_units import SMALL
from prefect import flow, task

import tasks.ensemble
from model.network import Weights
from model.training import Epoch, Lesson, Trained, teach_in_turn
from tasks.ensemble import teach_ensemble

CONFIG = replace(SMALL, seeds=(3, 4), epochs=3, patience=9, smallest_gain=-1.0)


@pytest.fixture
def lesson() -> Lesson:
    """20 symbols, 60 months; the first input says how wide the next return spreads."""
    rng = np.random.default_rng(1)
    symbols, months, horizons, levels = 20, 60, len(CONFIG.horizons), np.array(CONFIG.quantile_levels)
    inputs = rng.normal(size=(symbols, months, 3))
    train, validation = (np.zeros((symbols, months, horizons)) for _ in range(2))
    train[:, :40], validation[:, 44:] = 1e-4, 1e-4
    return Lesson(
        inputs=inputs,
        centre=np.zeros(horizons),
        spread=np.ones((symbols, months, horizons)),
        shape=np.tile(2.0 * levels - 1.0, (horizons, 1)),
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
    machine: pytest.MonkeyPatch, lesson: Lesson
) -> None:
    """As the month does it: from within a task of a flow, first new networks, then further from those."""
    machine.setattr(tasks.ensemble, "WORTHWHILE_ROWS", 1)
    machine.setattr(tasks.ensemble, "affordable_workers", lambda step: 2)
    epochs = list[Epoch]()

    @task
    def step(starts: list[Weights | None]) -> list[Trained]:
        return teach_ensemble(lesson, CONFIG, starts, epochs.append)

    @flow
    def month() -> tuple[list[Trained], list[Trained]]:
        anew = step([None, None])
        return anew, step([each.weights for each in anew])

    anew, further = month()
    expected = teach_in_turn(lesson, CONFIG, [None, None])
    assert_same(anew, expected)
    assert_same(further, teach_in_turn(lesson, CONFIG, [each.weights for each in expected]))
    assert (expected[0].weights[0] != expected[1].weights[0]).any()
    for seed in CONFIG.seeds:
        assert [each.number for each in epochs if each.seed == seed] == [1, 2, 3, 1, 2, 3]


def test_teach_ensemble_stays_in_its_process_for_a_short_lesson(
    monkeypatch: pytest.MonkeyPatch, lesson: Lesson
) -> None:
    def refuse(workers: int, **_: object) -> None:
        raise AssertionError("a process would take longer than the lesson")

    monkeypatch.setattr(tasks.ensemble, "worker_pool", refuse)
    assert_same(teach_ensemble(lesson, CONFIG, [None, None]), teach_in_turn(lesson, CONFIG, [None, None]))
