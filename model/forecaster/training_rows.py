"""Eligible training rows and their sample weights, for the baseline and for the networks."""

from collections.abc import Sequence

import numpy as np

from model import Floats, Ints
from model.config import ForecasterConfig
from model.forecaster.features import Panel


def eligible_rows(panel: Panel, origins: Sequence[int], horizon: int, config: ForecasterConfig) -> tuple[Ints, Ints]:
    """Select the rows with a known target and `config.burn_in_months` earlier months.

    Args:
        panel: features and targets.
        origins: positions on the time axis.
        horizon: months ahead.
        config: `burn_in_months`.

    Returns:
        Positions of symbols [R] and of months [R].

    Raises:
        ValueError: if no row is eligible.
    """
    columns = np.asarray(origins, dtype=np.int64)
    is_eligible = np.isfinite(panel.y[:, columns, horizon - 1]) & panel.known[:, columns]
    is_eligible &= panel.age[:, columns] >= config.burn_in_months
    symbol, position = np.nonzero(is_eligible)
    if len(symbol) == 0:
        raise ValueError(
            f"Training needs a symbol with {config.burn_in_months} months before an origin and a return {horizon} "
            f"months after it: received {len(columns)} origins of {len(panel.symbols)} symbols without one. Use an "
            "earlier start of the data."
        )
    return symbol, columns[position]


def month_weights(rows: tuple[Ints, Ints], origins: Sequence[int], config: ForecasterConfig) -> Floats:
    """Weigh months by their age alone, and the symbols of a month equally.

    Errors of one month are correlated, so that the number of months, not of rows, is the effective sample size.

    Args:
        rows: of `eligible_rows`.
        origins: positions on the time axis; the last has age 0.
        config: `sample_half_life_years`.

    Returns:
        [R] weights with sum 1.
    """
    _, month = rows
    age = (max(origins) - month) / 12.0
    weights = 0.5 ** (age / config.sample_half_life_years) / np.bincount(month)[month]
    return np.asarray(weights / weights.sum(), dtype=np.float64)
