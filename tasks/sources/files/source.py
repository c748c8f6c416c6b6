"""Daily or monthly bars from disk: one table of many symbols, or a directory with a file for each.

What a file may look like is said in `tasks.sources.files.tables`, which of its rows are bars in `tasks.sources.files.rows`.
`file:PATH` names

- a table with a column `ticker` or `symbol`;
- a table without one: all of it is the one symbol that the file is named after (GSPC_daily.csv: GSPC_daily);
- a directory of SYMBOL.csv, SYMBOL.csv.gz or SYMBOL.parquet; other files in it are passed over. A file that is of no
  use is that symbol's outcome and does not stop the others.

What is made of the numbers:

- With `dividends` or `stock_splits`, all have the meaning they have with Yahoo: prices, volumes and dividends are
  adjusted for every later split in the table, and are brought back to what was traded.
- Without them, dividends are where adj_close / close steps up, and the prices are taken as they stand. Without
  `adj_close` too, there are no dividends.
- Monthly bars, dated the first of their month, count when that month is over.
"""

import functools
import os
import threading
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from model.bars.adjustment import actions_from_adjusted_close, undo_splits
from model.frames import FINDING_TYPES
from tasks.calendars import last_closed_session, month_table
from tasks.errors import BadRequestError
from tasks.sources import (
    ACTION_TYPES,
    BAR_TYPES,
    INSTRUMENT_TYPES,
    Fetched,
    Outcome,
    SourceOutcome,
    spans,
    stack,
)
from tasks.sources.files.rows import FINDING_RULES, Prices, read_prices
from tasks.sources.files.tables import REQUIRED_COLUMNS, TableError

ENDINGS = (".csv", ".csv.gz", ".parquet")
ACTION_COLUMNS = {"dividends": "dividend", "stock_splits": "split"}


class FileSource:
    """A table or a directory of tables as a price source; see `tasks.sources.Source`.

    Args:
        path: as the user gave it; relative paths start at the working directory.
        exchange_mic: exchange of every symbol; its calendar says which sessions and months are closed.
        currency_code: ISO 4217 code of every price.
    """

    kind = "file"

    def __init__(self, path: str, exchange_mic: str = "XNYS", currency_code: str = "USD") -> None:
        self._path = path
        self._exchange_mic = exchange_mic
        self._currency_code = currency_code

    @property
    def default_universe(self) -> str:
        """The name without its endings: 'daily' for data/daily.csv.gz, 'data' for data/."""
        return Path(os.path.abspath(Path(self._path).expanduser())).name.split(".")[0]

    def instruments(self) -> pd.DataFrame:
        """Every symbol with its first and last session; see `tasks.sources.Source`.

        A symbol whose file in a directory is of no use is listed without sessions (NaT).
        """
        files = self._files()
        if files is None:
            prices = self._table()
            return self._instruments(prices.rows[prices.rows["is_bar"]], prices.monthly)
        bars, monthly, useless = [], set[str](), []
        for symbol, own in files.items():
            held = self._file(symbol, own)
            if isinstance(held, TableError) or not held.rows["is_bar"].any():
                useless.append(symbol)
            else:
                bars.append(held.rows.loc[held.rows["is_bar"], ["symbol", "session"]])
                monthly |= held.monthly
        known = self._instruments(stack(bars, {name: BAR_TYPES[name] for name in ("symbol", "session")}), monthly)
        return stack([known, self._described(pd.DataFrame({"symbol": useless}), monthly)], INSTRUMENT_TYPES)

    def fetch(self, firsts: Mapping[str, date | None], now: datetime) -> Fetched:
        """Bars, actions and findings from the file; see `tasks.sources.Source`.

        The findings are those of sessions that the bars could have been of, and those whose session or symbol (empty
        then) cannot be known.

        Raises:
            BadRequestError: if the table or directory cannot be read, or a table has other columns, no bar, or too
                many lines that are not what its columns say.
        """
        files = self._files()
        last_closed = pd.Timestamp(last_closed_session(self._exchange_mic, now))
        last_month = _last_closed_month(self._exchange_mic, last_closed)
        bars, actions, findings, outcomes = [], [], [], []
        monthly, knows_actions = set[str](), True
        for symbol, first in firsts.items():
            held = self._table() if files is None else self._file(symbol, files.get(symbol, []))
            if isinstance(held, TableError):
                outcomes.append(SourceOutcome(symbol, held.outcome, str(held)))
                continue
            is_monthly = symbol in held.monthly
            knows_actions &= not {*ACTION_COLUMNS, "adj_close"}.isdisjoint(held.rows.columns)
            monthly |= {symbol} if is_monthly else set()
            earliest = pd.Timestamp.min if first is None else pd.Timestamp(first)
            latest = last_month if is_monthly else last_closed
            # The whole history first: later splits and the level of adj_close reach across any cut.
            all_bars, all_actions = _as_traded(held.records_of(symbol))
            bars.append(all_bars[all_bars["session"].between(earliest, latest)])
            actions.append(all_actions[all_actions["ex_date"].between(earliest, latest)])
            reasons = []
            if not len(all_bars):
                reasons.append(f"no prices in {self._path}")
            elif not len(bars[-1]):
                reasons.append(f"no prices from {first or 'the start'} to {latest:%Y-%m-%d}")
            if not held.has_header:
                reasons.append("no header line, read in Yahoo's order of columns")
            if (own := held.findings.get(symbol)) is not None:
                findings.append(own[own["session"].isna() | own["session"].between(earliest, last_closed)])
                reasons += _counted(findings[-1])
            if still_open := int((all_bars["session"] > latest).sum()):
                newest = (
                    f"{latest:%Y-%m}, the last closed month"
                    if is_monthly
                    else f"{latest:%Y-%m-%d}, the last closed session"
                )
                reasons.append(f"{still_open} bars after {newest}, left out")
            outcome = Outcome.OK if len(bars[-1]) else Outcome.MISSING
            outcomes.append(SourceOutcome(symbol, outcome, "; ".join(reasons)))
        if files is None and "" in self._table().findings:
            findings.append(self._table().findings[""])
        together = stack(bars, BAR_TYPES)
        return Fetched(
            together,
            stack(actions, ACTION_TYPES),
            tuple(outcomes),
            self._instruments(together, monthly),
            stack(findings, FINDING_TYPES),
            knows_actions,
        )

    def _instruments(self, bars: pd.DataFrame, monthly: frozenset[str] | set[str]) -> pd.DataFrame:
        return stack([self._described(spans(bars), monthly)], INSTRUMENT_TYPES)

    def _described(self, symbols: pd.DataFrame, monthly: frozenset[str] | set[str]) -> pd.DataFrame:
        """The symbols with what is the same for all of a file, and NaT for sessions that are not given."""
        return symbols.assign(
            exchange_mic=self._exchange_mic,
            currency_code=self._currency_code,
            bar_interval=np.where(symbols["symbol"].isin(list(monthly)), "monthly", "daily"),
        ).reindex(columns=list(INSTRUMENT_TYPES))

    def _files(self) -> dict[str, list[Path]] | None:
        """The files of each symbol, by symbol; None if the path is no directory."""
        root = Path(self._path).expanduser()
        if not root.is_dir():
            return None
        files: dict[str, list[Path]] = {}
        try:
            for file in sorted(root.iterdir()):
                if (symbol := _without_ending(file.name)) not in ("", file.name):
                    files.setdefault(symbol, []).append(file)
        except OSError as error:
            raise BadRequestError(f"The directory {self._path} cannot be read: {error.strerror}.") from error
        if not files:
            raise BadRequestError(f"The directory {self._path} holds no file SYMBOL{', SYMBOL'.join(ENDINGS)}.")
        return files

    def _file(self, symbol: str, files: Sequence[Path]) -> Prices | TableError:
        """What the directory's file of the symbol holds, or why that is of no use, as a reason for the operator."""
        if not files:
            return TableError(Outcome.MISSING, f"no file of it in {self._path}")
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            return TableError(Outcome.REJECTED, f"there are several files of it: {names}")
        try:
            prices = read_prices(files[0], symbol, most_unreadable=1.0)
        except TableError as fault:
            return TableError(fault.outcome, f"the file {fault}")
        if set(prices.bounds) != {symbol}:
            tickers = ", ".join(list(prices.bounds)[:3])
            return TableError(Outcome.REJECTED, f"the file has the tickers {tickers}; expected {symbol} alone")
        return prices

    def _table(self) -> Prices:
        """The one table, read once for as long as its time and size stay the same."""
        try:
            state = Path(self._path).expanduser().stat()
        except OSError as error:
            raise BadRequestError(f"The price file {self._path} cannot be read: {error.strerror}.") from error
        try:
            with _reading:
                return _read_version(self._path, state.st_mtime_ns, state.st_size)
        except TableError as fault:
            columns = f"; it must have the columns {', '.join(REQUIRED_COLUMNS)}"
            hint = columns if fault.outcome is Outcome.MISSING else ""
            raise BadRequestError(f"The price file {self._path} {fault}{hint}.") from fault


