"""What a request means: which month, which symbols, from where. Whatever cannot be is refused here, before any work."""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import pandas as pd

from model.config import ForecasterConfig
from sql.store import MonthKey, Store
from tasks.calendars import has_calendar, last_closed_session, month_table
from tasks.database import database_errors
from tasks.errors import BadRequestError, NotEnoughHistoryError
from tasks.settings import Mode, Settings
from tasks.sources import Source, open_source

DEFAULT_EXCHANGE = "XNYS"
DEFAULT_CURRENCY = "USD"


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """A symbol, the exchange whose calendar it follows, the currency it is quoted in, and its sector where known."""

    symbol: str
    exchange_mic: str = DEFAULT_EXCHANGE
    currency_code: str = DEFAULT_CURRENCY
    sector: str | None = None


@dataclass(frozen=True, kw_only=True)
class PricesPlan:
    """Prices to bring into the store."""

    source_spec: str
    universe: str
    instruments: tuple[Instrument, ...]
    requested_at: datetime
    """Moment of asking, UTC: sessions that had closed by then are wanted."""
    first: date | None = None
    """Earliest session wanted; None means whatever is missing."""

    @property
    def symbols(self) -> list[str]:
        """The symbols asked for, in their order."""
        return [each.symbol for each in self.instruments]


@dataclass(frozen=True, kw_only=True)
class MonthPlan:
    """A month to forecast: everything the steps need to know about the request."""

    key: MonthKey
    as_of: date
    known_at: datetime
    """Moment up to which we may have learnt of it, UTC: that of asking, then the end of the download."""
    prices: PricesPlan
    mode: Mode
    correction: int
    min_coverage: float
    published_run_id: int | None
    """Run that has already published this month, when nothing is left to do."""

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The universe."""
        return self.prices.instruments


def plan_month(
    store: Store,
    settings: Settings,
    config: ForecasterConfig,
    *,
    source_spec: str,
    as_of: date | None,
    symbols: Sequence[str] | None,
    universe_file: str | None,
    mode: Mode,
    rerun: bool,
    min_coverage: float,
    scheduled_for: datetime,
    now: datetime,
) -> MonthPlan:
    """Make sense of a request.

    Args:
        store: Knows what is already published, and which symbols come from which source.
        settings: Where the sources keep their caches.
        config: Says how many months a model needs.
        source_spec: `sample`, `file:PATH` or `yahoo`.
        as_of: Date up to which anything may have happened; default: the newest session that the source has and that
            had closed at `scheduled_for`.
        symbols: Symbols to forecast; default: those of `universe_file`, else all that the source lists.
        universe_file: CSV with a column `symbol`, optionally `exchange_mic`, `currency_code` and `sector`.
        mode: How the model is chosen.
        rerun: Make a correction when the month is already published.
        min_coverage: Share of the universe that must have its month.
        scheduled_for: Moment the run was meant for: a late run forecasts the month it was due for.
        now: Moment of asking, UTC.

    Raises:
        BadRequestError: if the request cannot be.
        NotEnoughHistoryError: if the source is known to have too few months up to `as_of`.
    """
    source = open_request_source(source_spec, settings)
    listed = source.instruments()
    universe, instruments = _choose_instruments(source, listed, symbols, universe_file)
    spans = None if listed is None else _spans(listed, [each.symbol for each in instruments])
    mics = sorted({each.exchange_mic for each in instruments})
    as_of = _choose_as_of(as_of, spans, mics, scheduled_for, now.date())
    origin_month = _last_complete_month(mics, as_of)
    if spans is not None:
        _require_history(spans, as_of, origin_month, config.fewest_months)
    key = MonthKey(source=source.kind, universe=universe, origin_month=origin_month)
    with database_errors():
        known = store.read_instruments([each.symbol for each in instruments])
        published = store.find_published(key)
        has_model = mode not in ("keep", "fine-tune") or store.read_champion(key) is not None
    if not has_model:
        raise BadRequestError(f"{universe} has no model to {mode} yet; run it with `--mode auto` first.")
    _refuse_mixed_sources(known, source.kind)
    return MonthPlan(
        key=key,
        as_of=as_of,
        known_at=now,
        prices=PricesPlan(source_spec=source_spec, universe=universe, instruments=instruments, requested_at=now),
        mode=mode,
        correction=0 if published is None else int(published["correction"]) + 1,
        min_coverage=min_coverage,
        published_run_id=None if published is None or rerun else int(published["run_id"]),
    )


def plan_prices(
    store: Store,
    settings: Settings,
    *,
    source_spec: str,
    symbols: Sequence[str] | None,
    universe_file: str | None,
    first: date | None,
    now: datetime,
) -> PricesPlan:
    """Make sense of a request for prices alone; arguments and errors as in `plan_month`."""
    if first is not None and first > now.date():
        raise BadRequestError(
            f"`first` must not be in the future: received {first}, and today is {now:%Y-%m-%d} (UTC)."
        )
    source = open_request_source(source_spec, settings)
    universe, instruments = _choose_instruments(source, source.instruments(), symbols, universe_file)
    with database_errors():
        known = store.read_instruments([each.symbol for each in instruments])
    _refuse_mixed_sources(known, source.kind)
    return PricesPlan(
        source_spec=source_spec, universe=universe, instruments=instruments, requested_at=now, first=first
    )


def open_request_source(spec: str, settings: Settings) -> Source:
    """The source a request names, set up as this machine has it."""
    return open_source(
        spec, cache_dir=settings.cache_dir, base_url=settings.yahoo_base_url, max_workers=settings.yahoo_workers
    )


def earlier_month_ends(plan: MonthPlan, months: int) -> list[date]:
    """The last days of the `months` months before the plan's origin month, oldest first."""
    origin = pd.Timestamp(plan.key.origin_month)
    return [(origin - pd.DateOffset(months=back) + pd.offsets.MonthEnd(0)).date() for back in range(months, 0, -1)]


