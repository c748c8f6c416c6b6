"""The forecaster: arrays and frames in, arrays and frames out.

Nothing here knows the clock, the network, the environment, files or another room, and every random number comes
from a seed that the caller gives. TensorFlow is imported by `network`, `compiled`, `training` and `paper_training` alone,
when they are used.

Read in this order: `basis` brings a restated download to what is stored, `quality` says which bars can be believed,
`adjustment` and `months` make months of sessions; `features` makes the panel the models read; `baseline` is the
traditional forecast and `network` its correction, compiled in `compiled` and fitted in `training`; `forecaster` puts them
together and `weights` turns them into bytes. `metrics` and `skill` score what came true, `gate` decides from that what
is served, and `drift` watches it. `paper` and `paper_training` stand apart: the experiment behind the project, as it
was published.

Letters for the sizes of arrays, used in docstrings and end-of-line comments throughout:

- N symbols
- T months, oldest first
- K features of the traditional part, F features of the network
- H horizons, 1 to 12 months
- Q quantiles, lowest first
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def quantile_names(levels: tuple[float, ...]) -> list[str]:
    """Column of each level: 0.025 is q025, 0.1 is q10."""
    return [f"q{level:.3f}".replace("0.", "", 1).removesuffix("0") for level in levels]
