"""One table of prices on disk: what stands in it, and which of its lines cannot be read.

It may be CSV, gzip CSV or Parquet, told apart by their first bytes. What its rows mean is said in `tasks.sources.files.rows`.

Columns `date,open,high,low,close,volume`, and where there are any `ticker` (or `symbol`), `adj_close`, `dividends` and
`stock_splits`, in any order; others are passed over. Case, spaces and underscores of the names do not matter, so that
Yahoo's own `Date,…,Adj Close,Volume` is one of them; nor does a byte order mark.

A line of a CSV is readable when each of its cells is what its column says: a date YYYY-MM-DD (a time of day and a zone
behind it are passed over), finite numbers, or nothing. Feeds write error messages, web pages and their header between
the bars; such lines are counted, quoted and passed over. Where several symbols share a table nobody can tell whose bars
these were, hence it is refused beyond `MOST_UNREADABLE` of its lines.
"""

import csv
import functools
import gzip
import io
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from tasks.sources import PRICE_COLUMNS, Outcome

REQUIRED_COLUMNS = ["date", *PRICE_COLUMNS, "volume"]
OPTIONAL_COLUMNS = ["ticker", "adj_close", "dividends", "stock_splits"]
# A feed whose first download failed has no header; of those we know, all have Yahoo's columns in Yahoo's order.
HEADERLESS_COLUMNS = ["date", *PRICE_COLUMNS, "adj_close", "volume"]
MOST_UNREADABLE = 0.01  # share of the lines of a table of several symbols
EARLIEST, LATEST = date(1700, 1, 1), date(2200, 12, 31)  # nanoseconds since 1970 reach from 1677 to 2262
QUOTED_CHARACTERS = 80

# pyarrow takes these to the letter, hence those after a comma and a space too.
_MISSING = [space + word for space in ("", " ") for word in ("", "null", "Null", "NULL", "nan", "NaN", "NAN")]
_SYNONYMS = {name.replace("_", ""): name for name in [*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS]} | {
    "symbol": "ticker",
    "datetime": "date",
}


class TableError(Exception):
    """The whole file is of no use; the message completes "the file …".

    Attributes:
        outcome: what this makes of a symbol that has the file to itself.
    """

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclass(frozen=True)
class UnreadableLines:
    """Lines that are no bars, all those with the same `session` before them."""

    session: date | None
    """The date of the last readable line before them; None where there is none."""
    count: int
    first: str
    """The first of them, at most `QUOTED_CHARACTERS` of it."""


@dataclass(frozen=True)
class Table:
    """What could be read of a file, in its own order."""

    columns: pa.Table
    """ticker (dictionary of strings), date (date32), neither ever missing; numbers (float64, missing: null or NaN)."""
    has_tickers: bool
    """False when the file has no ticker column, and all of it is the symbol it was read for."""
    has_header: bool = True
    unreadable: tuple[UnreadableLines, ...] = ()


def read_table(file: Path, symbol: str, most_unreadable: float = MOST_UNREADABLE) -> Table:
    """Read a file.

    Args:
        file: CSV, gzip CSV or Parquet, whatever its name.
        symbol: ticker of every row where the file has no such column.
        most_unreadable: share of the lines of a file with such a column that may be unreadable; without the column,
            any number may.

    Raises:
        TableError: missing, if no bar is in it; rejected, if it has other columns or too many lines that cannot be
            read; source_error, if the file itself cannot be read.
    """
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
        raise TableError(Outcome.SOURCE_ERROR, f"cannot be read: {one_line(error.strerror or error)}") from error
    except (EOFError, UnicodeDecodeError, pa.ArrowException) as error:
        raise TableError(Outcome.SOURCE_ERROR, f"cannot be read: {one_line(error)}") from error
    if not table.columns.num_rows:
        raise TableError(Outcome.MISSING, "holds no rows")
    return table


def one_line(text: object, length: int = 200) -> str:
    """At most `length` characters of a text that may be a whole web page or no text at all."""
    printable = str(text).encode("utf-8", "replace").decode().replace("\0", " ")
    short = re.sub(r"\s+", " ", printable).strip().rstrip(".")
    return short if len(short) <= length else f"{short[: length - 1]}…"


def _read_csv(file: Path, symbol: str, is_gzip: bool, most_unreadable: float) -> Table:
    with gzip.open(file, "rb") if is_gzip else file.open("rb") as stream:
        names = _column_names(stream.readline(65_536).decode("utf-8-sig"))
    if _is_complete(names):
        try:
            with pa.input_stream(str(file), compression="gzip" if is_gzip else None) as stream:
                columns = _parse(stream, names, [name for name in names if name], skip_rows=1)
        except pa.ArrowInvalid:
            pass  # pyarrow stops at the first line that it cannot read
        else:
            if _is_sound(columns):
                return Table(_with_ticker(columns, symbol), has_tickers="ticker" in names)
    content = gzip.decompress(file.read_bytes()) if is_gzip else file.read_bytes()
    return _read_line_by_line(content.decode("utf-8-sig", "surrogateescape"), symbol, most_unreadable)


