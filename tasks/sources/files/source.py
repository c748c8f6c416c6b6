"""Files source: daily or monthly bars from a table of many symbols, or from a directory with a file for each symbol.

`file:PATH` names

- a table with a column `ticker` or `symbol`;
- a table without one: all of it belongs to the symbol that the file is named after (GSPC_daily.csv: GSPC_daily);
- a directory of SYMBOL.csv, SYMBOL.csv.gz or SYMBOL.parquet; other files in it are ignored. An unusable file is the
  outcome of its symbol and does not stop the others.

Meaning of the numbers:

- With `dividends` or `stock_splits`, the numbers mean the same as at Yahoo: prices, volumes and dividends are adjusted
  for every later split in the table. The adjustment is undone.
- Without them, prices are as traded, and a step of adj_close / close is a dividend. Without `adj_close` there are no
  dividends.
- A monthly bar, dated the first of its month, counts once that month is over.
"""

import functools
import os
import threading
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from model.bars.adjustment import read_adjusted_steps, undo_splits
from model.frames import ACTION_TYPES, BAR_TYPES, FINDING_TYPES
from model.quality.findings import Finding, Treatment, findings_frame
from tasks.calendars import last_closed_session, month_table
from tasks.errors import BadRequestError
from tasks.paths import require_path, show_path
from tasks.sources.base import (
    INSTRUMENT_TYPES,
    Fetched,
    Outcome,
    SourceOutcome,
    clean_symbol,
    session_spans,
    stack,
)
from tasks.sources.files.columns import REQUIRED_COLUMNS
from tasks.sources.files.prices import FINDING_RULES, Prices, read_prices
from tasks.sources.files.table import TableError

ENDINGS = (".csv", ".csv.gz", ".parquet")
_NO_FINDINGS = stack([], FINDING_TYPES)
ACTION_COLUMNS = {"dividends": "dividend", "stock_splits": "split"}


