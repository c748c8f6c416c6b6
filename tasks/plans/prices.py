"""Plan of a download: the source, the symbols and the sessions to fetch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from tasks.errors import BadRequestError
from tasks.plans.sources import open_source
from tasks.plans.universe import Instrument, choose_instruments
from tasks.settings import Settings
from tasks.sources.base import Source


@dataclass(frozen=True, kw_only=True)
class PricesPlan:
    """Prices to fetch into the store."""

    source_spec: str
    universe: str
    instruments: tuple[Instrument, ...]
    requested_at: datetime
    """Moment of the request, UTC. Sessions closed at that moment are fetched."""
    first: date | None = None
    """Earliest session to fetch; None: every session that is not stored."""

    @property
    def symbols(self) -> list[str]:
        """Symbols of the universe, in its order."""
        return [instrument.symbol for instrument in self.instruments]


def plan_prices(
    settings: Settings,
    *,
    source_spec: str,
    symbols: Sequence[str] | None,
    universe_file: str | None,
    first: date | None,
    now: datetime,
) -> PricesPlan:
    """Plan a download of prices without a forecast.

    Args:
        settings: Cache directory and options of the sources.
        source_spec: `sample`, `file:PATH` or `yahoo`.
        symbols: Symbols to fetch; default: those of `universe_file`, else all that the source lists.
        universe_file: CSV file, see `read_universe`.
        first: Earliest session to fetch; default: every session that is not stored.
        now: Moment of the request, UTC.

    Raises:
        BadRequestError: if the request is invalid.
    """
    if first is not None and first > now.date():
        raise BadRequestError(
            f"`first` must not be in the future: received {first}, and today is {now:%Y-%m-%d} (UTC)."
        )
    source = open_request_source(source_spec, settings)
    universe, instruments = choose_instruments(source, source.instruments(), symbols, universe_file)
    return PricesPlan(
        source_spec=source_spec, universe=universe, instruments=instruments, requested_at=now, first=first
    )


def open_request_source(spec: str, settings: Settings) -> Source:
    """Open the price source of a request with the settings of this machine.

    Raises:
        BadRequestError: if `spec` is unknown.
    """
    return open_source(
        spec, cache_dir=settings.cache_dir, base_url=settings.yahoo_base_url, max_workers=settings.yahoo_workers
    )