def _parse(stream: object, names: Sequence[str], wanted: Sequence[str], skip_rows: int = 0) -> pa.Table:
    """The columns `wanted` of lines without a header that have the columns `names`, '' for one without a meaning."""
    types = {name: pa.float64() for name in wanted}
    types |= {"ticker": pa.dictionary(pa.int32(), pa.string()), "date": pa.date32()}
    return pa.csv.read_csv(
        stream,
        pa.csv.ReadOptions(
            column_names=[name or f"column {number}" for number, name in enumerate(names)], skip_rows=skip_rows
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types=types, include_columns=list(wanted), null_values=_MISSING, strings_can_be_null=False
        ),
    )


def _is_sound(columns: pa.Table) -> bool:
    """Whether pyarrow took no line for a bar that is none."""
    if not columns.num_rows:
        return True
    days = pc.min_max(columns["date"]).as_py()
    if columns["date"].null_count or days["min"] < EARLIEST or days["max"] > LATEST:
        return False
    if "ticker" in columns.column_names:
        tickers = set(columns["ticker"].unify_dictionaries().chunk(0).dictionary.to_pylist())
        # A stray quote makes several lines one cell.
        if any(not ticker or "\n" in ticker for ticker in tickers):
            return False
    numbers = columns.drop_columns([name for name in ("ticker", "date") if name in columns.column_names])
    return not any(pc.any(pc.is_inf(values)).as_py() for values in numbers.columns)


