"""Outcomes of past forecasts: which symbols and months they come from."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

import tasks.month.score
from tasks.month.score import score_past_forecasts

QUANTILES = ["q025", "q05", "q10", "q20", "q30", "q40", "q50", "q60", "q70", "q80", "q90", "q95", "q975"]
JANUARY, FEBRUARY = pd.Timestamp("2020-01-01"), pd.Timestamp("2020-02-01")


def months_of(*symbols: str) -> pd.DataFrame:
    rows = [(symbol, month, 0.01) for symbol in symbols for month in (JANUARY, FEBRUARY)]
    return pd.DataFrame(rows, columns=["symbol", "month", "log_return"]).assign(is_final=True)


def test_score_past_forecasts_omits_rejected_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    """HERE is in the universe. LEFT and BAD have left it, and BAD is rejected by the checks."""
    pending = pd.DataFrame({"symbol": ["HERE", "LEFT", "BAD"], "origin_month": JANUARY, "target_month": FEBRUARY})
    pending = pending.assign(run_id=1, horizon=1, forecaster="baseline", is_served=True)
    pending = pending.assign(**{name: place / 100 for place, name in enumerate(QUANTILES)})
    findings = pd.DataFrame({"symbol": ["BAD"], "treatment": "rejected", "reason": "why"})

    def read_months(plan: Any, symbols: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
        assert symbols == ["BAD", "LEFT"]
        return months_of(*symbols), findings

    store = SimpleNamespace(read_forecasts_to_score=lambda key: pending)
    monkeypatch.setattr(tasks.month.score, "get_store", lambda: store)
    monkeypatch.setattr(tasks.month.score, "read_months", read_months)
    monkeypatch.setattr(tasks.month.score, "log_line", lambda *_: None)
    errors = score_past_forecasts.fn(SimpleNamespace(key=None), SimpleNamespace(months=months_of("HERE")))
    assert errors["symbol"].tolist() == ["HERE", "LEFT"]
