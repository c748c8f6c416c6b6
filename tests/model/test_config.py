"""The choices: through JSON and back, and the comparison with stored choices."""

import json
from dataclasses import replace

import pytest

from model.config import DriftConfig, ForecasterConfig, QualityConfig
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


def test_differing_choices_names_changed_missing_and_unknown_ones() -> None:
    stored = SMALL.to_dict()
    assert SMALL.differing_choices(stored) == []
    assert SMALL.differing_choices(stored | {"units": 3}) == ["units"]
    assert SMALL.differing_choices({name: stored[name] for name in stored if name != "ridge"}) == ["ridge"]
    assert SMALL.differing_choices(stored | {"colour": "red"}) == ["colour"]
    assert SMALL.differing_choices(stored | {"drift": stored["drift"] | {"margin": 0.1}}) == ["drift"]
    older = {name: value for name, value in stored["quality"].items() if name != "fewest_hundredfold"}
    assert SMALL.differing_choices(stored | {"quality": older}) == []
    changed = replace(SMALL, quality=QualityConfig(fewest_hundredfold=3))
    assert changed.differing_choices(stored | {"quality": older}) == ["quality"]
