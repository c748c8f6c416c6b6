"""Stored forecasters with a fitting checksum and broken contents: damaged, and never another error."""

import io
import json
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from model.config import ForecasterConfig
from model.forecaster.features import make_panel
from model.forecaster.forecaster import Forecaster
from model.forecaster.serialization import UnknownFormatError, from_bytes, to_bytes
from model.forecaster.validation import require_sound_config
from tests.support.simulated import SMALL

Entries = dict[str, bytes]


def unpack(content: bytes) -> Entries:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(entries: Entries, compression: int = zipfile.ZIP_STORED) -> bytes:
    """Write a valid zip, whose checksums fit the entries."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, entry in entries.items():
            archive.writestr(name, entry)
    return buffer.getvalue()


def array_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=array.dtype.hasobject)
    return buffer.getvalue()


def with_shape(entry: bytes, shape: str) -> bytes:
    """The bytes of an array, with another shape in its header."""
    length = struct.unpack("<H", entry[8:10])[0]
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(length - 1) + "\n"
    return entry[:8] + struct.pack("<H", len(header)) + header.encode() + entry[10 + length :]


def with_header(entries: Entries, **changes: Any) -> Entries:
    return entries | {"header.json": json.dumps(json.loads(entries["header.json"]) | changes).encode()}


def with_choice(entries: Entries, **changes: Any) -> Entries:
    return with_header(entries, config=json.loads(entries["header.json"])["config"] | changes)


def encrypted(entries: Entries) -> bytes:
    """The flag of encryption is set in the directory and in every entry."""
    content = bytearray(pack(entries))
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        position = content.find(mark)
        while position >= 0:
            content[position + offset] |= 1
            position = content.find(mark, position + 1)
    return bytes(content)


def first_weight(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Entries], bytes]:
    name = "network/0/0.npy"
    return lambda entries: pack(entries | {name: array_bytes(change(np.load(io.BytesIO(entries[name]))))})


def set_first(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        changed = array.copy()
        changed.flat[0] = value
        return changed

    return change


BROKEN: dict[str, Callable[[Entries], bytes]] = {
    "shape of 2^60": lambda e: pack(e | {"input_mean.npy": with_shape(e["input_mean.npy"], f"({2**60},)")}),
    "shape that overflows": lambda e: pack(
        e | {"input_mean.npy": with_shape(e["input_mean.npy"], f"({2**40}, {2**40})")}
    ),
    "nested shape": lambda e: pack(e | {"input_mean.npy": with_shape(e["input_mean.npy"], "(" * 900 + ")" * 900)}),
    "NaN": first_weight(set_first(np.nan)),
    "infinity": first_weight(set_first(-np.inf)),
    "absurd value": first_weight(set_first(1e30)),
    "wrong width": first_weight(lambda array: array[:, :-1]),
    "transposed": first_weight(lambda array: array.T),
    "double": first_weight(lambda array: array.astype("f8")),
    "integers": first_weight(lambda array: array.astype("i4")),
    "objects": first_weight(lambda array: array.astype("O")),
    "column order": first_weight(np.asfortranarray),
    "missing array": lambda e: pack({name: entry for name, entry in e.items() if name != "baseline/beta.npy"}),
    "missing header": lambda e: pack({name: entry for name, entry in e.items() if name != "header.json"}),
    "nested header": lambda e: pack(e | {"header.json": b"[" * 100_000 + b"]" * 100_000}),
    "huge header": lambda e: pack(e | {"header.json": b" " * 2**21 + e["header.json"]}),
    "header that is a list": lambda e: pack(e | {"header.json": b"[3]"}),
    "format that is no number": lambda e: pack(with_header(e, format="3")),
    "many networks": lambda e: pack(with_header(e, networks=[10**18])),
    "networks that are no numbers": lambda e: pack(with_header(e, networks={"a": 1})),
    "config that is a list": lambda e: pack(with_header(e, config=[1])),
    "units that are text": lambda e: pack(with_choice(e, units="2")),
    "huge units": lambda e: pack(with_choice(e, units=2**62)),
    "no horizons": lambda e: pack(with_choice(e, horizons=[])),
    "levels of one": lambda e: pack(with_choice(e, quantile_levels=[1] * 13)),
    "drift that is a number": lambda e: pack(with_choice(e, drift=3)),
    "training table of text": lambda e: pack(with_header(e, trained={"seed": "x"})),
    "training table of two lengths": lambda e: pack(
        with_header(e, trained={"seed": [1], "epochs": [1, 2], "validation_loss": [1]})
    ),
    "limits of the terms in the wrong order": lambda e: pack(
        e | {"baseline/term_low.npy": e["baseline/term_high.npy"], "baseline/term_high.npy": e["baseline/term_low.npy"]}
    ),
    "vintage that is a number": lambda e: pack(with_header(e, vintage=2003)),
    "compressed": lambda e: pack(e, zipfile.ZIP_DEFLATED),
    "zip bomb": lambda e: pack(e | {"bomb": bytes(2**24)}, zipfile.ZIP_DEFLATED),
    "encrypted": encrypted,
}


@pytest.fixture(scope="session")
def content(forecaster: Forecaster) -> bytes:
    return to_bytes(forecaster)


@pytest.mark.parametrize("name", BROKEN)
def test_broken_contents_are_a_damaged_model(content: bytes, name: str) -> None:
    broken = BROKEN[name](unpack(content))
    with pytest.raises(ValueError, match="damaged or not a Bellwether forecaster") as damaged:
        from_bytes(broken)
    assert not isinstance(damaged.value, UnknownFormatError)
    assert "\n" not in str(damaged.value)


def test_unchanged_contents_are_accepted(content: bytes) -> None:
    assert to_bytes(from_bytes(pack(unpack(content)))) == content


@pytest.mark.parametrize(("number", "release"), [(5, "a newer"), (3, "an older"), (10**9, "a newer"), (1, "an older")])
def test_other_format_is_no_damage(content: bytes, number: int, release: str) -> None:
    other = pack(with_header(unpack(content), format=number, config={"unknown": 1}))
    with pytest.raises(UnknownFormatError, match=f"format {number} is not 4.* of {release} Bellwether"):
        from_bytes(other)


@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_corruption_is_a_damaged_model_or_none(
    content: bytes, months: pd.DataFrame, forecaster: Forecaster, data: st.DataObject
) -> None:
    """Bytes are changed in the file, or in an entry of a zip whose checksums fit.

    A corruption that is not noticed still makes finite forecasts.
    """
    entries = unpack(content)
    if data.draw(st.booleans(), label="in an entry"):
        # The header and the starts of arrays have the structure; the rest are numbers.
        name = data.draw(st.sampled_from(["header.json", *entries]))
        entries[name] = corrupt(entries[name], data, most=len(entries[name]) if data.draw(st.booleans()) else 128)
        broken = pack(entries)
    else:
        broken = corrupt(content, data, most=len(content))
    try:
        restored = from_bytes(broken)
    except ValueError:
        return
    if restored.input_mean.shape == forecaster.input_mean.shape and restored.config == SMALL:
        panel = make_panel(months, SMALL)
        forecast = restored.forecast(panel, panel.months[-1])
        assert np.isfinite(forecast.filter(like="q").to_numpy(np.float64)).all()


def corrupt(content: bytes, data: st.DataObject, most: int) -> bytes:
    """Overwrite, remove or insert bytes at a random place."""
    start = data.draw(st.integers(0, max(0, min(len(content), most) - 1)))
    removed, inserted = data.draw(st.integers(0, 8)), data.draw(st.binary(max_size=8))
    return content[:start] + inserted + content[start + removed :]


def test_default_config_is_sound() -> None:
    require_sound_config(ForecasterConfig())
