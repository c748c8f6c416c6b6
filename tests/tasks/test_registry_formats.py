"""Stored models of format 2 in the registry: restored, compared with a new training, and refused if damaged."""

import hashlib
import json
from datetime import date
from typing import Any

import pandas as pd
import pytest

from model.forecaster.forecaster import Forecaster
from model.forecaster.serialization import to_bytes
from sql.store import ModelVersion
from tasks.errors import DamagedModelError
from tasks.registry import restore, weights_sha256
from tests.support.format_2 import format_2_bytes, format_2_config
from tests.support.simulated import SMALL, simulate_months, train_on


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    return train_on(simulate_months(clustering=0.3), SMALL)


def make_stored(weights: bytes, config: dict[str, Any]) -> ModelVersion:
    return ModelVersion(
        kind="retrain",
        parent_id=None,
        trained_through=date(2006, 1, 1),
        holdout_start=date(2006, 1, 1),
        holdout_end=date(2009, 10, 1),
        verdict="baseline",
        verdict_reason="",
        verdict_numbers=[],
        weights=weights,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        seed=1,
        config=json.loads(json.dumps(config)),
        data_fingerprint="",
        model_version_id=12,
    )


def test_restore_reads_a_model_of_format_2(forecaster: Forecaster) -> None:
    restored = restore(make_stored(format_2_bytes(forecaster), format_2_config(SMALL)))
    assert restored.config == SMALL
    pd.testing.assert_frame_equal(restored.trained, forecaster.trained)


def test_weights_sha256_of_format_2_equals_that_of_a_new_training(forecaster: Forecaster) -> None:
    stored = make_stored(format_2_bytes(forecaster), format_2_config(SMALL))
    assert weights_sha256(restore(stored)) == weights_sha256(forecaster) != stored.weights_sha256


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        ({"judged_months": 23}, "holdout_months"),
        ({"judged_months": None}, "holdout_months"),
        ({"colour": "red"}, "colour"),
        ({"retrain_after_months": 6}, "retrain_after_months"),
    ],
)
def test_restore_refuses_a_config_of_format_2_that_differs(
    forecaster: Forecaster, change: dict[str, Any], differing: str
) -> None:
    config = {name: value for name, value in (format_2_config(SMALL) | change).items() if value is not None}
    with pytest.raises(DamagedModelError, match=f"Model 12 .*: {differing} is not what was stored"):
        restore(make_stored(format_2_bytes(forecaster), config))


def test_restore_refuses_a_config_of_format_3_without_its_choices(forecaster: Forecaster) -> None:
    stored = make_stored(to_bytes(forecaster), format_2_config(SMALL))
    with pytest.raises(DamagedModelError, match="fine_tune_after_months, drift, quality is not what was stored"):
        restore(stored)
