"""Yahoo source: daily bars from Yahoo Finance's chart service (https://finance.yahoo.com), through yfinance.

The only module that imports yfinance. Quirks of both, beside those of `session` and `chart`:

- Prices are adjusted for splits up to the present, so every request reaches to the present. Sessions after `now` are
  dropped afterwards.
- yfinance sends two requests for a new symbol and repeats a refused one. `pace` counts the requests really sent.
- yfinance caches responses, failed ones included. The cache is cleared before each attempt.
- yfinance has one session, one cookie and one time zone cache a process: the newest source sets the session, the first
  one that fetches sets the directory of the cache.
"""

import logging
import re
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yfinance
from yfinance.data import YfData
from yfinance.exceptions import YFRateLimitError

from tasks.calendars import last_closed_session
from tasks.errors import BadRequestError
from tasks.sources.base import Fetched, Outcome, merge_fetched, without_bars
from tasks.sources.yahoo.chart import is_empty, no_prices, read_chart
from tasks.sources.yahoo.pace import BudgetSpentError, Limits, Pace
from tasks.sources.yahoo.session import ChartResponse, RecordingSession

NO_DATA_STATUSES = {400, 404, 422}
"""HTTP statuses that mean "no data" if the chart has an error text; without one they are failures."""


_INVALID = "not a Yahoo symbol: 1 to 32 letters, digits or one of ^ = . & _ - are required"


