"""Daily bars from a table on disk: CSV, gzip CSV or Parquet, told apart by their first bytes.

Columns `ticker,date,open,high,low,close,adj_close,volume`, optionally `dividends` and `stock_splits`; others are passed
over. What tables of this kind hold, and what is made of it:

- An empty field is missing, and so is an open of 0 or a volume of 0. Tickers such as NA or NaN are text.
- A day that is there twice (a feed that appends its downloads) counts with its last row, and the outcome says so.
- With `dividends` or `stock_splits`, all numbers have Yahoo's meaning: prices, volumes and dividends are adjusted for
  every later split in the table, and are brought back to what was traded.
- Without them, dividends are where adj_close / close steps up, and the prices are taken as they stand.
"""

import csv
import functools
import gzip
import itertools
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from model.adjustment import actions_from_adjusted_close, undo_splits
from tasks.calendars import last_closed_session
from tasks.errors import BadRequestError
from tasks.sources import (
    ACTION_TYPES,
    BAR_TYPES,
    INSTRUMENT_TYPES,
    PRICE_COLUMNS,
    Fetched,
    Outcome,
    SourceOutcome,
    spans,
    stack,
)

REQUIRED_COLUMNS = ["ticker", "date", *PRICE_COLUMNS, "adj_close", "volume"]
ACTION_COLUMNS = {"dividends": "dividend", "stock_splits": "split"}
EARLIEST_YEAR, LATEST_YEAR = 1700, 2200  # nanoseconds since 1970 reach from 1677 to 2262

_reading = threading.Lock()


@dataclass(frozen=True)
class _Table:
    """A file once read: rows sorted by symbol and session, unique; row numbers [start, stop) of each symbol."""

    rows: pd.DataFrame
    bounds: dict[str, tuple[int, int]]
    repeated: dict[str, int]


class FileSource:
    """A table on disk as a price source; see `tasks.sources.Source`.

    Args:
        path: as the user gave it; relative paths start at the working directory.
        exchange_mic: exchange of every ticker in the file; its calendar says which sessions are closed.
        currency_code: ISO 4217 code of every price in the file.
    """

    kind = "file"

    def __init__(self, path: str, exchange_mic: str = "XNYS", currency_code: str = "USD") -> None:
        self._path = path
        self._exchange_mic = exchange_mic
        self._currency_code = currency_code

    @property
    def default_universe(self) -> str:
        """The file's name without its endings: 'daily' for data/daily.csv.gz."""
        return Path(self._path).name.split(".")[0]

    def instruments(self) -> pd.DataFrame:
        """Every ticker in the file with its first and last session; see `tasks.sources.Source`."""
        return self._instruments(_with_prices(_read(self._path).rows))

    def fetch(self, symbols: Sequence[str], first: date | None, now: datetime) -> Fetched:
        """Bars and actions from the file; see `tasks.sources.Source`.

        Raises:
            BadRequestError: if the file cannot be read, has other columns, holds no rows, or a cell is not what its
                column says.
        """
        last_closed = pd.Timestamp(last_closed_session(self._exchange_mic, now))
        earliest = pd.Timestamp.min if first is None else pd.Timestamp(first)
        table = _read(self._path)
        bars, actions, outcomes = [], [], []
        for symbol in dict.fromkeys(symbols):
            start, stop = table.bounds.get(symbol, (0, 0))
            # The whole history first: later splits and the level of adj_close reach across any cut.
            all_bars, all_actions = _as_traded(table.rows.iloc[start:stop])
            kept = all_bars[all_bars["session"].between(earliest, last_closed)]
            bars.append(kept)
            actions.append(all_actions[all_actions["ex_date"].between(earliest, last_closed)])
            reasons = []
            if not len(all_bars):
                reasons.append(f"no prices in {self._path}")
            elif not len(kept):
                reasons.append(f"no prices from {first or 'the start'} to {last_closed:%Y-%m-%d}")
            if repeated := table.repeated.get(symbol, 0):
                reasons.append(f"{repeated} repeated dates, the last row of each kept")
            if still_open := int((all_bars["session"] > last_closed).sum()):
                reasons.append(f"{still_open} bars after {last_closed:%Y-%m-%d}, the last closed session, left out")
            outcome = Outcome.OK if len(kept) else Outcome.MISSING
            outcomes.append(SourceOutcome(symbol, outcome, "; ".join(reasons)))
        together = stack(bars, BAR_TYPES)
        return Fetched(together, stack(actions, ACTION_TYPES), tuple(outcomes), self._instruments(together))

    def _instruments(self, bars: pd.DataFrame) -> pd.DataFrame:
        table = spans(bars).assign(exchange_mic=self._exchange_mic, currency_code=self._currency_code)
        return stack([table], INSTRUMENT_TYPES)


