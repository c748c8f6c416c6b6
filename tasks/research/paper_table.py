"""The experiment in rows a person can read: published, ours, persistence, and a sentence on what each row means."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

COLUMNS = ("published", "hybrid", "lstm", "gru", "linear", "persistence")
NETWORK_NAMES = {"hybrid": "LSTM → GRU", "lstm": "LSTM", "gru": "GRU"}
"""In the order of the paper's RMSE, the smallest first."""

Errors = dict[Hashable, Any]
"""A row of `report.paper_result`, by column."""


@dataclass(frozen=True, kw_only=True)
class PaperSummary:
    """The experiment as its reader sees it, from the tables alone."""

    results: pd.DataFrame = field(repr=False)
    """Rows of `report.paper_result`, scaler by scaler."""
    pictures: tuple[Path, ...]


@dataclass(frozen=True)
class PaperRow:
    """One measure under one scaler."""

    measure: str
    cells: tuple[str, ...]
    """In the order of COLUMNS: mean ± standard deviation over seeds where there are seeds."""
    sentence: str
    """What the row means."""


def paper_rows(results: pd.DataFrame) -> list[PaperRow]:
    """The rows of one scaler.

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
            (_published(by_name, name), *(_cell(by_name[each], name) for each in COLUMNS[1:])),
            sentence(by_name),
        )
        for name, sentence in sentences.items()
    ]


def verdict(results: pd.DataFrame) -> str:
    """One sentence on one scaler: is the hybrid as good as its halves, and as persistence?"""
    by_name = _by_name(results)
    hybrid, naive = by_name["hybrid"], by_name["persistence"]
    ratio = hybrid["rmse"] / naive["rmse"]
    against = " and ".join(
        f"{_against(hybrid, by_name[kind])} {name}" for kind, name in (("lstm", "LSTM alone"), ("gru", "GRU alone"))
    )
    skill = "worse than" if ratio > 1 else "better than"
    is_one_seed = bool(pd.isna(hybrid["rmse_sd"]))
    doubt = "; one seed has no spread to judge by" if is_one_seed else ""
    return f"The hybrid is {against}{doubt}. It is {skill} persistence: {ratio:.2f} times its RMSE."


def _by_name(results: pd.DataFrame) -> dict[str, Errors]:
    return {str(row["forecaster"]): row for row in results.to_dict("records")}


def _against(hybrid: Errors, other: Errors) -> str:
    """How two means of RMSE compare, measured by the root of their summed variances over seeds."""
    spread = float(np.hypot(_or_zero(hybrid["rmse_sd"]), _or_zero(other["rmse_sd"])))
    if abs(hybrid["rmse"] - other["rmse"]) <= spread:
        return "within the seeds' spread of"
    return "worse than" if hybrid["rmse"] > other["rmse"] else "better than"


def _mean_sentence(by: Mapping[str, Errors]) -> str:
    mine, naive, published = by["hybrid"]["mae"], by["persistence"]["mae"], by["hybrid"]["published_mae"]
    return (
        f"On average the hybrid misses the next close by {mine:.2%} of the scale; {_held(mine, published)}. "
        f'Saying "as before" misses it by {naive:.2%}.'
    )


def _squared_sentence(by: Mapping[str, Errors]) -> str:
    mine, naive, published = by["hybrid"]["mse"], by["persistence"]["mse"], by["hybrid"]["published_mse"]
    return f"Large misses count most: {mine / naive:.1f} times persistence's; {_held(mine, published)}."


def _root_sentence(by: Mapping[str, Errors]) -> str:
    mine, published = by["hybrid"]["rmse"], by["hybrid"]["published_rmse"]
    order = ", ".join(NETWORK_NAMES[kind] for kind in sorted(NETWORK_NAMES, key=lambda kind: by[kind]["rmse"]))
    return (
        f"{_held(mine, published).capitalize()}. "
        f"From best to worst, the paper has {', '.join(NETWORK_NAMES.values())}, and this run {order}."
    )


def _points_sentence(by: Mapping[str, Errors]) -> str:
    mine, naive = by["hybrid"]["mae_points"], by["persistence"]["mae_points"]
    return f'The same in points of the index: {mine:,.1f} off, where saying "as before" is {naive:,.1f} off.'


def _squared_points_sentence(by: Mapping[str, Errors]) -> str:
    mine, naive = by["hybrid"]["mse_points"], by["persistence"]["mse_points"]
    return f"In squared points, {mine / naive:.1f} times persistence's; the next row is its root, in points again."


def _root_points_sentence(by: Mapping[str, Errors]) -> str:
    each = {name: by[name]["rmse_points"] for name in ("hybrid", "linear", "persistence")}
    best = min(each, key=lambda name: each[name])
    words = {"hybrid": "the hybrid", "linear": "the linear model on the same window", "persistence": "persistence"}
    return f"Smallest of hybrid, linear model and persistence: {words[best]}, with {each[best]:,.1f} points."


def _held(mine: float, published: float) -> str:
    return f"the published {published:g} is {'reached' if mine <= published else 'not reached'}"


def _published(by: Mapping[str, Errors], name: str) -> str:
    known = {each: by[each].get(f"published_{name}") for each in ("hybrid", "lstm", "gru")}
    return "\n".join(
        f"{value:g}" if each == "hybrid" else f"{each.upper()} {value:g}"
        for each, value in known.items()
        if value is not None and not pd.isna(value)
    )


def _cell(row: Errors, name: str) -> str:
    digits = {"mae": 4, "mse": 6, "rmse": 4, "mae_points": 1, "mse_points": 0, "rmse_points": 1}[name]
    spread = row[f"{name}_sd"]
    return f"{row[name]:,.{digits}f}" + ("" if spread is None or pd.isna(spread) else f" ± {spread:,.{digits}f}")


def _title(name: str) -> str:
    measure, _, unit = name.partition("_")
    return f"{measure.upper()}, {'scaled' if not unit else 'points²' if measure == 'mse' else 'points'}"


def _or_zero(value: Any) -> float:
    return 0.0 if value is None or pd.isna(value) else float(value)
