"""Universes: the symbols of a run, with their exchange, currency and sector."""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from tasks.calendars import has_calendar
from tasks.errors import BadRequestError
from tasks.paths import require_path, show_path
from tasks.sources.base import Source, clean_symbol

DEFAULT_EXCHANGE = "XNYS"
DEFAULT_CURRENCY = "USD"
_COLUMNS = ("symbol", "exchange_mic", "currency_code", "sector")
_LONGEST_NAME = 40
_ENDINGS = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """A symbol with the exchange whose calendar applies, its quote currency, and its sector if known."""

    symbol: str
    exchange_mic: str = DEFAULT_EXCHANGE
    """ISO 10383 code, or `24/7`."""
    currency_code: str = DEFAULT_CURRENCY
    """ISO 4217 code."""
    sector: str | None = None
    stated: frozenset[str] = frozenset()
    """Fields that the user stated, `exchange_mic` and `currency_code`: they override the defaults of a source."""


def name_universe(source_spec: str, symbols: Sequence[str] | None, universe_file: str | None) -> str:
    """Name the universe of a request without opening the source or a file.

    The same symbols in another order have the same name.

    Args:
        source_spec: `sample`, `file:PATH` or `yahoo`.
        symbols: Symbols of the request, if given.
        universe_file: Path of the universe file, if given.
    """
    if symbols is not None:
        requested = [clean_symbol(symbol) for symbol in symbols if clean_symbol(symbol)]
        return _name_symbols(list(dict.fromkeys(requested))) if requested else "no symbols"
    if universe_file is not None:
        return _name_file(universe_file)
    kind, _, path = source_spec.partition(":")
    return _name_file(path) if path else kind


