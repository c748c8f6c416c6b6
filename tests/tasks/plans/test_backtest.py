"""Plans of backtests: origin months, forecasters, refused requests."""

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import tasks.processes
from sql.store import Store
from tasks.errors import BadRequestError
from tasks.plans.backtest import BacktestPlan, plan_backtest, require_first_origin
from tasks.settings import Settings
from tests.support.few_units import SMALL
from tests.tasks.plans.conftest import NOW


def plan(store: Store, settings: Settings, **changes: Any) -> BacktestPlan:
    request: dict[str, Any] = {
        "source_spec": "sample",
        "symbols": None,
        "universe_file": None,
        "first_origin": date(2015, 11, 20),
        "last_origin": date(2016, 1, 3),
        "refit": "yearly",
        "forecasters": ["persistence", "hybrid"],
        "out": None,
        "workers": 1,
        "now": NOW,
    }
    return plan_backtest(store, settings, SMALL, **(request | changes))


def test_plan_backtest_has_first_days_and_the_order_of_forecasters(store: Store, settings: Settings) -> None:
    planned = plan(store, settings)
    assert planned.origins == list(pd.to_datetime(["2015-11-01", "2015-12-01", "2016-01-01"]))
    assert planned.forecasters == ("hybrid", "persistence")
    assert planned.month.key.origin_month == date(2018, 12, 1)
    assert (planned.workers, planned.started_at) == (1, NOW)


def test_plan_backtest_limits_workers_by_memory(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks.processes, "_free_bytes", lambda: 2 * tasks.processes.WORKER_BYTES)
    assert plan(store, settings, workers=9).workers == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"forecasters": ["oracle", "hybrid"]}, "`--forecasters` must be some of hybrid, .*; received oracle"),
        ({"forecasters": []}, "received none"),
        ({"first_origin": date(2016, 2, 1)}, "must not be after `--last-origin`: received 2016-02 and 2016-01"),
        ({"out": Path("f.csv")}, r"`--out` must name a file that ends in \.parquet; received f\.csv"),
        ({"last_origin": date(2019, 1, 1)}, "not be after the last complete month, 2018-12; received 2019-01"),
        (
            {"first_origin": date(2018, 12, 1), "last_origin": date(2018, 12, 1)},
            "must be before the last complete month, 2018-12, or nothing can be scored; received 2018-12",
        ),
        ({"first_origin": date(2003, 1, 1)}, "the earliest possible is 2006-12; received 2003-01"),
    ],
)
def test_plan_backtest_refuses_an_invalid_request(
    store: Store, settings: Settings, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadRequestError, match=sentence):
        plan(store, settings, **changes)


def test_require_first_origin_leaves_enough_months() -> None:
    """The first of 96 months is January 1999, the last December 2006."""
    assert SMALL.fewest_months == 96
    require_first_origin(date(2006, 12, 1), pd.Timestamp("1999-01-04"), SMALL)
    with pytest.raises(BadRequestError, match="the data start with 1999-01"):
        require_first_origin(date(2006, 11, 1), pd.Timestamp("1999-01-04"), SMALL)
