"""Forecasters as bytes: bit-identical after reading, refused if damaged, and readable in format 2."""

import io
import json
import zipfile
from dataclasses import replace

import pandas as pd
import pytest

from model.config import DriftConfig, ForecasterConfig, QualityConfig
from model.forecaster.features import make_panel
from model.forecaster.forecaster import Forecaster
from model.forecaster.serialization import FORMAT, from_bytes, stored_format, to_bytes
from tests.support.format_2 import format_2_bytes
from tests.support.simulated import SMALL


def with_format(content: bytes, number: int) -> bytes:
    """The bytes with another number of the format in the header."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            entry = old.read(name)
            if name == "header.json":
                entry = json.dumps(json.loads(entry) | {"format": number}).encode()
            new.writestr(name, entry)
    return changed.getvalue()


def test_forecasts_are_identical_after_serialization(months: pd.DataFrame, forecaster: Forecaster) -> None:
    panel = make_panel(months, SMALL)
    restored = from_bytes(to_bytes(forecaster))
    expected = forecaster.forecast(panel, panel.months[-1])
    pd.testing.assert_frame_equal(restored.forecast(panel, panel.months[-1]), expected, check_exact=True)
    assert restored.config == SMALL


def test_to_bytes_of_a_restored_forecaster_is_the_same(forecaster: Forecaster) -> None:
    content = to_bytes(forecaster)
    assert stored_format(content) == FORMAT == 3
    assert to_bytes(from_bytes(content)) == content


@pytest.mark.parametrize("damage", ["cut", "flip", "nothing"])
def test_from_bytes_refuses_damaged_bytes(forecaster: Forecaster, damage: str) -> None:
    content = to_bytes(forecaster)
    middle = len(content) // 2
    damaged = {
        "cut": content[:middle],
        "flip": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
        "nothing": b"",
    }[damage]
    with pytest.raises(ValueError, match="damaged"):
        from_bytes(damaged)


def test_from_bytes_refuses_an_unknown_format(forecaster: Forecaster) -> None:
    future = with_format(to_bytes(forecaster), 4)
    for read in (from_bytes, stored_format):
        with pytest.raises(ValueError, match=r"format 4 is not 2 or 3, which this version reads"):
            read(future)


def test_format_2_forecasts_are_identical(months: pd.DataFrame, forecaster: Forecaster) -> None:
    """Arrays and choices have other names in format 2, and the choices of format 3 take their defaults."""
    content = format_2_bytes(forecaster)
    restored = from_bytes(content)
    assert stored_format(content) == 2
    assert restored.config == SMALL
    panel = make_panel(months, SMALL)
    expected = forecaster.forecast(panel, panel.months[-1])
    pd.testing.assert_frame_equal(restored.forecast(panel, panel.months[-1]), expected, check_exact=True)
    assert to_bytes(restored) == to_bytes(forecaster)


def test_format_2_keeps_renamed_choices(forecaster: Forecaster) -> None:
    config = from_bytes(format_2_bytes(forecaster, judged_months=17, centre_shrinkage=0.5)).config
    assert (config.holdout_months, config.location_shrinkage) == (17, 0.5)
    assert config.drift == DriftConfig()
    assert config.quality == QualityConfig()
    assert config == replace(SMALL, holdout_months=17, location_shrinkage=0.5)


def test_from_bytes_needs_the_arrays_of_its_format(forecaster: Forecaster) -> None:
    with pytest.raises(ValueError, match="baseline/location"):
        from_bytes(with_format(format_2_bytes(forecaster), 3))
    with pytest.raises(ValueError, match="baseline/centre"):
        from_bytes(with_format(to_bytes(forecaster), 2))


def test_from_bytes_refuses_unknown_choices(forecaster: Forecaster) -> None:
    with pytest.raises(ValueError, match="Unknown choice colour"):
        from_bytes(format_2_bytes(forecaster, colour="red"))
    assert "colour" not in ForecasterConfig().to_dict()
