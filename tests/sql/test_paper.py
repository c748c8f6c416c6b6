"""Results of the paper's experiment and their view, against values computed by hand."""

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import psycopg2
import pytest

from sql.store import PaperExperiment, Store
from tests.support.rows import query

FIRST, LATER = datetime(2020, 2, 3, 12, tzinfo=UTC), datetime(2020, 2, 4, 12, tzinfo=UTC)
EXPERIMENT = PaperExperiment(
    experiment="0" * 64,
    source="file",
    symbol="A",
    bar_interval="daily",
    first_session=date(2000, 1, 3),
    last_session=date(2019, 12, 31),
    config={"units": 2},
    software={"python": "3"},
)


def result(forecaster: str, seed: int | None, rmse: float, **changes: Any) -> dict[str, Any]:
    """Errors on a scale of 100 points."""
    is_trained = seed is not None
    row = {
        "scaler": "everything",
        "forecaster": forecaster,
        "seed": seed,
        "tested_from": date(2016, 1, 4),
        "test_targets": 9,
        "beyond_share": 0.25,
        "scale_points": 100.0,
        "best_epoch": 3 if is_trained else None,
        "epochs": 5 if is_trained else None,
        "mae": rmse / 2,
        "mse": rmse**2,
        "rmse": rmse,
        "mae_points": rmse * 50,
        "mse_points": rmse**2 * 10_000,
        "rmse_points": rmse * 100,
        "train_rmse": 0.5,
        "misplaced_rmse": 0.6,
    }
    return row | changes


def results_of(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows).astype(dict.fromkeys(["seed", "best_epoch", "epochs"], "Int64"))


THREE = results_of(result("hybrid", 1, 0.02), result("hybrid", 2, 0.04), result("persistence", None, 0.01))


def test_add_paper_results_again_changes_no_row(store: Store, database_url: str) -> None:
    added = store.add_paper_results(EXPERIMENT, THREE, computed_at=FIRST)
    assert (added.added, added.changed, added.unchanged) == (3, 0, 0)
    rows = query(database_url, "select ctid::text, xmin::text, * from forecast.paper_result order by 1")
    again = store.add_paper_results(EXPERIMENT, THREE, computed_at=LATER)
    assert (again.added, again.changed, again.unchanged) == (0, 0, 3)
    assert query(database_url, "select ctid::text, xmin::text, * from forecast.paper_result order by 1") == rows


def test_add_paper_results_counts_changed_ones(store: Store, database_url: str) -> None:
    store.add_paper_results(EXPERIMENT, THREE, computed_at=FIRST)
    other = results_of(result("hybrid", 1, 0.03), result("hybrid", 2, 0.04), result("linear", None, 0.01))
    added = store.add_paper_results(EXPERIMENT, other, computed_at=LATER)
    assert (added.added, added.changed, added.unchanged) == (1, 1, 1)
    assert query(
        database_url, "select seed, rmse, computed_at from forecast.paper_result where forecaster = 'hybrid' order by 1"
    ) == [(1, 0.03, LATER), (2, 0.04, FIRST)]


def test_read_paper_results_returns_mean_and_deviation_over_seeds(store: Store) -> None:
    """0.02 and 0.04 have mean 0.03 and sample standard deviation 0.01 √2; persistence has a third of it, 0.01."""
    store.add_paper_results(EXPERIMENT, THREE, computed_at=FIRST)
    other = PaperExperiment(**(vars(EXPERIMENT) | {"experiment": "1" * 64}))
    store.add_paper_results(other, results_of(result("hybrid", 1, 0.9)), computed_at=LATER)
    hybrid, persistence = store.read_paper_results("0" * 64).to_dict("records")
    assert (hybrid["forecaster"], hybrid["seeds"], persistence["seeds"]) == ("hybrid", 2, 0)
    assert hybrid["rmse"] == pytest.approx(0.03)
    assert hybrid["rmse_sd"] == pytest.approx(0.01 * 2**0.5)
    assert hybrid["mse"] == pytest.approx((0.0004 + 0.0016) / 2)
    assert hybrid["rmse_points"] == pytest.approx(3.0)
    assert hybrid["rmse_vs_persistence"] == pytest.approx(3.0)
    assert (hybrid["published_mae"], hybrid["published_mse"], hybrid["published_rmse"]) == (0.012, 0.0004, 0.02)
    assert pd.isna(persistence["rmse_sd"])
    assert pd.isna(persistence["published_rmse"])


@pytest.mark.parametrize(
    "fault",
    [{"seed": None}, {"scaler": "test"}, {"forecaster": "oracle"}, {"rmse": -0.1}, {"best_epoch": 6}],
    ids=str,
)
def test_add_paper_results_is_all_or_nothing(store: Store, database_url: str, fault: dict[str, Any]) -> None:
    with pytest.raises(psycopg2.errors.CheckViolation):
        store.add_paper_results(
            EXPERIMENT, pd.concat([THREE, results_of(result("gru", 1, 0.1) | fault)]), computed_at=FIRST
        )
    assert query(database_url, "select count(*) from forecast.paper_result") == [(0,)]
