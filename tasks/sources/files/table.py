"""Data types of a table of prices, and the error for an unusable file."""

import re
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from tasks.sources.base import Outcome

EARLIEST, LATEST = date(1700, 1, 1), date(2200, 12, 31)
"""Dates that a table may hold: nanoseconds since 1970 cover 1677 to 2262."""


class TableError(Exception):
    """Error for an unusable file; the message completes "the file …".

    Attributes:
        outcome: Outcome of a symbol whose bars are all in this file.
    """

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclass(frozen=True)
class UnreadableLines:
    """Unreadable lines after the same session."""

    session: date | None
    """Date of the last readable line before them; None if there is none."""
    count: int
    first: int
    """Number of the first of the lines, from 1. Lines are never quoted: a file may hold anything."""


@dataclass(frozen=True)
class Table:
    """Readable rows of a file, in its order."""

    columns: pa.Table
    """ticker (dictionary of strings) and date (date32), without nulls; numbers (float64, missing: null or NaN)."""
    has_tickers: bool
    """False if the file has no ticker column, so that all rows belong to one symbol."""
    has_header: bool = True
    unreadable: tuple[UnreadableLines, ...] = ()


def shorten(text: object, length: int = 200) -> str:
    """Shorten a text, such as a web page, to one printable line of at most `length` characters."""
    printable = str(text).encode("utf-8", "replace").decode().replace("\0", " ")
    line = re.sub(r"\s+", " ", printable).strip().rstrip(".")
    return line if len(line) <= length else f"{line[: length - 1]}…"
