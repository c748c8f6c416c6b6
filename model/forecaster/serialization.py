"""A forecaster as bytes: a zip of arrays with a JSON header. Equal forecasters give equal bytes.

Only format 4 is read: the terms of the baseline in earlier formats are not made any more.
"""

import io
import json
import math
import zipfile
from typing import Any

import numpy as np
import pandas as pd

from model.config import ForecasterConfig
from model.forecaster.baseline import Baseline
from model.forecaster.forecaster import Forecaster
from model.forecaster.validation import require_sound_config, require_sound_forecaster, require_sound_training

FORMAT = 4
_BASELINE_PARTS = ("location", "beta", "intercept", "standardised_quantiles", "outside", "term_low", "term_high")
_FLOATS = ("<f4", "<f8")
_LARGEST_CONTENT = 2**28
"""Largest stored model, bytes. Those of today have a megabyte."""
_LARGEST_HEADER = 2**20
"""Largest header, bytes."""
_LARGEST_DIMENSIONS = 3
_EPOCH = (1980, 1, 1, 0, 0, 0)  # date of every zip entry: a constant, so that the bytes are equal


class UnknownFormatError(ValueError):
    """The format of a stored model is not one that this program reads: the model is of another release."""


def to_bytes(forecaster: Forecaster) -> bytes:
    """Serialise a forecaster without pickle; equal forecasters give equal bytes."""
    header = {
        "format": FORMAT,
        "config": forecaster.config.to_dict(),
        "trained": forecaster.trained.to_dict(orient="list"),
        "vintage": forecaster.vintage,
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

    Sizes are checked before memory is allocated, and all parts before they are returned.

    Raises:
        UnknownFormatError: if the bytes have another format.
        ValueError: if the bytes are damaged or are not a forecaster.
    """
    try:
        if len(content) > _LARGEST_CONTENT:
            raise ValueError(f"more than {_LARGEST_CONTENT} bytes")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _require_plain(archive, len(content))
            return _restore(archive, _read_header(archive))
    except UnknownFormatError:
        raise
    except Exception as error:  # damaged bytes may raise any error of zip, JSON, numpy, pandas and the config
        reason = str(error) if isinstance(error, ValueError | KeyError | zipfile.BadZipFile) else type(error).__name__
        raise ValueError(
            "The stored weights are damaged or not a Bellwether forecaster: "
            f"{' '.join(reason.split())[:300]} ({len(content)} bytes received)."
        ) from error


def _require_plain(archive: zipfile.ZipFile, size: int) -> None:
    """Check that the entries are stored as they are written: neither compressed nor encrypted, and each once."""
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 0x1 for entry in entries):
        raise ValueError("an entry is compressed or encrypted")
    if len({entry.filename for entry in entries}) != len(entries) or sum(entry.file_size for entry in entries) > size:
        raise ValueError("entries overlap")


def _read_header(archive: zipfile.ZipFile) -> dict[str, Any]:
    if archive.getinfo("header.json").file_size > _LARGEST_HEADER:
        raise ValueError(f"the header has more than {_LARGEST_HEADER} bytes")
    header: dict[str, Any] = json.loads(archive.read("header.json"))
    number = header["format"] if isinstance(header, dict) else None
    if type(number) is not int:
        raise ValueError("the header has no number of a format")
    if number != FORMAT:
        release, advice = ("a newer", "install that release") if number > FORMAT else ("an older", "train a new model")
        raise UnknownFormatError(
            f"The stored format {number} is not {FORMAT}, which this version reads: it is of {release} Bellwether; "
            f"{advice}."
        )
    return header


def _restore(archive: zipfile.ZipFile, header: dict[str, Any]) -> Forecaster:
    def array(name: str) -> np.ndarray[Any, Any]:
        return _parse_array(name, archive.read(f"{name}.npy"))

    config = ForecasterConfig.from_dict(header["config"])
    require_sound_config(config)
    require_sound_training(header["trained"], config)
    if not isinstance(header["vintage"], str):
        raise ValueError("vintage must be a month or empty")
    counts = header["networks"]
    if not isinstance(counts, list) or any(type(count) is not int or count < 0 for count in counts):
        raise ValueError("networks must be numbers of arrays")
    if sum(counts) > len(archive.namelist()):
        raise ValueError("there are fewer arrays than the header names")
    forecaster = Forecaster(
        config=config,
        baseline=Baseline(**{part: array(f"baseline/{part}") for part in _BASELINE_PARTS}),
        input_mean=array("input_mean"),
        input_deviation=array("input_deviation"),
        networks=tuple(tuple(array(f"network/{n}/{i}") for i in range(k)) for n, k in enumerate(counts)),
        trained=pd.DataFrame(header["trained"]),
        vintage=header["vintage"],
    )
    require_sound_forecaster(forecaster)
    return forecaster


def _parse_array(name: str, content: bytes) -> np.ndarray[Any, Any]:
    """Parse the bytes of an `.npy` file: floats, whose number must be that of the shape in its header."""
    stored = io.BytesIO(content)
    version = np.lib.format.read_magic(stored)
    if version != (1, 0):
        raise ValueError(f"{name} has another version of arrays")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stored)
    start = len(content) - len(stored.read())
    if dtype.str not in _FLOATS or is_fortran or len(shape) > _LARGEST_DIMENSIONS:
        raise ValueError(f"{name} is no array of floats")
    # Python's integers do not overflow, and nothing is allocated before the sizes agree.
    if math.prod(shape) * dtype.itemsize != len(content) - start:
        raise ValueError(f"{name} has another size than its shape")
    return np.frombuffer(content, dtype, offset=start).reshape(shape).copy()
