"""The files source: tables and directories, their bars and actions, and refused files."""

import csv
import gzip
import itertools
import os
from collections.abc import Callable
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

from model.frames import FINDING_TYPES
from tasks.errors import BadRequestError
from tasks.sources.base import INSTRUMENT_TYPES, Outcome, SourceOutcome
from tasks.sources.files.source import FileSource
from tests.support.price_files import TICKER_HEADER as HEADER
from tests.support.price_files import YAHOO_HEADER
from tests.tasks.sources.files.conftest import WriteFile

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
COLUMNS = HEADER.split(",")
BARS = """\
B,2024-01-02,10,11,9,10.5,10.5,100
A,2024-01-03,2,2.5,1.5,2.25,,50
A,2024-01-02,0,2.5,1.5,2,,0
"""
WriteTable = Callable[..., str]


@pytest.fixture
def write_table(write_file: WriteFile) -> WriteTable:
    """Write a file, by default prices.csv, and return its path as a user types it."""
    return lambda content, name="prices.csv": str(write_file(content, name))


def test_fetch_sorts_and_reads_zero_open_and_volume_as_missing(write_table: WriteTable) -> None:
    fetched = FileSource(write_table(f"{HEADER}\n{BARS}")).fetch({"B": None, "A": None}, NOW)
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
    assert fetched.instruments.drop(columns="first_trade").to_numpy().tolist() == [
        ["A", "XNYS", "USD", "daily", pd.Timestamp("2024-01-02"), pd.Timestamp("2024-01-03")],
        ["B", "XNYS", "USD", "daily", pd.Timestamp("2024-01-02"), pd.Timestamp("2024-01-02")],
    ]


def test_format_is_recognised_by_content_not_by_name(write_table: WriteTable) -> None:
    plain = FileSource(write_table(f"{HEADER}\n{BARS}", "a.csv.gz")).fetch({"A": None, "B": None}, NOW)
    packed_path = write_table(gzip.compress(f"{HEADER}\n{BARS}".encode()), "b.txt")
    packed = FileSource(packed_path).fetch({"A": None, "B": None}, NOW)
    pd.testing.assert_frame_equal(plain.bars, packed.bars)


def test_columns_may_have_any_order_and_a_byte_order_mark(write_table: WriteTable) -> None:
    text = "\ufeffvolume,note,adj_close,close,low,high,open,date,ticker\n7,hello,5,5,4,6,5,2024-01-02,A\n"
    bars = FileSource(write_table(text)).fetch({"A": None}, NOW).bars
    assert bars[["open", "high", "low", "close", "volume"]].to_numpy().tolist() == [[5.0, 6.0, 4.0, 5.0, 7.0]]


@pytest.mark.parametrize("ticker", ["NA", "NaN", "null", "None", "TRUE", "nan", "1"])
def test_tickers_that_look_like_other_values_are_text(write_table: WriteTable, ticker: str) -> None:
    source = FileSource(write_table(f"{HEADER}\n{ticker},2024-01-02,1,1,1,1,1,1\n"))
    assert source.instruments()["symbol"].tolist() == [ticker]
    assert source.fetch({ticker: None}, NOW).bars["symbol"].tolist() == [ticker]


def test_repeated_day_counts_with_its_last_row_and_a_reason(write_table: WriteTable) -> None:
    text = f"{HEADER}\nA,2024-01-02,1,1,1,1,1,1\nA,2024-01-03,2,2,2,2,2,2\nA,2024-01-02,3,3,3,3,3,3\n"
    fetched = FileSource(write_table(text)).fetch({"A": None}, NOW)
    assert fetched.bars["close"].tolist() == [3.0, 2.0]
    assert fetched.outcomes == (SourceOutcome("A", Outcome.OK, "1 repeated dates"),)


