"""The choices: through JSON and back, old names, and the comparison with stored choices."""

import json
from dataclasses import replace

import pytest

from model.config import CHOICES_BY_FORMAT, DriftConfig, ForecasterConfig, QualityConfig
from tests.support.format_2 import format_2_config
from tests.support.simulated import SMALL


def test_config_is_the_same_after_json() -> None:
    config = replace(SMALL, drift=DriftConfig(margin=0.25), quality=QualityConfig(partial_volume=((5, 0.5),)))
    assert ForecasterConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert hash(config) != hash(SMALL)


def test_from_dict_refuses_unknown_choices() -> None:
    with pytest.raises(ValueError, match="Unknown choice unit"):
        ForecasterConfig.from_dict({"unit": 3})
    with pytest.raises(ValueError, match=r"Unknown choice path\. Valid names are: block_months, "):
        ForecasterConfig.from_dict({"drift": {"path": 3}})


def test_from_dict_accepts_the_names_of_format_2() -> None:
    """The names and the choices of format 2, in full."""
    stored = {
        "horizons": list(range(1, 13)),
        "quantile_levels": [0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975],
        "volatility_half_life": 4.0,
        "ratio_half_life": 60.0,
        "smallest_sigma": 0.005,
        "sample_half_life_years": 10.0,
        "ridge": 0.1,
        "ridge_rows": 10_000.0,
        "calibration_pull": 36.0,
        "units": 50,
        "dropout": 0.2,
        "batch_symbols": 32,
        "learning_rate": 1e-3,
        "weight_decay": 0.2,
        "ema_momentum": 0.95,
        "scale_shrinkage": 1.0,
        "horizon_fading": 0.5,
        "centre_shrinkage": 0.03,
        "epochs": 8,
        "patience": 5,
        "smallest_gain": 2e-4,
        "seeds": [1, 2],
        "fine_tune_months": 120,
        "fine_tune_warm_up": 60,
        "fine_tune_epochs": 2,
        "fine_tune_rate": 2e-4,
        "validation_months": 48,
        "judged_months": 36,
        "gate_level": 0.05,
        "burn_in_months": 12,
        "fewest_months": 96,
    }
    config = ForecasterConfig()
    assert ForecasterConfig.from_dict(stored) == config
    assert config.differing_choices(stored, 2) == []
    assert stored == format_2_config(config)


def test_differing_choices_names_changed_missing_and_unknown_ones() -> None:
    stored = SMALL.to_dict()
    assert SMALL.differing_choices(stored, 3) == []
    assert SMALL.differing_choices(stored | {"units": 3}, 3) == ["units"]
    assert SMALL.differing_choices({name: stored[name] for name in stored if name != "ridge"}, 3) == ["ridge"]
    assert SMALL.differing_choices(stored | {"colour": "red"}, 3) == ["colour"]
    assert SMALL.differing_choices(stored | {"drift": stored["drift"] | {"margin": 0.1}}, 3) == ["drift"]
    older = {name: value for name, value in stored["quality"].items() if name != "fewest_hundredfold"}
    assert SMALL.differing_choices(stored | {"quality": older}, 3) == []
    changed = replace(SMALL, quality=QualityConfig(fewest_hundredfold=3))
    assert changed.differing_choices(stored | {"quality": older}, 3) == ["quality"]


def test_differing_choices_allows_only_later_choices_to_be_missing() -> None:
    stored = format_2_config(SMALL)
    assert SMALL.differing_choices(stored, 2) == []
    assert set(SMALL.differing_choices(stored, 3)) == CHOICES_BY_FORMAT[3]
    del stored["judged_months"]
    assert SMALL.differing_choices(stored, 2) == ["holdout_months"]
    assert replace(SMALL, retrain_after_months=6).differing_choices(stored | {"retrain_after_months": 12}, 2) == [
        "holdout_months",
        "retrain_after_months",
    ]