def read_universe(path: str) -> tuple[Instrument, ...]:
    """Read the instruments of a universe file.

    Args:
        path: CSV file with the column `symbol`, optionally `exchange_mic`, `currency_code` and `sector`. Lines that
            start with `#` are comments.

    Returns:
        One instrument a symbol, in the order of the file. Of a repeated symbol the last row counts.

    Raises:
        BadRequestError: if the file cannot be read, has no column `symbol`, no symbol, or an unknown exchange.
    """
    require_path(path, "The universe file")
    shown = show_path(path)
    try:
        with Path(path).expanduser().open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(line for line in file if not line.startswith("#"))
            rows = [{k: (v or "").strip() for k, v in row.items() if k is not None} for row in lines]
    except (OSError, RuntimeError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file of comma-separated values"
        raise BadRequestError(f"The universe file {shown} cannot be read: {reason}.") from error
    if rows and "symbol" not in rows[0]:
        # Unknown columns are counted: the first line of another file may be a secret.
        known = [name for name in _COLUMNS if name in rows[0]]
        others = f"{len(rows[0]) - len(known)} unknown columns"
        raise BadRequestError(
            f"The universe file {shown} must have a column `symbol`; received {', '.join([*known, others])}."
        )
    instruments = tuple(
        Instrument(
            symbol=clean_symbol(row["symbol"]),
            exchange_mic=row.get("exchange_mic") or DEFAULT_EXCHANGE,
            currency_code=row.get("currency_code") or DEFAULT_CURRENCY,
            sector=row.get("sector") or None,
            stated=frozenset(name for name in ("exchange_mic", "currency_code") if row.get(name)),
        )
        for row in rows
        if clean_symbol(row["symbol"])
    )
    if not instruments:
        raise BadRequestError(f"The universe file {shown} names no symbol; it needs at least one.")
    for instrument in instruments:
        if not has_calendar(instrument.exchange_mic):
            raise BadRequestError(
                f"The universe file {shown} gives {instrument.symbol[:40]} the exchange "
                f"{instrument.exchange_mic[:20]!r}, which has no calendar; use an ISO 10383 code such as XNYS, or 24/7 "
                "for a market that trades every day."
            )
    return _unique(instruments)


def choose_instruments(
    source: Source, listed: pd.DataFrame | None, symbols: Sequence[str] | None, universe_file: str | None
) -> tuple[str, tuple[Instrument, ...]]:
    """Choose the instruments of a request: the given symbols, else the universe file, else all that the source lists.

    Args:
        source: Price source of the request.
        listed: `source.instruments()`. Its exchanges and currencies replace those of the request.
        symbols: Symbols of the request, if given.
        universe_file: Path of the universe file, if given.

    Returns:
        Name of the universe, and its instruments.

    Raises:
        BadRequestError: if both or neither of `symbols` and `universe_file` are usable, or the source lacks a symbol.
    """
    if symbols is not None and universe_file is not None:
        raise BadRequestError("Give either symbols or a universe file; received both.")
    if symbols is not None:
        requested = tuple(Instrument(symbol=clean_symbol(symbol)) for symbol in symbols if clean_symbol(symbol))
        if not requested:
            raise BadRequestError("The universe is empty: give at least one symbol, such as --symbols AAPL,MSFT.")
        instruments = _unique(requested)
        universe = _name_symbols([instrument.symbol for instrument in instruments])
    elif universe_file is not None:
        instruments = read_universe(universe_file)
        universe = _name_file(universe_file)
        _require_name(universe, f"The universe file {show_path(universe_file)}")
    elif listed is not None:
        instruments = tuple(Instrument(symbol=symbol) for symbol in listed["symbol"])
        universe = source.default_universe
        _require_name(universe, "The price file")
    else:
        raise BadRequestError(
            f"The source {source.kind!r} cannot list its symbols: "
            "name them with --symbols AAPL,MSFT or --universe FILE."
        )
    if listed is None:
        return universe, instruments
    by_symbol = listed.set_index("symbol")
    unknown = [instrument.symbol for instrument in instruments if instrument.symbol not in by_symbol.index]
    if unknown:
        raise BadRequestError(
            f"The source {source.kind!r} has no symbol {abbreviate(unknown)}; it has "
            f"{abbreviate(list(by_symbol.index))}."
        )
    located = tuple(_locate(instrument, by_symbol) for instrument in instruments)
    return universe, located


def require_same_universe(
    universe: str, instruments: Sequence[Instrument], location: str, published: pd.DataFrame
) -> None:
    """Require that a name stands for one set of symbols, to which a file may add and from which it may remove some.

    The set may change by any part if the same file names it, and by less than half if another file does.

    Args:
        universe: Name of the universe.
        instruments: Requested instruments.
        location: Universe file, or source, that names them.
        published: Newest published run of the universe: universe_file, source_spec, origin_month, symbols; or no row.

    Raises:
        BadRequestError: if the published symbols are another set.
    """
    if published.empty:
        return
    run = published.iloc[0]
    before, now = set(run["symbols"]), {instrument.symbol for instrument in instruments}
    common, both = len(before & now), len(before | now)
    is_same_file = location == (run["universe_file"] or run["source_spec"])
    if before == now or (common > 0 if is_same_file else 2 * common >= both):
        return
    raise BadRequestError(
        f"A universe must be one set of symbols: {universe!r} had {len(before)} in its last published month "
        f"({run['origin_month']:%Y-%m}), and {common} of the {len(now)} requested are among them. Give the file of the "
        "new universe another name, or change the symbols of the old one step by step."
    )


def _require_name(universe: str, subject: str) -> None:
    if not universe:
        raise BadRequestError(f"{subject} must have a name before its ending, because it names the universe.")


def _locate(instrument: Instrument, by_symbol: pd.DataFrame) -> Instrument:
    """Take the exchange and the currency that the source lists, unless the user stated them."""
    mic, currency = by_symbol.loc[instrument.symbol, ["exchange_mic", "currency_code"]]
    return replace(
        instrument,
        exchange_mic=instrument.exchange_mic if "exchange_mic" in instrument.stated else str(mic),
        currency_code=instrument.currency_code if "currency_code" in instrument.stated else str(currency),
    )


def abbreviate(names: Sequence[str], most: int = 5) -> str:
    """Join the first `most` names with commas, and count the others."""
    shown = ", ".join(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _name_symbols(symbols: Sequence[str]) -> str:
    digest = hashlib.sha256("\n".join(sorted(symbols)).encode()).hexdigest()[:6]
    return symbols[0] if len(symbols) == 1 else f"{symbols[0]}-and-{len(symbols) - 1}-more-{digest}"


def _name_file(path: str) -> str:
    name = Path(path).name
    return next((name.removesuffix(ending) for ending in _ENDINGS if name.endswith(ending)), name)


def _unique(instruments: tuple[Instrument, ...]) -> tuple[Instrument, ...]:
    return tuple({instrument.symbol: instrument for instrument in instruments}.values())