def test_rows_without_any_price_are_no_bars(write_table: WriteTable) -> None:
    text = f"{HEADER}\nA,2024-01-01,,,,,,\nA,2024-01-02,,,,1,1,\nB,2024-01-02,,,,,,5\n"
    source = FileSource(write_table(text))
    fetched = source.fetch({"A": None, "B": None}, NOW)
    assert fetched.bars["session"].tolist() == [pd.Timestamp("2024-01-02")]
    assert [outcome.outcome for outcome in fetched.outcomes] == [Outcome.OK, Outcome.MISSING]
    assert source.instruments()["symbol"].tolist() == ["A"]


def test_bars_of_open_sessions_are_left_out_and_counted(write_table: WriteTable) -> None:
    source = FileSource(write_table(f"{HEADER}\nA,2024-01-02,1,1,1,1,1,1\nA,2024-01-03,2,2,2,2,2,2\n"))
    during = source.fetch({"A": None}, datetime(2024, 1, 3, 20, 59, tzinfo=UTC))
    assert during.bars["close"].tolist() == [1.0]
    assert during.outcomes[0].reason == "1 bars after 2024-01-02, the last closed session, left out"
    after = source.fetch({"A": None}, datetime(2024, 1, 3, 21, 0, tzinfo=UTC))
    assert after.bars["close"].tolist() == [1.0, 2.0]
    assert after.outcomes[0].reason == ""


def test_symbols_without_bars_are_missing_with_a_reason(write_table: WriteTable) -> None:
    path = write_table(f"{HEADER}\n{BARS}")
    fetched = FileSource(path).fetch(dict.fromkeys(["Z", "A"], date(2025, 1, 1)), NOW)
    assert fetched.bars.empty
    assert fetched.outcomes == (
        SourceOutcome("Z", Outcome.MISSING, f"no prices in {path}"),
        SourceOutcome("A", Outcome.MISSING, "no prices from 2025-01-01 to 2026-11-23"),
    )


def test_dividends_are_the_steps_of_the_adjusted_close(write_table: WriteTable) -> None:
    """A dividend of 2 on a close of 100 scales earlier days by 0.98; `first` does not hide the day before the step."""
    text = f"{HEADER}\nA,2024-01-02,100,100,100,100,98,1\nA,2024-01-03,99,99,99,99,99,1\n"
    source = FileSource(write_table(text))
    expected = ["A", pd.Timestamp("2024-01-03"), "dividend", pytest.approx(2.0)]
    assert source.fetch({"A": None}, NOW).actions.to_numpy().tolist() == [expected]
    assert source.fetch({"A": date(2024, 1, 3)}, NOW).actions.to_numpy().tolist() == [expected]
    assert source.fetch({"A": date(2024, 1, 4)}, NOW).actions.empty


