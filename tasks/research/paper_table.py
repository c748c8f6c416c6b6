"""The errors of the paper's experiment as table rows, each with an explanation."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

TABLE_COLUMNS = ("published", "hybrid", "lstm", "gru", "linear", "persistence")
NETWORK_NAMES = {"hybrid": "LSTM → GRU", "lstm": "LSTM", "gru": "GRU"}
"""In the order of the paper's RMSE, smallest first."""

Errors = dict[Hashable, Any]
"""A row of `report.paper_result`, by column."""


@dataclass(frozen=True, kw_only=True)
class PaperSummary:
    """A finished experiment."""

    results: pd.DataFrame = field(repr=False)
    """Rows of `report.paper_result`, sorted by scaler."""
    pictures: tuple[Path, ...]
    """PNG files."""


@dataclass(frozen=True)
class PaperRow:
    """One error measure with one scaler."""

    measure: str
    cells: tuple[str, ...]
    """In the order of TABLE_COLUMNS: mean ± standard deviation over seeds, for forecasters with seeds."""
    sentence: str
    """Explanation of the row."""


def paper_rows(results: pd.DataFrame) -> list[PaperRow]:
    """Make the rows of one scaler.

    Args:
        results: Rows of `report.paper_result` of one experiment and scaler.
    """
    by_name = _by_name(results)
    sentences: dict[str, Callable[[Mapping[str, Errors]], str]] = {
        "mae": _mean_sentence,
        "mse": _squared_sentence,
        "rmse": _root_sentence,
        "mae_points": _points_sentence,
        "mse_points": _squared_points_sentence,
        "rmse_points": _root_points_sentence,
    }
    return [
        PaperRow(
            _title(name),
            (_published(by_name, name), *(_cell(by_name[forecaster], name) for forecaster in TABLE_COLUMNS[1:])),
            sentence(by_name),
        )
        for name, sentence in sentences.items()
    ]


def verdict(results: pd.DataFrame) -> str:
    """Compare the hybrid with the LSTM, the GRU and persistence, for one scaler.

    Args:
        results: Rows of `report.paper_result` of one experiment and scaler.
    """
    by_name = _by_name(results)
    hybrid, naive = by_name["hybrid"], by_name["persistence"]
    ratio = hybrid["rmse"] / naive["rmse"]
    against = " and ".join(
        f"{_against(hybrid, by_name[kind])} {name}" for kind, name in (("lstm", "LSTM alone"), ("gru", "GRU alone"))
    )
    skill = "worse than" if ratio > 1 else "better than"
    is_one_seed = bool(pd.isna(hybrid["rmse_sd"]))
    caveat = "; one seed gives no standard deviation" if is_one_seed else ""
    return f"The hybrid is {against}{caveat}. It is {skill} persistence: {ratio:.2f} times its RMSE."


def _by_name(results: pd.DataFrame) -> dict[str, Errors]:
    return {str(row["forecaster"]): row for row in results.to_dict("records")}


def _against(hybrid: Errors, other: Errors) -> str:
    """Compare two mean RMSEs; the unit is the root of their summed variances over seeds."""
    deviation = float(np.hypot(_or_zero(hybrid["rmse_sd"]), _or_zero(other["rmse_sd"])))
    if abs(hybrid["rmse"] - other["rmse"]) <= deviation:
        return "within one standard deviation of"
    return "worse than" if hybrid["rmse"] > other["rmse"] else "better than"


def _mean_sentence(by: Mapping[str, Errors]) -> str:
    mine, naive, published = by["hybrid"]["mae"], by["persistence"]["mae"], by["hybrid"]["published_mae"]
    return (
        f"The hybrid's mean absolute error is {mine:.2%} of the scale; {_held(mine, published)}. "
        f"That of persistence is {naive:.2%}."
    )


def _squared_sentence(by: Mapping[str, Errors]) -> str:
    mine, naive, published = by["hybrid"]["mse"], by["persistence"]["mse"], by["hybrid"]["published_mse"]
    return f"The hybrid's mean squared error is {mine / naive:.1f} times that of persistence; {_held(mine, published)}."


def _root_sentence(by: Mapping[str, Errors]) -> str:
    mine, published = by["hybrid"]["rmse"], by["hybrid"]["published_rmse"]
    order = ", ".join(NETWORK_NAMES[kind] for kind in sorted(NETWORK_NAMES, key=lambda kind: by[kind]["rmse"]))
    return (
        f"{_held(mine, published).capitalize()}. "
        f"Order from best to worst: {', '.join(NETWORK_NAMES.values())} in the paper; {order} in this run."
    )


def _points_sentence(by: Mapping[str, Errors]) -> str:
    mine, naive = by["hybrid"]["mae_points"], by["persistence"]["mae_points"]
    return f"In points of the index, the mean absolute error is {mine:,.1f}; that of persistence is {naive:,.1f}."


def _squared_points_sentence(by: Mapping[str, Errors]) -> str:
    mine, naive = by["hybrid"]["mse_points"], by["persistence"]["mse_points"]
    return f"In squared points, that is {mine / naive:.1f} times the error of persistence. The next row is its root."


def _root_points_sentence(by: Mapping[str, Errors]) -> str:
    errors = {name: by[name]["rmse_points"] for name in ("hybrid", "linear", "persistence")}
    best = min(errors, key=lambda name: errors[name])
    names = {"hybrid": "the hybrid", "linear": "the linear model on the same window", "persistence": "persistence"}
    return f"Smallest of hybrid, linear model and persistence: {names[best]}, with {errors[best]:,.1f} points."


def _held(mine: float, published: float) -> str:
    return f"the published {published:g} is {'reached' if mine <= published else 'not reached'}"


def _published(by: Mapping[str, Errors], name: str) -> str:
    values = {network: by[network].get(f"published_{name}") for network in ("hybrid", "lstm", "gru")}
    return "\n".join(
        f"{value:g}" if network == "hybrid" else f"{network.upper()} {value:g}"
        for network, value in values.items()
        if value is not None and not pd.isna(value)
    )


def _cell(row: Errors, name: str) -> str:
    digits = {"mae": 4, "mse": 6, "rmse": 4, "mae_points": 1, "mse_points": 0, "rmse_points": 1}[name]
    deviation = row[f"{name}_sd"]
    return f"{row[name]:,.{digits}f}" + (
        "" if deviation is None or pd.isna(deviation) else f" ± {deviation:,.{digits}f}"
    )


def _title(name: str) -> str:
    measure, _, unit = name.partition("_")
    return f"{measure.upper()}, {'scaled' if not unit else 'points²' if measure == 'mse' else 'points'}"


def _or_zero(value: Any) -> float:
    return 0.0 if value is None or pd.isna(value) else float(value)