class FileSource:
    """Price source of a table or of a directory of tables; see `tasks.sources.base.Source`.

    Args:
        path: Path as given by the user; a relative path starts at the working directory.
        exchange_mic: Exchange of every symbol; its calendar decides which sessions and months are closed.
        currency_code: ISO 4217 code of every price.
    """

    kind = "file"

    def __init__(self, path: str, exchange_mic: str = "XNYS", currency_code: str = "USD") -> None:
        self._path = path
        self._exchange_mic = exchange_mic
        self._currency_code = currency_code

    @property
    def default_universe(self) -> str:
        """Name of the file without a known ending, or of the directory: 'us.daily' for data/us.daily.csv.gz."""
        return _without_ending(Path(os.path.abspath(Path(self._path).expanduser())).name)

    def instruments(self) -> pd.DataFrame:
        """List every symbol; see `tasks.sources.base.Source`.

        A symbol with an unusable file in a directory is listed without sessions (NaT), so that it is requested and
        gets an outcome.
        """
        files = self._list_files()
        if files is None:
            prices = self._read_single_table()
            return self._instruments(prices.rows[prices.rows["is_bar"]], prices.monthly)
        bars, monthly, unusable = [], set[str](), []
        for symbol, candidates in files.items():
            prices_or_error = self._read_symbol_file(symbol, candidates)
            if isinstance(prices_or_error, TableError) or not prices_or_error.rows["is_bar"].any():
                unusable.append(symbol)
            else:
                rows = prices_or_error.rows
                bars.append(rows.loc[rows["is_bar"], ["symbol", "session"]])
                monthly |= prices_or_error.monthly
        usable = self._instruments(stack(bars, {name: BAR_TYPES[name] for name in ("symbol", "session")}), monthly)
        return stack([usable, self._describe(pd.DataFrame({"symbol": unusable}), monthly)], INSTRUMENT_TYPES)

    def fetch(self, firsts: Mapping[str, date | None], now: datetime) -> Fetched:
        """Read bars, actions and findings from the file; see `tasks.sources.base.Source`.

        The findings are those of the requested sessions, and those whose session (NaT) or symbol ('') is unknown.

        Raises:
            BadRequestError: if the table or directory cannot be read, or a table has wrong columns, no bar, or too
                many unreadable lines.
        """
        files = self._list_files()
        last_closed = pd.Timestamp(last_closed_session(self._exchange_mic, now))
        last_month = _last_closed_month(self._exchange_mic, last_closed)
        bars, actions, findings, outcomes = [], [], [], []
        monthly, knows_actions = set[str](), True
        for symbol, first in firsts.items():
            prices = (
                self._read_single_table() if files is None else self._read_symbol_file(symbol, files.get(symbol, []))
            )
            if isinstance(prices, TableError):
                outcomes.append(SourceOutcome(symbol, prices.outcome, str(prices)))
                continue
            is_monthly = symbol in prices.monthly
            knows_actions &= not {*ACTION_COLUMNS, "adj_close"}.isdisjoint(prices.rows.columns)
            monthly |= {symbol} if is_monthly else set()
            earliest = pd.Timestamp.min if first is None else pd.Timestamp(first)
            latest = last_month if is_monthly else last_closed
            # From the whole history: later splits and the level of adj_close affect the requested sessions.
            all_bars, all_actions, doubtful = _as_traded(prices.records_of(symbol))
            bars.append(all_bars[all_bars["session"].between(earliest, latest)])
            actions.append(all_actions[all_actions["ex_date"].between(earliest, latest)])
            reasons = []
            if not len(all_bars):
                reasons.append(f"no prices in {show_path(self._path)}")
            elif not len(bars[-1]):
                reasons.append(f"no prices from {first or 'the start'} to {latest:%Y-%m-%d}")
            if not prices.has_header:
                reasons.append("no header line, read in Yahoo's order of columns")
            symbol_findings = prices.findings.get(symbol)
            if len(doubtful):
                symbol_findings = doubtful if symbol_findings is None else pd.concat([symbol_findings, doubtful])
            if symbol_findings is not None:
                is_requested = symbol_findings["session"].isna() | symbol_findings["session"].between(
                    earliest, last_closed
                )
                findings.append(symbol_findings[is_requested])
                reasons += _count_findings(findings[-1])
            if still_open := int((all_bars["session"] > latest).sum()):
                newest = (
                    f"{latest:%Y-%m}, the last closed month"
                    if is_monthly
                    else f"{latest:%Y-%m-%d}, the last closed session"
                )
                reasons.append(f"{still_open} bars after {newest}, left out")
            outcome = Outcome.OK if len(bars[-1]) else Outcome.MISSING
            outcomes.append(SourceOutcome(symbol, outcome, "; ".join(reasons)))
        if files is None and "" in self._read_single_table().findings:
            findings.append(self._read_single_table().findings[""])
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
        return stack([self._describe(session_spans(bars), monthly)], INSTRUMENT_TYPES)

    def _describe(self, symbols: pd.DataFrame, monthly: frozenset[str] | set[str]) -> pd.DataFrame:
        """Add exchange, currency and bar interval; sessions that are not given become NaT."""
        return symbols.assign(
            exchange_mic=self._exchange_mic,
            currency_code=self._currency_code,
            bar_interval=np.where(symbols["symbol"].isin(list(monthly)), "monthly", "daily"),
        ).reindex(columns=list(INSTRUMENT_TYPES))

    def _list_files(self) -> dict[str, list[Path]] | None:
        """List the files of each symbol; None if the path is no directory."""
        require_path(self._path, "The source file:PATH", is_directory_allowed=True)
        try:
            root = Path(self._path).expanduser()
            if not root.is_dir():
                return None
        except (OSError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "its home directory is unknown"
            raise BadRequestError(f"The price file {show_path(self._path)} cannot be read: {reason}.") from error
        files: dict[str, list[Path]] = {}
        try:
            for file in sorted(root.iterdir()):
                name = _without_ending(file.name)
                if name != file.name and (symbol := clean_symbol(name)):
                    files.setdefault(symbol, []).append(file)
        except OSError as error:
            raise BadRequestError(f"The directory {show_path(self._path)} cannot be read: {error.strerror}.") from error
        if not files:
            raise BadRequestError(
                f"The directory {show_path(self._path)} holds no file SYMBOL{', SYMBOL'.join(ENDINGS)}."
            )
        return files

    def _read_symbol_file(self, symbol: str, files: Sequence[Path]) -> Prices | TableError:
        """Read the directory's file of a symbol; an unusable one is returned as the error."""
        if not files:
            return TableError(Outcome.MISSING, f"no file of this symbol in {show_path(self._path)}")
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            return TableError(Outcome.REJECTED, f"a symbol must have one file, and this one has {names}")
        try:
            prices = read_prices(files[0], symbol, most_unreadable=1.0)
        except TableError as error:
            return TableError(error.outcome, f"the file {error}")
        if set(prices.bounds) != {symbol}:
            return TableError(
                Outcome.REJECTED,
                f"the file must have the ticker {symbol} alone; received {len(prices.bounds)} tickers, "
                f"{'one of them' if symbol in prices.bounds else 'none of them'} {symbol}",
            )
        return prices

    def _read_single_table(self) -> Prices:
        """Read the one table; it is cached until its time or size changes."""
        try:
            state = Path(self._path).expanduser().stat()
        except OSError as error:
            raise BadRequestError(
                f"The price file {show_path(self._path)} cannot be read: {error.strerror}."
            ) from error
        try:
            with _reading:
                return _read_version(self._path, state.st_mtime_ns, state.st_size)
        except TableError as error:
            columns = f"; it must have the columns {', '.join(REQUIRED_COLUMNS)}"
            hint = columns if str(error).startswith(("holds no", "is empty")) else ""
            raise BadRequestError(f"The price file {show_path(self._path)} {error}{hint}.") from error


_reading = threading.Lock()


@functools.lru_cache(maxsize=2)
def _read_version(path: str, mtime_ns: int, size: int) -> Prices:
    del mtime_ns, size  # only keys of the cache
    file = Path(path).expanduser()
    return read_prices(file, _without_ending(file.name))


def _without_ending(name: str) -> str:
    """Remove a known ending from a file's name; a name with another ending stays as it is."""
    return next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), name)