def test_action_columns_are_used_and_splits_undone(write_table: WriteTable) -> None:
    """A 4:1 split: 25.0 was traded as 100, 400 shares as 100, a dividend of 0.25 as 1; later days stay as they are."""
    text = (
        f"{HEADER},dividends,stock_splits\n"
        "A,2024-01-02,25,25,25,25,1,400,0.25,\n"
        "A,2024-01-03,26,26,26,26,1,80,0,4\n"
        "A,2024-01-04,27,27,27,27,1,90,0.5,0\n"
    )
    source = FileSource(write_table(text))
    fetched = source.fetch({"A": None}, NOW)
    assert fetched.bars["close"].tolist() == pytest.approx([100.0, 26.0, 27.0])
    assert fetched.bars["volume"].tolist() == pytest.approx([100.0, 80.0, 90.0])
    assert fetched.actions.to_numpy().tolist() == [
        ["A", pd.Timestamp("2024-01-02"), "dividend", pytest.approx(1.0)],
        ["A", pd.Timestamp("2024-01-03"), "split", 4.0],
        ["A", pd.Timestamp("2024-01-04"), "dividend", 0.5],
    ]
    # The split is later than this moment, but the table's prices are adjusted for it.
    early = source.fetch({"A": None}, datetime(2024, 1, 3, 1, tzinfo=UTC))
    assert early.bars["close"].tolist() == pytest.approx([100.0])
    assert early.actions["kind"].tolist() == ["dividend"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        (f"{HEADER}\n", "holds no rows"),
        ("Date,Open\n2024-01-02,1\n", "must have the columns date, open, .* received date, open"),
        (f"{HEADER},close\nA,2024-01-02,1,1,1,1,1,1,2\n", "each once"),
        (f"{HEADER}\nA,02/01/2024,1,1,1,1,1,1\n", "1 unreadable lines of 1,.* line 2; .*YYYY-MM-DD"),
        (
            f"{HEADER}\nA,2024-01-02,1,1,1,1,1,1\nA,2024-01-03,1,1,1,abc,1,1\n",
            "1 unreadable lines of 2,.* line 3; ",
        ),
        (f'{HEADER}\nA,2024-01-02,1,1,1,1,1,1\n{{\n  "error": "x"\n}}\n', r"3 unreadable lines of 4,.* line 3; "),
        (f"{HEADER}\n,2024-01-02,1,1,1,1,1,1\n", "the first is line 2; "),
        (f"{HEADER}\nA,,1,1,1,1,1,1\n", "the first is line 2; "),
        (f"{HEADER}\nA,2024-01-02,1,1,1,inf,1,1\n", "the first is line 2; "),
        (f"{HEADER}\nA,0001-01-01,1,1,1,1,1,1\n", "line 2; .*in the years 1700 to 2200"),
        ("<html><body>Bad gateway</body></html>\n", "holds no bars, but 1 other line of an unknown format"),
        (b"\xff\xfe\x00\x01 no text", "cannot be read"),
        (gzip.compress(f"{HEADER}\n{BARS}".encode(), mtime=0)[:-12], "cannot be read"),
        (b"PAR1 but no more", "cannot be read"),
    ],
)
def test_unusable_file_is_refused_in_one_sentence(write_table: WriteTable, text: str | bytes, sentence: str) -> None:
    path = write_table(text)
    with pytest.raises(BadRequestError, match=sentence) as refused:
        FileSource(path).instruments()
    message = str(refused.value)
    assert message.startswith(f"The price file {path} ")
    assert "\n" not in message
    assert len(message) < 600


def test_absent_file_is_refused_by_its_path_as_given() -> None:
    with pytest.raises(BadRequestError, match=r"^The price file no/such\.csv cannot be read: No such file"):
        FileSource("no/such.csv").fetch({"A": None}, NOW)


def test_directory_without_price_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing here")
    with pytest.raises(BadRequestError, match=r"holds no file SYMBOL\.csv, SYMBOL\.csv\.gz, SYMBOL\.parquet\.$"):
        FileSource(str(tmp_path)).instruments()


