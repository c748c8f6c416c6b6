"""The paper's networks: their layers, reproducible training, early stopping."""

from dataclasses import replace

import numpy as np
import pytest

from model.paper.experiment import PaperConfig, make_experiment
from model.paper.training import build_paper_network, train_paper_network
from tests.support.paper import TINY, flat_bars


@pytest.mark.parametrize(
    ("kind", "count"),
    [("lstm", 4 * 50 * (5 + 50 + 1) + 51), ("gru", 3 * 50 * (5 + 50 + 2) + 51), ("hybrid", 11_200 + 15_300 + 51)],
)
def test_build_paper_network_has_the_papers_layers(kind: str, count: int) -> None:
    """50 units: four gates of an LSTM, three of a GRU with two biases each; the hybrid's GRU has 50 inputs."""
    assert build_paper_network(kind, PaperConfig()).count_params() == count


def test_build_paper_network_refuses_an_unknown_kind() -> None:
    with pytest.raises(ValueError, match="must be one of hybrid, lstm, gru; received 'rnn'"):
        build_paper_network("rnn", TINY)


@pytest.mark.parametrize("kind", ["hybrid", "gru"])
def test_train_paper_network_is_bit_identical_for_the_same_seed(kind: str) -> None:
    wave = 100.0 + 10.0 * np.sin(0.7 * np.arange(120))
    experiment = make_experiment(flat_bars(wave.tolist()), TINY, scaler="everything")
    first = train_paper_network(experiment, TINY, kind=kind, seed=1)
    other = train_paper_network(experiment, TINY, kind=kind, seed=2)
    again = train_paper_network(experiment, TINY, kind=kind, seed=1)
    np.testing.assert_array_equal(first.forecast, again.forecast)
    assert first.curve == again.curve
    assert not np.array_equal(first.forecast, other.forecast)


def test_train_paper_network_takes_the_weights_of_the_best_epoch() -> None:
    """The forecast of the validation targets has the lowest loss of the curve, and training stops `patience` later."""
    wave = 100.0 + 10.0 * np.sin(0.7 * np.arange(120))
    config = replace(TINY, learning_rate=0.3, epochs=50)
    experiment = make_experiment(flat_bars(wave.tolist()), config, scaler="everything")
    trained = train_paper_network(experiment, config, kind="lstm", seed=1)
    losses = [epoch.validation_loss for epoch in trained.curve]
    error = (trained.forecast - experiment.target)[experiment.validation]
    assert np.mean(error**2) == pytest.approx(min(losses), rel=1e-5)
    assert losses.index(min(losses)) + 1 == trained.best_epoch
    assert len(losses) == trained.best_epoch + config.patience < 50
