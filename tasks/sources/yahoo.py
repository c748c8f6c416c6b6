"""Daily bars from Yahoo Finance's chart service (https://finance.yahoo.com), through yfinance.

The only file that knows yfinance. The quirks of the two, and what is made of them:

- Close is adjusted for every split up to the moment of asking, dividends too. So a symbol is always asked for through
  the present, whatever `now` says, and the splits are undone; what is later than `now` is dropped afterwards.
- The last bar is that of the running session until it closes: dropped. A volume or open of 0 is a missing one.
- An error often looks like a delisting: yfinance reports a refused crumb (401) as missing prices, and the 404 of a
  symbol it has not met before as bad JSON. So the last answer of the chart service itself is kept and judged.
- yfinance files a split or dividend of a day without a bar under the bar before it, which puts that bar on the wrong
  side of a split. So the events are read from the answer, by their own date.
- Answers are cached by yfinance, the failed ones too: the cache is emptied before each attempt.
- London and Johannesburg quote in hundredths (GBp, ZAc): brought to GBP and ZAR.
- yfinance keeps one session, cookie and time zone cache a process: the newest source sets the session, the first one
  that fetches sets where the cache lies.
"""

import itertools
import json
import logging
import re
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import curl_cffi.requests
import numpy as np
import pandas as pd
import yfinance
from yfinance.data import YfData
from yfinance.exceptions import YFRateLimitError

from model.adjustment import undo_splits
from tasks.calendars import last_closed_session
from tasks.errors import BadRequestError
from tasks.sources import (
    ACTION_TYPES,
    BAR_TYPES,
    PRICE_COLUMNS,
    Fetched,
    Outcome,
    SourceOutcome,
    merge,
    nothing,
    spans,
    stack,
)

# ISO 10383 codes, each followed by Yahoo's codes for it; indices follow the calendar of their home exchange.
_EXCHANGES = """
XNYS NYQ NYS SNP DJI WCB | XNAS NMS NGM NCM NAS NIM | XASE ASE | ARCX PCX | BATS BTS | XTSE TOR | XTSX VAN | BVMF SAO
XLON LSE IOB FGI | XETR GER | XFRA FRA | XPAR PAR | XAMS AMS | XBRU BRU | XLIS LIS | XMIL MIL | XMAD MCE | XSWX EBS
XSTO STO | XOSL OSL | XCSE CPH | XHEL HEL | XTKS JPX OSA | XHKG HKG | XSHG SHH | XKRX KSC | XASX ASX | XSES SES
XJSE JNB | XBOM BSE | XIDX JKT
"""
MIC_OF_YAHOO_EXCHANGE = {
    code: mic for entry in re.split(r"[|\n]", _EXCHANGES.strip()) for mic, *codes in [entry.split()] for code in codes
}
CURRENCY_OF_HUNDREDTH = {"GBp": "GBP", "ZAc": "ZAR"}
Chart = dict[str, Any]  # the `chart` object of an answer: `result` and `error`
NO_SUCH_DATA = {400, 404, 422}  # with a reason in the chart's own words; without one they are faults


@dataclass(frozen=True)
class Limits:
    """How long and how often a source may try.

    The k-th wait (k = 0, 1, …) of a symbol lasts min(first_wait · 2^k, longest_wait) seconds, times a random number
    between 0.5 and 1. All symbols of a source object draw their waits from one budget; once a rate limit finds it
    spent, symbols not yet asked for are not asked for.
    """

    attempts: int = 4
    first_wait_seconds: float = 2.0
    longest_wait_seconds: float = 60.0
    wait_budget_seconds: float = 300.0
    timeout_seconds: float = 15.0
    """Of one request; a symbol takes one or two an attempt, and yfinance repeats a refused one."""


