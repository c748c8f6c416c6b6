"""What the rows of a table of prices mean: its bars, and what is wrong with the rest.

Of the rows,

- an open of 0 and a volume of 0 are missing values; tickers such as NA or NaN are text;
- a session that is there several times (a feed that appends its downloads) counts with its last row that has prices;
- a row without any price (a holiday; it may hold a dividend), without a close, or with a price of 0 or less is no bar;
- bars dated the first of a month, and none other for `FEWEST_MONTHS`, are monthly; a last row within a month is what
  the provider had of that month so far, and is no bar.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from model import Floats
from model.frames import FINDING_TYPES
from model.quality.findings import Treatment
from tasks.sources import PRICE_COLUMNS, Outcome
from tasks.sources.files.tables import MOST_UNREADABLE, Table, TableError, read_table

FEWEST_MONTHS = 12

FINDING_RULES = {
    "unreadable_line": "unreadable lines",
    "duplicate_session": "repeated dates",
    "empty_bar": "rows without prices",
    "no_close": "rows without a close",
    "not_positive": "rows with a price of 0 or less",
    "partial_month": "unfinished months",
}
"""Every rule of which a file can have findings, and what a number of them is called."""


@dataclass(frozen=True)
class Prices:
    """What the rows of a file mean."""

    rows: pd.DataFrame
    """symbol, session, open, high, low, close, volume, adj_close, dividends, stock_splits (these three where the file
    has them), is_bar; sorted by symbol and session, unique. Rows that are no bars may hold a dividend."""
    bounds: dict[str, tuple[int, int]]
    """Row numbers [start, stop) of each symbol."""
    monthly: frozenset[str]
    """Symbols whose bars are monthly."""
    findings: dict[str, pd.DataFrame]
    """FINDING_TYPES of `model.frames` of each symbol that has any, in no order; session and rule together are unique.
    Those of unreadable lines have the session of the last readable line before them, NaT where there is none; in a
    file of several symbols they are under ''."""
    has_header: bool

    def records_of(self, symbol: str) -> pd.DataFrame:
        """The rows of one symbol, none if it has none."""
        start, stop = self.bounds.get(symbol, (0, 0))
        return self.rows.iloc[start:stop]


def read_prices(file: Path, symbol: str, most_unreadable: float = MOST_UNREADABLE) -> Prices:
    """Read a file and judge its rows; the arguments and errors are those of `read_table`."""
    table = read_table(file, symbol, most_unreadable)
    names, codes = _number_tickers(table.columns["ticker"])
    days = table.columns["date"].to_numpy().astype("datetime64[D]")
    rows = table.columns.drop_columns(["ticker", "date"]).to_pandas()
    for name in ("open", "volume"):
        rows[name] = rows[name].mask(rows[name] == 0.0)
    is_empty = rows[PRICE_COLUMNS].isna().all(axis=1).to_numpy()

    # Stable: of two rows of a session the later stays the later, and one without prices comes before both.
    order = np.lexsort((~is_empty, days, codes) if is_empty.any() else (days, codes))
    codes, days, rows = codes[order], days[order], rows.take(order).reset_index(drop=True)
    rows.insert(0, "symbol", pd.array(names, dtype="str").take(codes))
    rows.insert(1, "session", days.astype("datetime64[ns]"))
    is_last = np.append((codes[1:] != codes[:-1]) | (days[1:] != days[:-1]), True)
    if not table.has_tickers:
        _require_one_series(rows["close"].to_numpy(), is_last)
    findings = []
    if not is_last.all():
        findings.append(_repeated_sessions(rows, is_last))
        codes, days, rows = codes[is_last], days[is_last], rows[is_last].reset_index(drop=True)

    faults = _faults(rows)
    edges = np.searchsorted(codes, np.arange(len(names) + 1)).tolist()
    bounds = dict(zip(names, itertools.pairwise(edges), strict=True))
    monthly, partial = _find_monthly(days, faults == 0, bounds)
    faults[partial] = _FAULTS.index("partial_month")
    rows["is_bar"] = faults == 0
    if faults.any():
        findings.append(_excluded(rows, faults))
    if table.unreadable:
        findings.append(_unreadable_lines(table, "" if table.has_tickers and len(names) > 1 else names[0]))
    by_symbol = {}
    if findings:
        together = pd.concat(findings, ignore_index=True).astype(FINDING_TYPES)
        by_symbol = {str(name): own for name, own in together.groupby("symbol")}
    return Prices(rows, bounds, monthly, by_symbol, table.has_header)


def _number_tickers(tickers: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Sorted distinct tickers, and the number of each row's ticker among them."""
    encoded = tickers.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    found = encoded.dictionary.to_pylist()
    names = sorted(set(found))
    rank = {name: number for number, name in enumerate(names)}
    return names, np.array([rank[name] for name in found], dtype=np.int64)[encoded.indices.to_numpy()]