def name_universe(source_spec: str, symbols: Sequence[str] | None, universe_file: str | None) -> str:
    """The name of the universe a request asks for, as far as it can be told without opening anything."""
    if symbols is not None:
        asked = [each.strip() for each in symbols if each.strip()]
        return _name_symbols(list(dict.fromkeys(asked))) if asked else "no symbols"
    if universe_file is not None:
        return _name_file(universe_file)
    kind, _, path = source_spec.partition(":")
    return _name_file(path) if path else kind


def read_universe(path: str) -> tuple[Instrument, ...]:
    """The instruments of a universe file: CSV with `symbol`, optionally `exchange_mic`, `currency_code` and `sector`.

    Raises:
        BadRequestError: if the file cannot be read, lacks the column, names no symbol or an unknown exchange.
    """
    try:
        with Path(path).expanduser().open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(line for line in file if not line.startswith("#"))
            rows = [{k: (v or "").strip() for k, v in row.items() if k is not None} for row in lines]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file of comma-separated values"
        raise BadRequestError(f"The universe file {path} cannot be read: {reason}.") from error
    if rows and "symbol" not in rows[0]:
        raise BadRequestError(
            f"The universe file {path} must have a column `symbol`; found {', '.join(rows[0]) or 'none'}."
        )
    instruments = tuple(
        Instrument(
            symbol=row["symbol"],
            exchange_mic=row.get("exchange_mic") or DEFAULT_EXCHANGE,
            currency_code=row.get("currency_code") or DEFAULT_CURRENCY,
            sector=row.get("sector") or None,
        )
        for row in rows
        if row["symbol"]
    )
    if not instruments:
        raise BadRequestError(f"The universe file {path} names no symbol; it needs at least one.")
    for each in instruments:
        if not has_calendar(each.exchange_mic):
            raise BadRequestError(
                f"The universe file {path} gives {each.symbol} the exchange {each.exchange_mic!r}, which has no "
                "calendar; expected an ISO 10383 code such as XNYS."
            )
    return _unique(instruments)


