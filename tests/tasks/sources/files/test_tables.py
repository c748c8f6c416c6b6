"""Single files: whatever stands between the bars, the bars come out of it and the rest is counted."""

import csv
import gzip
import io
import itertools
from collections import Counter
from datetime import date
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
from tasks.sources import Outcome
from tasks.sources.files import tables
from tasks.sources.files.rows import FINDING_RULES, Prices, read_prices
from tasks.sources.files.tables import TableError, _line_pattern, read_table

YAHOO = "Date,Open,High,Low,Close,Adj Close,Volume"
TICKERS = "ticker,date,open,high,low,close,adj_close,volume"
NUMBERS = ["open", "high", "low", "close", "adj_close", "volume"]
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
    YAHOO,
]
numbering = itertools.count()


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write_it(text: str | bytes, name: str = "SYM.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write_it


def findings_of(prices: Prices, symbol: str = "SYM") -> list[tuple[Any, ...]]:
    """Rule, day, value and treatment of the symbol's findings, sorted."""
    own = prices.findings.get(symbol, pd.DataFrame(columns=list(FINDING_TYPES)))
    return sorted(
        (rule, "" if pd.isna(session) else f"{session:%Y-%m-%d}", value, treatment)
        for session, rule, value, treatment in own[["session", "rule", "value", "treatment"]].itertuples(index=False)
    )


def bars_of(prices: Prices) -> pd.DataFrame:
    return prices.rows[prices.rows["is_bar"]].reset_index(drop=True)


@pytest.mark.parametrize(
    "header",
    [
        YAHOO,
        "\ufeff" + YAHOO,
        "date,open,high,low,close,adj_close,volume",
        " DATE ,OPEN,High,low,cLose,AdjClose,VOLUME",
        "Datetime,Open,High,Low,Close,adj  close,Volume",
    ],
)
def test_the_spelling_of_the_header_does_not_matter(write: Any, header: str) -> None:
    table = read_table(write(f"{header}\r\n2024-01-02,1,2,0.5,1.5,1.25,7\r\n"), "SYM")
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


def test_symbol_is_another_word_for_ticker_and_adj_close_may_be_absent(write: Any) -> None:
    table = read_table(write("Volume,Symbol,Date,Currency,Open,High,Low,Close\n7,NA,2024-01-02,USD,1,2,0.5,1.5\n"), "x")
    assert table.has_tickers
    assert table.columns["ticker"].to_pylist() == ["NA"]
    assert "adj_close" not in table.columns.column_names


@pytest.mark.parametrize("word", ["", "null", "NULL", "NaN", "nan", '""', '"null"', " ", " null"])
@pytest.mark.parametrize("error", ["", "{\n"])
def test_numbers_may_be_missing_in_several_words(write: Any, word: str, error: str) -> None:
    rows = f"{TICKERS}\nnull,2024-01-02,{word},2,1,1.5,{word},{word}\nNaN,2024-01-02,1,2,1,1.5,1,1\n{error}"
    rows += "".join(f"NA,{day:%Y-%m-%d},1,2,1,1.5,1,1\n" for day in pd.date_range("2024-01-01", periods=200))
    prices = read_prices(write(rows), "x")
    assert list(prices.bounds) == ["NA", "NaN", "null"]
    found = prices.records_of("null").iloc[0]
    assert found[["open", "adj_close", "volume"]].isna().all()
    assert found[["high", "low", "close"]].tolist() == [2.0, 1.0, 1.5]


def test_of_a_moment_the_date_part_counts(write: Any) -> None:
    rows = ["2022-06-06 00:00:00-04:00,1,1,1,1,1,1", "2022-06-07T00:00:00Z,2,2,2,2,2,2", "2022-06-08,3,3,3,3,3,3"]
    prices = read_prices(write("\n".join([YAHOO, *rows])), "SYM")
    assert bars_of(prices)["session"].dt.strftime("%m-%d").tolist() == ["06-06", "06-07", "06-08"]
    assert prices.findings == {}


def test_parquet_moments_count_by_their_date_in_their_own_zone(tmp_path: Path) -> None:
    """Midnight in New York is five o'clock in the morning UTC, midnight in Tokyo three in the afternoon of before."""
    for zone in ("America/New_York", "Asia/Tokyo"):
        days = pd.DatetimeIndex(["2024-01-02", "2024-01-03"], name="Date").tz_localize(zone)
        frame = pd.DataFrame(dict.fromkeys(["Open", "High", "Low", "Close", "Adj Close", "Volume"], 3.0), index=days)
        frame.to_parquet(tmp_path / "SYM.parquet")
        assert bars_of(read_prices(tmp_path / "SYM.parquet", "SYM"))["session"].dt.day.tolist() == [2, 3]


def test_a_tidy_file_is_never_read_line_by_line(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_read_line_by_line", lambda *given: pytest.fail("read line by line"))
    assert read_table(write(f"{YAHOO}\n2024-01-02,1,1,1,null,NaN,\n"), "SYM").columns.num_rows == 1


def test_a_stray_quote_does_not_swallow_the_next_line(write: Any) -> None:
    """To a CSV reader the two lines are one row, whose ticker has a line break in it."""
    rows = [f"B,{day:%Y-%m-%d},1,1,1,1,1,1" for day in pd.date_range("2024-01-01", periods=200)]
    path = write("\n".join([TICKERS, *rows, '"x', '"A",2024-01-02,1,1,1,1,1,1', ""]))
    prices = read_prices(path, "x")
    assert prices.bounds == {"A": (0, 1), "B": (1, 201)}
    assert findings_of(prices, "") == [("unreadable_line", "2024-07-18", 1.0, "excluded")]


def test_unreadable_lines_are_one_finding_between_two_sessions(write: Any) -> None:
    text = f"{{\n{YAHOO}\n2024-01-02,1,1,1,1,1,1\n<html>\n\n</html>\n2024-01-03,1,1,1,1,1,1\n{'x' * 100}\n{YAHOO}\n"
    prices = read_prices(write(text), "SYM")
    assert findings_of(prices) == [
        ("unreadable_line", "", 1.0, "excluded"),
        ("unreadable_line", "2024-01-02", 2.0, "excluded"),
        ("unreadable_line", "2024-01-03", 2.0, "excluded"),
    ]
    assert prices.findings["SYM"]["reason"].tolist() == ["begins '{'", "begins '<html>'", f"begins '{'x' * 79}…'"]


def test_what_is_quoted_is_text_that_a_database_takes(write: Any) -> None:
    """Bytes of another encoding and NUL are not; Postgres refuses both."""
    prices = read_prices(write(f"{YAHOO}\n2024-01-02,1,1,1,1,1,1\n".encode() + b"caf\xe9\x00 \xff\n"), "SYM")
    reason = prices.findings["SYM"]["reason"].iloc[0]
    assert reason == "begins 'caf? ?'"


def test_a_feed_without_a_header_is_read_in_yahoos_order_and_says_so(write: Any) -> None:
    prices = read_prices(
        write("{\n}\n2024-01-02,1.0,2.0,0.5,1.5,1.25,7\n2024-01-03,null,null,null,null,null,null\n"), "S"
    )
    assert not prices.has_header
    assert bars_of(prices)[NUMBERS].to_numpy().tolist() == [[1.0, 2.0, 0.5, 1.5, 1.25, 7.0]]


def test_without_a_header_columns_that_may_be_exchanged_are_not_guessed_at(write: Any) -> None:
    """Yahoo's older files had the volume before the adjusted close."""
    with pytest.raises(TableError, match=r"^holds no bars: 2014-01-02,1\.0,2\.0,0\.5,1\.5,7,1\.25$"):
        read_prices(write("2014-01-02,1.0,2.0,0.5,1.5,7,1.25\n"), "SYM")


@pytest.mark.parametrize(
    ("text", "outcome", "sentence"),
    [
        ("", Outcome.MISSING, "^is empty$"),
        (f"{YAHOO}\n", Outcome.MISSING, "^holds no rows$"),
        (f"\n{YAHOO}\n\n", Outcome.MISSING, "^holds no rows$"),
        ("\n\n", Outcome.MISSING, "^holds no bars: $"),
        ("404 Not Found: No data found\n", Outcome.MISSING, "^holds no bars: 404 Not Found: No data found$"),
        ('{\n  "error": {\n "code": 404}}\n', Outcome.MISSING, '^holds no bars: { "error": { "code": 404}}$'),
        (f"{YAHOO}\noops\n", Outcome.MISSING, "^holds no bars: oops$"),
        ("Date,Open,High,Low,Price\n2024-01-02,1,1,1,1\n", Outcome.REJECTED, "^must have the columns .* Low, Price$"),
        (f"{YAHOO},volume\n2024-01-02,1,1,1,1,1,1,1\n", Outcome.REJECTED, "each once"),
        (f"{TICKERS},Symbol\n", Outcome.REJECTED, "each once"),
        (b"\xff\xfeD\x00", Outcome.SOURCE_ERROR, "^cannot be read: 'utf-8' codec"),
        (gzip.compress(YAHOO.encode())[:-9], Outcome.SOURCE_ERROR, "^cannot be read: "),
        (b"PAR1 but no more", Outcome.SOURCE_ERROR, "^cannot be read: "),
    ],
)
def test_a_file_of_no_use_says_what_that_makes_of_its_symbol(
    write: Any, text: str | bytes, outcome: Outcome, sentence: str
) -> None:
    with pytest.raises(TableError, match=sentence) as refused:
        read_prices(write(text), "SYM")
    assert refused.value.outcome == outcome


@pytest.mark.parametrize(("errors", "is_refused"), [(1, False), (2, True)])
def test_a_table_of_several_symbols_may_lose_one_line_in_a_hundred(write: Any, errors: int, is_refused: bool) -> None:
    rows = [f"{name},{day:%Y-%m-%d},1,1,1,1,1,1" for name in "AB" for day in pd.date_range("2024-01-01", periods=50)]
    path = write("\n".join([TICKERS, *rows[:70], *["<html>"] * errors, *rows[70:]]))
    if is_refused:
        with pytest.raises(TableError, match=r"^has 2 of 102 lines .* Row #72: '<html>'\. Dates are written YYYY"):
            read_prices(path, "x")
        return
    prices = read_prices(path, "x")
    assert prices.rows["is_bar"].sum() == 100
    assert findings_of(prices, "") == [("unreadable_line", "2024-01-20", 1.0, "excluded")]


def test_rows_that_are_no_bars_are_findings(write: Any) -> None:
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
    prices = read_prices(write("\n".join([YAHOO, *rows])), "SYM")
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


def test_of_a_repeated_session_the_last_row_with_prices_is_kept(write: Any) -> None:
    rows = ["2024-01-02,1,1,1,1,1,1", "2024-01-02,2,2,2,2,2,2", "2024-01-03,5,5,5,5,5,5", "2024-01-02,3,3,3,3,3,3"]
    rows += ["2024-01-02,null,null,null,null,null,null", "2024-01-04,,,,,,"]
    prices = read_prices(write("\n".join([YAHOO, *rows])), "SYM")
    assert bars_of(prices)["close"].tolist() == [3.0, 5.0]
    assert str(findings_of(prices)) == str(
        [("duplicate_session", "2024-01-02", 2.0, "repaired"), ("empty_bar", "2024-01-04", np.nan, "excluded")]
    )
    assert "the last row of 4 is kept" in prices.findings["SYM"]["reason"].tolist()


def test_two_series_under_one_name_are_refused(write: Any, shared_data: Path) -> None:
    """The column that tells the two indices apart is called Index there, which may be anything elsewhere."""
    with pytest.raises(TableError, match=r"^holds several series: .* no column is called ticker or symbol$") as refused:
        read_prices(shared_data / "messy" / "index_daily_null_rows_raw.csv.gz", "x")
    assert refused.value.outcome == Outcome.REJECTED
    content = gzip.decompress((shared_data / "messy" / "index_daily_null_rows_raw.csv.gz").read_bytes()).decode()
    nulls = Counter(line.split(",")[0] for line in content.splitlines() if ",null," in line)
    prices = read_prices(write(content.replace("Index,", "Symbol,", 1).lstrip("ï»¿\ufeff")), "x")
    assert {name: len(own) for name, own in prices.findings.items()} == dict(nulls)
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
def test_bars_on_first_days_alone_for_a_year_are_monthly(write: Any, rows: list[str], is_monthly: bool) -> None:
    prices = read_prices(write("\n".join([YAHOO, *rows])), "SYM")
    assert prices.monthly == ({"SYM"} if is_monthly else set())
    assert prices.findings == {}


def test_the_month_so_far_is_no_bar_of_a_monthly_file(write: Any) -> None:
    prices = read_prices(write("\n".join([YAHOO, *monthly_rows("2020-01-01", 14), "2021-02-17,1,1,1,9,1,1"])), "SYM")
    assert prices.monthly == {"SYM"}
    assert len(bars_of(prices)) == 14
    assert findings_of(prices) == [("partial_month", "2021-02-17", 1.0, "excluded")]


def test_young_symbols_of_a_monthly_table_are_monthly_and_of_a_daily_one_are_not(write: Any) -> None:
    old = [f"OLD,{row}" for row in monthly_rows("2020-01-01", 24)]
    young = [f"YOUNG,{row}" for row in monthly_rows("2021-10-01", 3)]
    assert read_prices(write("\n".join([TICKERS, *old, *young])), "x").monthly == {"OLD", "YOUNG"}
    daily = ["DAILY,2021-10-01,1,1,1,1,1,1", "DAILY,2021-10-04,1,1,1,1,1,1", "DAILY,2021-10-05,1,1,1,1,1,1"]
    assert read_prices(write("\n".join([TICKERS, *old, *young, *daily])), "x").monthly == {"OLD"}


def test_the_recorded_monthly_file_of_yahoo(shared_data: Path) -> None:
    """62 rows: no prices in 2012-09, 60 months from 2012-10 to 2017-09, and 2017-09 again as of the 26th."""
    prices = read_prices(shared_data / "messy" / "GSPC_yahoo_monthly_2012_2017_raw.csv", "SYM")
    assert prices.monthly == {"SYM"}
    sessions = bars_of(prices)["session"]
    assert sessions.tolist() == list(pd.date_range("2012-10-01", "2017-09-01", freq="MS"))
    assert [each[:2] for each in findings_of(prices)] == [("empty_bar", "2012-09-01"), ("partial_month", "2017-09-26")]


price = st.floats(min_value=1e-3, max_value=1e9, allow_subnormal=False)
bar = st.tuples(
    st.dates(date(1900, 1, 1), date(2026, 11, 20)),
    st.tuples(st.none() | price, st.none() | price, st.none() | price, price, st.none() | price),
    st.none() | st.integers(1, 10**11),
)
bars = st.lists(bar, min_size=1, max_size=25, unique_by=lambda each: each[0])
# Not a date first, and something to see.
anything = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=120).filter(
    lambda line: line.strip()
)
error_line = st.sampled_from(ERROR_LINES) | anything


def lines_of(rows: list[Any]) -> list[str]:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([day, *prices, volume] for day, prices, volume in rows)
    return text.getvalue().splitlines()


def new_path(factory: pytest.TempPathFactory, kind: str = "csv") -> Path:
    return factory.getbasetemp() / f"table-{next(numbering)}.{kind}"


@settings(max_examples=80, deadline=None)
@given(
    rows=bars,
    errors=st.lists(
        st.tuples(st.integers(0, 26), st.lists(error_line, min_size=1, max_size=4)), min_size=1, max_size=4
    ),
    is_gzip=st.booleans(),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_lines_between_the_bars_change_nothing_and_are_counted(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Any],
    errors: list[tuple[int, list[str]]],
    is_gzip: bool,
    ending: str,
) -> None:
    tidy = [YAHOO, *lines_of(rows)]
    spoilt: list[tuple[str, bool]] = [(line, False) for line in tidy]
    for place, lines in errors:
        spoilt[min(place, len(spoilt)) : min(place, len(spoilt))] = [(line, True) for line in lines]
    counts, last = Counter[str](), ""
    for line, is_error in spoilt:
        if is_error:
            counts[last] += 1
        elif line != YAHOO:
            last = line[:10]
    path, other = new_path(tmp_path_factory), new_path(tmp_path_factory)
    content = ending.join(line for line, _ in spoilt).encode()
    path.write_bytes(gzip.compress(content) if is_gzip else content)
    other.write_text("\n".join(tidy))

    prices, expected = read_prices(path, "SYM"), read_prices(other, "SYM")

    pd.testing.assert_frame_equal(prices.rows, expected.rows)
    found = {day: count for rule, day, count, _ in findings_of(prices) if rule == "unreadable_line"}
    assert found == counts
    path.unlink()
    other.unlink()


readable = _line_pattern(["ticker", "date", *NUMBERS, ""], is_strict=False)


@settings(max_examples=150, deadline=None)
@given(line=st.from_regex(readable, fullmatch=True).filter(lambda line: not {"\r", "\n"} & set(line)))
def test_whatever_looks_like_a_readable_line_is_read(tmp_path_factory: pytest.TempPathFactory, line: str) -> None:
    """Whether it is one is a pattern's decision, what is in it is pyarrow's: they must agree."""
    found = readable.fullmatch(line)
    assert found is not None
    line = f"{line[: found.start('date')]}2024-01-02{line[found.end('date') :]}"
    path = new_path(tmp_path_factory)
    rows = [f"SYM,{day:%Y-%m-%d},1,1,1,1,1,1,x" for day in pd.date_range("2024-01-01", periods=200)]
    path.write_bytes("\n".join([f"{TICKERS},note", *rows, line, "{"]).encode("utf-8", "surrogateescape"))
    table = read_table(path, "x")
    assert table.columns.num_rows == 201
    assert [each.count for each in table.unreadable] == [1]
    path.unlink()


@settings(max_examples=60, deadline=None)
@given(data=st.data(), rows=bars)
def test_the_order_of_rows_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, rows: list[Any]
) -> None:
    path, other = new_path(tmp_path_factory), new_path(tmp_path_factory)
    path.write_text("\n".join([YAHOO, *lines_of(rows)]))
    other.write_text("\n".join([YAHOO, *lines_of(data.draw(st.permutations(rows)))]))
    prices, shuffled = read_prices(path, "SYM"), read_prices(other, "SYM")
    pd.testing.assert_frame_equal(prices.rows, shuffled.rows)
    assert findings_of(prices) == findings_of(shuffled)
    path.unlink()
    other.unlink()


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(bar, min_size=1, max_size=25), kind=st.sampled_from(["csv", "csv.gz", "parquet"]))
def test_a_table_written_is_the_table_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], kind: str
) -> None:
    """Before anything is made of its rows, in their own order and to the last digit."""
    path = new_path(tmp_path_factory, kind)
    values = [[day, *prices, volume] for day, prices, volume in rows]
    if kind == "parquet":
        types = [pa.date32(), *[pa.float64()] * 6]
        arrays = [pa.array(column, type_) for column, type_ in zip(zip(*values, strict=True), types, strict=True)]
        pa.parquet.write_table(pa.table(arrays, names=YAHOO.split(",")), path)
    else:
        content = "\n".join([YAHOO, *lines_of(rows)]).encode()
        path.write_bytes(gzip.compress(content) if kind == "csv.gz" else content)
    columns = read_table(path, "SYM").columns.to_pydict()
    assert set(columns.pop("ticker")) == {"SYM"}
    assert [list(row) for row in zip(*(columns[name] for name in ["date", *NUMBERS]), strict=True)] == values
    path.unlink()