def _repeated_sessions(rows: pd.DataFrame, is_last: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """One finding a session that has several rows, with the close of the last one dropped."""
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
    """Refuse a file that lacks nothing but the column that tells its symbols apart."""
    dropped = np.flatnonzero(~is_last)
    before, after = close[dropped], close[dropped + 1]
    usable = (before > 0) & (after > 0)
    if usable.sum() > 10 and np.median(np.abs(np.log(after[usable] / before[usable]))) > 0.1:
        raise TableError(
            Outcome.REJECTED,
            "holds several series: most closes of a date that is there twice differ by more than a tenth, and no "
            "column is called ticker or symbol",
        )


_FAULTS = ["", "empty_bar", "no_close", "not_positive", "partial_month"]
_FAULT_REASONS = [
    "",
    "the row holds no price",
    "the row holds prices and no close",
    "a price is 0 or less",
    "the row is dated within a month, all others the first of theirs",
]


def _faults(rows: pd.DataFrame) -> npt.NDArray[np.int8]:
    """The number in `_FAULTS` of what makes each row no bar; 0 for bars."""
    prices = rows[PRICE_COLUMNS].to_numpy()
    faults = np.zeros(len(rows), dtype=np.int8)
    faults[(prices <= 0).any(axis=1)] = 3
    faults[np.isnan(rows["close"].to_numpy())] = 2
    faults[np.isnan(prices).all(axis=1)] = 1
    return faults


def _excluded(rows: pd.DataFrame, faults: npt.NDArray[np.int8]) -> pd.DataFrame:
    """One finding a row that is no bar, with its lowest price."""
    places = np.flatnonzero(faults)
    return rows.loc[places, ["symbol", "session"]].assign(
        rule=[_FAULTS[fault] for fault in faults[places]],
        value=rows.loc[places, PRICE_COLUMNS].min(axis=1),
        treatment=str(Treatment.EXCLUDED),
        reason=[_FAULT_REASONS[fault] for fault in faults[places]],
    )


def _unreadable_lines(table: Table, symbol: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (symbol, each.session, "unreadable_line", each.count, str(Treatment.EXCLUDED), f"begins {each.first!r}")
            for each in table.unreadable
        ],
        columns=list(FINDING_TYPES),
    )


def _find_monthly(
    days: npt.NDArray[np.datetime64], is_bar: npt.NDArray[np.bool_], bounds: dict[str, tuple[int, int]]
) -> tuple[frozenset[str], list[int]]:
    """The symbols whose bars are monthly, and the rows of theirs that are of an unfinished month."""
    months = days.astype("datetime64[M]")
    is_first = days == months
    only_firsts, long_enough, last_within = set(), set(), {}
    for name, (start, stop) in bounds.items():
        own = start + np.flatnonzero(is_bar[start:stop])
        if len(own) and not is_first[own[-1]]:
            last_within[name] = int(own[-1])
            own = own[:-1]
        if is_first[own].all():
            only_firsts.add(name)
            if len(own) and int((months[own[-1]] - months[own[0]]).astype(np.int64)) + 1 >= FEWEST_MONTHS:
                long_enough.add(name)
    # In a table of monthly bars the young symbols are monthly too.
    monthly = only_firsts if long_enough and len(only_firsts) == len(bounds) else long_enough
    return frozenset(monthly), [row for name, row in last_within.items() if name in monthly]
