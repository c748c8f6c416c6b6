"""Which targets are learnt from, and how much each counts."""

from collections.abc import Sequence

import numpy as np

from model import Floats, Ints
from model.config import ForecasterConfig
from model.forecaster.features import Panel


def usable_rows(panel: Panel, origins: Sequence[int], horizon: int, config: ForecasterConfig) -> tuple[Ints, Ints]:
    """Symbol and month positions of the origins that have a target and enough months before them.

    Raises:
        ValueError: if there are none.
    """
    columns = np.asarray(origins, dtype=np.int64)
    is_usable = np.isfinite(panel.y[:, columns, horizon - 1]) & panel.known[:, columns]
    is_usable &= panel.age[:, columns] >= config.burn_in_months
    symbol, position = np.nonzero(is_usable)
    if len(symbol) == 0:
        raise ValueError(
            f"No symbol has {config.burn_in_months} months before an origin and a target {horizon} months after it: "
            f"received {len(columns)} origins of {len(panel.symbols)} symbols."
        )
    return symbol, columns[position]


def month_weights(rows: tuple[Ints, Ints], origins: Sequence[int], config: ForecasterConfig) -> Floats:
    """Weights that sum to one: months equal but for their age, and symbols equal within a month.

    Errors of one month move together, so that a month with many symbols tells little more than one with few.
    """
    _, month = rows
    age = (max(origins) - month) / 12.0
    weights = 0.5 ** (age / config.sample_half_life_years) / np.bincount(month)[month]
    return np.asarray(weights / weights.sum(), dtype=np.float64)
