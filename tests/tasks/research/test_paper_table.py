"""Table rows and verdict of the paper's experiment."""

import numpy as np
import pandas as pd
import pytest

from tasks.research.paper_table import paper_rows, verdict


def make_errors(rmse: float, deviation: float = float("nan"), **published: float) -> dict[str, float]:
    """Make the errors of one forecaster from its RMSE."""
    errors = {"mae": rmse * 0.8, "mse": rmse**2, "rmse": rmse}
    errors |= {f"{name}_points": value * 1000.0 for name, value in errors.items()}
    deviations = {f"{name}_sd": deviation for name in errors}
    return {**errors, **deviations, **{f"published_{name}": np.nan for name in ("mae", "mse", "rmse")}, **published}


@pytest.mark.parametrize(
    ("lstm", "sentence"),
    [(0.020, "better than LSTM alone"), (0.0105, "within one standard deviation of LSTM"), (0.005, "worse than LSTM")],
)
def test_verdict_unit_is_the_deviation_over_seeds(lstm: float, sentence: str) -> None:
    """Deviations of 0.0006 and 0.0008 add up to 0.001."""
    hybrid = make_errors(0.010, 0.0006, published_mae=0.012, published_mse=0.0004, published_rmse=0.02)
    table = pd.DataFrame(
        {
            "hybrid": hybrid,
            "lstm": make_errors(lstm, 0.0008),
            "gru": make_errors(0.01, 0.0),
            "linear": make_errors(0.009),
        }
        | {"persistence": make_errors(0.008)}
    ).T.reset_index(names="forecaster")
    text = verdict(table)
    assert sentence in text
    assert "worse than persistence: 1.25 times its RMSE" in text
    assert "one seed" not in text
    rows = {row.measure: row for row in paper_rows(table)}
    assert rows["RMSE, scaled"].cells[:2] == ("0.02", "0.0100 ± 0.0006")
    assert "the published 0.012 is reached" in rows["MAE, scaled"].sentence
    assert "persistence, with 8.0 points" in rows["RMSE, points"].sentence


def test_paper_rows_order_networks_without_deviations() -> None:
    published = {"published_mae": 0.012, "published_mse": 0.0004, "published_rmse": 0.02}
    table = pd.DataFrame(
        {
            "hybrid": make_errors(0.03, **published),
            "lstm": make_errors(0.04),
            "gru": make_errors(0.01),
            "linear": make_errors(0.02),
        }
        | {"persistence": make_errors(0.05)}
    ).T.reset_index(names="forecaster")
    (row,) = [row for row in paper_rows(table) if row.measure == "RMSE, scaled"]
    assert row.sentence == (
        "The published 0.02 is not reached. "
        "Order from best to worst: LSTM → GRU, LSTM, GRU in the paper; GRU, LSTM → GRU, LSTM in this run."
    )
    assert verdict(table) == (
        "The hybrid is better than LSTM alone and worse than GRU alone; one seed gives no standard deviation. "
        "It is better than persistence: 0.60 times its RMSE."
    )