def test_file_is_read_once_until_it_changes(write_table: WriteTable, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_table(f"{HEADER}\nA,2024-01-02,1,1,1,1,1,1\n")
    reads = []
    read_csv = pa.csv.read_csv
    monkeypatch.setattr(pa.csv, "read_csv", lambda *args, **options: reads.append(1) or read_csv(*args, **options))
    for _ in range(3):
        assert FileSource(path).fetch({"A": None}, NOW).bars["close"].tolist() == [1.0]
    assert len(reads) == 1
    write_table(f"{HEADER}\nA,2024-01-02,2,2,2,2,2,2\n")
    os.utime(path, ns=(1, 1))
    assert FileSource(path).fetch({"A": None}, NOW).bars["close"].tolist() == [2.0]
    assert len(reads) == 2


def test_changed_bars_of_a_caller_do_not_change_the_cache(write_table: WriteTable) -> None:
    source = FileSource(write_table(f"{HEADER}\n{BARS}"))
    bars = source.fetch({"A": None}, NOW).bars
    bars.loc[:, "close"] = -1.0
    assert source.fetch({"A": None}, NOW).bars["close"].tolist() == [2.0, 2.25]


@pytest.mark.parametrize(
    ("dates", "sentence"),
    [
        (pa.array([datetime(2024, 1, 2, 9, 30)]), "`date` of type timestamp.*their time of day"),  # noqa: DTZ001
        (pa.array(["soon"]), "`date` of type string"),
    ],
)
def test_parquet_with_invalid_dates_is_refused(tmp_path: Path, dates: pa.Array, sentence: str) -> None:
    numbers = {name: pa.array([1.0]) for name in COLUMNS[2:]}
    path = tmp_path / "prices.parquet"
    pa.parquet.write_table(pa.table({"ticker": ["A"], "date": dates, **numbers}), path)
    with pytest.raises(BadRequestError, match=sentence):
        FileSource(str(path)).instruments()


def test_parquet_may_hold_midnights_and_whole_numbers(tmp_path: Path) -> None:
    numbers = {name: pa.array([3, None]) for name in COLUMNS[2:]}
    days = pa.array([datetime(2024, 1, 2), datetime(2024, 1, 3)])  # noqa: DTZ001 - sessions carry no zone
    path = tmp_path / "prices.parquet"
    tickers = pa.array(["A", "A"]).dictionary_encode()
    pa.parquet.write_table(pa.table({"ticker": tickers, "date": days, **numbers}), path)
    bars = FileSource(str(path)).fetch({"A": None}, NOW).bars
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
def test_written_rows_are_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Any], kind: str) -> None:
    """Rows in any order and format are read sorted, the last of each day, otherwise unchanged.

    Rows without prices, without a close or with a price of 0 (other than the open) are no bars.
    """
    path = tmp_path_factory.getbasetemp() / f"written-{next(numbering)}.{kind}"
    table = [[name, day, *prices, None, volume] for name, day, prices, volume in rows]
    if kind == "parquet":
        kinds = [pa.string(), pa.date32(), *[pa.float64()] * 6]
        columns = [pa.array(values, type_) for values, type_ in zip(zip(*table, strict=True), kinds, strict=True)]
        pa.parquet.write_table(pa.table(columns, names=COLUMNS), path)
    else:
        with (gzip.open if kind == "csv.gz" else open)(path, "wt", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([COLUMNS, *table])
    last = {
        (name, day): ((first or None, *others), volume or None)
        for name, day, (first, *others), volume in rows
        if first or any(each is not None for each in others)
    }
    expected = [
        [name, pd.Timestamp(day), *prices, volume]
        for (name, day), (prices, volume) in sorted(last.items())
        if prices[3] and not any(each == 0 for each in prices)
    ]

    source = FileSource(str(path))
    bars = source.fetch(dict.fromkeys(sorted({name for name, *_ in rows}, reverse=True)), NOW).bars

    values = bars.astype(object).where(bars.notna(), None).to_numpy().tolist()
    assert values == expected
    path.unlink()


def test_recorded_table_is_read_completely(shared_data: Path) -> None:
    """The recording has 128 tickers and 1,422,201 rows; ExxonMobil paid 0.82 a share three times in 2018."""
    source = FileSource(str(shared_data / "daily.csv.gz"))
    table = source.instruments()
    assert source.default_universe == "daily"
    assert len(table) == 128
    assert table["first_session"].min() == pd.Timestamp("1962-01-02")
    assert table["last_session"].max() == pd.Timestamp("2018-12-18")
    everything = source.fetch(dict.fromkeys(table["symbol"]), NOW)
    assert len(everything.bars) == 1_422_201
    assert everything.bars["open"].isna().mean() == pytest.approx(0.15, abs=0.005)
    assert everything.bars["volume"].isna().mean() == pytest.approx(0.0037, abs=0.0001)
    exxon = everything.actions[
        (everything.actions["symbol"] == "XOM") & (everything.actions["ex_date"] >= "2018-04-01")
    ]
    assert exxon["ex_date"].dt.strftime("%m-%d").tolist() == ["05-11", "08-10", "11-09"]
    assert exxon["value"].tolist() == pytest.approx([0.82] * 3, abs=1e-3)


def test_error_pages_in_a_table_are_refused_with_the_first_row(shared_data: Path, write_table: WriteTable) -> None:
    """In a recorded feed with a ticker column, the bars behind an error page cannot be assigned to a symbol."""
    lines = gzip.decompress((shared_data / "messy" / "append_feed" / "JNJ.csv.gz").read_bytes()).decode().splitlines()
    page = next(place for place, line in enumerate(lines) if "<html" in line)
    rows = [f"JNJ,{line}" for line in lines[1:100]] + lines[page : page + 20]
    with pytest.raises(BadRequestError, match=r"20 unreadable lines of 119, .* line 101; "):
        FileSource(write_table("\n".join([HEADER, *rows]))).instruments()


@pytest.mark.parametrize("name", ["monthly_panel.csv.gz", "monthly_long.csv.gz", "monthly_gone.csv.gz"])
def test_recorded_monthly_tables_are_read(shared_data: Path, name: str) -> None:
    source = FileSource(str(shared_data / name))
    symbols = source.instruments()["symbol"].tolist()
    fetched = source.fetch(dict.fromkeys(symbols), NOW)
    assert {outcome.outcome for outcome in fetched.outcomes} == {Outcome.OK}
    assert len(fetched.outcomes) == {"monthly_panel": 364, "monthly_long": 24, "monthly_gone": 217}[name.split(".")[0]]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory of ten symbols, four of them with bars, and of other files."""
    texts = {
        "A.csv": f"{YAHOO_HEADER}\n2024-01-02,1,1,1,1,1,1\n2024-01-03,2,2,2,2,2,2\n",
        "BF.B.csv": "404 Not Found: Timestamp data missing.\n",
        "COLUMNS.csv": "Date,Open,High,Low\n2024-01-02,1,1,1\n",
        "HOLIDAYS.csv": f"{YAHOO_HEADER}\n2024-01-01,,,,,,\n",
        "JUNK.csv": f"{YAHOO_HEADER}\n2024-01-02,1,1,1,1,1,1\n<html>\n</html>\n2024-01-02,2,2,2,2,2,2\n",
        "NA.csv": f"{HEADER}\nNA,2024-01-02,5,5,5,5,5,5\n",
        "OTHER.csv": f"{HEADER}\nA,2024-01-02,5,5,5,5,5,5\nB,2024-01-02,5,5,5,5,5,5\n",
        "TWICE.csv": f"{YAHOO_HEADER}\n2024-01-02,1,1,1,1,1,1\n",
        "README.md": "no prices",
    }
    root = tmp_path / "feed"
    root.mkdir()
    for name, text in texts.items():
        (root / name).write_text(text)
    (root / "TWICE.csv.gz").write_bytes(gzip.compress(texts["TWICE.csv"].encode()))
    (root / "TORN.csv.gz").write_bytes(gzip.compress(texts["A.csv"].encode())[:-9])
    days = pd.DatetimeIndex(["2024-01-02"], name="Date").tz_localize("America/New_York")
    prices = pd.DataFrame(dict.fromkeys(["Open", "High", "Low", "Close", "Volume"], 7.0), index=days)
    prices.to_parquet(root / "PARQUET.parquet")
    return root


def test_directory_has_one_outcome_for_each_file(directory: Path) -> None:
    source = FileSource(f"{directory}/")
    assert source.default_universe == "feed"
    symbols = ["A", "BF.B", "COLUMNS", "HOLIDAYS", "JUNK", "NA", "OTHER", "PARQUET", "TORN", "TWICE", "ZZZ"]
    fetched = source.fetch(dict.fromkeys(symbols), NOW)
    assert fetched.bars[["symbol", "close"]].to_numpy().tolist() == [
        ["A", 1.0],
        ["A", 2.0],
        ["JUNK", 2.0],
        ["NA", 5.0],
        ["PARQUET", 7.0],
    ]
    columns = "the file must have the columns date, open, high, low, close, volume, and may have ticker, adj_close, "
    assert [outcome for outcome in fetched.outcomes if outcome.symbol != "TORN"] == [
        SourceOutcome("A", Outcome.OK),
        SourceOutcome(
            "BF.B", Outcome.MISSING, "the file holds no bars, but 1 other line, a message that there are no data"
        ),
        SourceOutcome(
            "COLUMNS",
            Outcome.REJECTED,
            f"{columns}dividends, stock_splits, each once; received date, open, high, low",
        ),
        SourceOutcome("HOLIDAYS", Outcome.MISSING, f"no prices in {directory}/; 1 rows without prices"),
        SourceOutcome("JUNK", Outcome.OK, "2 unreadable lines, 1 repeated dates"),
        SourceOutcome("NA", Outcome.OK),
        SourceOutcome(
            "OTHER",
            Outcome.REJECTED,
            "the file must have the ticker OTHER alone; received 2 tickers, none of them OTHER",
        ),
        SourceOutcome("PARQUET", Outcome.OK),
        SourceOutcome(
            "TWICE", Outcome.REJECTED, "a symbol must have one file, and this one has TWICE.csv, TWICE.csv.gz"
        ),
        SourceOutcome("ZZZ", Outcome.MISSING, f"no file of this symbol in {directory}/"),
    ]
    torn = fetched.outcomes[symbols.index("TORN")]
    assert torn.outcome == Outcome.SOURCE_ERROR
    assert torn.reason.startswith("the file cannot be read: ")
    assert fetched.findings[["symbol", "rule", "value", "treatment"]].to_numpy().tolist() == [
        ["HOLIDAYS", "empty_bar", pytest.approx(np.nan, nan_ok=True), "excluded"],
        ["JUNK", "duplicate_session", 1.0, "repaired"],
        ["JUNK", "unreadable_line", 2.0, "excluded"],
    ]
    assert fetched.findings.dtypes.astype(str).to_dict() == FINDING_TYPES


def test_directory_lists_unusable_files_without_sessions(directory: Path) -> None:
    """An unlisted symbol would not be requested, and would have no outcome."""
    table = FileSource(str(directory)).instruments()
    assert table["symbol"].tolist() == [
        "A",
        "BF.B",
        "COLUMNS",
        "HOLIDAYS",
        "JUNK",
        "NA",
        "OTHER",
        "PARQUET",
        "TORN",
        "TWICE",
    ]
    assert table.loc[table["first_session"].notna(), "symbol"].tolist() == ["A", "JUNK", "NA", "PARQUET"]
    assert set(table["exchange_mic"]) == {"XNYS"}
    assert table.dtypes.astype(str).to_dict() == INSTRUMENT_TYPES


def test_symbol_cannot_name_a_file_outside_the_directory(directory: Path) -> None:
    (directory.parent / "SECRET.csv").write_text((directory / "A.csv").read_text())
    fetched = FileSource(str(directory)).fetch({"../SECRET": None}, NOW)
    assert fetched.outcomes[0].outcome == Outcome.MISSING


def test_directory_of_error_messages_is_a_response_without_bars(tmp_path: Path) -> None:
    (tmp_path / "A.csv").write_text("404 Not Found\n")
    source = FileSource(str(tmp_path))
    assert source.instruments().shape == (1, 7)
    fetched = source.fetch({"A": None}, NOW)
    assert fetched.bars.empty
    assert fetched.has_response


def test_table_without_tickers_belongs_to_the_symbol_of_its_name(write_table: WriteTable) -> None:
    text = f"{YAHOO_HEADER}\n2024-01-02,1,1,1,1,1,1\n"
    source = FileSource(write_table(text, "GSPC_daily.csv"))
    assert source.instruments()["symbol"].tolist() == ["GSPC_daily"]
    assert source.fetch({"GSPC_daily": None}, NOW).bars["close"].tolist() == [1.0]
    packed = FileSource(write_table(gzip.compress(text.encode()), "BRK.B.csv.gz"))
    assert packed.instruments()["symbol"].tolist() == ["BRK.B"]


def test_table_without_adjusted_closes_has_no_dividends(write_table: WriteTable) -> None:
    text = "Date,Open,High,Low,Close,Volume\n2024-01-02,1,1,1,100,1\n2024-01-03,1,1,1,98,1\n"
    fetched = FileSource(write_table(text, "A.csv")).fetch({"A": None}, NOW)
    assert fetched.bars["close"].tolist() == [100.0, 98.0]
    assert fetched.actions.empty


def test_fetch_starts_each_symbol_at_its_first_session(write_table: WriteTable) -> None:
    days = pd.date_range("2024-01-02", "2024-01-05")
    rows = [f"{name},{day:%Y-%m-%d},1,1,1,1,1,1" for name in "ABC" for day in days]
    source = FileSource(write_table("\n".join([HEADER, *rows])))
    bars = source.fetch({"C": date(2024, 1, 5), "A": None, "B": date(2024, 1, 3)}, NOW).bars
    assert bars.groupby("symbol").size().to_dict() == {"A": 4, "B": 3, "C": 1}


def test_findings_are_those_of_requested_or_unknown_sessions(write_table: WriteTable) -> None:
    rows = ["{", "2024-01-02,,,,,,", "2024-01-03,,,,,,", "}", "2024-01-04,,,,,,", "2024-01-05,1,1,1,1,1,1"]
    path = write_table("\n".join([YAHOO_HEADER, *rows]), "A.csv")
    fetched = FileSource(path).fetch({"A": date(2024, 1, 3)}, datetime(2024, 1, 3, 22, tzinfo=UTC))
    rules = [
        [str(session)[:10], rule]
        for session, rule in zip(fetched.findings["session"], fetched.findings["rule"], strict=True)
    ]
    assert rules == [["2024-01-03", "empty_bar"], ["2024-01-03", "unreadable_line"], ["NaT", "unreadable_line"]]
    assert fetched.outcomes[0].reason.startswith(
        "no prices from 2024-01-03 to 2024-01-03; 2 unreadable lines, 1 rows without prices; 1 bars after 2024-01-03"
    )


def test_unreadable_lines_of_several_symbols_have_no_symbol(write_table: WriteTable) -> None:
    rows = [f"{name},{day:%Y-%m-%d},1,1,1,1,1,1" for name in "AB" for day in pd.date_range("2022-01-03", periods=100)]
    source = FileSource(write_table("\n".join([HEADER, *rows[:150], "502 Bad Gateway", *rows[150:]])))
    fetched = source.fetch({"A": None}, NOW)
    assert fetched.outcomes == (SourceOutcome("A", Outcome.OK),)
    assert fetched.findings.to_numpy().tolist() == [
        ["", pd.Timestamp("2022-02-21"), "unreadable_line", 1.0, "excluded", "the first is line 152"]
    ]
    assert len(source.fetch({"B": None}, NOW).bars) == 100


@pytest.mark.parametrize(
    ("now", "last"),
    [
        (datetime(2024, 5, 31, 19, 59, tzinfo=UTC), "2024-04-01"),
        (datetime(2024, 5, 31, 20, 0, tzinfo=UTC), "2024-05-01"),
        (datetime(2024, 6, 1, 12, 0, tzinfo=UTC), "2024-05-01"),
        (datetime(2024, 6, 3, 21, 0, tzinfo=UTC), "2024-05-01"),
        (datetime(2024, 3, 28, 21, 0, tzinfo=UTC), "2024-03-01"),  # the 29th was Good Friday
    ],
)
def test_monthly_bar_counts_once_its_month_is_over(write_table: WriteTable, now: datetime, last: str) -> None:
    """The last session of May 2024 was Friday the 31st, closed at 20:00 UTC."""
    months = pd.date_range("2022-01-01", "2024-06-01", freq="MS")
    rows = [f"{month:%Y-%m-%d},1,1,1,1,{0.9 if month.year < 2024 else 1},1" for month in months]
    path = write_table("\n".join([YAHOO_HEADER, *rows]), "A.csv")
    fetched = FileSource(path).fetch({"A": None}, now)
    assert fetched.instruments[["bar_interval", "last_session"]].to_numpy().tolist() == [
        ["monthly", pd.Timestamp(last)]
    ]
    assert fetched.bars["session"].max() == pd.Timestamp(last)
    left_out = int((months > last).sum())
    expected = f"{left_out} bars after {last[:7]}, the last closed month, left out"
    assert fetched.outcomes == (SourceOutcome("A", Outcome.OK, expected),)
    assert fetched.actions["ex_date"].tolist() == [pd.Timestamp("2024-01-01")]


@pytest.mark.parametrize("name", ["monthly_panel.csv.gz", "monthly_long.csv.gz", "monthly_gone.csv.gz"])
def test_recorded_monthly_tables_have_only_monthly_symbols(shared_data: Path, name: str) -> None:
    assert set(FileSource(str(shared_data / name)).instruments()["bar_interval"]) == {"monthly"}


def test_recorded_feeds_are_read_as_one_directory(shared_data: Path) -> None:
    """Ten feeds have bars, and three only error messages."""
    source = FileSource(str(shared_data / "messy" / "append_feed"))
    table = source.instruments()
    assert (source.default_universe, len(table)) == ("append_feed", 13)
    fetched = source.fetch(dict.fromkeys(table["symbol"]), NOW)
    reasons = {outcome.symbol: outcome.reason for outcome in fetched.outcomes if outcome.outcome != Outcome.OK}
    assert set(reasons) == {"BF.B", "BRK.B", "XLNX"}
    assert reasons["BRK.B"] == "the file holds no bars, but 1 other line, a message that there are no data"
    assert reasons["XLNX"].endswith("other lines of an unknown format")
    assert next(outcome.reason for outcome in fetched.outcomes if outcome.symbol == "CCL") == (
        "137 unreadable lines, 45 repeated dates, 1 rows without prices"
    )
    assert not fetched.findings.duplicated(["symbol", "session", "rule"]).any()
    assert set(fetched.findings["rule"]) == {"unreadable_line", "duplicate_session", "empty_bar"}
    last = fetched.instruments.set_index("symbol")["last_session"]
    assert last[["TWTR", "FRC", "ATVI"]].dt.strftime("%Y-%m-%d").tolist() == ["2022-10-27", "2023-06-30", "2023-10-20"]


def test_recorded_unadjusted_files_have_dividends_in_their_steps(shared_data: Path) -> None:
    """Five symbols of 1,762 sessions from 2010 to 2016, with volume before the adjusted close."""
    source = FileSource(str(shared_data / "messy" / "unadjusted"))
    fetched = source.fetch(dict.fromkeys(source.instruments()["symbol"]), NOW)
    assert fetched.bars.groupby("symbol").size().to_dict() == dict.fromkeys(["AAPL", "NFLX", "NKE", "SBUX", "V"], 1762)
    assert fetched.findings.empty
    assert not (fetched.actions["kind"] == "split").any()


def test_recorded_file_of_yfinance_has_its_dividends(shared_data: Path) -> None:
    """CALM had no split in these years: bars and dividends equal those of the file."""
    path = shared_data / "messy" / "yfinance_repair" / "CALM-1d-no-bad-divs.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    fetched = FileSource(str(path)).fetch({"CALM-1d-no-bad-divs": None}, NOW)
    assert fetched.bars["close"].tolist() == [float(row["Close"]) for row in rows]
    assert fetched.actions["value"].tolist() == [float(row["Dividends"]) for row in rows if float(row["Dividends"])]
