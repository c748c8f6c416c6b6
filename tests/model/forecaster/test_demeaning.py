"""What the network learns from: the market's move and turmoil are off, what makes symbols differ is left."""

import numpy as np
import pytest
from model.forecaster.demeaning import demean_targets


def test_without_market_by_hand() -> None:
    """Three symbols whose misses are 1, 2 and 6 in one month: median 2, mean distance 5/3; zeros, ones in the other."""
    target = np.array([[[1.0], [-1.0]], [[2.0], [0.0]], [[6.0], [1.0]]])
    spread, weight = np.ones((3, 2, 1)), np.ones((3, 2, 1))
    taken, widened = demean_targets(np.zeros(1), spread, target, weight)
    trust = 3 / 13
    assert taken[:, 0, 0].tolist() == pytest.approx([1 - 2 * trust, 2 - 2 * trust, 6 - 2 * trust])
    assert taken[:, 1, 0].tolist() == pytest.approx([-1.0, 0.0, 1.0])
    mean_miss = (9 / 3 + 2 / 3) / 2
    assert widened[0, :, 0].tolist() == pytest.approx([(5 / 3 / mean_miss) ** trust, (2 / 3 / mean_miss) ** trust])


def test_without_market_leaves_what_is_not_learnt_from() -> None:
    rng = np.random.default_rng(5)
    target, spread = rng.normal(size=(8, 6, 2)), rng.uniform(1, 2, size=(8, 6, 2))
    weight = np.ones((8, 6, 2))
    weight[:, 3:] = 0.0
    taken, widened = demean_targets(np.zeros(2), spread, target, weight)
    np.testing.assert_array_equal(taken[:, 3:], target[:, 3:])
    np.testing.assert_array_equal(widened[:, 3:], spread[:, 3:])
    assert not np.array_equal(taken[:, :3], target[:, :3])


def test_without_market_takes_off_a_common_shock_and_a_common_factor() -> None:
    """Many symbols: a shift of all targets of a month is gone, and three times the turmoil is in the spread."""
    rng = np.random.default_rng(6)
    quiet = rng.normal(size=(2000, 1, 1))
    target = np.concatenate([quiet, 3.0 * quiet + 5.0], axis=1)
    taken, widened = demean_targets(np.zeros(1), np.ones((2000, 2, 1)), target, np.ones((2000, 2, 1)))
    assert widened[0, 1, 0] / widened[0, 0, 0] == pytest.approx(3.0, rel=0.02)
    assert taken[:, 1, 0].mean() == pytest.approx(0.0, abs=0.2)
