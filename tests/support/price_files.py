"""Price files for tests of the files source: headers, lines that are no bars, and strategies of rows."""

import csv
import io
import itertools
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import strategies as st

from model.frames import FINDING_TYPES
from tasks.sources.files.prices import Prices

YAHOO_HEADER = "Date,Open,High,Low,Close,Adj Close,Volume"
TICKER_HEADER = "ticker,date,open,high,low,close,adj_close,volume"
NUMBER_COLUMNS = ["open", "high", "low", "close", "adj_close", "volume"]
_numbers = itertools.count(1)

price = st.floats(min_value=1e-3, max_value=1e9, allow_subnormal=False)
row = st.tuples(
    st.dates(date(1900, 1, 1), date(2026, 11, 20)),
    st.tuples(st.none() | price, st.none() | price, st.none() | price, price, st.none() | price),
    st.none() | st.integers(1, 10**11),
)
"""Date, prices and volume of a row in Yahoo's order, with a close."""
unique_rows = st.lists(row, min_size=1, max_size=25, unique_by=lambda each: each[0])


def csv_lines(rows: list[Any]) -> list[str]:
    """Write rows as lines of a CSV without a header."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([day, *prices, volume] for day, prices, volume in rows)
    return text.getvalue().splitlines()


def bars_of(prices: Prices) -> pd.DataFrame:
    """Select the bars of a file."""
    return prices.rows[prices.rows["is_bar"]].reset_index(drop=True)


def findings_of(prices: Prices, symbol: str = "SYM") -> list[tuple[Any, ...]]:
    """List rule, day, value and treatment of the symbol's findings, sorted."""
    findings = prices.findings.get(symbol, pd.DataFrame(columns=list(FINDING_TYPES)))
    return sorted(
        (rule, "" if pd.isna(session) else f"{session:%Y-%m-%d}", value, treatment)
        for session, rule, value, treatment in findings[["session", "rule", "value", "treatment"]].itertuples(
            index=False
        )
    )


def new_path(factory: pytest.TempPathFactory, ending: str = "csv") -> Path:
    """Name a new file for an example of Hypothesis."""
    return factory.getbasetemp() / f"table-{next(_numbers)}.{ending}"
