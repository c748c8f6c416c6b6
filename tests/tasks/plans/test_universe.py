"""Universes: their names, their files, and the choice of instruments."""

import os
from pathlib import Path

import pandas as pd
import pytest

from tasks.errors import BadRequestError
from tasks.plans.sources import open_source
from tasks.plans.universe import (
    Instrument,
    abbreviate,
    choose_instruments,
    name_universe,
    read_universe,
    require_same_universe,
)
from tasks.sources.sample import SampleSource

SAMPLE = SampleSource()
LISTED = SAMPLE.instruments()


@pytest.mark.parametrize(
    ("source_spec", "symbols", "universe_file", "expected"),
    [
        ("yahoo", ["AAPL"], None, "AAPL"),
        ("yahoo", [" AAPL ", "", "AAPL"], None, "AAPL"),
        ("yahoo", [" "], None, "no symbols"),
        ("yahoo", None, "lists/sp500.2024.csv", "sp500.2024"),
        ("sample", None, None, "sample"),
        ("file:data/daily.csv.gz", None, None, "daily"),
        ("file:data/", None, None, "data"),
        ("file:prices.2015.csv", None, None, "prices.2015"),
        ("file:prices.2016.parquet", None, None, "prices.2016"),
        ("yahoo", None, "us.large.csv", "us.large"),
        ("yahoo", None, ".csv", ""),
        ("yahoo", ["A\0B", " \u200bC "], None, name_universe("yahoo", ["AB", "C"], None)),
    ],
)
def test_name_universe_follows_the_request(
    source_spec: str, symbols: list[str] | None, universe_file: str | None, expected: str
) -> None:
    assert name_universe(source_spec, symbols, universe_file) == expected


def test_name_universe_ignores_the_order_of_other_symbols() -> None:
    name = name_universe("yahoo", ["A", "B", "C"], None)
    assert name.startswith("A-and-2-more-")
    assert name_universe("yahoo", ["A", "C", "B"], None) == name
    assert name_universe("yahoo", ["A", "B", "D"], None) != name


def test_read_universe_reads_columns_comments_and_defaults(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    header = "\ufeff# comment\nsymbol,exchange_mic,currency_code,sector,note"
    rows = "AAPL,XNAS,,Technology,x", ",XNYS,,,", "MC.PA,XPAR,EUR,,", "MSFT", "AAPL,XNYS"
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    assert read_universe(str(path)) == (
        Instrument(symbol="AAPL", stated=frozenset({"exchange_mic"})),
        Instrument(
            symbol="MC.PA",
            exchange_mic="XPAR",
            currency_code="EUR",
            stated=frozenset({"exchange_mic", "currency_code"}),
        ),
        Instrument(symbol="MSFT"),
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"ticker\nAAPL\n", "must have a column `symbol`; received 1 unknown columns"),
        (b"symbol\n", "names no symbol"),
        (b"symbol\n \n", "names no symbol"),
        (b"symbol,exchange_mic\nAAPL,NOPE\n", "gives AAPL the exchange 'NOPE', which has no calendar"),
        (b"\xff\xfe\x00", "it is not a text file of comma-separated values"),
    ],
)
def test_read_universe_refuses_an_invalid_file(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "u.csv"
    path.write_bytes(content)
    with pytest.raises(BadRequestError, match=sentence) as refused:
        read_universe(str(path))
    assert str(path) in str(refused.value)


SECRET = "s3cret-of-the-server"


@pytest.mark.parametrize("content", [SECRET, f"{SECRET},x\n1,2", f"currency_code,{SECRET}\nUSD,1"])
def test_read_universe_quotes_no_other_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "postgres.password"
    path.write_text(content + "\n")
    with pytest.raises(BadRequestError, match=r"(names no symbol|must have a column `symbol`)") as refused:
        read_universe(str(path))
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "PIPE"])
def test_read_universe_reads_regular_files_only(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "PIPE")
    with pytest.raises(BadRequestError, match=r"must be a regular file; it is a (device|pipe)\.$"):
        read_universe(str(tmp_path / path) if path == "PIPE" else path)


