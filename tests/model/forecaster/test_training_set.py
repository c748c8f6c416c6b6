"""The training set: demeaning by hand, and weights under which the baseline's loss is 1."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from model.forecaster.baseline import fit_baseline
from model.forecaster.features import make_panel
from model.forecaster.split import split_origins
from model.forecaster.training_set import demean_targets, make_training_set
from tests.support.simulated import SMALL


def test_demean_targets_by_hand() -> None:
    """Three symbols. Errors 1, 2, 6 in one month: median 2, mean deviation 5/3. Errors -1, 0, 1 in the other."""
    target = np.array([[[1.0], [-1.0]], [[2.0], [0.0]], [[6.0], [1.0]]])
    scale, weight = np.ones((3, 2, 1)), np.ones((3, 2, 1))
    demeaned, rescaled = demean_targets(np.zeros(1), scale, target, weight, half_weight_symbols=10)
    shrinkage = 3 / 13
    assert demeaned[:, 0, 0].tolist() == pytest.approx([1 - 2 * shrinkage, 2 - 2 * shrinkage, 6 - 2 * shrinkage])
    assert demeaned[:, 1, 0].tolist() == pytest.approx([-1.0, 0.0, 1.0])
    mean_error = (9 / 3 + 2 / 3) / 2
    expected = [(5 / 3 / mean_error) ** shrinkage, (2 / 3 / mean_error) ** shrinkage]
    assert rescaled[0, :, 0].tolist() == pytest.approx(expected)


def test_demean_targets_keeps_targets_without_weight() -> None:
    rng = np.random.default_rng(5)
    target, scale = rng.normal(size=(8, 6, 2)), rng.uniform(1, 2, size=(8, 6, 2))
    weight = np.ones((8, 6, 2))
    weight[:, 3:] = 0.0
    demeaned, rescaled = demean_targets(np.zeros(2), scale, target, weight, half_weight_symbols=10)
    np.testing.assert_array_equal(demeaned[:, 3:], target[:, 3:])
    np.testing.assert_array_equal(rescaled[:, 3:], scale[:, 3:])
    assert not np.array_equal(demeaned[:, :3], target[:, :3])


def test_demean_targets_removes_a_common_move_and_factor() -> None:
    """Many symbols: the common shift of a month is removed, and its threefold turbulence is in the scale."""
    rng = np.random.default_rng(6)
    calm = rng.normal(size=(2000, 1, 1))
    target = np.concatenate([calm, 3.0 * calm + 5.0], axis=1)
    ones = np.ones((2000, 2, 1))
    demeaned, rescaled = demean_targets(np.zeros(1), ones, target, ones, half_weight_symbols=10)
    assert rescaled[0, 1, 0] / rescaled[0, 0, 0] == pytest.approx(3.0, rel=0.02)
    assert demeaned[:, 1, 0].mean() == pytest.approx(0.0, abs=0.2)


def test_make_training_set_gives_the_baseline_a_loss_of_one(months: pd.DataFrame) -> None:
    """By a plain loop over quantiles; every horizon contributes 1 / H, and weights stay inside their origins."""
    config = replace(SMALL, horizons=(1, 2, 3))
    panel = make_panel(months, config)
    split = split_origins(len(panel.months), config)
    baseline = fit_baseline(panel, split.fitted, config)
    training_set = make_training_set(panel, split, baseline, panel.inputs, config)
    for weight, origins in (
        (training_set.train_weight, split.train),
        (training_set.validation_weight, split.validation),
    ):
        loss = np.zeros(weight.shape)
        for q, level in enumerate(config.quantile_levels):
            forecast = training_set.location + training_set.scale * training_set.standardised_quantiles[:, q]
            error = training_set.target - forecast
            loss += np.where(error >= 0, level * error, (level - 1) * error)
        assert (weight * loss).sum(axis=(0, 1)) == pytest.approx(np.full(3, 1 / 3))
        used = np.flatnonzero(weight.any(axis=(0, 2)))
        assert (used[0], used[-1]) == (origins.start, origins.stop - 1)


def test_since_drops_the_months_before(months: pd.DataFrame) -> None:
    config = replace(SMALL, horizons=(1,))
    panel = make_panel(months, config)
    split = split_origins(len(panel.months), config)
    training_set = make_training_set(panel, split, fit_baseline(panel, split.fitted, config), panel.inputs, config)
    newest = training_set.since(200)
    for name in ("inputs", "scale", "target", "train_weight", "validation_weight"):
        np.testing.assert_array_equal(getattr(newest, name), getattr(training_set, name)[:, 200:])
    np.testing.assert_array_equal(newest.location, training_set.location)