class YahooSource:
    """Yahoo Finance as a price source; see `tasks.sources.base.Source`.

    Args:
        cache_dir: Directory in which yfinance caches time zones and cookies between runs; created if absent.
        base_url: Server to use in place of every yahoo.com address, such as http://127.0.0.1:8080.
        max_workers: Number of symbols requested at a time, over all concurrent `fetch` calls.
        limits: Attempts, waits, requests and timeout of all `fetch` calls together; a new object starts with full
            budgets.
        sleep: Function that waits, given seconds.
        rng: Generator of the jitter of the waits.
    """

    kind = "yahoo"
    default_universe = ""

    def __init__(
        self,
        cache_dir: Path,
        *,
        base_url: str | None = None,
        max_workers: int = 4,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        rng: np.random.Generator | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._max_workers = max_workers
        self._pace = Pace(self._limits, max_workers, sleep, rng or np.random.default_rng())
        self._session = RecordingSession(base_url, self._limits.timeout_seconds)
        cache_dir.mkdir(parents=True, exist_ok=True)
        yfinance.set_tz_cache_location(str(cache_dir))
        yfinance.config.debug.hide_exceptions = False
        logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # its errors become outcomes
        warnings.filterwarnings("ignore", category=pd.errors.Pandas4Warning, module=r"yfinance(\.|$)")

    def instruments(self) -> None:
        """Return None: Yahoo cannot list its symbols."""

    def fetch(self, firsts: Mapping[str, date | None], now: datetime) -> Fetched:
        """Fetch bars and actions of the symbols; see `tasks.sources.base.Source`.

        All symbols are requested once, then the failed ones again until their attempts or the limits are used up.
        Symbols that still failed may be passed to a later `fetch`, of a new source object if this one has spent its
        limits.
        """
        last_closed_session("XNYS", now)  # refuses an invalid `now` before any request
        fetched = {
            symbol: without_bars(symbol, Outcome.REJECTED, _INVALID) for symbol in firsts if not _is_valid(symbol)
        }
        pending = [symbol for symbol in firsts if symbol not in fetched]
        self._pace.expect(len(pending))

        def attempt_fetch(symbol: str, attempt: int) -> Fetched:
            return self._fetch_in_turn(symbol, firsts[symbol], now, attempt, previous=fetched.get(symbol))

        with ThreadPoolExecutor(self._max_workers, thread_name_prefix="yahoo") as pool:
            for attempt in range(1, self._limits.attempts + 1):
                if not pending or (attempt > 1 and not self._pace.pause(attempt - 2)):
                    break
                fetched.update(zip(pending, pool.map(attempt_fetch, pending, repeat(attempt)), strict=False))
                pending = [symbol for symbol in pending if not fetched[symbol].has_response]
        return merge_fetched([fetched[symbol] for symbol in firsts])

    def _fetch_in_turn(
        self, symbol: str, first: date | None, now: datetime, attempt: int, previous: Fetched | None
    ) -> Fetched:
        """Fetch one symbol in a turn of the pace; without a turn, the previous attempt's result stands."""
        try:
            with self._pace.turn() as turn:
                fetched, response = self._fetch_symbol(symbol, first, now)
                turn.requests, turn.retry_after_seconds = response.requests, response.retry_after_seconds
                outcome = fetched.outcomes[0]
                # Repeats include only failed symbols, so a repeat without a response proves nothing about the source.
                is_unreachable = response.status is None and (attempt == 1 or turn.is_probe)
                has_retry_after = response.retry_after_seconds > 0 and not fetched.has_response
                if outcome.outcome is Outcome.RATE_LIMITED or is_unreachable or has_retry_after:
                    turn.refusal = outcome
        except BudgetSpentError as spent:
            return previous or without_bars(symbol, spent.outcome, f"not requested: {spent}")
        if fetched.has_response:
            return fetched
        reason = f"{outcome.reason}, attempt {attempt} of {self._limits.attempts}"
        return replace(fetched, outcomes=(replace(outcome, reason=reason),))

    def _fetch_symbol(self, symbol: str, first: date | None, now: datetime) -> tuple[Fetched, ChartResponse]:
        self._session.clear_record()
        span: dict[str, Any] = {"period": "max"} if first is None else {"start": first.isoformat()}
        try:
            ticker = yfinance.Ticker(symbol, session=self._session)
            YfData().cache_get.cache_clear()
            frame = ticker.history(
                **span, interval="1d", auto_adjust=False, actions=True, timeout=self._limits.timeout_seconds
            )
            fetched = read_chart(symbol, frame, self._session.recorded.chart, first, now)
        except BadRequestError as error:  # the exchange's calendar does not cover `now`
            fetched = without_bars(symbol, Outcome.REJECTED, str(error))
        except Exception as error:  # yfinance raises errors of many kinds for an unexpected response
            fetched = without_bars(symbol, *_classify_failure(error, self._session.recorded, first))
        return fetched, self._session.recorded


def _is_valid(symbol: str) -> bool:
    """Check that a symbol has no character with a meaning in an address."""
    return re.fullmatch(r"[A-Za-z0-9^=.&_-]{1,32}", symbol) is not None


def _classify_failure(error: Exception, response: ChartResponse, first: date | None) -> tuple[Outcome, str]:
    """Find the outcome and the reason of a failed attempt; only a well-formed response makes a symbol missing.

    The text of `error` is not part of the reason: it may contain an address with a crumb or a proxy's password.
    """
    kind = type(error).__name__
    if isinstance(error, YFRateLimitError) or response.status == 429:
        delay = f", retry after {response.retry_after_seconds:.0f} s" if response.retry_after_seconds else ""
        return Outcome.RATE_LIMITED, f"HTTP 429: too many requests{delay}"
    if response.status is None:
        return Outcome.SOURCE_ERROR, f"no complete response from Yahoo ({kind})"
    if response.chart is not None and response.status in NO_DATA_STATUSES and response.error_text:
        return Outcome.MISSING, f"HTTP {response.status}: {response.error_text}"
    if response.chart is not None and response.status == 200 and is_empty(response.chart):
        return Outcome.MISSING, no_prices(first)
    if response.error_text:
        return Outcome.SOURCE_ERROR, f"HTTP {response.status}: {response.error_text}"
    if response.chart is None:
        content_type = response.content_type or "no content type"
        return Outcome.SOURCE_ERROR, f"HTTP {response.status} without a chart, {content_type} ({kind})"
    return Outcome.SOURCE_ERROR, f"HTTP {response.status} with an unreadable chart ({kind})"
