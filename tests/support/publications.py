"""Runs and publications of a small month, for tests of the database."""

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd

from sql.store import ModelVersion, MonthKey, Publication, Store
from tests.support.rows import query

T0 = datetime(2020, 1, 10, tzinfo=UTC)
KEY = MonthKey(source="file", universe="test", origin_month=date(2019, 12, 1))
QUANTILES = ["q025", "q05", "q10", "q20", "q30", "q40", "q50", "q60", "q70", "q80", "q90", "q95", "q975"]
ALERT = {
    "kind": "failed_run",
    "subject": "file/test",
    "severity": "critical",
    "title": "No forecast",
    "detail": "",
    "look_deeper_sql": "select 1",
}
PUBLISHED_TABLES = (
    "forecast.model_version",
    "forecast.baseline_coefficient",
    "forecast.backtest_error",
    "forecast.candidate",
    "forecast.forecast_origin",
    "forecast.forecast",
    "forecast.forecast_error",
    "forecast.restated_error",
    "forecast.month_score",
    "ops.drift_check",
    "ops.symbol_outcome",
    "ops.alert",
)


def counts(url: str) -> dict[str, int]:
    """Number of rows of every table that a publication adds to."""
    (row,) = query(url, "select " + ", ".join(f"(select count(*) from {table})" for table in PUBLISHED_TABLES))
    return dict(zip(PUBLISHED_TABLES, row, strict=True))


def month_key(year: int, month: int, universe: str = "test") -> MonthKey:
    """Key of a month."""
    return MonthKey(source="file", universe=universe, origin_month=date(year, month, 1))


def begin(store: Store, key: MonthKey = KEY, correction: int = 0, **changes: Any) -> int:
    """Begin a run; returns its number."""
    arguments: dict[str, Any] = {
        "as_of": date(2020, 1, 10),
        "known_at": T0,
        "mode": "auto",
        "symbols_requested": 2,
        "flow_run_id": None,
        "parameters": {"as_of": "2020-01-10"},
        "software": {"python": "3"},
        "started_at": T0,
    }
    return store.begin_run(key, correction=correction, **(arguments | changes))


def make_publication(**changes: Any) -> Publication:
    """A month of two symbols and two horizons, with quantiles from -6 to 6 per cent."""
    rows = [
        (symbol, KEY.origin_month, horizon, date(2020, horizon, 1), forecaster, forecaster == "hybrid")
        for symbol in ("A", "B")
        for horizon in (1, 2)
        for forecaster in ("hybrid", "baseline", "persistence")
    ]
    forecasts = pd.DataFrame(
        rows, columns=["symbol", "origin_month", "horizon", "target_month", "forecaster", "is_served"]
    ).assign(**{name: (place - 6) / 100 for place, name in enumerate(QUANTILES)})
    candidate = {"holdout_months": 3, "crps": 0.1, "baseline_crps": 0.2, "persistence_crps": 0.3, "p_value": 0.01}
    parts: dict[str, Any] = {
        "served": "hybrid",
        "message": "published",
        "new_model": ModelVersion(
            kind="retrain",
            trained_through=date(2018, 1, 1),
            holdout_start=date(2018, 1, 1),
            holdout_end=date(2019, 11, 1),
            verdict="hybrid",
            verdict_reason="better",
            weights=b"\x00weights",
            weights_sha256="0" * 64,
        ),
        "kept_model_id": None,
        "coefficients": pd.DataFrame({"horizon": [1], "term": ["location"], "value": [0.01]}),
        "backtest_errors": pd.DataFrame(
            {
                "origin_month": [date(2019, 1, 1)],
                "horizon": [1],
                "forecaster": ["hybrid"],
                "symbols": [2],
                "crps": [0.1],
                "absolute_error": [0.1],
                "covered_80": [1.0],
                "covered_95": [1.0],
            }
        ),
        "candidates": pd.DataFrame(
            [{"candidate": "retrain", "model_version_id": None, **candidate, "is_served": True, "reason": "better"}]
        ),
        "origins": pd.DataFrame(
            {
                "symbol": ["A", "B"],
                "origin_month": KEY.origin_month,
                "origin_session": date(2019, 12, 31),
                "origin_close": [100.0, 50.0],
                "currency_code": "USD",
                "naive_mae": [0.05, 0.04],
            }
        ),
        "forecasts": forecasts,
        "errors": pd.DataFrame(columns=["run_id", "symbol", "horizon", "forecaster", "actual_log_return", "error"]),
        "restated_errors": pd.DataFrame(columns=["run_id", "symbol", "horizon", "forecaster", "actual_log_return"]),
        "drift_checks": pd.DataFrame(
            {
                "horizon": [1],
                "measure": ["loss"],
                "status": ["ok"],
                "statistic": [0.5],
                "threshold": [5.0],
                "p_value": [0.4],
                "months_used": [7],
                "reason": ["fine"],
            }
        ),
        "drift_symbols": pd.DataFrame({"horizon": [1], "symbol": ["A"], "share": [1.0]}),
        "input_checks": pd.DataFrame(
            {"input": ["volume"], "value": [1.1], "lowest": [0.5], "highest": [2.0], "is_unusual": [False]}
        ),
        "outcomes": pd.DataFrame(
            {
                "symbol": ["A", "B"],
                "outcome": "ok",
                "reason": "",
                "last_session": date(2020, 1, 9),
                "months": [100, 100],
            }
        ),
        "alerts": [],
        "resolved_alerts": [],
    }
    return Publication(**(parts | changes))


def make_errors(run_id: int, actual: float = 0.03) -> pd.DataFrame:
    """Errors of symbol A one month ahead: median 0, actual 3 per cent."""
    return pd.DataFrame(
        {
            "run_id": run_id,
            "symbol": "A",
            "horizon": 1,
            "forecaster": ["hybrid", "baseline", "persistence"],
            "actual_log_return": actual,
            "error": -actual,
            "crps": [0.01, 0.02, 0.04],
            "is_covered_80": [True, True, False],
            "is_covered_95": True,
            "is_direction_right": [True, True, False],
        }
    )


def make_drift_months(run_id: int) -> pd.DataFrame:
    """Drift month of the forecasts one month ahead: three deviations worse than expected."""
    row = {"run_id": run_id, "horizon": 1, "measure": "loss", "forecaster": "hybrid", "symbols": 1}
    return pd.DataFrame([{**row, "value": 0.07, "expected": 0.01, "deviation": 0.02}])


def publish_scores(store: Store, key: MonthKey, errors: pd.DataFrame, **changes: Any) -> int:
    """Publish a later month without forecasts that scores the past; returns its run."""
    run_id, month = begin(store, key), make_publication()
    empty = {"forecasts": month.forecasts.iloc[:0], "origins": month.origins.iloc[:0]}
    store.publish(run_id, make_publication(errors=errors, **empty, **changes), finished_at=T0)
    return run_id