def _read_line_by_line(text: str, symbol: str, most_unreadable: float) -> Table:
    """The lines that are what their columns say, whatever stands between them; several times slower than pyarrow."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    header = next((place for place, line in enumerate(lines) if _is_complete(_column_names(line))), None)
    names = HEADERLESS_COLUMNS if header is None else _column_names(lines[header])
    match = _line_pattern(names, is_strict=header is None).fullmatch
    days = [_parse_day(found["date"]) if (found := match(line)) else None for line in lines]
    readable = np.flatnonzero([day is not None for day in days])
    unreadable = np.flatnonzero(
        [
            day is None and place != header and not line.isspace() and line != ""
            for place, (day, line) in enumerate(zip(days, lines, strict=True))
        ]
    )
    total = len(readable) + len(unreadable)
    if header is None and not len(readable):
        _refuse_without_header(lines)
    if "ticker" in names and len(unreadable) > most_unreadable * total:
        place = int(unreadable[0])
        raise TableError(
            Outcome.REJECTED,
            f"has {len(unreadable)} of {total} lines that are not what its columns say, the first is "
            f"Row #{place + 1}: {one_line(lines[place], QUOTED_CHARACTERS)!r}. Dates are written YYYY-MM-DD, of the "
            f"years {EARLIEST.year} to {LATEST.year}, all other columns but `ticker` are numbers, a missing one is "
            "empty",
        )
    if not len(readable):
        body = _quote(lines[place] for place in unreadable)
        raise TableError(Outcome.MISSING, f"holds no bars: {body}" if body else "holds no rows")
    # The dates are read already, and without what stands behind them.
    sessions = [day for day in days if day]
    content = "\n".join([lines[place] for place in readable]).encode("utf-8", "surrogateescape")
    columns = _parse(io.BytesIO(content), names, [name for name in names if name and name != "date"])
    columns = columns.append_column("date", pa.array(sessions, pa.date32()))
    return Table(
        _with_ticker(columns, symbol),
        has_tickers="ticker" in names,
        has_header=header is not None,
        unreadable=_by_session(lines, readable, unreadable, sessions),
    )


def _line_pattern(names: Sequence[str], is_strict: bool) -> re.Pattern[str]:
    """What a readable line looks like.

    Args:
        names: the columns, '' for one without a meaning.
        is_strict: only prices with a decimal point and volumes without one, to tell a table without a header from one
            with these two exchanged.
    """
    missing = "|".join(_MISSING)
    # Bounded, so that none is infinite.
    number = rf"[ \t]*[-+]?(?:\d{{1,99}}(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{{1,2}})?[ \t]*|{missing}"
    cells = dict.fromkeys(names, rf'(?:{number}|"(?:{number})")')
    if is_strict:
        cells = dict.fromkeys(names, rf"(?:\d{{1,99}}\.\d+|{missing})") | {"volume": rf"(?:\d{{1,99}}|{missing})"}
    # The codes \udc80 to \udcff stand for bytes that are no text.
    cells["ticker"] = r'(?:"(?:[^"\udc80-\udcff]|"")+"|[^",\udc80-\udcff][^,\udc80-\udcff]*)'
    cells["date"] = r'(?P<quote>")?[ \t]*(?P<date>\d{4}-\d\d-\d\d)(?:[ T][^",]*)?(?(quote)")'
    cells[""] = r'(?:"(?:[^"]|"")*"|(?!")[^,]*)'
    return re.compile(",".join(cells[name] for name in names), re.ASCII)


def _by_session(
    lines: Sequence[str],
    readable: npt.NDArray[np.int64],
    unreadable: npt.NDArray[np.int64],
    sessions: Sequence[date],
) -> tuple[UnreadableLines, ...]:
    """The unreadable lines, those with the same date before them together, in the order of the file."""
    before = np.searchsorted(readable, unreadable) - 1
    places: dict[date | None, list[int]] = {}
    for place, line_before in zip(unreadable.tolist(), before.tolist(), strict=True):
        session = None if line_before < 0 else sessions[line_before]
        places.setdefault(session, []).append(place)
    return tuple(
        UnreadableLines(session, len(own), one_line(lines[own[0]], QUOTED_CHARACTERS))
        for session, own in places.items()
    )


def _refuse_without_header(lines: Sequence[str]) -> None:
    """Say what a text is in which no line is a header and none a bar."""
    first = next((line for line in lines if line.strip()), "")
    if sum(bool(name) for name in _column_names(first)) > 1:
        _require_columns(next(csv.reader([first])))
    raise TableError(Outcome.MISSING, f"holds no bars: {_quote(lines)}")


def _quote(lines: Iterable[str]) -> str:
    return one_line(" ".join(itertools.islice(lines, QUOTED_CHARACTERS)), QUOTED_CHARACTERS)


@functools.cache
def _parse_day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if EARLIEST <= day <= LATEST else None


def _column_names(header: str) -> list[str]:
    """What the columns of a header line are called here, '' for one without a meaning."""
    try:
        found = next(csv.reader([header]), [])
    except csv.Error:  # more than 131,072 characters in a cell
        return []
    return [_meaning(name) for name in found]


def _meaning(name: str) -> str:
    return _SYNONYMS.get(re.sub(r"[\s_]+", "", name).lower(), "")


def _is_complete(names: Sequence[str]) -> bool:
    """Whether all required columns are there, and none with a meaning twice."""
    known = [name for name in names if name]
    return len(set(known)) == len(known) and set(REQUIRED_COLUMNS) <= set(known)


def _require_columns(found: Sequence[str]) -> list[str]:
    """What the columns found are called here, having checked that a table can be made of them."""
    names = [_meaning(name) for name in found]
    if not _is_complete(names):
        raise TableError(
            Outcome.REJECTED,
            f"must have the columns {', '.join(REQUIRED_COLUMNS)}, and may have {', '.join(OPTIONAL_COLUMNS)}, each "
            f"once; found {one_line(', '.join(found)) or 'none'}",
        )
    return names


def _with_ticker(columns: pa.Table, symbol: str) -> pa.Table:
    if "ticker" in columns.column_names:
        return columns
    indices = pa.array(np.zeros(columns.num_rows, dtype=np.int32))
    return columns.append_column("ticker", pa.DictionaryArray.from_arrays(indices, pa.array([symbol])))


def _read_parquet(file: Path, symbol: str) -> Table:
    found = pa.parquet.read_schema(file).names
    names = _require_columns(found)
    original = {name: given for name, given in zip(names, found, strict=True) if name}
    columns = pa.parquet.read_table(file, columns=list(original.values())).select(list(original.values()))
    columns = columns.rename_columns(list(original))
    for place, (name, values) in enumerate(zip(columns.column_names, columns.columns, strict=True)):
        target = {"ticker": pa.string(), "date": pa.date32()}.get(name, pa.float64())
        try:
            if pa.types.is_timestamp(values.type) and values.type.tz:
                values = pc.local_timestamp(values)
            # Nothing is lost by any of these casts but a time of day, which a session has none of.
            cast = values.cast(target)
            if name == "date" and not pc.all(pc.equal(cast.cast(values.type), values)).as_py():
                raise pa.ArrowInvalid("a time of day in `date`")
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise TableError(
                Outcome.REJECTED,
                f"has a column `{original[name]}` of type {values.type} that cannot be read as {target}: "
                f"{one_line(error)}",
            ) from error
        columns = columns.set_column(place, name, cast.dictionary_encode() if name == "ticker" else cast)
    columns = _with_ticker(columns, symbol)
    for name in ("ticker", "date"):
        if columns[name].null_count:
            raise TableError(Outcome.REJECTED, f"has {columns[name].null_count} rows without a `{name}`")
    if not _is_sound(columns):
        raise TableError(
            Outcome.REJECTED,
            f"has an infinite number, an empty ticker, or a date not of the years {EARLIEST.year} to {LATEST.year}",
        )
    return Table(columns, has_tickers="ticker" in original)
