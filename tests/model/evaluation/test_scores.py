"""Month scores, the scorecard and the backtest scorecard against values worked by hand.

tests/sql/test_scorecard.py compares every column with other libraries, through the database.
"""

from math import exp, sqrt
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model.evaluation.scores import backtest_scorecard, month_scores, scorecard, symbol_groups

JANUARY, FEBRUARY = pd.Timestamp("2020-01-01"), pd.Timestamp("2020-02-01")


def origins_of(*symbols: str, run_id: int = 1, **columns: Any) -> pd.DataFrame:
    values = {"model_version_id": 7, "origin_close": 100.0, "currency_code": "USD", "naive_mae": 0.05}
    values |= {"sector": None, "exchange_mic": "XNYS"}
    return pd.DataFrame({"run_id": run_id, "symbol": list(symbols), **(values | columns)})


def forecast(symbol: str, forecaster: str, median: float, actual: float | None, crps: float, **columns: Any) -> dict:
    row: dict[str, Any] = {"run_id": 1, "horizon": 1, "symbol": symbol, "forecaster": forecaster}
    row |= {"is_served": forecaster == "hybrid", "origin_month": JANUARY, "target_month": FEBRUARY, "q50": median}
    row |= {"restated_error": np.nan, "restated_crps": np.nan}
    if actual is None:
        names = ("actual_log_return", "error", "crps", "winkler_80", "winkler_95")
        flags = ("is_covered_80", "is_covered_95", "is_direction_right")
        row |= dict.fromkeys((*names, *flags), np.nan)
    else:
        row |= {"actual_log_return": actual, "error": median - actual, "crps": crps, "winkler_80": 0.2}
        row |= {"winkler_95": 0.4, "is_covered_80": 1, "is_covered_95": 1}
        row["is_direction_right"] = int((median > 0) == (actual > 0))
    return row | columns


