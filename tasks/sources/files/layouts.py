"""Layouts of CSV files that are rewritten to one header and commas before the lines are read.

- yfinance's `download().to_csv()` writes three header lines: `Price,…`, `Ticker,…` and `Date,,,`, the first two also in
  the other order. A file of several tickers side by side is rejected.
- Spreadsheets of many countries write semicolons or tabs between the cells and decimal commas within them.
"""

import csv
import re
from collections.abc import Sequence

from tasks.sources.base import Outcome
from tasks.sources.files.columns import is_complete, read_header
from tasks.sources.files.table import TableError

_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")


def unify_layout(lines: Sequence[str], symbol: str) -> tuple[list[str], str]:
    """Rewrite the known layouts to one header line and cells separated by commas.

    Args:
        lines: Lines of a file.
        symbol: Ticker of every row if the file names none.

    Returns:
        The lines, and the ticker of the file.

    Raises:
        TableError: rejected, if the file holds several tickers side by side.
    """
    return _unify_headers(_unify_separators(list(lines)), symbol)


def _unify_separators(lines: list[str]) -> list[str]:
    first = next((line for line in lines if line.strip()), "")
    for separator in (";", "\t"):
        if separator in first and is_complete(read_header(first.replace(separator, ","))):
            return [",".join(_unify_cell(cell) for cell in line.split(separator)) if line else line for line in lines]
    return lines


def _unify_cell(cell: str) -> str:
    """Replace a decimal comma, and quote a cell with any other comma."""
    stripped = cell.strip()
    if _DECIMAL_COMMA.fullmatch(stripped):
        return stripped.replace(",", ".")
    return f'"{stripped}"' if "," in stripped and not stripped.startswith('"') else stripped


def _unify_headers(lines: list[str], symbol: str) -> tuple[list[str], str]:
    head = [next(csv.reader([line]), []) for line in lines[:3]]
    by_title = {cells[0].strip().lower(): cells[1:] for cells in head if cells}
    if len(by_title) < 3 or not {"price", "ticker"} <= set(by_title):
        return lines, symbol
    title = head[2][0].strip()
    if title.lower() not in ("date", "datetime") or any(cell.strip() for cell in head[2][1:]):
        return lines, symbol
    tickers = list(dict.fromkeys(cell.strip() for cell in by_title["ticker"]))
    if len(tickers) != 1 or not tickers[0]:
        raise TableError(Outcome.REJECTED, f"holds {len(tickers)} tickers side by side; write one file per symbol")
    return [",".join([title, *by_title["price"]]), *lines[3:]], tickers[0]
