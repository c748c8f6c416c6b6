"""Reports of the store."""

from typing import Any

import pandas as pd
import pytest

from sql.store import Store

UNIVERSE = {"source": "file", "universe": "u"}
REPORTS: dict[str, dict[str, Any]] = {
    "alert_history": {"is_all": True, "limit": 5},
    "drift_status": UNIVERSE,
    "finding_counts": {"symbols": ["A"]},
    "monitored_universes": {},
    "open_alerts": {},
    "overdue": {},
    "paper_results": {"experiment": "0" * 64},
    "recipients": {},
    "run_history": {"limit": 5},
    "scorecard": UNIVERSE,
    "symbol_outcomes": {"run_id": 1},
}


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_read_report_returns_a_frame_with_columns(store: Store, name: str) -> None:
    report = store.read_report(name, **REPORTS[name])
    assert isinstance(report, pd.DataFrame)
    assert report.empty
    assert len(report.columns) > 3


def test_store_representation_masks_the_password(store: Store, database_url: str) -> None:
    password = database_url.split(":")[2].split("@")[0]
    assert password not in repr(store)
    assert repr(store).startswith("Store(postgresql://bellwether:***@")
