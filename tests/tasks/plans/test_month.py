"""Plans of months: the origin month, refused requests, corrections."""

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from sql.store import Store
from tasks.errors import BadRequestError, NotEnoughHistoryError
from tasks.plans.month import MonthPlan, earlier_month_ends, last_complete_month, plan_month
from tasks.settings import Settings
from tests.support.few_units import SMALL
from tests.tasks.plans.conftest import NOW


def plan(
    settings: Settings, *, published: pd.Series | None = None, has_model: bool = False, **changes: Any
) -> MonthPlan:
    """Plan a month of the sample, against a store with the given publication and model."""
    store = SimpleNamespace(
        read_instruments=lambda symbols: pd.DataFrame(columns=["symbol", "source"]),
        find_published=lambda key: published,
        read_report=lambda name, **parameters: pd.DataFrame(),
        read_champion=lambda key: object() if has_model else None,
    )
    request: dict[str, Any] = {
        "source_spec": "sample",
        "as_of": None,
        "symbols": None,
        "universe_file": None,
        "mode": "auto",
        "rerun": False,
        "min_coverage": 0.9,
        "scheduled_for": NOW,
        "now": NOW,
    }
    return plan_month(cast(Store, store), settings, SMALL, **(request | changes))


@pytest.mark.parametrize(
    ("mics", "as_of", "expected"),
    [
        (["XNYS"], date(2018, 12, 31), date(2018, 12, 1)),
        (["XNYS"], date(2018, 12, 30), date(2018, 11, 1)),
        (["XNYS"], date(2018, 6, 29), date(2018, 6, 1)),  # a Friday: the 30th is no session
        (["XNYS"], date(2024, 3, 28), date(2024, 3, 1)),  # the 29th is Good Friday
        (["XTKS"], date(2018, 12, 28), date(2018, 12, 1)),  # Tokyo closes for the year
        (["XNYS", "XTKS"], date(2018, 12, 28), date(2018, 11, 1)),
        (["XSHG"], date(2035, 10, 30), date(2035, 9, 1)),  # outside the calendar: the last day of the month
        (["XSHG"], date(2035, 10, 31), date(2035, 10, 1)),
    ],
)
def test_last_complete_month_needs_the_last_session_of_every_exchange(
    mics: list[str], as_of: date, expected: date
) -> None:
    assert last_complete_month(mics, as_of) == expected


def test_plan_month_defaults_to_the_newest_session_of_the_source(settings: Settings) -> None:
    planned = plan(settings)
    assert planned.as_of == date(2018, 12, 31)
    assert (planned.key.source, planned.key.universe) == ("sample", "sample")
    assert planned.key.origin_month == date(2018, 12, 1)
    assert (planned.known_at, planned.prices.requested_at) == (NOW, NOW)
    assert (planned.correction, planned.published_run_id) == (0, None)


def test_plan_month_of_a_late_run_is_the_scheduled_month(settings: Settings) -> None:
    planned = plan(settings, scheduled_for=datetime(2018, 12, 3, 9, 0, tzinfo=UTC))
    assert (planned.as_of, planned.key.origin_month) == (date(2018, 11, 30), date(2018, 11, 1))


def test_plan_month_of_a_monthly_file_reaches_to_the_month_end(settings: Settings, tmp_path: Path) -> None:
    """A monthly bar is dated the first of its month and covers all of it."""
    rows = [f"{month:%Y-%m-%d},1,1,1,1,1,1" for month in pd.date_range("2005-01-01", "2018-10-01", freq="MS")]
    path = tmp_path / "A.csv"
    path.write_text("\n".join(["Date,Open,High,Low,Close,Adj Close,Volume", *rows]))
    planned = plan(settings, source_spec=f"file:{path}")
    assert (planned.as_of, planned.key.origin_month) == (date(2018, 10, 31), date(2018, 10, 1))


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        ({"as_of": date(2019, 1, 16)}, BadRequestError, "must not be in the future: received 2019-01-16"),
        ({"as_of": date(1998, 12, 31)}, BadRequestError, "must not be before the first bar: received 1998-12-31"),
        (
            {"as_of": date(2000, 12, 31)},
            NotEnoughHistoryError,
            "at least 96 complete months are needed.* there are 24;",
        ),
        ({"mode": "keep"}, BadRequestError, "sample has no model to keep yet; run it with `--mode auto` first"),
        ({"mode": "fine-tune"}, BadRequestError, "sample has no model to fine-tune yet"),
        ({"symbols": ["NOPE"]}, BadRequestError, "has no symbol NOPE"),
    ],
)
def test_plan_month_refuses_an_invalid_request(
    settings: Settings, changes: dict[str, Any], kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        plan(settings, **changes)


def test_plan_month_refuses_a_source_without_prices_of_the_universe(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "A.csv").write_text("404 Not Found\n")
    with pytest.raises(BadRequestError, match="The source must have prices of the universe; it has none of A"):
        plan(settings, source_spec=f"file:{tmp_path}")


def test_plan_month_keeps_a_stored_model(settings: Settings) -> None:
    assert plan(settings, mode="keep", has_model=True).mode == "keep"


def test_plan_month_of_a_published_month_is_done_or_a_correction(settings: Settings) -> None:
    published = pd.Series({"run_id": 7, "correction": 1})
    done = plan(settings, published=published)
    assert (done.published_run_id, done.correction) == (7, 2)
    correction = plan(settings, published=published, rerun=True)
    assert (correction.published_run_id, correction.correction) == (None, 2)


def test_earlier_month_ends_are_oldest_first(settings: Settings) -> None:
    planned = plan(settings, as_of=date(2016, 4, 30))
    assert planned.key.origin_month == date(2016, 4, 1)
    assert earlier_month_ends(planned, 3) == [date(2016, 1, 31), date(2016, 2, 29), date(2016, 3, 31)]
    assert earlier_month_ends(planned, 0) == []
