"""Rows of a price table: bars, and findings for the rest."""

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.sources.base import Outcome
from tasks.sources.files.prices import FINDING_RULES, read_prices
from tasks.sources.files.table import TableError
from tests.support.price_files import (
    TICKER_HEADER,
    YAHOO_HEADER,
    bars_of,
    csv_lines,
    findings_of,
    new_path,
    unique_rows,
)
from tests.tasks.sources.files.conftest import WriteFile


def test_rows_that_are_no_bars_are_findings(write_file: WriteFile) -> None:
    rows = [
        "2024-01-02,0,2,1,1.5,1,0",  # an open and a volume of 0 are missing values
        "2024-01-03,null,null,null,null,null,null",
        "2024-01-04,0,,,,,9",
        "2024-01-05,1,2,1,,1,1",
        "2024-01-08,1,2,0,1,1,1",
        "2024-01-09,1,2,1,-3,1,1",
        "2024-01-10,-2,2,1,1,1,1",
        "2024-01-11,,,,1,1,",
    ]
    prices = read_prices(write_file("\n".join([YAHOO_HEADER, *rows])), "SYM")
    assert bars_of(prices)["session"].dt.day.tolist() == [2, 11]
    assert str(findings_of(prices)) == str(
        [
            ("empty_bar", "2024-01-03", np.nan, "excluded"),
            ("empty_bar", "2024-01-04", np.nan, "excluded"),
            ("no_close", "2024-01-05", 1.0, "excluded"),
            ("not_positive", "2024-01-08", 0.0, "excluded"),
            ("not_positive", "2024-01-09", -3.0, "excluded"),
            ("not_positive", "2024-01-10", -2.0, "excluded"),
        ]
    )


def test_repeated_session_keeps_the_last_row_with_prices(write_file: WriteFile) -> None:
    rows = ["2024-01-02,1,1,1,1,1,1", "2024-01-02,2,2,2,2,2,2", "2024-01-03,5,5,5,5,5,5", "2024-01-02,3,3,3,3,3,3"]
    rows += ["2024-01-02,null,null,null,null,null,null", "2024-01-04,,,,,,"]
    prices = read_prices(write_file("\n".join([YAHOO_HEADER, *rows])), "SYM")
    assert bars_of(prices)["close"].tolist() == [3.0, 5.0]
    assert str(findings_of(prices)) == str(
        [("duplicate_session", "2024-01-02", 2.0, "repaired"), ("empty_bar", "2024-01-04", np.nan, "excluded")]
    )
    assert "the last row of 4 is kept" in prices.findings["SYM"]["reason"].tolist()


def test_several_series_without_a_ticker_column_are_refused(write_file: WriteFile, shared_data: Path) -> None:
    """The recording names its two indices in a column `Index`, which is no known column."""
    with pytest.raises(TableError, match=r"^holds several series: .* no column is called ticker or symbol$") as refused:
        read_prices(shared_data / "messy" / "index_daily_null_rows_raw.csv.gz", "x")
    assert refused.value.outcome == Outcome.REJECTED
    content = gzip.decompress((shared_data / "messy" / "index_daily_null_rows_raw.csv.gz").read_bytes()).decode()
    nulls = Counter(line.split(",")[0] for line in content.splitlines() if ",null," in line)
    prices = read_prices(write_file(content.replace("Index,", "Symbol,", 1).lstrip("ï»¿\ufeff")), "x")
    assert {name: len(findings) for name, findings in prices.findings.items()} == dict(nulls)
    assert sum(nulls.values()) == 508


def monthly_rows(first: str, count: int) -> list[str]:
    return [
        f"{month:%Y-%m-%d},1,1,1,{number + 1},1,1"
        for number, month in enumerate(pd.date_range(first, periods=count, freq="MS"))
    ]


@pytest.mark.parametrize(
    ("rows", "is_monthly"),
    [
        (monthly_rows("2020-01-01", 12), True),
        (monthly_rows("2020-01-01", 11), False),
        (monthly_rows("2020-01-01", 20)[::3], True),
        (["2020-03-02,1,1,1,1,1,1", *monthly_rows("2020-01-01", 24)], False),
        ([f"{day:%Y-%m-%d},1,1,1,1,1,1" for day in pd.date_range("2020-01-01", periods=400)], False),
        ([f"{day:%Y-%m-%d},1,1,1,1,1,1" for day in pd.date_range("2020-01-01", periods=24, freq="ME")], False),
    ],
)
def test_bars_are_monthly_if_all_are_dated_the_first_for_a_year(
    write_file: WriteFile, rows: list[str], is_monthly: bool
) -> None:
    prices = read_prices(write_file("\n".join([YAHOO_HEADER, *rows])), "SYM")
    assert prices.monthly == ({"SYM"} if is_monthly else set())
    assert prices.findings == {}


