"""Tables on disk: what is read, what is refused, and that nothing changes on the way."""

import csv
import gzip
import itertools
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import BadRequestError
from tasks.sources import Outcome, SourceOutcome
from tasks.sources.files import REQUIRED_COLUMNS, FileSource

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
HEADER = ",".join(REQUIRED_COLUMNS)
BARS = """\
B,2024-01-02,10,11,9,10.5,10.5,100
A,2024-01-03,2,2.5,1.5,2.25,,50
A,2024-01-02,0,2.5,1.5,2,,0
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write_it(text: str | bytes, name: str = "prices.csv") -> str:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return write_it


def test_fetch_sorts_and_reads_zero_open_and_zero_volume_as_missing(write: Any) -> None:
    fetched = FileSource(write(f"{HEADER}\n{BARS}")).fetch(["B", "A", "B"], None, NOW)
    expected = pd.DataFrame(
        {
            "symbol": ["A", "A", "B"],
            "session": pd.to_datetime(["2024-01-02", "2024-01-03", "2024-01-02"]).astype("datetime64[ns]"),
            "open": [np.nan, 2.0, 10.0],
            "high": [2.5, 2.5, 11.0],
            "low": [1.5, 1.5, 9.0],
            "close": [2.0, 2.25, 10.5],
            "volume": [np.nan, 50.0, 100.0],
        }
    )
    pd.testing.assert_frame_equal(fetched.bars, expected)
    assert fetched.outcomes == (SourceOutcome("B", Outcome.OK), SourceOutcome("A", Outcome.OK))
    assert fetched.instruments.to_numpy().tolist() == [
        ["A", "XNYS", "USD", pd.Timestamp("2024-01-02"), pd.Timestamp("2024-01-03")],
        ["B", "XNYS", "USD", pd.Timestamp("2024-01-02"), pd.Timestamp("2024-01-02")],
    ]


def test_the_file_is_told_by_its_content_not_by_its_name(write: Any) -> None:
    plain = FileSource(write(f"{HEADER}\n{BARS}", "a.csv.gz")).fetch(["A", "B"], None, NOW)
    packed = FileSource(write(gzip.compress(f"{HEADER}\n{BARS}".encode()), "b.txt")).fetch(["A", "B"], None, NOW)
    pd.testing.assert_frame_equal(plain.bars, packed.bars)


def test_columns_may_come_in_any_order_with_others_between_and_a_byte_order_mark(write: Any) -> None:
    text = "\ufeffvolume,note,adj_close,close,low,high,open,date,ticker\n7,hello,5,5,4,6,5,2024-01-02,A\n"
    bars = FileSource(write(text)).fetch(["A"], None, NOW).bars
    assert bars[["open", "high", "low", "close", "volume"]].to_numpy().tolist() == [[5.0, 6.0, 4.0, 5.0, 7.0]]


@pytest.mark.parametrize("ticker", ["NA", "NaN", "null", "None", "TRUE", "nan", "1"])
def test_tickers_that_look_like_something_else_are_text(write: Any, ticker: str) -> None:
    source = FileSource(write(f"{HEADER}\n{ticker},2024-01-02,1,1,1,1,1,1\n"))
    assert source.instruments()["symbol"].tolist() == [ticker]
    assert source.fetch([ticker], None, NOW).bars["symbol"].tolist() == [ticker]


def test_a_repeated_day_counts_with_its_last_row_and_is_told(write: Any) -> None:
    text = f"{HEADER}\nA,2024-01-02,1,1,1,1,1,1\nA,2024-01-03,2,2,2,2,2,2\nA,2024-01-02,3,3,3,3,3,3\n"
    fetched = FileSource(write(text)).fetch(["A"], None, NOW)
    assert fetched.bars["close"].tolist() == [3.0, 2.0]
    assert fetched.outcomes == (SourceOutcome("A", Outcome.OK, "1 repeated dates, the last row of each kept"),)


def test_rows_without_any_price_are_no_bars(write: Any) -> None:
    text = f"{HEADER}\nA,2024-01-01,,,,,,\nA,2024-01-02,,,,1,1,\nB,2024-01-02,,,,,,5\n"
    source = FileSource(write(text))
    fetched = source.fetch(["A", "B"], None, NOW)
    assert fetched.bars["session"].tolist() == [pd.Timestamp("2024-01-02")]
    assert [each.outcome for each in fetched.outcomes] == [Outcome.OK, Outcome.MISSING]
    assert source.instruments()["symbol"].tolist() == ["A"]


def test_bars_of_sessions_not_closed_are_left_out_and_counted(write: Any) -> None:
    source = FileSource(write(f"{HEADER}\nA,2024-01-02,1,1,1,1,1,1\nA,2024-01-03,2,2,2,2,2,2\n"))
    during = source.fetch(["A"], None, datetime(2024, 1, 3, 20, 59, tzinfo=UTC))
    assert during.bars["close"].tolist() == [1.0]
    assert during.outcomes[0].reason == "1 bars after 2024-01-02, the last closed session, left out"
    after = source.fetch(["A"], None, datetime(2024, 1, 3, 21, 0, tzinfo=UTC))
    assert after.bars["close"].tolist() == [1.0, 2.0]
    assert after.outcomes[0].reason == ""


def test_symbols_without_bars_are_missing_with_a_reason(write: Any) -> None:
    path = write(f"{HEADER}\n{BARS}")
    fetched = FileSource(path).fetch(["Z", "A"], date(2025, 1, 1), NOW)
    assert fetched.bars.empty
    assert fetched.outcomes == (
        SourceOutcome("Z", Outcome.MISSING, f"no prices in {path}"),
        SourceOutcome("A", Outcome.MISSING, "no prices from 2025-01-01 to 2026-11-23"),
    )


def test_dividends_come_from_the_steps_of_the_adjusted_close(write: Any) -> None:
    """A dividend of 2 on a close of 100 scales the days before by 0.98; `first` does not hide where the step began."""
    text = f"{HEADER}\nA,2024-01-02,100,100,100,100,98,1\nA,2024-01-03,99,99,99,99,99,1\n"
    source = FileSource(write(text))
    expected = ["A", pd.Timestamp("2024-01-03"), "dividend", pytest.approx(2.0)]
    assert source.fetch(["A"], None, NOW).actions.to_numpy().tolist() == [expected]
    assert source.fetch(["A"], date(2024, 1, 3), NOW).actions.to_numpy().tolist() == [expected]
    assert source.fetch(["A"], date(2024, 1, 4), NOW).actions.empty


def test_given_actions_are_used_and_splits_undone(write: Any) -> None:
    """A 4:1 split: 25.0 was traded as 100, 400 shares as 100, a dividend of 0.25 as 1; later days stay as they are."""
    text = (
        f"{HEADER},dividends,stock_splits\n"
        "A,2024-01-02,25,25,25,25,1,400,0.25,\n"
        "A,2024-01-03,26,26,26,26,1,80,0,4\n"
        "A,2024-01-04,27,27,27,27,1,90,0.5,0\n"
    )
    source = FileSource(write(text))
    fetched = source.fetch(["A"], None, NOW)
    assert fetched.bars["close"].tolist() == pytest.approx([100.0, 26.0, 27.0])
    assert fetched.bars["volume"].tolist() == pytest.approx([100.0, 80.0, 90.0])
    assert fetched.actions.to_numpy().tolist() == [
        ["A", pd.Timestamp("2024-01-02"), "dividend", pytest.approx(1.0)],
        ["A", pd.Timestamp("2024-01-03"), "split", 4.0],
        ["A", pd.Timestamp("2024-01-04"), "dividend", 0.5],
    ]
    # At the end of the first day the split is not yet known of, but the table's prices already are adjusted for it.
    early = source.fetch(["A"], None, datetime(2024, 1, 3, 1, tzinfo=UTC))
    assert early.bars["close"].tolist() == pytest.approx([100.0])
    assert early.actions["kind"].tolist() == ["dividend"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        (f"{HEADER}\n", "holds no rows"),
        ("Date,Open\n2024-01-02,1\n", "must have the columns ticker, date, .* found Date, Open"),
        (f"{HEADER},close\nA,2024-01-02,1,1,1,1,1,1,2\n", "each once"),
        (f"{HEADER}\nA,02/01/2024,1,1,1,1,1,1\n", "Row #2.*'02/01/2024'.*YYYY-MM-DD"),
        (f"{HEADER}\nA,2024-01-02,1,1,1,1,1,1\nA,2024-01-03,1,1,1,abc,1,1\n", "Row #3.*'abc'"),
        (f'{HEADER}\nA,2024-01-02,1,1,1,1,1,1\n{{\n  "error": "x"\n}}\n', r"Row #3: Expected 8 columns, got 1: \{"),
        (f"{HEADER}\n,2024-01-02,1,1,1,1,1,1\n", "1 rows without a `ticker`"),
        (f"{HEADER}\nA,,1,1,1,1,1,1\n", "1 rows without a `date`"),
        (f"{HEADER}\nA,2024-01-02,1,1,1,inf,1,1\n", "an infinite number for A on 2024-01-02"),
        (f"{HEADER}\nA,0001-01-01,1,1,1,1,1,1\n", "dates from 0001-01-01 to 0001-01-01; expected the years 1700 to"),
        ("<html><body>Bad gateway</body></html>\n", "must have the columns"),
        (b"\xff\xfe\x00\x01 no text", "cannot be read"),
        (gzip.compress(f"{HEADER}\n{BARS}".encode())[:-12], "cannot be read"),
        (b"PAR1 but no more", "cannot be read"),
    ],
)
def test_a_faulty_file_is_refused_in_one_sentence(write: Any, text: str | bytes, sentence: str) -> None:
    path = write(text)
    with pytest.raises(BadRequestError, match=sentence) as refused:
        FileSource(path).instruments()
    message = str(refused.value)
    assert message.startswith(f"The price file {path} ")
    assert "\n" not in message
    assert len(message) < 600


def test_a_file_that_is_not_there_is_refused_by_the_path_as_given() -> None:
    with pytest.raises(BadRequestError, match=r"^The price file no/such\.csv cannot be read: No such file"):
        FileSource("no/such.csv").fetch(["A"], None, NOW)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match=r"cannot be read: .*Is a directory"):
        FileSource(str(tmp_path)).instruments()


def test_the_file_is_read_once_until_it_changes(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(f"{HEADER}\nA,2024-01-02,1,1,1,1,1,1\n")
    reads = []
    read_csv = pa.csv.read_csv
    monkeypatch.setattr(pa.csv, "read_csv", lambda *given, **named: reads.append(1) or read_csv(*given, **named))
    for _ in range(3):
        assert FileSource(path).fetch(["A"], None, NOW).bars["close"].tolist() == [1.0]
    assert len(reads) == 1
    write(f"{HEADER}\nA,2024-01-02,2,2,2,2,2,2\n")
    os.utime(path, ns=(1, 1))
    assert FileSource(path).fetch(["A"], None, NOW).bars["close"].tolist() == [2.0]
    assert len(reads) == 2


def test_what_a_caller_does_to_its_bars_stays_with_the_caller(write: Any) -> None:
    source = FileSource(write(f"{HEADER}\n{BARS}"))
    bars = source.fetch(["A"], None, NOW).bars
    bars.loc[:, "close"] = -1.0
    assert source.fetch(["A"], None, NOW).bars["close"].tolist() == [2.0, 2.25]


@pytest.mark.parametrize(
    ("dates", "sentence"),
    [
        (pa.array([datetime(2024, 1, 2, 9, 30)]), "`date` of type timestamp.*a time of day"),  # noqa: DTZ001
        (pa.array(["soon"]), "`date` of type string"),
    ],
)
def test_parquet_with_other_dates_is_refused(tmp_path: Path, dates: pa.Array, sentence: str) -> None:
    numbers = {name: pa.array([1.0]) for name in REQUIRED_COLUMNS[2:]}
    path = tmp_path / "prices.parquet"
    pa.parquet.write_table(pa.table({"ticker": ["A"], "date": dates, **numbers}), path)
    with pytest.raises(BadRequestError, match=sentence):
        FileSource(str(path)).instruments()


def test_parquet_may_hold_midnights_and_whole_numbers(tmp_path: Path) -> None:
    numbers = {name: pa.array([3, None]) for name in REQUIRED_COLUMNS[2:]}
    days = pa.array([datetime(2024, 1, 2), datetime(2024, 1, 3)])  # noqa: DTZ001 - sessions carry no zone
    path = tmp_path / "prices.parquet"
    tickers = pa.array(["A", "A"]).dictionary_encode()
    pa.parquet.write_table(pa.table({"ticker": tickers, "date": days, **numbers}), path)
    bars = FileSource(str(path)).fetch(["A"], None, NOW).bars
    assert bars["session"].tolist() == [pd.Timestamp("2024-01-02")]
    assert bars["close"].tolist() == [3.0]


price = st.none() | st.floats(min_value=0.0, max_value=1e9, allow_subnormal=False)
ticker = st.sampled_from(["A", "NA", "nan", "BRK-B", "^GSPC", "000001.SS", 'odd "name", Inc']) | st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=8
)
row = st.tuples(
    ticker,
    st.dates(date(1900, 1, 1), date(2026, 11, 23)),
    st.tuples(price, price, price, price),
    st.none() | st.integers(0, 10**11),
)
numbering = itertools.count()


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=25), kind=st.sampled_from(["csv", "csv.gz", "parquet"]))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Any], kind: str) -> None:
    """Any rows in any order, in any of the three forms, come back sorted, the last of each day, else unchanged."""
    path = tmp_path_factory.getbasetemp() / f"written-{next(numbering)}.{kind}"
    table = [[name, day, *prices, None, volume] for name, day, prices, volume in rows]
    if kind == "parquet":
        kinds = [pa.string(), pa.date32(), *[pa.float64()] * 6]
        columns = [pa.array(values, type_) for values, type_ in zip(zip(*table, strict=True), kinds, strict=True)]
        pa.parquet.write_table(pa.table(columns, names=REQUIRED_COLUMNS), path)
    else:
        with (gzip.open if kind == "csv.gz" else open)(path, "wt", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([REQUIRED_COLUMNS, *table])
    last = {(name, day): (prices, volume) for name, day, prices, volume in rows}
    expected = [
        [name, pd.Timestamp(day), prices[0] or None, *prices[1:], volume or None]
        for (name, day), (prices, volume) in sorted(last.items())
        if any(each is not None for each in (prices[0] or None, *prices[1:]))
    ]

    source = FileSource(str(path))
    bars = source.fetch(sorted({name for name, *_ in rows}, reverse=True), None, NOW).bars

    values = bars.astype(object).where(bars.notna(), None).to_numpy().tolist()
    assert values == expected
    path.unlink()


def test_the_recorded_table_is_read_whole(shared_data: Path) -> None:
    """128 tickers and 1,422,201 rows, as its description says; ExxonMobil paid 0.82 a share three times in 2018."""
    source = FileSource(str(shared_data / "daily.csv.gz"))
    table = source.instruments()
    assert source.default_universe == "daily"
    assert len(table) == 128
    assert table["first_session"].min() == pd.Timestamp("1962-01-02")
    assert table["last_session"].max() == pd.Timestamp("2018-12-18")
    everything = source.fetch(table["symbol"].tolist(), None, NOW)
    assert len(everything.bars) == 1_422_201
    assert everything.bars["open"].isna().mean() == pytest.approx(0.15, abs=0.005)
    assert everything.bars["volume"].isna().mean() == pytest.approx(0.0037, abs=0.0001)
    exxon = everything.actions[
        (everything.actions["symbol"] == "XOM") & (everything.actions["ex_date"] >= "2018-04-01")
    ]
    assert exxon["ex_date"].dt.strftime("%m-%d").tolist() == ["05-11", "08-10", "11-09"]
    assert exxon["value"].tolist() == pytest.approx([0.82] * 3, abs=1e-3)


def test_a_feed_with_error_pages_in_it_is_refused_where_the_first_one_stands(shared_data: Path, write: Any) -> None:
    """The JNJ feed of the recordings, with a ticker in front and an HTML page from line 6139 on."""
    lines = gzip.decompress((shared_data / "messy" / "append_feed" / "JNJ.csv.gz").read_bytes()).decode().splitlines()
    page = next(place for place, line in enumerate(lines) if "<html" in line)
    rows = [f"JNJ,{line}" for line in lines[1:100]] + lines[page : page + 20]
    header = "ticker,date,open,high,low,close,adj_close,volume"
    with pytest.raises(BadRequestError, match=r"Row #101: Expected 8 columns, got 1: <html lang="):
        FileSource(write("\n".join([header, *rows]))).instruments()


@pytest.mark.parametrize("name", ["monthly_panel.csv.gz", "monthly_long.csv.gz", "monthly_gone.csv.gz"])
def test_the_other_recorded_tables_can_be_read(shared_data: Path, name: str) -> None:
    source = FileSource(str(shared_data / name))
    symbols = source.instruments()["symbol"].tolist()
    fetched = source.fetch(symbols, None, NOW)
    assert {each.outcome for each in fetched.outcomes} == {Outcome.OK}
    assert len(fetched.outcomes) == {"monthly_panel": 364, "monthly_long": 24, "monthly_gone": 217}[name.split(".")[0]]