def test_month_scores_are_sums_over_the_symbols_with_an_outcome() -> None:
    forecasts = pd.DataFrame(
        [
            forecast("A", "hybrid", 0.02, 0.05, 0.01),
            forecast("A", "baseline", 0.00, 0.05, 0.02),
            forecast("B", "hybrid", 0.01, -0.01, 0.03, is_covered_80=0),
            forecast("B", "baseline", 0.00, -0.01, 0.04),
            forecast("C", "hybrid", 0.01, None, 0.0),
            forecast("C", "baseline", 0.00, None, 0.0),
        ]
    )
    scores = month_scores(forecasts, origins_of("A", "B", "C", naive_mae=[0.05, 0.0, 0.05]))
    assert set(zip(scores["forecaster"], scores["symbol_group"], strict=True)) == {
        ("hybrid", "all"),
        ("baseline", "all"),
        ("served", "all"),
    }
    rows = scores.set_index("forecaster").drop(columns="symbol_group")
    assert rows.loc["served"].drop("forecaster", errors="ignore").equals(rows.loc["hybrid"])
    row = rows.loc["hybrid"].to_dict()
    prices = [100 * (exp(0.02) - exp(0.05)), 100 * (exp(0.01) - exp(-0.01))]
    expected = {
        "forecasts": 3,
        "scored": 2,
        "sum_absolute_error": 0.05,
        "sum_squared_error": 0.0013,
        "sum_absolute_price_error": sum(map(abs, prices)),
        "sum_squared_price_error": sum(price**2 for price in prices),
        "scaled": 1,  # B has never moved
        "sum_scaled_error": 0.6,
        "sum_crps": 0.04,
        "sum_baseline_crps": 0.06,
        "sum_winkler_80": 0.4,
        "sum_winkler_95": 0.8,
        "covered_80": 1,
        "covered_95": 2,
        "directions_right": 1,
        "went_up": 1,
        "restated": 0,
        "sum_absolute_error_now": 0.05,
        "sum_crps_now": 0.04,
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert (row["model_version_id"], row["currency_code"], row["target_month"]) == (7, "USD", FEBRUARY)
    assert np.isnan(row["sum_persistence_crps"])  # there is no random walk
    assert np.isnan(row["rank_ic"])  # of two symbols


def test_month_scores_compare_on_the_same_symbols_or_not_at_all() -> None:
    forecasts = pd.DataFrame(
        [
            forecast("A", "hybrid", 0.0, 0.05, 0.01),
            forecast("B", "hybrid", 0.0, 0.05, 0.01),
            forecast("A", "persistence", 0.0, 0.05, 0.02),
        ]
    )
    scores = month_scores(forecasts, origins_of("A", "B")).set_index("forecaster")
    assert scores["sum_persistence_crps"].isna().to_dict() == {"hybrid": True, "persistence": False, "served": True}


def test_month_scores_count_restated_outcomes_beside_the_first() -> None:
    rows = [
        forecast("A", "hybrid", 0.0, 0.05, 0.01, restated_error=-0.07, restated_crps=0.02),
        forecast("B", "hybrid", 0.0, 0.05, 0.01),
    ]
    scores = month_scores(pd.DataFrame(rows), origins_of("A", "B", currency_code=["USD", "EUR"]))
    row = scores.set_index("forecaster").loc["hybrid"]
    assert row[["restated", "sum_absolute_error", "sum_absolute_error_now", "sum_crps_now"]].tolist() == [
        1,
        pytest.approx(0.10),
        pytest.approx(0.12),
        pytest.approx(0.03),
    ]
    assert row["currency_code"] is None


def test_month_scores_keep_runs_and_horizons_apart() -> None:
    rows = [
        forecast("A", "hybrid", 0.0, 0.05, 0.01),
        forecast("A", "hybrid", 0.0, 0.05, 0.02, horizon=2),
        forecast("A", "hybrid", 0.0, 0.05, 0.04, run_id=2),
    ]
    origins = pd.concat([origins_of("A"), origins_of("A", run_id=2)])
    scores = month_scores(pd.DataFrame(rows), origins).query("forecaster == 'hybrid'")
    assert list(zip(scores["run_id"], scores["horizon"], scores["sum_crps"], strict=True)) == [
        (1, 1, 0.01),
        (1, 2, 0.02),
        (2, 1, 0.04),
    ]


@pytest.mark.parametrize("size", [8, 9, 10, 11, 30])
def test_symbol_groups_are_thirds_by_past_movement(size: int) -> None:
    """Equal movement is ordered by symbol; fewer than nine symbols are one group."""
    names = [f"S{place:02}" for place in range(size)]
    movement = np.repeat(np.arange(size), 2)[:size] / 100
    origins = origins_of(*names, naive_mae=movement).sample(frac=1.0, random_state=1)
    groups = symbol_groups(origins).groupby("symbol_group")["symbol"].agg(sorted).to_dict()
    expected = {"all": names}
    if size >= 9:
        thirds = np.array_split(np.array(names), 3)
        expected |= {
            f"volatility: {name}": part.tolist() for name, part in zip(("low", "middle", "high"), thirds, strict=True)
        }
    assert groups == expected


def test_symbol_groups_by_sector_and_by_exchange_of_several() -> None:
    one = origins_of("A", "B", sector=["Energy", None])
    two = origins_of("A", "B", "C", run_id=2, exchange_mic=["XNYS", "XNAS", None])
    groups = symbol_groups(pd.concat([one, two]))
    special = groups[groups["symbol_group"] != "all"]
    assert sorted(special.itertuples(index=False, name=None)) == [
        (1, "A", "sector: Energy"),
        (2, "A", "exchange: XNYS"),
        (2, "B", "exchange: XNAS"),
    ]


def month(number: int, version: int, crps: float, forecaster: str = "hybrid", **columns: Any) -> dict[str, Any]:
    """One month with two forecasts, errors of 0.03 and 0.01, the random walk twice as bad."""
    origin = JANUARY + pd.DateOffset(months=number)
    row = {"run_id": number, "model_version_id": version, "origin_month": origin, "horizon": 1}
    row |= {"target_month": origin + pd.DateOffset(months=1), "forecaster": forecaster, "symbol_group": "all"}
    row |= {"forecasts": 3, "scored": 2, "currency_code": "USD", "sum_absolute_error": 0.04}
    row |= {"sum_squared_error": 0.001, "sum_absolute_price_error": 4.0, "sum_squared_price_error": 10.0}
    row |= {"scaled": 1, "sum_scaled_error": 0.6, "sum_crps": crps, "sum_persistence_crps": 2 * crps}
    row |= {"sum_baseline_crps": np.nan, "sum_winkler_80": 0.4, "sum_winkler_95": 0.8, "covered_80": 1}
    row |= {"covered_95": 2, "directions_right": 1, "went_up": 2, "rank_ic": np.nan, "restated": 1}
    row |= {"sum_absolute_error_now": 0.08, "sum_crps_now": crps, "is_retrospective": int(number == 0)}
    return row | columns


def test_scorecard_equals_the_values_worked_by_hand() -> None:
    months = pd.DataFrame([month(0, 1, 0.02), month(1, 2, 0.04, rank_ic=0.5)])
    scores = scorecard(months, pd.Series([False, False]))
    assert scores["model_version_id"].isna().all()
    row = scores[scores["window_months"].isna()].iloc[0].to_dict()
    expected = {
        "forecasts": 4,
        "unscored": 2,
        "months": 2,
        "mae": 0.02,
        "mse": 0.0005,
        "rmse": sqrt(0.0005),
        "mae_price": 2.0,
        "mse_price": 5.0,
        "rmse_price": sqrt(5.0),
        "mase": 0.6,
        "crps": 0.015,
        "pinball": 0.0075,
        "winkler_80": 0.2,
        "winkler_95": 0.4,
        "coverage_80": 0.5,
        "coverage_95": 1.0,
        "hit_rate": 0.5,
        "always_up_rate": 1.0,
        "skill_vs_persistence": 0.5,
        "rank_ic": 0.5,
        "restated": 2,
        "mae_restated": 0.04,
        "crps_restated": 0.015,
        "retrospective_share": 0.5,
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    unknown = ("skill_vs_baseline", "p_vs_baseline", "p_vs_persistence", "kupiec_p_80", "kupiec_p_95")
    assert all(np.isnan(row[name]) for name in unknown)
    assert row["currency_code"] == "USD"


def test_scorecard_counts_windows_back_from_the_newest_target_month() -> None:
    """Months 1 to 13, with a CRPS of the month's number for each forecast."""
    months = pd.DataFrame([month(number, 1, 2.0 * number) for number in range(1, 14)])
    scores = scorecard(months, pd.Series(False, index=months.index)).sort_values("window_months")
    assert scores["months"].to_list() == [3, 12, 13, 13]
    assert scores["crps"].to_list() == [12.0, 7.5, 7.0, 7.0]
    assert scores["p_vs_persistence"].iloc[-1] < 0.001


def test_scorecard_by_version_is_limited_to_what_changed() -> None:
    """The window of three months holds the newest version only."""
    months = pd.DataFrame([month(0, 1, 0.02), month(1, 2, 0.02), month(9, 3, 0.02)])
    scores = scorecard(months, pd.Series([True, False, True]))
    windows = scores.fillna({"model_version_id": 0, "window_months": 0}).groupby("model_version_id")["window_months"]
    assert windows.agg(set).to_dict() == {0: {3, 12, 60, 0}, 1: {12, 60, 0}, 3: {3, 12, 60, 0}}


def test_scorecard_never_compares_a_forecaster_with_itself() -> None:
    months = pd.DataFrame([month(number, 1, 0.02, "persistence") for number in range(6)])
    scores = scorecard(months, pd.Series(False, index=months.index))
    assert scores["p_vs_persistence"].isna().all()
    assert scores["skill_vs_persistence"].notna().all()


def test_scorecard_has_no_price_errors_in_several_currencies() -> None:
    months = pd.DataFrame([month(0, 1, 0.02), month(1, 1, 0.02, currency_code="EUR")])
    row = scorecard(months, pd.Series([False, False])).iloc[0]
    assert row["currency_code"] is None
    assert row[["mae_price", "mse_price", "rmse_price"]].isna().all()


def test_scorecard_has_no_ratio_over_zero() -> None:
    """A random walk without loss, and symbols that never moved."""
    zero = {"sum_persistence_crps": 0.0, "scaled": 0, "sum_scaled_error": 0.0}
    row = scorecard(pd.DataFrame([month(0, 1, 0.02, **zero)]), pd.Series([False])).iloc[0]
    assert row[["mase", "skill_vs_persistence"]].isna().all()


def test_backtest_scorecard_counts_months_equally() -> None:
    """One symbol in the first month, three in the second; the first has no baseline."""
    common = {"horizon": 2, "forecaster": "hybrid", "squared_error": 0.0004, "scaled_absolute_error": 0.5}
    common |= {"winkler_80": 0.2, "winkler_95": 0.4, "covered_95": 1.0, "direction_right": 1.0, "went_up": 0.5}
    common |= {"persistence_crps": 0.04, "rank_ic": np.nan}
    errors = pd.DataFrame(
        [
            {"origin_month": JANUARY, "symbols": 1, "crps": 0.01, "absolute_error": 0.01, "covered_80": 1.0}
            | {"baseline_crps": np.nan},
            {"origin_month": FEBRUARY, "symbols": 3, "crps": 0.03, "absolute_error": 0.03, "covered_80": 0.0}
            | {"baseline_crps": 0.05},
        ]
    ).assign(**common)
    scores = backtest_scorecard(errors).sort_values("window_months")
    assert scores["window_months"].isna().to_list() == [False, False, False, True]
    row = scores.iloc[-1].to_dict()
    expected = {"forecasts": 4, "months": 2, "mae": 0.02, "rmse": 0.02, "mase": 0.5, "crps": 0.02, "pinball": 0.01}
    expected |= {"coverage_80": 0.5, "coverage_95": 1.0, "skill_vs_persistence": 0.5, "skill_vs_baseline": 0.6}
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert np.isnan(row["rank_ic"])
