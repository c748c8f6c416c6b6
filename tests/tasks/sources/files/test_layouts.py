"""Layouts of files, made by Hypothesis: orders of columns, headers, separators, times of the day."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.sources.base import Outcome
from tasks.sources.files.source import FileSource

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = pd.bdate_range("2018-01-02", periods=30)
NAMES = ("Open", "High", "Low", "Close", "Volume")
ROWS = [
    {
        "Open": f"{50 + n}.25",
        "High": f"{52 + n}.5",
        "Low": f"{49 + n}.75",
        "Close": f"{51 + n}.125",
        "Volume": f"{1000 + n}",
    }
    for n in range(len(DAYS))
]
orders = st.permutations(NAMES)


def read(directory: Path, text: str) -> tuple[pd.DataFrame, Outcome, str]:
    directory.mkdir(exist_ok=True)
    (directory / "SYM.csv").write_text(text)
    fetched = FileSource(str(directory)).fetch({"SYM": None}, NOW)
    return fetched.bars, fetched.outcomes[0].outcome, fetched.outcomes[0].reason


def assert_right(bars: pd.DataFrame) -> None:
    for name in NAMES:
        np.testing.assert_array_equal(bars[name.lower()].to_numpy(), [float(row[name]) for row in ROWS])
    assert bars["session"].tolist() == DAYS.tolist()


def lines_of(order: list[str], rows: range) -> list[str]:
    return [",".join([f"{DAYS[n]:%Y-%m-%d}", *(ROWS[n][name] for name in order)]) for n in rows]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("layouts") / "prices"


@settings(max_examples=60)
@given(order=orders, is_swapped=st.booleans())
def test_unify_layout_reads_three_header_lines(directory: Path, order: list[str], is_swapped: bool) -> None:
    head = [",".join(["Price", *order]), ",".join(["Ticker", *["SYM"] * 5])]
    text = "\n".join([*(head[::-1] if is_swapped else head), "Date,,,,,", *lines_of(order, range(30))])
    assert_right(read(directory, text)[0])


def test_unify_layout_rejects_tickers_side_by_side(directory: Path) -> None:
    text = "Price,Close,Close\nTicker,AAA,BBB\nDate,,\n2018-01-02,1.0,2.0\n"
    bars, outcome, reason = read(directory, text)
    assert (len(bars), outcome) == (0, Outcome.REJECTED)
    assert "2 tickers side by side; write" in reason


@settings(max_examples=60)
@given(first=orders, second=orders, at=st.integers(1, 29))
def test_read_follows_a_second_header(directory: Path, first: list[str], second: list[str], at: int) -> None:
    text = [",".join(["Date", *first]), *lines_of(first, range(at))]
    text += [",".join(["Date", *second]), *lines_of(second, range(at, 30))]
    assert_right(read(directory, "\n".join(text))[0])


@settings(max_examples=60)
@given(order=orders, separator=st.sampled_from(";\t"), is_comma=st.booleans())
def test_unify_layout_reads_other_separators(directory: Path, order: list[str], separator: str, is_comma: bool) -> None:
    lines = [separator.join(["Date", *order])]
    for line in lines_of(order, range(30)):
        cells = line.split(",")
        lines.append(separator.join(cell.replace(".", ",") if is_comma else cell for cell in cells))
    assert_right(read(directory, "\n".join(lines))[0])


@given(st.integers(2, 8), st.sampled_from(["-04:00", "+09:00", "", "+00:00"]), st.randoms(use_true_random=False))
def test_aggregate_days_rebuilds_the_day(directory: Path, parts: int, zone: str, random: object) -> None:
    """The bars of a day are cut into parts whose aggregation is the day."""
    lines = ["Datetime,Open,High,Low,Close,Volume"]
    for n, row in enumerate(ROWS):
        opened, close = float(row["Open"]), float(row["Close"])
        path = np.linspace(opened, close, parts + 1)
        for part in range(parts):
            high = row["High"] if part == parts // 2 else f"{max(path[part], path[part + 1]):.4f}"
            low = row["Low"] if part == 0 else f"{min(path[part], path[part + 1]):.4f}"
            volume = int(row["Volume"]) - (parts - 1) * 100 if part == 0 else 100
            time = f"{DAYS[n]:%Y-%m-%d} {9 + part:02}:30:00{zone}"
            lines.append(f"{time},{path[part]:.4f},{high},{low},{path[part + 1]:.4f},{volume}")
    assert_right(read(directory, "\n".join(lines))[0])
