"""Vintages: baselines trained through a date on many symbols, see `model/pretrained/CARD.md`.

A vintage knows its training years. A fit uses the newest one that was trained through a month no later than the first
origin that will be evaluated, so that neither a backtest nor the gate contains information from its future.
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from model.config import ForecasterConfig
from model.forecaster.baseline import Baseline
from model.forecaster.features import TERMS

FORMAT = 1
_PARTS = ("location", "beta", "intercept", "standardised_quantiles", "outside", "term_low", "term_high")


@dataclass(frozen=True)
class Vintage:
    """A baseline of many symbols."""

    trained_through: pd.Timestamp
    """First day of the last month whose data it has seen."""
    quantile_levels: tuple[float, ...]
    baseline: Baseline
    """Of the horizons 1, 2, …; its coefficients are in the units of `Baseline`."""

    @property
    def name(self) -> str:
        """Return the last month that it was trained through, YYYY-MM."""
        return f"{self.trained_through:%Y-%m}"


def find_vintage(first_evaluated: pd.Timestamp, config: ForecasterConfig) -> Vintage | None:
    """Return the newest vintage trained through `first_evaluated` or earlier.

    Args:
        first_evaluated: first day of the first origin month that will be evaluated or published.
        config: `uses_vintage`, levels and horizons.

    Returns:
        The vintage; None if there is none so early, if the config uses none, or if its levels or horizons differ from
        those of the vintages.
    """
    if not config.uses_vintage:
        return None
    usable = [vintage for vintage in load_vintages() if vintage.trained_through <= first_evaluated]
    if not usable or usable[-1].quantile_levels != config.quantile_levels:
        return None
    return usable[-1] if len(usable[-1].baseline.location) >= len(config.horizons) else None


@functools.cache
def load_vintages() -> tuple[Vintage, ...]:
    """Return the vintages of the package, oldest first.

    Raises:
        ValueError: if a file has another format or other terms than this program.
    """
    files = [file for file in resources.files("model.pretrained").iterdir() if file.name.endswith(".json")]
    vintages = [from_json(json.loads(file.read_text(encoding="utf-8"))) for file in files]
    return tuple(sorted(vintages, key=lambda vintage: vintage.trained_through))


def to_json(vintage: Vintage) -> dict[str, Any]:
    """Return a vintage as values that JSON can hold; floats keep all bits."""
    return {
        "format": FORMAT,
        "trained_through": vintage.name,
        "terms": list(TERMS),
        "quantile_levels": list(vintage.quantile_levels),
        **{part: getattr(vintage.baseline, part).tolist() for part in _PARTS},
    }


def from_json(values: Mapping[str, Any]) -> Vintage:
    """Restore a vintage of `to_json`.

    Raises:
        ValueError: if the format or the terms differ from those of this program.
    """
    if values.get("format") != FORMAT or values.get("terms") != list(TERMS):
        raise ValueError(
            f"A vintage must have format {FORMAT} and the terms {', '.join(TERMS)}: received format "
            f"{values.get('format')!r} and {values.get('terms')!r}. Make the vintages again."
        )
    baseline = Baseline(**{part: np.array(values[part], dtype=np.float64) for part in _PARTS})
    return Vintage(pd.Timestamp(values["trained_through"]), tuple(values["quantile_levels"]), baseline)