def _choose_instruments(
    source: Source, listed: pd.DataFrame | None, symbols: Sequence[str] | None, universe_file: str | None
) -> tuple[str, tuple[Instrument, ...]]:
    """The universe's name and its instruments."""
    if symbols is not None and universe_file is not None:
        raise BadRequestError("Give either symbols or a universe file; received both.")
    if symbols is not None:
        asked = tuple(Instrument(symbol=each.strip()) for each in symbols if each.strip())
        if not asked:
            raise BadRequestError("The universe is empty: give at least one symbol, such as --symbols AAPL,MSFT.")
        instruments = _unique(asked)
        universe = _name_symbols([each.symbol for each in instruments])
    elif universe_file is not None:
        instruments = read_universe(universe_file)
        universe = _name_file(universe_file)
    elif listed is not None:
        instruments = tuple(Instrument(symbol=symbol) for symbol in listed["symbol"])
        universe = source.default_universe
    else:
        raise BadRequestError(
            f"The source {source.kind!r} cannot list its symbols: "
            "name them with --symbols AAPL,MSFT or --universe FILE."
        )
    if listed is None:
        return universe, instruments
    known = listed.set_index("symbol")
    unknown = [each.symbol for each in instruments if each.symbol not in known.index]
    if unknown:
        raise BadRequestError(
            f"The source {source.kind!r} has no symbol {_some(unknown)}; it has {_some(list(known.index))}."
        )
    located = tuple(
        replace(
            each,
            exchange_mic=str(known.loc[each.symbol, "exchange_mic"]),
            currency_code=str(known.loc[each.symbol, "currency_code"]),
        )
        for each in instruments
    )
    return universe, located


def _name_symbols(symbols: Sequence[str]) -> str:
    """A name for symbols typed by hand: the same symbols are the same universe, whatever their order."""
    digest = hashlib.sha256("\n".join(sorted(symbols)).encode()).hexdigest()[:6]
    return symbols[0] if len(symbols) == 1 else f"{symbols[0]}-and-{len(symbols) - 1}-more-{digest}"


def _name_file(path: str) -> str:
    return Path(path).name.split(".")[0]


def _spans(listed: pd.DataFrame, symbols: Sequence[str]) -> pd.DataFrame:
    """What the source has of the symbols, in days: symbol, first_session, last_session of those that have bars."""
    own = listed[listed["symbol"].isin(symbols) & listed["first_session"].notna()]
    if own.empty:
        raise BadRequestError(f"The source has no prices of {_some(symbols)}.")
    # A monthly bar is dated the first of its month, and reaches to the last.
    month_end = own["last_session"] + pd.offsets.MonthEnd(0)
    last_day = own["last_session"].mask(own["bar_interval"] == "monthly", month_end)
    return own[["symbol", "first_session"]].assign(last_session=last_day)


def _choose_as_of(
    as_of: date | None, spans: pd.DataFrame | None, mics: Sequence[str], scheduled_for: datetime, today: date
) -> date:
    if as_of is None:
        newest = min(last_closed_session(mic, scheduled_for) for mic in mics)
        return newest if spans is None else min(newest, spans["last_session"].max().date())
    if as_of > today:
        raise BadRequestError(f"`as_of` must not be in the future: received {as_of}, and today is {today} (UTC).")
    if spans is not None and as_of < (first := spans["first_session"].min().date()):
        raise BadRequestError(
            f"`as_of` must not be before the first bar: received {as_of}, and the first is of {first}."
        )
    return as_of


def _last_complete_month(mics: Sequence[str], as_of: date) -> date:
    """The month of `as_of` when its last session on every exchange is no later, else the month before."""
    month = pd.Timestamp(as_of).replace(day=1)
    for mic in mics:
        table = month_table(mic, as_of, as_of)
        last = table["last_session"].iloc[0] if len(table) else month + pd.offsets.MonthEnd(0)
        if last > pd.Timestamp(as_of):
            return (month - pd.DateOffset(months=1)).date()
    return month.date()


def _require_history(spans: pd.DataFrame, as_of: date, origin_month: date, min_months: int) -> None:
    first = spans["first_session"].min()
    months = (origin_month.year - first.year) * 12 + origin_month.month - first.month + 1
    if months < min_months:
        raise NotEnoughHistoryError(
            f"Too little history to train: at least {min_months} complete months are needed, and from the first bar "
            f"({first:%Y-%m-%d}) to {as_of} there are {max(months, 0)}; take a later `as_of`, or a source that goes "
            "back further."
        )


def _refuse_mixed_sources(known: pd.DataFrame, kind: str) -> None:
    foreign = known[known["source"] != kind]
    if len(foreign):
        other = foreign["source"].iloc[0]
        raise BadRequestError(
            f"The bars of {_some(list(foreign['symbol']))} in this database come from {other!r}, and "
            "bars of two sources are never mixed: keep to that source, or use another database (`BELLWETHER_HOME` or "
            "`DATABASE_URL`)."
        )


def _unique(instruments: tuple[Instrument, ...]) -> tuple[Instrument, ...]:
    return tuple({each.symbol: each for each in instruments}.values())


def _some(names: Sequence[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(map(str, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
