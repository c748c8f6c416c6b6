"""The network and its loss, with numbers worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from model.forecaster.network import build_network, pinball_loss, split_corrections
from tests.support.simulated import SMALL


def loss(target: float, *, log_scale: float = 0.0, location: float = 0.0, weight: float = 1.0) -> float:
    """Loss of one symbol, month and horizon under a baseline with location 0.1, scale 0.2 and quantiles -1, 0, 2."""
    import tensorflow as tf

    def cube(value: float) -> object:
        return tf.constant([[[value]]], tf.float32)

    return float(
        pinball_loss(
            (cube(log_scale), cube(location)),
            location=tf.constant([0.1], tf.float32),
            scale=cube(0.2),
            standardised_quantiles=tf.constant([[-1.0, 0.0, 2.0]], tf.float32),
            target=cube(target),
            weight=cube(weight),
            levels=tf.constant([0.1, 0.5, 0.9], tf.float32),
        )
    )


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        # Quantiles -0.1, 0.1, 0.5. Above all: 0.1 × 0.7 + 0.5 × 0.5 + 0.9 × 0.1.
        (0.6, 0.07 + 0.25 + 0.09),
        # Between the first two: 0.1 × 0.1 + 0.5 × 0.1 + 0.1 × 0.5.
        (0.0, 0.01 + 0.05 + 0.05),
        # Below all: 0.9 × 0.2 + 0.5 × 0.4 + 0.1 × 0.8.
        (-0.3, 0.18 + 0.20 + 0.08),
        # On the median: 0.1 × 0.2 + 0 + 0.1 × 0.4.
        (0.1, 0.02 + 0.0 + 0.04),
    ],
)
def test_pinball_loss_by_hand(target: float, expected: float) -> None:
    assert loss(target) == pytest.approx(expected, rel=1e-5)
    assert loss(target, weight=3.0) == pytest.approx(3.0 * expected, rel=1e-5)


def test_pinball_loss_applies_both_corrections() -> None:
    """Twice the scale and half a scale of location: quantiles 0.2 - 0.4, 0.2, 0.2 + 0.8 and a target of 0.5."""
    expected = 0.1 * 0.7 + 0.5 * 0.3 + 0.1 * 0.5
    assert loss(0.5, log_scale=float(np.log(2.0)), location=0.5) == pytest.approx(expected, rel=1e-5)


def test_pinball_loss_sums_over_symbols_months_and_horizons() -> None:
    """Two symbols, three months, two horizons; the sum of single losses by a plain loop in float64."""
    import tensorflow as tf

    rng = np.random.default_rng(2)
    shape, levels = (2, 3, 2), np.array([0.2, 0.5, 0.8])
    target, weight, log_scale, shift = rng.normal(size=shape), rng.uniform(size=shape), *rng.normal(size=(2, *shape))
    scale, location, z = rng.uniform(0.1, 1.0, shape), rng.normal(size=2), np.sort(rng.normal(size=(2, 3)), axis=1)
    expected = 0.0
    for place in np.ndindex(shape):
        for level, unit in zip(levels, z[place[2]], strict=True):
            forecast = location[place[2]] + scale[place] * (shift[place] + np.exp(log_scale[place]) * unit)
            error = target[place] - forecast
            expected += weight[place] * (level * error if error > 0 else (level - 1) * error)
    arrays = (log_scale, shift, location, scale, z, target, weight, levels)
    tensors = [tf.constant(array, tf.float32) for array in arrays]
    found = pinball_loss(
        (tensors[0], tensors[1]),
        location=tensors[2],
        scale=tensors[3],
        standardised_quantiles=tensors[4],
        target=tensors[5],
        weight=tensors[6],
        levels=tensors[7],
    )
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_split_corrections_shrinks_by_horizon() -> None:
    """Horizons 1 and 4 with fading 0.5: factors 1 and 1/2; the location 0.03 times as much."""
    config = replace(SMALL, horizons=(1, 4))
    log_scale, location = split_corrections(np.array([[[2.0, 2.0, 10.0, 10.0]]]), config)
    assert log_scale[0, 0].tolist() == pytest.approx([2.0, 1.0])
    assert location[0, 0].tolist() == pytest.approx([0.3, 0.15], rel=1e-6)


def test_build_network_starts_with_corrections_of_zero() -> None:
    inputs = np.random.default_rng(4).normal(size=(2, 5, 3)).astype(np.float32)
    raw = build_network(3, SMALL, seed=1)(inputs, training=False)
    assert raw.shape == (2, 5, 24)
    assert not raw.numpy().any()


def test_build_network_has_the_weights_of_its_seed() -> None:
    first, again, other = (build_network(3, SMALL, seed=seed).get_weights() for seed in (1, 1, 2))
    for left, right in zip(first, again, strict=True):
        np.testing.assert_array_equal(left, right)
    assert not np.array_equal(first[0], other[0])


def test_network_corrections_use_only_earlier_months() -> None:
    network = build_network(3, SMALL, seed=1)
    dense = network.layers[-1]
    dense.set_weights([np.ones_like(values) for values in dense.get_weights()])
    inputs = np.random.default_rng(4).normal(size=(1, 6, 3)).astype(np.float32)
    changed = inputs.copy()
    changed[:, 4:] += 1.0
    before, after = (network(values, training=False).numpy() for values in (inputs, changed))
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert not np.array_equal(before[:, 4:], after[:, 4:])
