"""Plans of the paper's experiment: seeds, directories, refused requests."""

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tasks.errors import BadRequestError
from tasks.plans.paper import CONFIGS, PaperPlan, plan_paper, require_interval
from tasks.settings import Settings
from tests.tasks.plans.conftest import NOW


def plan(settings: Settings, **changes: Any) -> PaperPlan:
    request: dict[str, Any] = {
        "source_spec": "sample",
        "symbol": "^GSPC",
        "interval": "daily",
        "seeds": 3,
        "first": None,
        "directory": None,
        "config": CONFIGS["daily"],
        "now": NOW,
    }
    return plan_paper(settings, **(request | changes))


def test_plan_paper_numbers_the_seeds_and_draws_into_the_home(settings: Settings) -> None:
    planned = plan(settings)
    assert planned.config.seeds == (1, 2, 3)
    assert planned.directory == settings.home / "paper"
    assert (planned.first, planned.requested_at) == (None, NOW)


def test_plan_paper_uses_the_given_directory_and_first_bar(settings: Settings, tmp_path: Path) -> None:
    planned = plan(settings, directory=tmp_path, first=date(2010, 1, 1))
    assert (planned.directory, planned.first) == (tmp_path, date(2010, 1, 1))


def test_plan_paper_refuses_an_unknown_symbol(settings: Settings) -> None:
    with pytest.raises(BadRequestError, match=r"The source sample has no symbol NOPE; it has \^GSPC, \^IXIC\.$"):
        plan(settings, symbol="NOPE")


def test_plan_paper_refuses_daily_steps_of_monthly_bars(settings: Settings, tmp_path: Path) -> None:
    rows = [f"{month:%Y-%m-%d},1,1,1,1,1,1" for month in pd.date_range("2015-01-01", periods=24, freq="MS")]
    path = tmp_path / "A.csv"
    path.write_text("\n".join(["Date,Open,High,Low,Close,Adj Close,Volume", *rows]))
    monthly = {"source_spec": f"file:{path}", "symbol": "A"}
    with pytest.raises(BadRequestError, match="only one bar a month of A: use `--interval monthly`"):
        plan(settings, **monthly)
    assert plan(settings, **monthly, interval="monthly").interval == "monthly"


@pytest.mark.parametrize(("finest", "interval"), [("daily", "daily"), ("daily", "monthly"), ("monthly", "monthly")])
def test_require_interval_accepts_bars_as_fine_as_the_step(finest: str, interval: Any) -> None:
    require_interval("A", finest, interval)