@pytest.mark.parametrize("name", ["AMZN", "ATVI", "CCL", "CMG", "FB", "FRC", "JNJ", "RJF", "TSLA", "TWTR"])
def test_the_recorded_feeds_are_counted_right(shared_data: Path, name: str) -> None:
    """Bars, repeated dates, rows of nulls and lines of errors, counted by how a line begins."""
    path = shared_data / "messy" / "append_feed" / f"{name}.csv.gz"
    lines = [line for line in gzip.decompress(path.read_bytes()).decode().splitlines() if line.strip()]
    dated = [line for line in lines if line[:4].isdigit() and line[4] == "-"]
    with_prices = Counter(line[:10] for line in dated if "null" not in line)
    nulls = {line[:10] for line in dated if "null" in line}
    errors = [line for line in lines if line not in dated and line != YAHOO]

    prices = read_prices(path, name)

    found = Counter(rule for rule, *_ in findings_of(prices, name))
    assert len(bars_of(prices)) == len(with_prices)
    assert found["duplicate_session"] == sum(count > 1 for count in with_prices.values())
    assert found["empty_bar"] == len(nulls - set(with_prices))
    assert sum(value for rule, _, value, _ in findings_of(prices, name) if rule == "unreadable_line") == len(errors)
    assert set(found) <= set(FINDING_RULES)
    assert prices.has_header == (YAHOO in lines)
    last = {line[:10]: line for line in dated if "null" not in line}
    assert bars_of(prices)["close"].tolist() == [float(last[day].split(",")[4]) for day in sorted(last)]


def test_the_recorded_feed_of_tesla_holds_what_its_description_says(shared_data: Path) -> None:
    """93 bodies of seven lines and the brace that opens the first one."""
    prices = read_prices(shared_data / "messy" / "append_feed" / "TSLA.csv.gz", "TSLA")
    own = prices.findings["TSLA"]
    assert own.loc[own["rule"] == "unreadable_line", "value"].sum() == 93 * 7 + 1
    assert not own.duplicated(["symbol", "session", "rule"]).any()


def test_every_recorded_file_of_yfinance_is_read(shared_data: Path) -> None:
    for path in sorted((shared_data / "messy" / "yfinance_repair").glob("*.csv")):
        prices = read_prices(path, "SYM")
        days = {line[:10] for line in path.read_text().splitlines()[1:]}
        assert set(prices.rows["session"].dt.strftime("%Y-%m-%d")) == days
        assert {"adj_close", "dividends", "stock_splits"} <= set(prices.rows.columns)
        assert "unreadable_line" not in {rule for rule, *_ in findings_of(prices)}
