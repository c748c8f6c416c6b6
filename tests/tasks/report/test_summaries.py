"""Summaries of a published month when the database does not answer at once."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from sql.store import StoreUnavailableError
from tasks.errors import DatabaseUnavailableError
from tasks.report import summaries
from tests.support.untrained import make_plan


def make_store(failures: int) -> Any:
    """Make a store whose first reads fail."""
    remaining = [failures]

    def read_report(name: str, **_: object) -> pd.DataFrame:
        if remaining[0]:
            remaining[0] -= 1
            raise StoreUnavailableError("The database is unreachable.")
        return pd.DataFrame({"served": ["hybrid"], "message": ["All symbols forecast."]})

    return SimpleNamespace(read_report=read_report)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summaries, "_PAUSE_SECONDS", 0.0)


def test_summarise_month_waits_for_the_database() -> None:
    summary = summaries.summarise_month(make_store(3), make_plan("auto"), 7, is_already_done=False)
    assert (summary.run_id, summary.served) == (7, "hybrid")


def test_summarise_month_reports_a_published_month_as_published() -> None:
    with pytest.raises(DatabaseUnavailableError, match=r"^Run 7 published 2009-12, but its summary cannot be read: "):
        summaries.summarise_month(make_store(4), make_plan("auto"), 7, is_already_done=False)
