"""One symbol from two sources: a vendor's file for the history, then Yahoo month by month."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from flows.ingest import ingest_prices
from tasks.calendars import last_closed_session, sessions_between
from tasks.errors import PricesIncompleteError
from tests.field.conftest import WriteBars
from tests.support.rows import query
from tests.support.yahoo_server import YahooServer, make_result

LAST = last_closed_session("XNYS", datetime.now(UTC))
DAYS = [f"{day:%Y-%m-%d}" for day in sessions_between("XNYS", date(LAST.year - 2, 1, 1), LAST)[0]]
SPLIT = len(DAYS) - 40  # the file ends here


def truth() -> dict[str, float]:
    level = 50 * np.exp(np.random.default_rng(3).normal(0, 0.01, len(DAYS)).cumsum())
    return dict(zip(DAYS, np.round(level, 4).tolist(), strict=True))


def stored(url: str) -> dict[str, float]:
    return dict(query(url, "select session::text, close from market.daily_bar where symbol = 'MIX'"))


def file_first(write_bars: WriteBars) -> dict[str, float]:
    closes = truth()
    ingest_prices(source=write_bars({day: closes[day] for day in DAYS[:SPLIT]}, "MIX", "vendor"))
    return closes


def reason_of(url: str) -> str:
    return str(query(url, "select reason from ops.download where outcome = 'rejected' order by known_at desc")[0][0])


def test_file_then_yahoo_is_joined_where_both_agree(
    yahoo: YahooServer, database_url: str, write_bars: WriteBars
) -> None:
    closes = file_first(write_bars)
    # Yahoo rounds, and has other volumes.
    yahoo.results["MIX"] = make_result({day: round(close, 2) for day, close in closes.items() if day < DAYS[-10]})
    ingest_prices(source="yahoo", symbols=["MIX"])
    expected = {day: close if day < DAYS[SPLIT] else round(close, 2) for day, close in closes.items()}
    assert stored(database_url) == pytest.approx({day: expected[day] for day in DAYS[:-10]})
    assert query(database_url, "select count(*) from market.bar_revision") == [(0,)]

    # The next month, and a whole history from Yahoo later, leave the file's bars as they are.
    yahoo.results["MIX"] = make_result({day: round(close, 2) for day, close in closes.items()})
    query(database_url, "update ops.download set known_at = known_at where false")
    ingest_prices(source="yahoo", symbols=["MIX"])
    assert stored(database_url) == pytest.approx(expected)
    assert query(database_url, "select count(*) from market.bar_revision") == [(0,)]
    sources = query(
        database_url, "select source, first_session::text, last_session::text, bars from report.bar_source order by 2"
    )
    assert sources == [("file", DAYS[0], DAYS[SPLIT - 1], SPLIT), ("yahoo", DAYS[SPLIT], DAYS[-1], 40)]
    begins = [
        datetime.fromtimestamp(int(row["period1"]), UTC).date() for row in yahoo.queries["MIX"] if "period1" in row
    ]
    assert min(begins) > date.fromisoformat(DAYS[SPLIT - 60])


def test_yahoo_after_a_split_is_joined_on_the_basis_of_the_file(
    yahoo: YahooServer, database_url: str, write_bars: WriteBars
) -> None:
    """Yahoo's closes are adjusted for a split that it reports after the end of the file."""
    closes = file_first(write_bars)
    adjusted = {day: close / 4 for day, close in closes.items()}
    yahoo.results["MIX"] = make_result(adjusted, {DAYS[SPLIT + 5]: "4:1"})
    ingest_prices(source="yahoo", symbols=["MIX"])
    after = stored(database_url)
    assert after[DAYS[SPLIT + 4]] == pytest.approx(closes[DAYS[SPLIT + 4]], rel=1e-6)
    assert after[DAYS[SPLIT + 5]] == pytest.approx(adjusted[DAYS[SPLIT + 5]], rel=1e-6)
    splits = query(database_url, "select ex_date::text, value from market.corporate_action where kind = 'split'")
    assert splits == [(DAYS[SPLIT + 5], 4.0)]


def test_yahoo_with_other_numbers_is_rejected_with_the_evidence(
    yahoo: YahooServer, database_url: str, write_bars: WriteBars
) -> None:
    closes = file_first(write_bars)
    before = stored(database_url)
    other = {
        day: close * (1.0 if day < DAYS[SPLIT - 10] else 1.03 + 0.01 * (number % 3))
        for number, (day, close) in enumerate(closes.items())
    }
    yahoo.results["MIX"] = make_result(other)
    yahoo.results["FINE"] = make_result(closes)
    ingest_prices(source="yahoo", symbols=["MIX", "FINE"])
    reason = reason_of(database_url)
    assert "the stored bars of 'file'" in reason
    assert "common sessions have the same close" in reason
    assert f"the first that differs is {DAYS[SPLIT - 10]}" in reason
    assert "bellwether prices accept MIX --as history" in reason
    assert stored(database_url) == before
    assert query(database_url, "select count(*) from market.daily_bar where symbol = 'FINE'") == [(len(DAYS),)]


def test_yahoo_without_an_overlap_is_rejected(yahoo: YahooServer, database_url: str, write_bars: WriteBars) -> None:
    closes = file_first(write_bars)
    before = stored(database_url)
    yahoo.results["MIX"] = make_result({day: closes[day] for day in DAYS[SPLIT + 3 :]})
    with pytest.raises(PricesIncompleteError, match="they have no common session"):
        ingest_prices(source="yahoo", symbols=["MIX"])
    assert stored(database_url) == before
