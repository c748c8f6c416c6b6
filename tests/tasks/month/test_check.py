"""Rules of the check step: when a month has enough symbols."""

from datetime import UTC, date, datetime

import pandas as pd
import pytest

from sql.store import MonthKey
from tasks.errors import PricesIncompleteError
from tasks.month.check import OUTCOME_COLUMNS, Checked, require_coverage
from tasks.plans.month import MonthPlan
from tasks.plans.prices import PricesPlan
from tasks.plans.universe import Instrument

NOW = datetime(2026, 11, 3, 11, 0, tzinfo=UTC)


def month_plan(symbols: int) -> MonthPlan:
    instruments = tuple(Instrument(symbol=f"S{number}") for number in range(symbols))
    return MonthPlan(
        key=MonthKey(source="yahoo", universe="test", origin_month=date(2026, 10, 1)),
        as_of=date(2026, 11, 2),
        known_at=NOW,
        prices=PricesPlan(source_spec="yahoo", universe="test", instruments=instruments, requested_at=NOW),
        mode="auto",
        correction=0,
        min_coverage=0.9,
        published_run_id=None,
    )


def checked(outcomes: list[str], delisted: tuple[str, ...] = ()) -> Checked:
    rows = [(f"S{number}", outcome, "a reason", pd.NaT, 0) for number, outcome in enumerate(outcomes)]
    return Checked(pd.DataFrame(), pd.DataFrame(rows, columns=OUTCOME_COLUMNS), delisted)


@pytest.mark.parametrize(
    ("outcomes", "delisted"),
    [
        (["ok"] * 10, ()),
        (["ok"] * 9 + ["stale"], ()),
        (["ok"] * 5 + ["missing"] * 5, ("S5", "S6", "S7", "S8", "S9")),
        (["ok"] * 9 + ["rejected", "missing", "missing"], ("S10", "S11")),
        (["ok"] * 10, ("S3",)),  # listed as delisted, and complete
    ],
)
def test_require_coverage_accepts_nine_of_ten(outcomes: list[str], delisted: tuple[str, ...]) -> None:
    require_coverage(month_plan(len(outcomes)), checked(outcomes, delisted))


@pytest.mark.parametrize(
    ("outcomes", "delisted", "words"),
    [
        (["ok"] * 8 + ["stale", "rejected"], (), "8 of 10 symbols do .1 stale, 1 rejected; first: S8, a reason.\\. "),
        (["ok"] * 8 + ["stale", "missing"], ("S9",), "8 of 9 symbols do .*; delisted: 1"),
        (["missing"] * 3, ("S0", "S1", "S2"), "0 of 0 symbols do"),
        (["rate_limited"] * 10, (), "0 of 10 symbols do"),
    ],
)
def test_require_coverage_rejects_fewer(outcomes: list[str], delisted: tuple[str, ...], words: str) -> None:
    with pytest.raises(PricesIncompleteError, match=words):
        require_coverage(month_plan(len(outcomes)), checked(outcomes, delisted))