_reading = threading.Lock()


@functools.lru_cache(maxsize=2)
def _read_version(path: str, mtime_ns: int, size: int) -> Prices:
    del mtime_ns, size  # they only tell one version of the file from another
    file = Path(path).expanduser()
    return read_prices(file, _without_ending(file.name))


def _without_ending(name: str) -> str:
    """The symbol that a file's name stands for; the name itself if it has another ending."""
    return next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), name)


def _as_traded(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bars and actions of one symbol's rows, as traded as the columns allow."""
    bars = rows[rows["is_bar"]]
    given = [name for name in ACTION_COLUMNS if name in rows]
    if given:
        events = [
            rows.loc[rows[name] > 0, ["symbol", "session", name]]
            .rename(columns={"session": "ex_date", name: "value"})
            .assign(kind=ACTION_COLUMNS[name])
            for name in given
        ]
        return undo_splits(bars, stack(events, ACTION_TYPES))
    return bars, actions_from_adjusted_close(bars) if "adj_close" in rows else stack([], ACTION_TYPES)


def _counted(findings: pd.DataFrame) -> list[str]:
    """The findings of one symbol in a few words, such as ['3 unreadable lines, 45 repeated dates'], or in none."""
    # A finding of lines counts as many as there are, one of a row counts as one.
    counts = findings["value"].where(findings["rule"] == "unreadable_line", 1).groupby(findings["rule"]).sum()
    words = ", ".join(f"{counts[rule]:.0f} {name}" for rule, name in FINDING_RULES.items() if rule in counts)
    return [words] if words else []


def _last_closed_month(mic: str, last_closed: pd.Timestamp) -> pd.Timestamp:
    """The first day of the newest month whose last session had closed."""
    month = last_closed.replace(day=1)
    table = month_table(mic, last_closed.date(), last_closed.date())
    is_over = len(table) and table["last_session"].iloc[0] == last_closed
    return month if is_over else month - pd.DateOffset(months=1)
