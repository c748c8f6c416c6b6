"""A forecaster as bytes: a zip of arrays with a JSON header. Equal forecasters give equal bytes.

Format 3 is written. Format 2 is read as well: it has other names of arrays (`_FORMAT_2_ARRAYS`) and of choices
(`model.config.RENAMED_CHOICES`), and lacks the choices that format 3 added.
"""

import io
import json
import zipfile
from typing import Any

import numpy as np
import pandas as pd

from model.config import ForecasterConfig
from model.forecaster.baseline import Baseline
from model.forecaster.forecaster import Forecaster

FORMAT = 3
_READABLE = (2, 3)
_FORMAT_2_ARRAYS = {"baseline/location": "baseline/centre", "baseline/standardised_quantiles": "baseline/shape"}
"""Names of arrays today, and in format 2 if different."""
_BASELINE_PARTS = ("location", "beta", "intercept", "standardised_quantiles", "outside")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # date of every zip entry: a constant, so that the bytes are equal
_UNREADABLE = (zipfile.BadZipFile, KeyError, TypeError, EOFError, NotImplementedError, ValueError, OSError)


def to_bytes(forecaster: Forecaster) -> bytes:
    """Serialise a forecaster without pickle; equal forecasters give equal bytes."""
    header = {
        "format": FORMAT,
        "config": forecaster.config.to_dict(),
        "trained": forecaster.trained.to_dict(orient="list"),
        "networks": [len(weights) for weights in forecaster.networks],
    }
    arrays: dict[str, np.ndarray[Any, Any]] = {
        **{f"baseline/{part}": getattr(forecaster.baseline, part) for part in _BASELINE_PARTS},
        "input_mean": forecaster.input_mean,
        "input_deviation": forecaster.input_deviation,
    }
    for n, weights in enumerate(forecaster.networks):
        arrays |= {f"network/{n}/{i}": weight for i, weight in enumerate(weights)}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("header.json", _EPOCH), json.dumps(header, sort_keys=True))
        for name in sorted(arrays):
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), content.getvalue())
    return buffer.getvalue()


def from_bytes(content: bytes) -> Forecaster:
    """Restore a forecaster, whose forecasts are bit-identical to those of the stored one.

    Raises:
        ValueError: if the bytes are damaged, are not a forecaster, or have another format.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _restore(archive, _read_header(archive))
    except _UNREADABLE as error:
        raise _damaged(content, error) from error


def stored_format(content: bytes) -> int:
    """Return the format of a stored forecaster.

    Raises:
        ValueError: if the bytes are damaged, are not a forecaster, or have another format.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return int(_read_header(archive)["format"])
    except _UNREADABLE as error:
        raise _damaged(content, error) from error


def _damaged(content: bytes, error: Exception) -> ValueError:
    received = f"{error} ({len(content)} bytes received)"
    return ValueError(f"The stored weights are damaged or not a Bellwether forecaster: {received}.")


def _read_header(archive: zipfile.ZipFile) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(archive.read("header.json"))
    if header["format"] not in _READABLE:
        readable = " or ".join(map(str, _READABLE))
        raise ValueError(f"format {header['format']!r} is not {readable}, which this version reads")
    return header


def _restore(archive: zipfile.ZipFile, header: dict[str, Any]) -> Forecaster:
    stored_names = _FORMAT_2_ARRAYS if header["format"] == 2 else {}

    def array(name: str) -> np.ndarray[Any, Any]:
        stored = io.BytesIO(archive.read(f"{stored_names.get(name, name)}.npy"))
        return np.asarray(np.lib.format.read_array(stored, allow_pickle=False))

    return Forecaster(
        config=ForecasterConfig.from_dict(header["config"]),
        baseline=Baseline(**{part: array(f"baseline/{part}") for part in _BASELINE_PARTS}),
        input_mean=array("input_mean"),
        input_deviation=array("input_deviation"),
        networks=tuple(tuple(array(f"network/{n}/{i}") for i in range(k)) for n, k in enumerate(header["networks"])),
        trained=pd.DataFrame(header["trained"]),
    )
