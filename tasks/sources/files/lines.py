"""Line-by-line reading of a CSV with unreadable lines, several times slower than pyarrow.

A line is readable if each cell fits its column: a date YYYY-MM-DD (with or without a time of day and a zone), a
finite number, or nothing. A second header in mid-file gives the order of the columns from there on. Several lines of
a day with different times are bars within the day, and are aggregated to one. Feeds write error messages, web pages
and repeated headers between the bars; such lines are counted. In a table of several symbols their bars
cannot be assigned, so such a table is rejected if the share of unreadable lines exceeds a limit.
"""

import csv
import functools
import io
import re
from collections.abc import Sequence
from datetime import date
from typing import NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.sources.base import Outcome
from tasks.sources.files.columns import (
    HEADERLESS_COLUMNS,
    MISSING_VALUES,
    is_complete,
    parse_lines,
    read_header,
    require_columns,
    with_ticker,
)
from tasks.sources.files.intraday import aggregate_days, has_intraday_bars
from tasks.sources.files.layouts import unify_layout
from tasks.sources.files.table import EARLIEST, LATEST, Table, TableError, UnreadableLines

_LONGEST_MESSAGE = 20
_NO_DATA = re.compile(r"\b404\b|no data|not found|delisted", re.IGNORECASE)


def read_line_by_line(text: str, symbol: str, most_unreadable: float) -> Table:
    """Read the readable lines of a CSV, and count the others.

    Args:
        text: Content of the file.
        symbol: Ticker of every row if the file has no ticker column.
        most_unreadable: Largest share of unreadable lines in a file with a ticker column.

    Raises:
        TableError: missing, if the lines are a message that there are no data; source_error, if no line is a bar
            otherwise; rejected, if the columns are wrong or too many lines are unreadable.
    """
    raw = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines, symbol = unify_layout(raw, symbol)
    first_number = 1 + len(raw) - len(lines)  # header lines that were joined
    headers = _find_orders(lines)
    header = headers[0] if headers else None
    # Of the lines before the first header, those that fit its columns are read by it.
    starts = [0, *headers[1:]]
    orders = [read_header(lines[place]) for place in headers] or [HEADERLESS_COLUMNS]
    names = orders[0]
    matches = list[re.Match[str] | None]()
    for order, start, stop in zip(orders, starts, [*starts[1:], len(lines)], strict=True):
        fullmatch = line_pattern(order, is_strict=header is None).fullmatch
        matches += [fullmatch(line) for line in lines[start:stop]]
    days = [_parse_day(match["date"]) if match else None for match in matches]
    readable = np.flatnonzero([day is not None for day in days])
    unreadable = np.flatnonzero(
        [
            day is None and place not in headers and not line.isspace() and line != ""
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
            f"has {len(unreadable)} unreadable lines of {total}, the first is line {place + first_number}; a date must "
            "be YYYY-MM-DD in the years "
            f"{EARLIEST.year} to {LATEST.year}, every other column but `ticker` a number or empty",
        )
    if not len(readable):
        _refuse_without_bars([lines[place] for place in unreadable])
    # The pattern has read the dates, without the times after them.
    sessions = [day for day in days if day]
    parts = []
    for order, start, stop in zip(orders, starts, [*starts[1:], len(lines)], strict=True):
        own = [lines[place] for place in readable if start <= place < stop]
        if own:
            content = "\n".join(own).encode("utf-8", "surrogateescape")
            parts.append(parse_lines(io.BytesIO(content), order, [name for name in order if name and name != "date"]))
    columns = pa.concat_tables(parts, promote_options="default").unify_dictionaries()
    columns = columns.append_column("date", pa.array(sessions, pa.date32()))
    times = [match["time"] or "" for match, day in zip(matches, days, strict=True) if match and day]
    if "ticker" not in names and has_intraday_bars(sessions, times):
        columns, sessions = aggregate_days(columns, times)
        readable = readable[: len(sessions)]
    return Table(
        with_ticker(columns, symbol),
        has_tickers="ticker" in names,
        has_header=header is not None,
        unreadable=_group_by_session(readable, unreadable, sessions, first_number),
    )


def _find_orders(lines: Sequence[str]) -> list[int]:
    """Return the places of the first header and of every later one with other columns or another order."""
    places, names = list[int](), list[str]()
    for place, line in enumerate(lines):
        if "," in line and (header := read_header(line)) != names and is_complete(header):
            places.append(place)
            names = header
    return places


def line_pattern(names: Sequence[str], is_strict: bool) -> re.Pattern[str]:
    """Make the pattern of a readable line; its group `date` is the date.

    Args:
        names: Column names; '' stands for an unknown column.
        is_strict: Require a decimal point in prices and none in volumes. In a table without a header this detects
            exchanged columns.
    """
    missing = "|".join(MISSING_VALUES)
    # The number of digits is bounded, so that no number is infinite.
    number = rf"[ \t]*[-+]?(?:\d{{1,99}}(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{{1,2}})?[ \t]*|{missing}"
    cells = dict.fromkeys(names, rf'(?:{number}|"(?:{number})")')
    if is_strict:
        cells = dict.fromkeys(names, rf"(?:\d{{1,99}}\.\d+|{missing})") | {"volume": rf"(?:\d{{1,99}}|{missing})"}
    # The code points \udc80 to \udcff stand for undecodable bytes.
    cells["ticker"] = r'(?:"(?:[^"\udc80-\udcff]|"")+"|[^",\udc80-\udcff][^,\udc80-\udcff]*)'
    cells["date"] = r'(?P<quote>")?[ \t]*(?P<date>\d{4}-\d\d-\d\d)(?:[ T](?P<time>[^",]*))?(?(quote)")'
    cells[""] = r'(?:"(?:[^"]|"")*"|(?!")[^,]*)'
    return re.compile(",".join(cells[name] for name in names), re.ASCII)


def _group_by_session(
    readable: npt.NDArray[np.int64], unreadable: npt.NDArray[np.int64], sessions: Sequence[date], first_number: int
) -> tuple[UnreadableLines, ...]:
    """Group the unreadable lines by the session before them, in the order of the file."""
    before = np.searchsorted(readable, unreadable) - 1
    places: dict[date | None, list[int]] = {}
    for place, line_before in zip(unreadable.tolist(), before.tolist(), strict=True):
        session = None if line_before < 0 else sessions[line_before]
        places.setdefault(session, []).append(place)
    return tuple(UnreadableLines(session, len(group), group[0] + first_number) for session, group in places.items())


def _refuse_without_header(lines: Sequence[str]) -> None:
    """Raise the error for a text without a header and without bars."""
    first = next((line for line in lines if line.strip()), "")
    if sum(bool(name) for name in read_header(first)) > 1:
        require_columns(next(csv.reader([first])))
    _refuse_without_bars(lines)


def _refuse_without_bars(lines: Sequence[str]) -> NoReturn:
    """Raise the error for lines without a bar: only a short message of a source that it has no data means "missing"."""
    others = [line for line in lines if line.strip()]
    if not others:
        raise TableError(Outcome.MISSING, "holds no rows")
    text = f"holds no bars, but {len(others)} other {'line' if len(others) == 1 else 'lines'}"
    if len(others) <= _LONGEST_MESSAGE and any(_NO_DATA.search(line) for line in others):
        raise TableError(Outcome.MISSING, f"{text}, a message that there are no data")
    raise TableError(Outcome.SOURCE_ERROR, f"{text} of an unknown format")


@functools.cache
def _parse_day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if EARLIEST <= day <= LATEST else None