def test_unfinished_month_is_no_bar_of_a_monthly_file(write_file: WriteFile) -> None:
    prices = read_prices(
        write_file("\n".join([YAHOO_HEADER, *monthly_rows("2020-01-01", 14), "2021-02-17,1,1,1,9,1,1"])), "SYM"
    )
    assert prices.monthly == {"SYM"}
    assert len(bars_of(prices)) == 14
    assert findings_of(prices) == [("partial_month", "2021-02-17", 1.0, "excluded")]


def test_short_history_is_monthly_only_in_a_monthly_table(write_file: WriteFile) -> None:
    old = [f"OLD,{row}" for row in monthly_rows("2020-01-01", 24)]
    young = [f"YOUNG,{row}" for row in monthly_rows("2021-10-01", 3)]
    assert read_prices(write_file("\n".join([TICKER_HEADER, *old, *young])), "x").monthly == {"OLD", "YOUNG"}
    daily = ["DAILY,2021-10-01,1,1,1,1,1,1", "DAILY,2021-10-04,1,1,1,1,1,1", "DAILY,2021-10-05,1,1,1,1,1,1"]
    assert read_prices(write_file("\n".join([TICKER_HEADER, *old, *young, *daily])), "x").monthly == {"OLD"}


def test_recorded_monthly_file_of_yahoo_is_read(shared_data: Path) -> None:
    """62 rows: no prices in 2012-09, 60 months from 2012-10 to 2017-09, and 2017-09 again as of the 26th."""
    prices = read_prices(shared_data / "messy" / "GSPC_yahoo_monthly_2012_2017_raw.csv", "SYM")
    assert prices.monthly == {"SYM"}
    sessions = bars_of(prices)["session"]
    assert sessions.tolist() == list(pd.date_range("2012-10-01", "2017-09-01", freq="MS"))
    assert [finding[:2] for finding in findings_of(prices)] == [
        ("empty_bar", "2012-09-01"),
        ("partial_month", "2017-09-26"),
    ]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), rows=unique_rows)
def test_order_of_rows_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, rows: list[Any]
) -> None:
    path, other = new_path(tmp_path_factory), new_path(tmp_path_factory)
    path.write_text("\n".join([YAHOO_HEADER, *csv_lines(rows)]))
    other.write_text("\n".join([YAHOO_HEADER, *csv_lines(data.draw(st.permutations(rows)))]))
    prices, shuffled = read_prices(path, "SYM"), read_prices(other, "SYM")
    pd.testing.assert_frame_equal(prices.rows, shuffled.rows)
    assert findings_of(prices) == findings_of(shuffled)
    path.unlink()
    other.unlink()


@pytest.mark.parametrize("name", ["AMZN", "ATVI", "CCL", "CMG", "FB", "FRC", "JNJ", "RJF", "TSLA", "TWTR"])
def test_recorded_feeds_have_the_counted_bars_and_findings(shared_data: Path, name: str) -> None:
    """Expected: bars, repeated dates, rows of nulls and error lines, counted by the start of each line."""
    path = shared_data / "messy" / "append_feed" / f"{name}.csv.gz"
    lines = [line for line in gzip.decompress(path.read_bytes()).decode().splitlines() if line.strip()]
    dated = [line for line in lines if line[:4].isdigit() and line[4] == "-"]
    with_prices = Counter(line[:10] for line in dated if "null" not in line)
    nulls = {line[:10] for line in dated if "null" in line}
    errors = [line for line in lines if line not in dated and line != YAHOO_HEADER]

    prices = read_prices(path, name)

    rules = Counter(rule for rule, *_ in findings_of(prices, name))
    assert len(bars_of(prices)) == len(with_prices)
    assert rules["duplicate_session"] == sum(count > 1 for count in with_prices.values())
    assert rules["empty_bar"] == len(nulls - set(with_prices))
    assert sum(value for rule, _, value, _ in findings_of(prices, name) if rule == "unreadable_line") == len(errors)
    assert set(rules) <= set(FINDING_RULES)
    assert prices.has_header == (YAHOO_HEADER in lines)
    last = {line[:10]: line for line in dated if "null" not in line}
    assert bars_of(prices)["close"].tolist() == [float(last[day].split(",")[4]) for day in sorted(last)]


def test_recorded_feed_of_tesla_matches_its_description(shared_data: Path) -> None:
    """The recording has 93 error bodies of seven lines, and one more brace."""
    prices = read_prices(shared_data / "messy" / "append_feed" / "TSLA.csv.gz", "TSLA")
    findings = prices.findings["TSLA"]
    assert findings.loc[findings["rule"] == "unreadable_line", "value"].sum() == 93 * 7 + 1
    assert not findings.duplicated(["symbol", "session", "rule"]).any()


def test_recorded_files_of_yfinance_are_read(shared_data: Path) -> None:
    for path in sorted((shared_data / "messy" / "yfinance_repair").glob("*.csv")):
        prices = read_prices(path, "SYM")
        days = {line[:10] for line in path.read_text().splitlines()[1:]}
        assert set(prices.rows["session"].dt.strftime("%Y-%m-%d")) == days
        assert {"adj_close", "dividends", "stock_splits"} <= set(prices.rows.columns)
        assert "unreadable_line" not in {rule for rule, *_ in findings_of(prices)}
