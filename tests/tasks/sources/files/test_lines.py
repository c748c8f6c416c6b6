"""CSVs with unreadable lines: the bars are read, the other lines are counted."""

import gzip
from collections import Counter
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.sources.files.lines import line_pattern
from tasks.sources.files.prices import read_prices
from tasks.sources.files.reader import read_table
from tasks.sources.files.table import TableError
from tests.support.price_files import (
    NUMBER_COLUMNS,
    TICKER_HEADER,
    YAHOO_HEADER,
    bars_of,
    csv_lines,
    findings_of,
    new_path,
    unique_rows,
)
from tests.tasks.sources.files.conftest import WriteFile

ERROR_LINES = [
    '{"timestamp":"2024-03-27","status":404}',
    "{",
    '    "finance": {',
    '"error": "Unauthorized"',
    '"',
    '<html lang="en-us">',
    "404 Not Found: Timestamp data missing.",
    ",,,,,,",
    "2024-13-45,1,1,1,1,1,1",
    "2024-02-30,1,1,1,1,1,1",
    "2024-01-02,1,1,1,oops,1,1",
    "2024-01-02,1,1,1,1e999,1,1",
    "2024-01-02,1,1,1,inf,1,1",
    "2024-01-02,1,1,1,1,1",
    "2024-01-02,1,1,1,1,1,1,1",
    "0001-01-01,1,1,1,1,1,1",
    YAHOO_HEADER,
]


@pytest.mark.parametrize("word", ["", "null", "NULL", "NaN", "nan", '""', '"null"', " ", " null"])
@pytest.mark.parametrize("error", ["", "{\n"])
def test_missing_numbers_have_several_spellings(write_file: WriteFile, word: str, error: str) -> None:
    rows = f"{TICKER_HEADER}\nnull,2024-01-02,{word},2,1,1.5,{word},{word}\nNaN,2024-01-02,1,2,1,1.5,1,1\n{error}"
    rows += "".join(f"NA,{day:%Y-%m-%d},1,2,1,1.5,1,1\n" for day in pd.date_range("2024-01-01", periods=200))
    prices = read_prices(write_file(rows), "x")
    assert list(prices.bounds) == ["NA", "NaN", "null"]
    record = prices.records_of("null").iloc[0]
    assert record[["open", "adj_close", "volume"]].isna().all()
    assert record[["high", "low", "close"]].tolist() == [2.0, 1.0, 1.5]


def test_time_of_day_after_a_date_is_ignored(write_file: WriteFile) -> None:
    rows = ["2022-06-06 00:00:00-04:00,1,1,1,1,1,1", "2022-06-07T00:00:00Z,2,2,2,2,2,2", "2022-06-08,3,3,3,3,3,3"]
    prices = read_prices(write_file("\n".join([YAHOO_HEADER, *rows])), "SYM")
    assert bars_of(prices)["session"].dt.strftime("%m-%d").tolist() == ["06-06", "06-07", "06-08"]
    assert prices.findings == {}


def test_stray_quote_does_not_swallow_the_next_line(write_file: WriteFile) -> None:
    """A CSV reader joins the two lines to one row, whose ticker contains a line break."""
    rows = [f"B,{day:%Y-%m-%d},1,1,1,1,1,1" for day in pd.date_range("2024-01-01", periods=200)]
    path = write_file("\n".join([TICKER_HEADER, *rows, '"x', '"A",2024-01-02,1,1,1,1,1,1', ""]))
    prices = read_prices(path, "x")
    assert prices.bounds == {"A": (0, 1), "B": (1, 201)}
    assert findings_of(prices, "") == [("unreadable_line", "2024-07-18", 1.0, "excluded")]


def test_unreadable_lines_are_one_finding_between_two_sessions(write_file: WriteFile) -> None:
    bars = "2024-01-02,1,1,1,1,1,1", "2024-01-03,1,1,1,1,1,1"
    lines = ["{", YAHOO_HEADER, bars[0], "<html>", "", "</html>", bars[1], "x" * 100, YAHOO_HEADER, ""]
    prices = read_prices(write_file("\n".join(lines)), "SYM")
    assert findings_of(prices) == [
        ("unreadable_line", "", 1.0, "excluded"),
        ("unreadable_line", "2024-01-02", 2.0, "excluded"),
        ("unreadable_line", "2024-01-03", 2.0, "excluded"),
    ]
    assert prices.findings["SYM"]["reason"].tolist() == [
        "the first is line 1",
        "the first is line 4",
        "the first is line 8",
    ]


def test_unreadable_line_is_not_quoted(write_file: WriteFile) -> None:
    """A file may hold secrets, and Postgres refuses undecodable bytes and NUL."""
    prices = read_prices(
        write_file(f"{YAHOO_HEADER}\n2024-01-02,1,1,1,1,1,1\n".encode() + b"caf\xe9\x00 \xff\n"), "SYM"
    )
    reason = prices.findings["SYM"]["reason"].iloc[0]
    assert reason == "the first is line 3"


