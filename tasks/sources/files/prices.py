"""Bars of a table of prices, and findings for its other rows.

- An open of 0 and a volume of 0 are missing values. Tickers such as NA or NaN are text.
- Of a session with several rows (a feed that appends its downloads), the last row with prices counts.
- A row without any price (a holiday; it may hold a dividend), without a close, or with a price of 0 or less is no bar.
- Bars that are all dated the first of a month, over at least `FEWEST_MONTHS`, are monthly. A last row dated within a
  month is the provider's unfinished month and is no bar.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from model import Floats
from model.frames import FINDING_TYPES, PRICE_COLUMNS
from model.quality.findings import Treatment
from tasks.sources.base import Outcome, clean_symbol
from tasks.sources.files.reader import MOST_UNREADABLE, read_table
from tasks.sources.files.table import Table, TableError

FEWEST_MONTHS = 12

FINDING_RULES = {
    "unreadable_line": "unreadable lines",
    "duplicate_session": "repeated dates",
    "empty_bar": "rows without prices",
    "no_close": "rows without a close",
    "not_positive": "rows with a price of 0 or less",
    "partial_month": "unfinished months",
    "adjusted_fall": "lasting falls of the adjusted close",
    "adjusted_not_positive": "adjusted closes of 0 or less",
    "oversized_price": "closes beyond any price",
    "oversized_volume": "volumes beyond the range of a column",
}
"""Rules of the findings of a file, each with the plural that names a number of them."""


@dataclass(frozen=True)
class Prices:
    """Rows of a file, with its bars marked."""

    rows: pd.DataFrame
    """symbol, session, open, high, low, close, volume, adj_close, dividends, stock_splits (these three if the file has
    them), is_bar; sorted by symbol and session, unique. Rows that are no bars may hold a dividend."""
    bounds: dict[str, tuple[int, int]]
    """Row numbers [start, stop) of each symbol."""
    monthly: frozenset[str]
    """Symbols with monthly bars."""
    findings: dict[str, pd.DataFrame]
    """FINDING_TYPES of `model.quality` by symbol, unsorted; session and rule together are unique. A finding of
    unreadable lines has the session of the last readable line before them, NaT if there is none. In a file of several
    symbols it is under ''."""
    has_header: bool

    def records_of(self, symbol: str) -> pd.DataFrame:
        """Select the rows of one symbol; the frame is empty if it has none."""
        start, stop = self.bounds.get(symbol, (0, 0))
        return self.rows.iloc[start:stop]


def read_prices(file: Path, symbol: str, most_unreadable: float = MOST_UNREADABLE) -> Prices:
    """Read a file and classify its rows.

    Args:
        file: CSV, gzip CSV or Parquet; its name does not matter.
        symbol: Ticker of every row if the file has no ticker column.
        most_unreadable: Largest share of unreadable lines, see `read_table`.

    Raises:
        TableError: see `read_table`; also rejected, if a file without a ticker column holds several series.
    """
    table = read_table(file, symbol, most_unreadable)
    names, codes = _number_tickers(table.columns["ticker"])
    days = table.columns["date"].to_numpy().astype("datetime64[D]")
    rows = table.columns.drop_columns(["ticker", "date"]).to_pandas()
    for name in ("open", "volume"):
        rows[name] = rows[name].mask(rows[name] == 0.0)
    is_empty = rows[PRICE_COLUMNS].isna().all(axis=1).to_numpy()

    # Stable: two rows of a session keep their order, and one without prices sorts before both.
    order = np.lexsort((~is_empty, days, codes) if is_empty.any() else (days, codes))
    codes, days, rows = codes[order], days[order], rows.take(order).reset_index(drop=True)
    rows.insert(0, "symbol", pd.array(names, dtype="str").take(codes))
    rows.insert(1, "session", days.astype("datetime64[ns]"))
    is_last = np.append((codes[1:] != codes[:-1]) | (days[1:] != days[:-1]), True)
    if not table.has_tickers:
        _require_one_series(rows["close"].to_numpy(), is_last)
    findings = []
    if not is_last.all():
        findings.append(_find_repeated_sessions(rows, is_last))
        codes, days, rows = codes[is_last], days[is_last], rows[is_last].reset_index(drop=True)

    faults = _classify_rows(rows)
    edges = np.searchsorted(codes, np.arange(len(names) + 1)).tolist()
    bounds = dict(zip(names, itertools.pairwise(edges), strict=True))
    monthly, partial = _find_monthly(days, faults == 0, bounds)
    faults[partial] = _FAULTS.index("partial_month")
    rows["is_bar"] = faults == 0
    if faults.any():
        findings.append(_find_excluded_rows(rows, faults))
    if table.unreadable:
        findings.append(_find_unreadable_lines(table, "" if table.has_tickers and len(names) > 1 else names[0]))
    by_symbol = {}
    if findings:
        together = pd.concat(findings, ignore_index=True).astype(FINDING_TYPES)
        by_symbol = {str(name): group for name, group in together.groupby("symbol")}
    return Prices(rows, bounds, monthly, by_symbol, table.has_header)


def _number_tickers(tickers: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int64]]:
    """List the distinct tickers, cleaned and sorted, and the index of each row's ticker in the list; ? is no name."""
    encoded = tickers.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    words = [clean_symbol(word) or "?" for word in encoded.dictionary.to_pylist()]
    names = sorted(set(words))
    rank = {name: number for number, name in enumerate(names)}
    return names, np.array([rank[word] for word in words], dtype=np.int64)[encoded.indices.to_numpy()]


