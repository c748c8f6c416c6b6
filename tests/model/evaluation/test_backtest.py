"""Tests of model.evaluation.backtest on simulated months and by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from model.evaluation.backtest import (
    BACKTEST_FORECASTERS,
    Fold,
    forecast_fold,
    mean_errors,
    origin_symbols,
    plan_folds,
    summarise_errors,
)
from model.evaluation.significance import compare
from model.forecaster.features import make_panel
from model.forecaster.forecaster import train
from model.forecaster.split import split_origins
from tests.support.simulated import SMALL, simulate_months

ORIGINS = tuple(pd.date_range("2003-12-01", "2005-01-01", freq="MS"))
KEYS = ["forecaster", "symbol", "origin_month", "horizon"]


@pytest.fixture(scope="module")
def months() -> pd.DataFrame:
    """Fewer months than in the other tests, because networks are trained on them."""
    return simulate_months(symbols=6, months=204, clustering=0.3)


def dates(fold: Fold) -> tuple[str, str, int]:
    return f"{fold.origins[0]:%Y-%m}", f"{fold.origins[-1]:%Y-%m}", len(fold.origins)


def all_of(months: pd.DataFrame, fold: Fold) -> pd.DataFrame:
    return pd.concat(forecast_fold(months, fold, SMALL), ignore_index=True)


def test_plan_folds_splits_by_the_refit_rule() -> None:
    forecasters = ["hybrid", "drift"]
    assert [dates(fold) for fold in plan_folds(ORIGINS, "never", forecasters)] == [("2003-12", "2005-01", 14)]
    assert [dates(fold) for fold in plan_folds(ORIGINS, "yearly", forecasters)] == [
        ("2003-12", "2004-11", 12),
        ("2004-12", "2005-01", 2),
    ]
    assert [dates(fold)[2] for fold in plan_folds(ORIGINS, "monthly", forecasters)] == [1] * 14


def test_plan_folds_refits_fitted_forecasters_once_a_year() -> None:
    folds = plan_folds(ORIGINS, "monthly", ["garch", "persistence", "ets"])
    assert [(dates(fold), fold.forecasters) for fold in folds] == [
        (("2003-12", "2005-01", 14), ("persistence",)),
        (("2003-12", "2004-11", 12), ("garch", "ets")),
        (("2004-12", "2005-01", 2), ("garch", "ets")),
    ]


def test_forecast_fold_uses_no_month_after_an_origin(months: pd.DataFrame) -> None:
    """Shuffling the months after an origin changes no bit of its forecasts, or of earlier ones."""
    fold, origin = Fold(ORIGINS, BACKTEST_FORECASTERS), pd.Timestamp("2004-06-01")
    later = (months["month"] > origin).to_numpy()
    values = [name for name in months.columns if name not in ("symbol", "month", "is_final")]
    shuffled = months.copy()
    order = np.random.default_rng(5).permutation(np.flatnonzero(later))
    shuffled.loc[later, values] = months.iloc[order][values].to_numpy()
    truth, other = (all_of(frame, fold).drop(columns="actual_log_return") for frame in (months, shuffled))
    until = truth["origin_month"] <= origin
    assert set(truth.loc[until, "forecaster"]) == set(BACKTEST_FORECASTERS)
    pd.testing.assert_frame_equal(truth[until], other[until])
    assert not truth[~until].equals(other[~until])


def test_forecast_fold_trains_on_symbols_known_at_the_first_origin(months: pd.DataFrame) -> None:
    """A symbol that starts after the first origin is forecast and does not change the other forecasts."""
    late = (months["symbol"] == "S05") & (months["month"] <= "2004-03-01")
    fold = Fold(ORIGINS, ("hybrid", "baseline"))
    with_late = all_of(months[~late], fold)
    without = all_of(months[months["symbol"] != "S05"], fold)
    assert with_late.loc[with_late["symbol"] == "S05", "origin_month"].min() == pd.Timestamp("2004-04-01")
    early = with_late[(with_late["symbol"] != "S05") & (with_late["origin_month"] <= "2004-03-01")]
    # The market's scale includes the symbol from its first month on, so only earlier origins are compared.
    expected = without[without["origin_month"] <= "2004-03-01"]
    pd.testing.assert_frame_equal(early.reset_index(drop=True), expected.reset_index(drop=True))


def test_forecast_fold_equals_a_forecaster_trained_at_the_first_origin(months: pd.DataFrame) -> None:
    panel = make_panel(months, SMALL)
    past = panel.until(ORIGINS[0])
    forecaster = train(past, split_origins(len(past.months), SMALL, has_holdout=False), SMALL)
    expected = forecaster.forecast_many(panel, list(ORIGINS)).sort_values(KEYS, ignore_index=True)
    forecasts = all_of(months, Fold(ORIGINS, ("hybrid", "baseline", "persistence")))
    forecasts = forecasts.sort_values(KEYS, ignore_index=True)
    pd.testing.assert_frame_equal(forecasts[expected.columns], expected, rtol=1e-6)


def test_forecast_fold_adds_known_outcomes(months: pd.DataFrame) -> None:
    last = months["month"].max()
    origins = tuple(pd.date_range(last - pd.DateOffset(months=3), last, freq="MS"))
    actual = all_of(months, Fold(origins, ("persistence",))).set_index(KEYS)["actual_log_return"]
    returns = months[months["symbol"] == "S04"]["log_return"].to_numpy()
    assert actual["persistence", "S04", origins[0], 3] == pytest.approx(returns[-3:].sum())
    assert actual["persistence", "S04", origins[1], 1] == pytest.approx(returns[-2])
    assert np.isnan(actual["persistence", "S04", origins[0], 4])
    assert np.isnan(actual["persistence", "S04", last, 1])


def test_forecast_fold_refuses_too_few_months(months: pd.DataFrame) -> None:
    early = tuple(pd.date_range("1997-11-01", periods=3, freq="MS"))
    with pytest.raises(ValueError, match="at least 96 months"):
        all_of(months, Fold(early, ("baseline",)))
    assert len(all_of(months, Fold(early, ("drift",)))) == 6 * 3 * 12


def test_origin_symbols_are_final_months_with_a_return() -> None:
    months = simulate_months(symbols=2, months=3)
    months.loc[5, "is_final"] = False
    origins = origin_symbols(months)
    assert [f"{symbol} {month:%Y-%m}" for symbol, month in origins.itertuples(index=False)] == [
        "S00 1990-02",
        "S00 1990-03",
        "S01 1990-02",
    ]


def forecast_row(forecaster: str, symbol: str, width: float, actual: float) -> dict[str, Any]:
    """Make one forecast with quantiles at -6 … 6 times the width."""
    levels = ["q025", "q05", "q10", "q20", "q30", "q40", "q50", "q60", "q70", "q80", "q90", "q95", "q975"]
    row = {"symbol": symbol, "origin_month": pd.Timestamp("2010-01-01"), "horizon": 2, "forecaster": forecaster}
    row |= {"target_month": pd.Timestamp("2010-03-01"), "actual_log_return": actual, "naive_mae": 0.05}
    return row | {name: width * (place - 6) for place, name in enumerate(levels)}


def test_mean_errors_by_hand() -> None:
    """GARCH lacks a symbol; the CRPS of its references is that on the symbol that it has."""
    forecasts = pd.DataFrame(
        [
            forecast_row("persistence", "A", 0.01, 0.0),
            forecast_row("persistence", "B", 0.01, 0.055),
            forecast_row("persistence", "C", 0.01, np.nan),
            forecast_row("garch", "A", 0.02, 0.0),
        ]
    )
    errors = mean_errors(forecasts).set_index("forecaster")
    # Twice the pinball loss at the median: 2 x 0.01 x sum of min(p, 1 - p) x distance over the 13 levels, / 13.
    middle = 2 * 0.01 * 2 * (0.025 * 6 + 0.05 * 5 + 0.1 * 4 + 0.2 * 3 + 0.3 * 2 + 0.4 * 1) / 13
    assert errors.loc["garch", ["symbols", "crps", "persistence_crps"]].tolist() == pytest.approx(
        [1, 2 * middle, middle]
    )
    persistence = errors.loc["persistence"]
    assert persistence["symbols"] == 2
    assert persistence["crps"] == persistence["persistence_crps"]
    assert np.isnan(persistence["baseline_crps"])
    assert persistence["absolute_error"] == pytest.approx(0.055 / 2)
    assert persistence["squared_error"] == pytest.approx(0.055**2 / 2)
    assert persistence["scaled_absolute_error"] == pytest.approx(0.055 / 0.05 / 2)
    shares = persistence[["covered_80", "covered_95", "direction_right", "went_up"]]
    assert shares.tolist() == pytest.approx([0.5, 1.0, 0.5, 0.5])


def errors_of(origins: pd.DatetimeIndex) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    rows = []
    for origin in origins:
        losses = dict(zip(("hybrid", "baseline", "persistence"), rng.uniform(0.02, 0.04, 3), strict=True))
        for name, crps in losses.items():
            row = {"origin_month": origin, "horizon": 1, "forecaster": name, "crps": crps}
            row |= {"covered_80": 0.8, "covered_95": 0.95}
            rows.append(row | {"persistence_crps": losses["persistence"], "baseline_crps": losses["baseline"]})
    return pd.DataFrame(rows)


def test_summarise_errors_compares_month_by_month() -> None:
    errors = errors_of(pd.date_range("2000-01-01", periods=30, freq="MS"))
    summary = summarise_errors(errors)
    assert summary["forecaster"].tolist() == ["hybrid", "baseline", "persistence"]
    assert set(summary["period"]) == {"all"}
    wide = errors.pivot(index="origin_month", columns="forecaster", values="crps")
    hybrid = summary.iloc[0]
    assert hybrid["months"] == 30
    assert hybrid["skill_vs_persistence"] == pytest.approx(1 - wide["hybrid"].mean() / wide["persistence"].mean())
    for reference in ("persistence", "baseline"):
        expected = compare(loss=wide["hybrid"], reference=wide[reference], horizon=1).p_one_sided
        assert hybrid[f"p_vs_{reference}"] == pytest.approx(expected)
    assert np.isnan(summary.iloc[1]["p_vs_baseline"])
    assert np.isnan(summary.iloc[2]["p_vs_persistence"])


def test_summarise_errors_by_period_beyond_ten_years() -> None:
    summary = summarise_errors(errors_of(pd.date_range("2003-12-01", "2017-11-01", freq="MS")))
    assert list(dict.fromkeys(summary["period"])) == [
        "all",
        "2003-12 … 2008-07",
        "2008-08 … 2013-03",
        "2013-04 … 2017-11",
    ]
    assert summary.groupby("period", sort=False)["months"].first().tolist() == [168, 56, 56, 56]