def _as_traded(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Compute bars as traded, actions, and findings, from one symbol's rows; the columns decide how."""
    bars = rows[rows["is_bar"]]
    action_columns = [name for name in ACTION_COLUMNS if name in rows]
    if action_columns:
        events = [
            rows.loc[rows[name] > 0, ["symbol", "session", name]]
            .rename(columns={"session": "ex_date", name: "value"})
            .assign(kind=ACTION_COLUMNS[name])
            for name in action_columns
        ]
        return *undo_splits(bars, stack(events, ACTION_TYPES)), _NO_FINDINGS
    if "adj_close" not in rows:
        return bars, stack([], ACTION_TYPES), _NO_FINDINGS
    steps = read_adjusted_steps(bars)
    return bars, steps.actions, _doubtful_adjustments(bars, steps.falls)


def _doubtful_adjustments(bars: pd.DataFrame, falls: pd.DataFrame) -> pd.DataFrame:
    """Return the findings in the adjusted closes of one symbol: lasting falls, and values of zero or less."""
    findings = [
        Finding(
            symbol,
            session,
            "adjusted_fall",
            size,
            Treatment.KEPT,
            f"adjusted close / close falls by a factor of {np.exp(-size):.4g}: raw closes around a reverse split, or a "
            "false adjustment; no dividend is derived from it",
        )
        for symbol, session, size in falls.itertuples(index=False)
    ]
    is_negative = (bars["adj_close"] <= 0).to_numpy()
    if is_negative.any():
        first = bars.iloc[int(is_negative.argmax())]
        reason = f"{is_negative.sum()} adjusted closes of zero or less: no dividends are derived from them"
        place = (first["symbol"], first["session"], "adjusted_not_positive", float(bars["adj_close"].min()))
        findings.append(Finding(*place, Treatment.EXCLUDED, reason))
    return findings_frame(findings) if findings else _NO_FINDINGS


def _count_findings(findings: pd.DataFrame) -> list[str]:
    """Count the findings of one symbol by rule: ['3 unreadable lines, 45 repeated dates'], or [] without findings."""
    # The value of an unreadable-line finding is its number of lines; any other finding is one row.
    counts = findings["value"].where(findings["rule"] == "unreadable_line", 1).groupby(findings["rule"]).sum()
    words = ", ".join(f"{counts[rule]:.0f} {name}" for rule, name in FINDING_RULES.items() if rule in counts)
    return [words] if words else []


def _last_closed_month(mic: str, last_closed: pd.Timestamp) -> pd.Timestamp:
    """Find the first day of the newest month whose last session is closed."""
    month = last_closed.replace(day=1)
    table = month_table(mic, last_closed.date(), last_closed.date())
    is_over = len(table) and table["last_session"].iloc[0] == last_closed
    return month if is_over else month - pd.DateOffset(months=1)