def published(symbols: list[str], universe_file: str | None = "/a/us.csv") -> pd.DataFrame:
    row = {"universe_file": universe_file, "source_spec": "yahoo", "origin_month": pd.Timestamp("2018-11-01")}
    return pd.DataFrame([{**row, "symbols": symbols}])


@pytest.mark.parametrize(
    ("before", "now", "location", "is_refused"),
    [
        ("ABCD", "ABCD", "/b/us.csv", False),
        ("ABCD", "ABCDE", "/b/us.csv", False),
        ("ABCD", "BCD", "/b/us.csv", False),
        ("ABCD", "EFGH", "/b/us.csv", True),
        ("ABCD", "AEFG", "/b/us.csv", True),
        ("ABCD", "AEFG", "/a/us.csv", False),
        ("ABCD", "EFGH", "/a/us.csv", True),
    ],
)
def test_universe_is_one_set_of_symbols(before: str, now: str, location: str, is_refused: bool) -> None:
    instruments = [Instrument(symbol=symbol) for symbol in now]
    require_same_universe("us", instruments, location, pd.DataFrame())
    if is_refused:
        with pytest.raises(
            BadRequestError, match=r"'us' had 4 in its last published month \(2018-11\), and [01] of the 4"
        ):
            require_same_universe("us", instruments, location, published(list(before)))
    else:
        require_same_universe("us", instruments, location, published(list(before)))


def test_choose_instruments_refuses_a_file_without_a_name(tmp_path: Path) -> None:
    (tmp_path / ".csv").write_text("symbol\n^GSPC\n")
    with pytest.raises(BadRequestError, match="must have a name before its ending"):
        choose_instruments(SAMPLE, LISTED, None, str(tmp_path / ".csv"))


def test_read_universe_refuses_an_absent_file() -> None:
    with pytest.raises(BadRequestError, match=r"The universe file no/such\.csv cannot be read: No such file"):
        read_universe("no/such.csv")


def test_choose_instruments_takes_all_listed_ones_by_default() -> None:
    universe, instruments = choose_instruments(SAMPLE, LISTED, None, None)
    assert universe == "sample"
    assert instruments == (
        Instrument(symbol="^GSPC", exchange_mic="XNYS"),
        Instrument(symbol="^IXIC", exchange_mic="XNAS"),
    )


def test_choose_instruments_takes_exchanges_from_the_source() -> None:
    universe, instruments = choose_instruments(SAMPLE, LISTED, [" ^IXIC", "^IXIC"], None)
    assert (universe, instruments) == ("^IXIC", (Instrument(symbol="^IXIC", exchange_mic="XNAS"),))


def test_choose_instruments_takes_the_universe_file(tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    path.write_text("symbol,exchange_mic\nA,XLON\nB,\n")
    yahoo = open_source("yahoo", cache_dir=tmp_path / "cache", base_url="http://127.0.0.1:9")
    universe, instruments = choose_instruments(yahoo, None, None, str(path))
    assert universe == "two"
    assert [(each.symbol, each.exchange_mic) for each in instruments] == [("A", "XLON"), ("B", "XNYS")]
    with pytest.raises(BadRequestError, match="'yahoo' cannot list its symbols: name them with --symbols"):
        choose_instruments(yahoo, None, None, None)


@pytest.mark.parametrize(
    ("listed", "symbols", "universe_file", "sentence"),
    [
        (LISTED, ["^GSPC"], "u.csv", "Give either symbols or a universe file; received both"),
        (LISTED, [" "], None, "The universe is empty: give at least one symbol"),
        (LISTED, ["^GSPC", "AAPL"], None, r"'sample' has no symbol AAPL; it has \^GSPC, \^IXIC"),
    ],
)
def test_choose_instruments_refuses_an_invalid_request(
    listed: pd.DataFrame, symbols: list[str], universe_file: str | None, sentence: str
) -> None:
    with pytest.raises(BadRequestError, match=sentence):
        choose_instruments(SAMPLE, listed, symbols, universe_file)


def test_abbreviate_counts_the_names_it_omits() -> None:
    assert abbreviate(list("ABCDE")) == "A, B, C, D, E"
    assert abbreviate(list("ABCDEFG")) == "A, B, C, D, E and 2 more"
