"""Columns of a table of prices: their names in a header and their types.

`date,open,high,low,close,volume` are required; `ticker` (or `symbol`), `adj_close`, `dividends` and `stock_splits` are
optional. They may stand in any order, and other columns are ignored. Case, spaces and underscores of the names do not
matter, so Yahoo's own `Date,…,Adj Close,Volume` is valid; a byte order mark does not matter either.
"""

import csv
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv

from model.frames import PRICE_COLUMNS
from tasks.sources.base import Outcome
from tasks.sources.files.table import TableError

REQUIRED_COLUMNS = ["date", *PRICE_COLUMNS, "volume"]
OPTIONAL_COLUMNS = ["ticker", "adj_close", "dividends", "stock_splits"]
HEADERLESS_COLUMNS = ["date", *PRICE_COLUMNS, "adj_close", "volume"]
"""Columns of a CSV without a header, in Yahoo's order: a feed has no header if its first download failed."""
MISSING_VALUES = [space + word for space in ("", " ") for word in ("", "null", "Null", "NULL", "nan", "NaN", "NAN")]
"""Spellings of a missing value, also after a comma and a space: pyarrow does not strip cells."""

_SPELLINGS = {name.replace("_", ""): name for name in [*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS]} | {
    "symbol": "ticker",
    "datetime": "date",
}


def read_header(line: str) -> list[str]:
    """Read the column names of a header line; '' stands for an unknown column."""
    try:
        cells = next(csv.reader([line]), [])
    except csv.Error:  # more than 131,072 characters in a cell
        return []
    return [_canonical_name(cell) for cell in cells]


def is_complete(names: Sequence[str]) -> bool:
    """Check that all required columns are present and no known one twice."""
    known = [name for name in names if name]
    return len(set(known)) == len(known) and set(REQUIRED_COLUMNS) <= set(known)


def require_columns(header: Sequence[str]) -> list[str]:
    """Find the column names of a header, and require that they are complete.

    Args:
        header: Cells of the header.

    Returns:
        One name a cell; '' stands for an unknown column.

    Raises:
        TableError: rejected, if a required column is missing or a known one is repeated.
    """
    names = [_canonical_name(cell) for cell in header]
    if not is_complete(names):
        raise TableError(
            Outcome.REJECTED,
            f"must have the columns {', '.join(REQUIRED_COLUMNS)}, and may have {', '.join(OPTIONAL_COLUMNS)}, each "
            f"once; received {describe_header(header)}",
        )
    return names


def describe_header(header: Sequence[str]) -> str:
    """Name the known columns of a header and count the others: a file that holds no prices may hold secrets."""
    names = [_canonical_name(cell) for cell in header]
    known = [name for name in names if name]
    others = len(names) - len(known)
    unknown = f"{others} unknown {'column' if others == 1 else 'columns'}" if others else ""
    return " and ".join(part for part in (", ".join(known), unknown) if part) or "none"


def parse_lines(stream: object, names: Sequence[str], included: Sequence[str], skip_rows: int = 0) -> pa.Table:
    """Parse CSV lines without a header into typed columns.

    Args:
        stream: Readable binary stream.
        names: Column names of the lines; '' stands for an unknown column.
        included: Columns to return.
        skip_rows: Number of lines to skip at the start.

    Raises:
        pyarrow.ArrowInvalid: at the first line that does not fit the columns.
    """
    types = {name: pa.float64() for name in included}
    types |= {"ticker": pa.dictionary(pa.int32(), pa.string()), "date": pa.date32()}
    return pa.csv.read_csv(
        stream,
        pa.csv.ReadOptions(
            column_names=[name or f"column {number}" for number, name in enumerate(names)], skip_rows=skip_rows
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types=types, include_columns=list(included), null_values=MISSING_VALUES, strings_can_be_null=False
        ),
    )


def with_ticker(columns: pa.Table, symbol: str) -> pa.Table:
    """Add a ticker column with one symbol unless the table has one."""
    if "ticker" in columns.column_names:
        return columns
    indices = pa.array(np.zeros(columns.num_rows, dtype=np.int32))
    return columns.append_column("ticker", pa.DictionaryArray.from_arrays(indices, pa.array([symbol])))


def _canonical_name(cell: str) -> str:
    return _SPELLINGS.get(re.sub(r"[\s_]+", "", cell).lower(), "")
