"""Reader of one table of prices on disk: CSV, gzip CSV or Parquet, recognised by the first bytes.

The valid columns are described in `columns`, unreadable lines in `lines`, the meaning of the rows in `prices`.
"""

import csv
import gzip
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from tasks.paths import kind_of
from tasks.sources.base import Outcome
from tasks.sources.files.columns import is_complete, parse_lines, read_header, require_columns, with_ticker
from tasks.sources.files.lines import read_line_by_line
from tasks.sources.files.table import EARLIEST, LATEST, Table, TableError, shorten

MOST_UNREADABLE = 0.01
"""Largest share of unreadable lines in a table of several symbols."""


def read_table(file: Path, symbol: str, most_unreadable: float = MOST_UNREADABLE) -> Table:
    """Read a file.

    Args:
        file: CSV, gzip CSV or Parquet; its name does not matter.
        symbol: Ticker of every row if the file has no ticker column.
        most_unreadable: Largest share of unreadable lines in a file with a ticker column. Without that column there is
            no limit.

    Raises:
        TableError: missing, if the file has no bar; rejected, if its columns are wrong or too many lines are
            unreadable; source_error, if the file itself cannot be read.
    """
    if (kind := kind_of(file)) is not None:
        raise TableError(Outcome.SOURCE_ERROR, f"must be a regular file, and is {kind}")
    try:
        with file.open("rb") as stream:
            magic = stream.read(4)
        if not magic:
            raise TableError(Outcome.MISSING, "is empty")
        if magic == b"PAR1":
            table = _read_parquet(file, symbol)
        else:
            table = _read_csv(file, symbol, magic[:2] == b"\x1f\x8b", most_unreadable)
    except OSError as error:
        raise TableError(
            Outcome.SOURCE_ERROR, f"cannot be read: {shorten(error.strerror or 'it is damaged')}"
        ) from error
    except (EOFError, ValueError, OverflowError, csv.Error, zlib.error, pa.ArrowException) as error:
        # The text of these errors may quote the file.
        raise TableError(
            Outcome.SOURCE_ERROR, "cannot be read: it is damaged, or no UTF-8 text, gzip or Parquet"
        ) from error
    if not table.columns.num_rows:
        raise TableError(Outcome.MISSING, "holds no rows")
    return table


def _read_csv(file: Path, symbol: str, is_gzip: bool, most_unreadable: float) -> Table:
    with gzip.open(file, "rb") if is_gzip else file.open("rb") as stream:
        names = read_header(stream.readline(65_536).decode("utf-8-sig"))
    if is_complete(names):
        try:
            with pa.input_stream(str(file), compression="gzip" if is_gzip else None) as stream:
                columns = parse_lines(stream, names, [name for name in names if name], skip_rows=1)
        except pa.ArrowInvalid:
            pass  # pyarrow stops at the first unreadable line
        else:
            if _is_valid(columns):
                return Table(with_ticker(columns, symbol), has_tickers="ticker" in names)
    content = gzip.decompress(file.read_bytes()) if is_gzip else file.read_bytes()
    return read_line_by_line(content.decode("utf-8-sig", "surrogateescape"), symbol, most_unreadable)


def _is_valid(columns: pa.Table) -> bool:
    """Check that dates are in range, tickers are not empty and numbers are finite."""
    if not columns.num_rows:
        return True
    days = pc.min_max(columns["date"]).as_py()
    if columns["date"].null_count or days["min"] < EARLIEST or days["max"] > LATEST:
        return False
    if "ticker" in columns.column_names:
        tickers = set(columns["ticker"].unify_dictionaries().chunk(0).dictionary.to_pylist())
        # A stray quote joins several lines to one cell.
        if any(not ticker or "\n" in ticker for ticker in tickers):
            return False
    numbers = columns.drop_columns([name for name in ("ticker", "date") if name in columns.column_names])
    return not any(pc.any(pc.is_inf(values)).as_py() for values in numbers.columns)


def _read_parquet(file: Path, symbol: str) -> Table:
    header = pa.parquet.read_schema(file).names
    names = require_columns(header)
    original = {name: cell for name, cell in zip(names, header, strict=True) if name}
    columns = pa.parquet.read_table(file, columns=list(original.values())).select(list(original.values()))
    columns = columns.rename_columns(list(original))
    for place, (name, values) in enumerate(zip(columns.column_names, columns.columns, strict=True)):
        target = {"ticker": pa.string(), "date": pa.date32()}.get(name, pa.float64())
        try:
            if pa.types.is_timestamp(values.type) and values.type.tz:
                values = pc.local_timestamp(values)
            # The casts are lossless, except that a date drops its time of day, which must be midnight.
            cast = values.cast(target)
            if name == "date" and not pc.all(pc.equal(cast.cast(values.type), values)).as_py():
                raise pa.ArrowInvalid("a time of day in `date`")
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise TableError(
                Outcome.REJECTED,
                f"has values in the column `{original[name]}` of type {values.type} that cannot be read as {target}"
                f"{' without their time of day' if name == 'date' else ''}",
            ) from error
        columns = columns.set_column(place, name, cast.dictionary_encode() if name == "ticker" else cast)
    columns = with_ticker(columns, symbol)
    for name in ("ticker", "date"):
        if columns[name].null_count:
            raise TableError(Outcome.REJECTED, f"has {columns[name].null_count} rows without a `{name}`")
    if not _is_valid(columns):
        raise TableError(
            Outcome.REJECTED,
            f"has an infinite number, an empty ticker, or a date outside the years {EARLIEST.year} to {LATEST.year}",
        )
    return Table(columns, has_tickers="ticker" in original)
