"""Forecasters as bytes: bit-identical after reading, refused if damaged or of another format."""

import io
import json
import zipfile

import pandas as pd
import pytest

from model.forecaster.features import make_panel
from model.forecaster.forecaster import Forecaster
from model.forecaster.serialization import FORMAT, from_bytes, to_bytes
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
    assert restored.vintage == forecaster.vintage


def test_to_bytes_of_a_restored_forecaster_is_the_same(forecaster: Forecaster) -> None:
    content = to_bytes(forecaster)
    assert FORMAT == 4
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
    future = with_format(to_bytes(forecaster), 5)
    with pytest.raises(ValueError, match=r"format 5 is not 4, which this version reads"):
        from_bytes(future)
