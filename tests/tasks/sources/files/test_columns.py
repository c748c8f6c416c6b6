"""Headers of price tables: accepted spellings and required columns."""

from datetime import date

import pytest

from tasks.sources.base import Outcome
from tasks.sources.files.columns import is_complete, read_header, require_columns
from tasks.sources.files.reader import read_table
from tasks.sources.files.table import TableError
from tests.support.price_files import YAHOO_HEADER
from tests.tasks.sources.files.conftest import WriteFile


@pytest.mark.parametrize(
    "header",
    [
        YAHOO_HEADER,
        "\ufeff" + YAHOO_HEADER,
        "date,open,high,low,close,adj_close,volume",
        " DATE ,OPEN,High,low,cLose,AdjClose,VOLUME",
        "Datetime,Open,High,Low,Close,adj  close,Volume",
    ],
)
def test_header_spelling_does_not_matter(write_file: WriteFile, header: str) -> None:
    table = read_table(write_file(f"{header}\r\n2024-01-02,1,2,0.5,1.5,1.25,7\r\n"), "SYM")
    assert not table.has_tickers
    assert {name: values[0] for name, values in table.columns.to_pydict().items()} == {
        "ticker": "SYM",
        "date": date(2024, 1, 2),
        "open": 1.0,
        "high": 2.0,
        "low": 0.5,
        "close": 1.5,
        "adj_close": 1.25,
        "volume": 7.0,
    }


def test_header_accepts_symbol_and_no_adj_close(write_file: WriteFile) -> None:
    table = read_table(
        write_file("Volume,Symbol,Date,Currency,Open,High,Low,Close\n7,NA,2024-01-02,USD,1,2,0.5,1.5\n"), "x"
    )
    assert table.has_tickers
    assert table.columns["ticker"].to_pylist() == ["NA"]
    assert "adj_close" not in table.columns.column_names


def test_read_header_names_known_columns_only() -> None:
    assert read_header("Date,Note,Adj Close,symbol") == ["date", "", "adj_close", "ticker"]
    assert read_header("") == []
    assert read_header("x" * 200_000) == []


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (YAHOO_HEADER, True),
        (f"{YAHOO_HEADER},Note,Note", True),
        (f"{YAHOO_HEADER},volume", False),
        ("Date,Open,High,Low,Close", False),
    ],
)
def test_is_complete_needs_each_required_column_once(header: str, expected: bool) -> None:
    assert is_complete(read_header(header)) is expected


def test_require_columns_refuses_an_incomplete_header() -> None:
    assert require_columns(["volume", "Low", "x", *YAHOO_HEADER.split(",")[:2], "high", "CLOSE"]) == [
        "volume",
        "low",
        "",
        "date",
        "open",
        "high",
        "close",
    ]
    with pytest.raises(
        TableError, match=r"must have the columns date, open, .* received date and 1 unknown column$"
    ) as refused:
        require_columns(["Date", "Price"])
    assert refused.value.outcome is Outcome.REJECTED