class YahooSource:
    """Yahoo Finance as a price source; see `tasks.sources.Source`.

    Args:
        cache_dir: where yfinance keeps time zones and cookies between runs; made if need be.
        base_url: a server to ask in place of every yahoo.com address, such as http://127.0.0.1:8080.
        max_workers: how many symbols are asked for at once.
        limits: attempts, waits and timeout.
        sleep: called with the seconds to wait; tests pass one that does not.
        rng: jitter of the waits.
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
        self._waits = _Waits(self._limits, sleep, rng or np.random.default_rng())
        self._session = _WatchedSession(base_url, self._limits.timeout_seconds)
        cache_dir.mkdir(parents=True, exist_ok=True)
        yfinance.set_tz_cache_location(str(cache_dir))
        yfinance.config.debug.hide_exceptions = False
        logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # its errors come back as outcomes
        warnings.filterwarnings("ignore", category=pd.errors.Pandas4Warning, module=r"yfinance(\.|$)")

    def instruments(self) -> None:
        """Yahoo cannot list what it has: the caller names the symbols."""

    def fetch(self, symbols: Sequence[str], first: date | None, now: datetime) -> Fetched:
        """Bars and actions of the symbols, asked for through the present; see `tasks.sources.Source`."""
        last_closed_session("XNYS", now)  # refuses a naive or impossible `now` before any request
        with ThreadPoolExecutor(self._max_workers, thread_name_prefix="yahoo") as pool:
            return merge(list(pool.map(lambda symbol: self._fetch_one(symbol, first, now), dict.fromkeys(symbols))))

    def _fetch_one(self, symbol: str, first: date | None, now: datetime) -> Fetched:
        """Ask until there is an answer that counts, or the attempts or the waits are used up."""
        if self._waits.is_shut:
            return nothing(symbol, Outcome.RATE_LIMITED, "not asked: too many requests before it")
        for attempt in itertools.count(1):
            fetched = self._ask(symbol, first, now)
            outcome = fetched.outcomes[0].outcome
            if outcome not in {Outcome.RATE_LIMITED, Outcome.SOURCE_ERROR} or attempt >= self._limits.attempts:
                break
            if not self._waits.wait(attempt - 1, is_rate_limit=outcome is Outcome.RATE_LIMITED):
                break
        return fetched

    def _ask(self, symbol: str, first: date | None, now: datetime) -> Fetched:
        self._session.forget()
        span: dict[str, Any] = {"period": "max"} if first is None else {"start": first.isoformat()}
        try:
            ticker = yfinance.Ticker(symbol, session=self._session)
            YfData().cache_get.cache_clear()
            frame = ticker.history(
                **span, interval="1d", auto_adjust=False, actions=True, timeout=self._limits.timeout_seconds
            )
            return _read(symbol, frame, self._session.last_answer()[1], first, now)
        except BadRequestError as fault:  # the exchange's calendar does not reach `now`
            return nothing(symbol, Outcome.REJECTED, str(fault))
        except Exception as fault:  # yfinance lets through whatever a strange answer trips over
            return _judge(symbol, fault, *self._session.last_answer())


def _judge(symbol: str, fault: Exception, status: int | None, chart: Chart | None) -> Fetched:
    """What a failed request says about the symbol: nothing, unless Yahoo itself said so in well-formed words."""
    if isinstance(fault, YFRateLimitError) or status == 429:
        return nothing(symbol, Outcome.RATE_LIMITED, "HTTP 429: too many requests")
    error = (chart or {}).get("error")
    if status in NO_SUCH_DATA and isinstance(error, dict) and error:
        return nothing(symbol, Outcome.MISSING, f"HTTP {status}: {error.get('description') or error.get('code')}")
    if status == 200 and chart is not None and _is_empty(chart):
        return nothing(symbol, Outcome.MISSING, "no prices returned")
    seen = "no answer" if status is None else f"HTTP {status}"
    return nothing(symbol, Outcome.SOURCE_ERROR, f"{seen}: {type(fault).__name__}: {str(fault)[:200]}")


def _read(symbol: str, frame: pd.DataFrame, chart: Chart | None, first: date | None, now: datetime) -> Fetched:
    """Bars and actions as traded, from `first` to the last session closed at `now`, or why they cannot be used."""
    if frame.empty or chart is None:
        return nothing(symbol, Outcome.MISSING, "no prices returned")
    exchange, currency = (chart["result"][0]["meta"].get(name) for name in ("exchangeName", "currency"))
    mic = MIC_OF_YAHOO_EXCHANGE.get(exchange)
    if mic is None or not currency:
        reason = f"the calendar of exchange {exchange!r} or the currency {currency!r} is not known here"
        return nothing(symbol, Outcome.REJECTED, reason)
    unit = 0.01 if currency in CURRENCY_OF_HUNDREDTH else 1.0
    bars = frame.rename(columns=str.lower)[[*PRICE_COLUMNS, "volume"]].astype("float64")
    bars[PRICE_COLUMNS] *= unit
    bars[["open", "volume"]] = bars[["open", "volume"]].mask(bars[["open", "volume"]] == 0.0)
    # The index is midnight at the exchange: its wall-clock date is the session.
    bars = bars.assign(symbol=symbol, session=pd.DatetimeIndex(frame.index).tz_localize(None)).dropna(
        subset=PRICE_COLUMNS, how="all"
    )
    bars, actions = undo_splits(stack([bars], BAR_TYPES), _actions(symbol, chart["result"][0], unit))
    span = (pd.Timestamp.min if first is None else pd.Timestamp(first), pd.Timestamp(last_closed_session(mic, now)))
    bars, actions = bars[bars["session"].between(*span)], actions[actions["ex_date"].between(*span)]
    if bars.empty:
        return nothing(symbol, Outcome.MISSING, f"no prices of a session closed by {span[1]:%Y-%m-%d}")
    instrument = spans(bars).assign(exchange_mic=mic, currency_code=CURRENCY_OF_HUNDREDTH.get(currency, currency))
    return Fetched(bars, actions, (SourceOutcome(symbol, Outcome.OK),), instrument)


def _actions(symbol: str, result: dict[str, Any], unit: float) -> pd.DataFrame:
    """Splits as they were and dividends still split-adjusted, each by its own date at the exchange."""
    zone, events = ZoneInfo(result["meta"]["exchangeTimezoneName"]), result.get("events") or {}
    facts: dict[tuple[date, str], float] = {}
    for event in (events.get("splits") or {}).values():
        if event["numerator"] > 0 and event["denominator"] > 0:
            day = datetime.fromtimestamp(event["date"], zone).date()
            facts[day, "split"] = event["numerator"] / event["denominator"]
    for event in (events.get("dividends") or {}).values():
        if event["amount"] > 0:  # a regular and a special one may share a day
            day = datetime.fromtimestamp(event["date"], zone).date()
            facts[day, "dividend"] = facts.get((day, "dividend"), 0.0) + event["amount"] * unit
    rows = [(symbol, day, kind, value) for (day, kind), value in facts.items()]
    return stack([pd.DataFrame(rows, columns=list(ACTION_TYPES))], ACTION_TYPES)


def _is_empty(chart: Chart) -> bool:
    """Whether a chart is well-formed and without prices: no results, or an empty quote object, as for a weekend."""
    try:
        return not chart["error"] and not any(each["indicators"]["quote"][0] for each in chart["result"] or [])
    except (KeyError, IndexError, TypeError):
        return False


class _Waits:
    """The waits between attempts, of all threads of a source: bounded together, with jitter."""

    def __init__(self, limits: Limits, sleep: Callable[[float], None], rng: np.random.Generator) -> None:
        self._limits, self._sleep, self._rng = limits, sleep, rng
        self._left_seconds = limits.wait_budget_seconds
        self._lock = threading.Lock()
        self.is_shut = False

    def wait(self, k: int, *, is_rate_limit: bool) -> bool:
        """Wait for the k-th time; False, at once, when the budget does not allow it."""
        longest = min(self._limits.first_wait_seconds * 2.0**k, self._limits.longest_wait_seconds)
        with self._lock:
            seconds = longest * self._rng.uniform(0.5, 1.0)
            if seconds > self._left_seconds:
                self.is_shut = self.is_shut or is_rate_limit
                return False
            self._left_seconds -= seconds
        self._sleep(seconds)
        return True


class _WatchedSession(curl_cffi.requests.Session[curl_cffi.requests.Response]):
    """yfinance's own kind of session, which also remembers each thread's last answer of the chart service."""

    def __init__(self, base_url: str | None, timeout_seconds: float) -> None:
        super().__init__(impersonate="chrome")
        self._base_url = base_url.rstrip("/") if base_url else None
        self._timeout_seconds = timeout_seconds
        self._seen = threading.local()

    def request(self, *args: Any, **options: Any) -> curl_cffi.requests.Response:
        """Send the request, to `base_url` if it is for Yahoo; yfinance's own longer timeouts are cut."""
        parts = urlsplit(options["url"])
        is_chart = parts.path.startswith("/v8/finance/chart/")
        if is_chart:
            self.forget()  # an attempt that brings no answer must not be judged by the one before
        if self._base_url and (parts.hostname or "").endswith("yahoo.com"):
            options["url"] = self._base_url + parts.path + (f"?{parts.query}" if parts.query else "")
        options["timeout"] = min(options.get("timeout") or self._timeout_seconds, self._timeout_seconds)
        answer = super().request(*args, **options)
        if is_chart:
            try:
                body = json.loads(answer.content)
            except ValueError:
                body = None
            chart = body.get("chart") if isinstance(body, dict) else None
            self._seen.answer = (answer.status_code, chart if isinstance(chart, dict) else None)
        return answer

    def forget(self) -> None:
        """Drop what this thread saw."""
        self._seen.answer = (None, None)

    def last_answer(self) -> tuple[int | None, Chart | None]:
        """Status of this thread's last chart answer, None if none came, and its `chart` object, None if it has none."""
        seen: tuple[int | None, Chart | None] = self._seen.answer
        return seen
