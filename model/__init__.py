"""The model: arrays and frames in, arrays and frames out.

Nothing in this room reads the clock, the network, the environment or files, apart from the vintages of the package
itself (`pretrained`), and every random number comes from a seed that the caller passes. TensorFlow and Keras are
imported only by `forecaster.network`, `forecaster.training` and `paper.training`, inside the functions that need them.

- `config`: every scientific choice, in frozen dataclasses.
- `frames`: the schema of every frame, and the check of a frame against it.
- `bars`: daily bars, splits and dividends; adjustment, months and rebasing.
- `quality`: rules that repair or reject bars and actions.
- `forecaster`: features, baseline, network, training and the forecast.
- `pretrained`: coefficients trained from many symbols, as data files.
- `evaluation`: scores, significance, the gate, backtests and benchmark forecasters.
- `drift`: the drift monitor.
- `paper`: the published experiment behind the project, reproduced.

Sizes of arrays in docstrings and comments:

- N symbols
- T months, oldest first
- K terms of the baseline, F inputs of the network
- H horizons, 1 to 12 months
- Q quantiles, lowest first
- R rows, pairs of a symbol and a month
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def quantile_names(levels: tuple[float, ...]) -> list[str]:
    """Return the column name of each quantile level: q025 for 0.025, q10 for 0.1."""
    return [f"q{level:.3f}".replace("0.", "", 1).removesuffix("0") for level in levels]