def test_feed_without_a_header_is_read_in_yahoos_order(write_file: WriteFile) -> None:
    prices = read_prices(
        write_file("{\n}\n2024-01-02,1.0,2.0,0.5,1.5,1.25,7\n2024-01-03,null,null,null,null,null,null\n"), "S"
    )
    assert not prices.has_header
    assert bars_of(prices)[NUMBER_COLUMNS].to_numpy().tolist() == [[1.0, 2.0, 0.5, 1.5, 1.25, 7.0]]


def test_feed_without_a_header_refuses_exchanged_columns(write_file: WriteFile) -> None:
    """Yahoo's older files have the volume before the adjusted close."""
    with pytest.raises(TableError, match=r"^holds no bars, but 1 other line of an unknown"):
        read_prices(write_file("2014-01-02,1.0,2.0,0.5,1.5,7,1.25\n"), "SYM")


@pytest.mark.parametrize(("errors", "is_refused"), [(1, False), (2, True)])
def test_table_of_several_symbols_may_lose_one_line_in_a_hundred(
    write_file: WriteFile, errors: int, is_refused: bool
) -> None:
    rows = [f"{name},{day:%Y-%m-%d},1,1,1,1,1,1" for name in "AB" for day in pd.date_range("2024-01-01", periods=50)]
    path = write_file("\n".join([TICKER_HEADER, *rows[:70], *["<html>"] * errors, *rows[70:]]))
    if is_refused:
        with pytest.raises(TableError, match=r"^has 2 unreadable lines of 102, .* line 72; a date must"):
            read_prices(path, "x")
        return
    prices = read_prices(path, "x")
    assert prices.rows["is_bar"].sum() == 100
    assert findings_of(prices, "") == [("unreadable_line", "2024-01-20", 1.0, "excluded")]


# A line that does not start with a date, and is not blank.
any_line = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=120).filter(
    lambda line: line.strip()
)


error_line = st.sampled_from(ERROR_LINES) | any_line


@settings(max_examples=80, deadline=None)
@given(
    rows=unique_rows,
    errors=st.lists(
        st.tuples(st.integers(0, 26), st.lists(error_line, min_size=1, max_size=4)), min_size=1, max_size=4
    ),
    is_gzip=st.booleans(),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_lines_between_bars_are_counted_and_change_no_bar(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Any],
    errors: list[tuple[int, list[str]]],
    is_gzip: bool,
    ending: str,
) -> None:
    tidy = [YAHOO_HEADER, *csv_lines(rows)]
    spoilt: list[tuple[str, bool]] = [(line, False) for line in tidy]
    for place, lines in errors:
        spoilt[min(place, len(spoilt)) : min(place, len(spoilt))] = [(line, True) for line in lines]
    counts, last = Counter[str](), ""
    for line, is_error in spoilt:
        if is_error:
            counts[last] += 1
        elif line != YAHOO_HEADER:
            last = line[:10]
    path, other = new_path(tmp_path_factory), new_path(tmp_path_factory)
    content = ending.join(line for line, _ in spoilt).encode()
    path.write_bytes(gzip.compress(content) if is_gzip else content)
    other.write_text("\n".join(tidy))

    prices, expected = read_prices(path, "SYM"), read_prices(other, "SYM")

    pd.testing.assert_frame_equal(prices.rows, expected.rows)
    assert {day: count for rule, day, count, _ in findings_of(prices) if rule == "unreadable_line"} == counts
    path.unlink()
    other.unlink()


READABLE = line_pattern(["ticker", "date", *NUMBER_COLUMNS, ""], is_strict=False)


@settings(max_examples=150, deadline=None)
@given(line=st.from_regex(READABLE, fullmatch=True).filter(lambda line: not {"\r", "\n"} & set(line)))
def test_line_pattern_matches_only_lines_that_pyarrow_reads(
    tmp_path_factory: pytest.TempPathFactory, line: str
) -> None:
    """The pattern selects the lines and pyarrow parses them: both must agree on every line."""
    match = READABLE.fullmatch(line)
    assert match is not None
    line = f"{line[: match.start('date')]}2024-01-02{line[match.end('date') :]}"
    path = new_path(tmp_path_factory)
    rows = [f"SYM,{day:%Y-%m-%d},1,1,1,1,1,1,x" for day in pd.date_range("2024-01-01", periods=200)]
    path.write_bytes("\n".join([f"{TICKER_HEADER},note", *rows, line, "{"]).encode("utf-8", "surrogateescape"))
    table = read_table(path, "x")
    assert table.columns.num_rows == 201
    assert [lines.count for lines in table.unreadable] == [1]
    path.unlink()
