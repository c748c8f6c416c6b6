"""Tests of model.drift.reference_forecast."""

import numpy as np
import pandas as pd

from model.config import DriftConfig
from tests.support.drift import LEVELS, reference_of


def test_reference_forecast_equals_its_formula_in_a_loop(months: pd.DataFrame) -> None:
    """Pooled quantiles are evaluated on a grid with steps of 0.02, and lie between neighbouring values."""
    reference_forecast, horizon, origin = reference_of(months), 3, pd.Timestamp("2000-05-01")
    last = months[months["month"] <= origin].dropna(subset="log_return").sort_values("month")
    units: dict[str, list[float]] = {}
    standard: list[tuple[float, float]] = []  # value, weight
    by_origin: dict[pd.Timestamp, list[float]] = {}
    for symbol, group in last.groupby("symbol"):
        volatility, returns = np.sqrt(group["realised_variance"]).tolist(), group["log_return"].tolist()
        units[str(symbol)] = []
        for t in range(len(group)):
            weights = [0.5 ** ((t - s) / 4.0) for s in range(t + 1)]
            fast = sum(w * v for w, v in zip(weights, volatility[: t + 1], strict=True)) / sum(weights)
            long_run = sum(volatility[: t + 1]) / (t + 1)
            share = 0.15 * horizon**0.5
            units[str(symbol)].append(fast ** (1 - share) * long_run**share * horizon**0.5)
            if t + 1 >= DriftConfig().burn_in_months and t + horizon < len(group):
                value = sum(returns[t + 1 : t + horizon + 1]) / units[str(symbol)][t]
                by_origin.setdefault(group["month"].iloc[t], []).append(value)
    for values in by_origin.values():
        standard += [(value, 1 / len(values)) for value in values]
    standard.sort()
    share = np.cumsum([weight for _, weight in standard]) / sum(weight for _, weight in standard)
    place = np.searchsorted(share, LEVELS)
    below, above = (np.array([standard[at + step][0] for at in place]) for step in (-1, 1))

    symbol, month = reference_forecast.positions(pd.Series(["S03"]), pd.Series([origin]))
    quantiles = reference_forecast.quantiles(symbol, month, horizon)[0] / units["S03"][-1]
    assert ((below - 0.02 <= quantiles) & (quantiles <= above + 0.02)).all()
    assert (above - below).max() < 0.2


def test_reference_forecast_depends_on_no_later_month(months: pd.DataFrame) -> None:
    cut = pd.Timestamp("2005-01-01")
    changed = months.assign(log_return=months["log_return"].where(months["month"] <= cut, 0.5))
    for frame in (months[months["month"] <= cut], changed):
        symbol, month = reference_of(frame).positions(pd.Series(["S00", "S05"]), pd.Series([cut, cut]))
        np.testing.assert_array_equal(
            reference_of(frame).quantiles(symbol, month, 3), reference_of(months).quantiles(symbol, month, 3)
        )


def test_reference_forecast_is_nan_for_unknown_symbols_and_months(months: pd.DataFrame) -> None:
    reference_forecast = reference_of(months)
    symbol, month = reference_forecast.positions(
        pd.Series(["S00", "gone", "S00"]), pd.Series(pd.to_datetime(["2005-01-01", "2005-01-01", "1980-01-01"]))
    )
    is_known = np.isfinite(reference_forecast.quantiles(symbol, month, 1)).all(axis=1)
    assert is_known.tolist() == [True, False, False]