def _find_repeated_sessions(rows: pd.DataFrame, is_last: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Make one finding for each session with several rows; its value is the close of the last row dropped."""
    last = np.flatnonzero(is_last)
    counts = np.diff(last, prepend=-1)
    kept, counts = last[counts > 1], counts[counts > 1]
    return rows.loc[kept, ["symbol", "session"]].assign(
        rule="duplicate_session",
        value=rows["close"].to_numpy()[kept - 1],
        treatment=str(Treatment.REPAIRED),
        reason=[f"the last row of {count} is kept" for count in counts.tolist()],
    )


def _require_one_series(close: Floats, is_last: npt.NDArray[np.bool_]) -> None:
    """Refuse a file without a ticker column whose repeated dates have unlike closes: it holds several series."""
    dropped = np.flatnonzero(~is_last)
    before, after = close[dropped], close[dropped + 1]
    usable = (before > 0) & (after > 0)
    if usable.sum() > 10 and np.median(np.abs(np.log(after[usable] / before[usable]))) > 0.1:
        raise TableError(
            Outcome.REJECTED,
            "holds several series: most closes of repeated dates differ by more than a tenth, and no column is called "
            "ticker or symbol",
        )


_FAULTS = ["", "empty_bar", "no_close", "not_positive", "partial_month"]
_FAULT_REASONS = [
    "",
    "the row holds no price",
    "the row holds prices but no close",
    "a price is 0 or less",
    "the row is dated within a month, all others the first of a month",
]


def _classify_rows(rows: pd.DataFrame) -> npt.NDArray[np.int8]:
    """Find the fault of each row, as its index in `_FAULTS`; 0 for bars."""
    prices = rows[PRICE_COLUMNS].to_numpy()
    faults = np.zeros(len(rows), dtype=np.int8)
    faults[(prices <= 0).any(axis=1)] = 3
    faults[np.isnan(rows["close"].to_numpy())] = 2
    faults[np.isnan(prices).all(axis=1)] = 1
    return faults


def _find_excluded_rows(rows: pd.DataFrame, faults: npt.NDArray[np.int8]) -> pd.DataFrame:
    """Make one finding for each row that is no bar; its value is the lowest price."""
    places = np.flatnonzero(faults)
    return rows.loc[places, ["symbol", "session"]].assign(
        rule=[_FAULTS[fault] for fault in faults[places]],
        value=rows.loc[places, PRICE_COLUMNS].min(axis=1),
        treatment=str(Treatment.EXCLUDED),
        reason=[_FAULT_REASONS[fault] for fault in faults[places]],
    )


def _find_unreadable_lines(table: Table, symbol: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (
                symbol,
                lines.session,
                "unreadable_line",
                lines.count,
                str(Treatment.EXCLUDED),
                f"the first is line {lines.first}",
            )
            for lines in table.unreadable
        ],
        columns=list(FINDING_TYPES),
    )


def _find_monthly(
    days: npt.NDArray[np.datetime64], is_bar: npt.NDArray[np.bool_], bounds: dict[str, tuple[int, int]]
) -> tuple[frozenset[str], list[int]]:
    """Find the symbols with monthly bars, and their rows of an unfinished month."""
    months = days.astype("datetime64[M]")
    is_first = days == months
    only_firsts, long_enough, last_within = set(), set(), {}
    for name, (start, stop) in bounds.items():
        places = start + np.flatnonzero(is_bar[start:stop])
        if len(places) and not is_first[places[-1]]:
            last_within[name] = int(places[-1])
            places = places[:-1]
        if is_first[places].all():
            only_firsts.add(name)
            if len(places) and int((months[places[-1]] - months[places[0]]).astype(np.int64)) + 1 >= FEWEST_MONTHS:
                long_enough.add(name)
    # In a table of monthly bars, symbols with a short history are monthly as well.
    monthly = only_firsts if long_enough and len(only_firsts) == len(bounds) else long_enough
    return frozenset(monthly), [row for name, row in last_within.items() if name in monthly]
