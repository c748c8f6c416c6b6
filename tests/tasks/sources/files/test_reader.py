"""Files of each format: what is read, and how an unusable file is refused."""

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.sources.base import Outcome
from tasks.sources.files import reader
from tasks.sources.files.prices import read_prices
from tasks.sources.files.reader import read_table
from tasks.sources.files.table import TableError
from tests.support.price_files import (
    NUMBER_COLUMNS,
    TICKER_HEADER,
    YAHOO_HEADER,
    bars_of,
    csv_lines,
    new_path,
    row,
)
from tests.tasks.sources.files.conftest import WriteFile


def test_parquet_timestamps_count_by_their_local_date(tmp_path: Path) -> None:
    """Midnight in New York is 05:00 UTC, midnight in Tokyo 15:00 UTC of the day before."""
    for zone in ("America/New_York", "Asia/Tokyo"):
        days = pd.DatetimeIndex(["2024-01-02", "2024-01-03"], name="Date").tz_localize(zone)
        frame = pd.DataFrame(dict.fromkeys(["Open", "High", "Low", "Close", "Adj Close", "Volume"], 3.0), index=days)
        frame.to_parquet(tmp_path / "SYM.parquet")
        assert bars_of(read_prices(tmp_path / "SYM.parquet", "SYM"))["session"].dt.day.tolist() == [2, 3]


def test_tidy_csv_is_not_read_line_by_line(write_file: WriteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "read_line_by_line", lambda *_: pytest.fail("read line by line"))
    assert read_table(write_file(f"{YAHOO_HEADER}\n2024-01-02,1,1,1,null,NaN,\n"), "SYM").columns.num_rows == 1


@pytest.mark.parametrize(
    ("text", "outcome", "sentence"),
    [
        ("", Outcome.MISSING, "^is empty$"),
        (f"{YAHOO_HEADER}\n", Outcome.MISSING, "^holds no rows$"),
        (f"\n{YAHOO_HEADER}\n\n", Outcome.MISSING, "^holds no rows$"),
        ("\n\n", Outcome.MISSING, "^holds no rows$"),
        (
            "404 Not Found: No data found\n",
            Outcome.MISSING,
            "^holds no bars, but 1 other line, a message that there are no data$",
        ),
        ('{\n  "error": {\n "code": 404}}\n', Outcome.MISSING, "^holds no bars, but 3 other lines, a message"),
        (f"{YAHOO_HEADER}\noops\n", Outcome.SOURCE_ERROR, "^holds no bars, but 1 other line of an unknown format$"),
        (f"{YAHOO_HEADER}\n" + "404;1;1;1;1;1;1\n" * 21, Outcome.SOURCE_ERROR, "21 other lines of an unknown format$"),
        (
            "Date,Open,High,Low,Price\n2024-01-02,1,1,1,1\n",
            Outcome.REJECTED,
            "^must have the columns .* received date, open, high, low and 1 unknown column$",
        ),
        (f"{YAHOO_HEADER},volume\n2024-01-02,1,1,1,1,1,1,1\n", Outcome.REJECTED, "each once"),
        (f"{TICKER_HEADER},Symbol\n", Outcome.REJECTED, "each once"),
        (b"\xff\xfeD\x00", Outcome.SOURCE_ERROR, "^cannot be read: it is damaged, or no UTF-8 text"),
        (gzip.compress(YAHOO_HEADER.encode(), mtime=0)[:-9], Outcome.SOURCE_ERROR, "^cannot be read: "),
        (b"PAR1 but no more", Outcome.SOURCE_ERROR, "^cannot be read: "),
    ],
)
def test_unusable_file_has_an_outcome_and_a_reason(
    write_file: WriteFile, text: str | bytes, outcome: Outcome, sentence: str
) -> None:
    with pytest.raises(TableError, match=sentence) as refused:
        read_prices(write_file(text), "SYM")
    assert refused.value.outcome == outcome


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=25), kind=st.sampled_from(["csv", "csv.gz", "parquet"]))
def test_read_table_returns_the_rows_as_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], kind: str
) -> None:
    """Rows keep their order and every digit."""
    path = new_path(tmp_path_factory, kind)
    values = [[day, *prices, volume] for day, prices, volume in rows]
    if kind == "parquet":
        types = [pa.date32(), *[pa.float64()] * 6]
        arrays = [pa.array(column, type_) for column, type_ in zip(zip(*values, strict=True), types, strict=True)]
        pa.parquet.write_table(pa.table(arrays, names=YAHOO_HEADER.split(",")), path)
    else:
        content = "\n".join([YAHOO_HEADER, *csv_lines(rows)]).encode()
        path.write_bytes(gzip.compress(content) if kind == "csv.gz" else content)
    columns = read_table(path, "SYM").columns.to_pydict()
    assert set(columns.pop("ticker")) == {"SYM"}
    assert [list(row) for row in zip(*(columns[name] for name in ["date", *NUMBER_COLUMNS]), strict=True)] == values
    path.unlink()
