"""A forecaster as bytes, and back: a zip of arrays with a JSON header; the same forecaster gives the same bytes."""

import io
import json
import zipfile
from typing import Any

import numpy as np
import pandas as pd

from model.config import ForecasterConfig
from model.forecaster.baseline import Baseline
from model.forecaster.forecaster import Forecaster

FORMAT = 2
_EPOCH = (1980, 1, 1, 0, 0, 0)  # zip wants a date; a fixed one keeps the bytes equal
_DAMAGED = "The stored weights are damaged or not a Bellwether forecaster"


def to_bytes(forecaster: Forecaster) -> bytes:
    """Serialise without pickle; equal forecasters give equal bytes."""
    header = {
        "format": FORMAT,
        "config": forecaster.config.to_dict(),
        "trained": forecaster.trained.to_dict(orient="list"),
        "networks": [len(weights) for weights in forecaster.networks],
    }
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "baseline/centre": forecaster.baseline.centre,
        "baseline/beta": forecaster.baseline.beta,
        "baseline/intercept": forecaster.baseline.intercept,
        "baseline/shape": forecaster.baseline.shape,
        "baseline/outside": forecaster.baseline.outside,
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
    """Inverse of `to_bytes`; the forecaster forecasts bit for bit what it did before.

    Raises:
        ValueError: if the bytes are damaged, of another kind or of a format this version does not know.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            header = json.loads(archive.read("header.json"))
            if header["format"] != FORMAT:
                raise ValueError(f"format {header['format']!r} is not {FORMAT}, the one this version reads")
            return _restore(archive, header)
    except (zipfile.BadZipFile, KeyError, TypeError, EOFError, NotImplementedError, ValueError, OSError) as error:
        raise ValueError(f"{_DAMAGED}: {error} ({len(content)} bytes received).") from error


def _restore(archive: zipfile.ZipFile, header: dict[str, Any]) -> Forecaster:
    def array(name: str) -> np.ndarray[Any, Any]:
        stored = io.BytesIO(archive.read(f"{name}.npy"))
        return np.asarray(np.lib.format.read_array(stored, allow_pickle=False))

    parts = ("centre", "beta", "intercept", "shape", "outside")
    return Forecaster(
        config=ForecasterConfig.from_dict(header["config"]),
        baseline=Baseline(**{part: array(f"baseline/{part}") for part in parts}),
        input_mean=array("input_mean"),
        input_deviation=array("input_deviation"),
        networks=tuple(tuple(array(f"network/{n}/{i}") for i in range(k)) for n, k in enumerate(header["networks"])),
        trained=pd.DataFrame(header["trained"]),
    )