def _as_traded(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bars and actions of one symbol's rows, as traded as the columns allow."""
    given = [name for name in ACTION_COLUMNS if name in rows]
    if not given:
        return _with_prices(rows), actions_from_adjusted_close(rows)
    events = [
        rows.loc[rows[name] > 0, ["symbol", "session", name]]
        .rename(columns={"session": "ex_date", name: "value"})
        .assign(kind=ACTION_COLUMNS[name])
        for name in given
    ]
    return undo_splits(_with_prices(rows), stack(events, ACTION_TYPES))


def _with_prices(rows: pd.DataFrame) -> pd.DataFrame:
    """Without the rows that some feeds write for holidays, which may hold a dividend but no price."""
    return rows[rows[PRICE_COLUMNS].notna().any(axis=1)]


def _read(path: str) -> _Table:
    """The file at `path`, read once for as long as its time and size stay the same."""
    try:
        state = Path(path).expanduser().stat()
    except OSError as error:
        raise BadRequestError(f"The price file {path} cannot be read: {error.strerror}.") from error
    with _reading:
        return _read_version(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=2)
def _read_version(path: str, mtime_ns: int, size: int) -> _Table:
    del mtime_ns, size  # they only tell one version of the file from another
    file = Path(path).expanduser()
    try:
        with file.open("rb") as stream:
            magic = stream.read(4)
        if not magic:
            raise BadRequestError(f"The price file {path} is empty.")
        columns = _read_parquet(file, path) if magic == b"PAR1" else _read_csv(file, path, magic[:2] == b"\x1f\x8b")
    except (OSError, EOFError, UnicodeDecodeError, pa.ArrowException) as error:
        raise BadRequestError(f"The price file {path} cannot be read: {_one_line(error)}.") from error
    return _arrange(columns, path)


def _read_csv(file: Path, path: str, is_gzip: bool) -> pa.Table:
    with gzip.open(file, "rb") if is_gzip else file.open("rb") as stream:
        header = stream.readline(65_536).decode("utf-8-sig")
    names = _known_columns(next(csv.reader([header]), []), path)
    convert = pa.csv.ConvertOptions(
        column_types={name: pa.float64() for name in names}
        | {"ticker": pa.dictionary(pa.int32(), pa.string()), "date": pa.date32()},
        include_columns=names,
        null_values=[""],
        strings_can_be_null=True,
    )

    def read(use_threads: bool) -> pa.Table:
        with pa.input_stream(str(file), compression="gzip" if is_gzip else None) as stream:
            return pa.csv.read_csv(stream, pa.csv.ReadOptions(use_threads=use_threads), convert_options=convert)

    try:
        return read(use_threads=True)
    except pa.ArrowInvalid as error:
        fault = error
    try:
        # The slower reader counts rows; it is used for nothing but the sentence.
        return read(use_threads=False)
    except pa.ArrowInvalid as error:
        fault = error
    raise BadRequestError(
        f"The price file {path} has a row that is not what its columns say: {_one_line(fault)}. "
        "Dates are written YYYY-MM-DD, all other columns but `ticker` are numbers, a missing one is empty."
    ) from fault


def _read_parquet(file: Path, path: str) -> pa.Table:
    columns = pa.parquet.read_table(file, columns=_known_columns(pa.parquet.read_schema(file).names, path))
    for place, (name, values) in enumerate(zip(columns.column_names, columns.columns, strict=True)):
        target = {"ticker": pa.string(), "date": pa.date32()}.get(name, pa.float64())
        try:
            # Nothing is lost by any of these casts but a time of day, which a session has none of.
            cast = values.cast(target)
            if name == "date" and not pc.all(pc.equal(cast.cast(values.type), values)).as_py():
                raise pa.ArrowInvalid("a time of day in `date`")
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise BadRequestError(
                f"The price file {path} has a column `{name}` of type {values.type} that cannot be read as {target}: "
                f"{_one_line(error)}."
            ) from error
        columns = columns.set_column(place, name, cast.dictionary_encode() if name == "ticker" else cast)
    return columns


def _known_columns(found: Sequence[str], path: str) -> list[str]:
    """The columns to read; a table without the required ones, or with one of them twice, is refused."""
    wanted = [*REQUIRED_COLUMNS, *ACTION_COLUMNS]
    faulty = [name for name in wanted if found.count(name) != 1 and (name in found or name in REQUIRED_COLUMNS)]
    if faulty:
        raise BadRequestError(
            f"The price file {path} must have the columns {', '.join(REQUIRED_COLUMNS)}, each once; "
            f"found {_one_line(', '.join(found)) or 'none'}."
        )
    return [name for name in wanted if name in found]


def _arrange(columns: pa.Table, path: str) -> _Table:
    """Sort, drop repeated days, and blank what stands for missing."""
    if not columns.num_rows:
        raise BadRequestError(f"The price file {path} holds no rows.")
    for name in ("ticker", "date"):
        if columns[name].null_count:
            raise BadRequestError(f"The price file {path} has {columns[name].null_count} rows without a `{name}`.")
    names, codes = _number_tickers(columns["ticker"])
    days = columns["date"].to_numpy().astype("datetime64[D]")
    years = days.astype("datetime64[Y]").astype(np.int64) + 1970
    if years.min() < EARLIEST_YEAR or years.max() > LATEST_YEAR:
        raise BadRequestError(
            f"The price file {path} has dates from {days.min()} to {days.max()}; "
            f"expected the years {EARLIEST_YEAR} to {LATEST_YEAR}."
        )
    numbers = columns.drop_columns(["ticker", "date"]).to_pandas()
    order = np.lexsort((days, codes))  # stable: of two rows of a day the later stays the later
    codes, days = codes[order], days[order]
    is_last = np.append((codes[1:] != codes[:-1]) | (days[1:] != days[:-1]), True)
    lost = np.bincount(codes[~is_last], minlength=len(names))
    codes, days, order = codes[is_last], days[is_last], order[is_last]

    rows = numbers.iloc[order].reset_index(drop=True)
    infinite = np.isinf(rows.to_numpy()).any(axis=1)
    if infinite.any():
        row = int(infinite.argmax())
        raise BadRequestError(f"The price file {path} has an infinite number for {names[codes[row]]} on {days[row]}.")
    for name in ("open", "volume"):
        rows[name] = rows[name].mask(rows[name] == 0.0)
    rows.insert(0, "symbol", pd.Series(names, dtype="str").take(codes).to_numpy())
    rows.insert(1, "session", days.astype("datetime64[ns]"))
    edges = np.searchsorted(codes, np.arange(len(names) + 1)).tolist()
    bounds = dict(zip(names, itertools.pairwise(edges), strict=True))
    return _Table(rows, bounds, {name: int(count) for name, count in zip(names, lost, strict=True) if count})


def _number_tickers(tickers: pa.ChunkedArray) -> tuple[list[str], np.ndarray[Any, np.dtype[np.int64]]]:
    """Sorted distinct tickers, and the number of each row's ticker among them."""
    encoded = tickers.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    found = encoded.dictionary.to_pylist()
    names = sorted(set(found))
    rank = {name: number for number, name in enumerate(names)}
    return names, np.array([rank[name] for name in found], dtype=np.int64)[encoded.indices.to_numpy()]


def _one_line(fault: object) -> str:
    """At most 200 characters of a message that may quote a whole web page."""
    text = re.sub(r"\s+", " ", str(fault)).strip().rstrip(".")
    return text if len(text) <= 200 else f"{text[:200]}…"
