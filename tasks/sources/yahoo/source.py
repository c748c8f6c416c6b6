"""Daily bars from Yahoo Finance's chart service (https://finance.yahoo.com), through yfinance.

The only file that knows yfinance. The quirks of the two, and what is made of them:

- Close is adjusted for every split up to the moment of asking, dividends too. So a symbol is always asked for through
  the present, whatever `now` says, and the splits are undone; what is later than `now` is dropped afterwards.
- The last bar is that of the running session until it closes: dropped. A volume or open of 0 is a missing one.
- An error often looks like a delisting: yfinance reports a refused crumb (401) as missing prices, and the 404 of a
  symbol it has not met before as bad JSON. So the last answer of the chart service itself is kept and judged.
- It asks twice for a symbol it has not met before, and repeats what is refused: `pacing` counts real requests.
- yfinance files a split or dividend of a day without a bar under the bar before it, which puts that bar on the wrong
  side of a split. So the events are read from the answer, by their own date.
- Answers are cached by yfinance, the failed ones too: the cache is emptied before each attempt.
- London and Johannesburg quote in hundredths (GBp, ZAc): brought to GBP and ZAR.
- yfinance keeps one session, cookie and time zone cache a process: the newest source sets the session, the first one
  that fetches sets where the cache lies.
"""

import json
import logging
import re
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import repeat
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

from model.bars.adjustment import undo_splits
from model.frames import FINDING_TYPES
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
from tasks.sources.yahoo.pacing import BudgetSpentError, Limits, Pace

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
class _Seen:
    """What an attempt has seen of the chart service: the number of requests, and the answer to the last of them."""

    requests: int = 0
    status: int | None = None
    """None if the last request brought no whole answer."""
    content_type: str = ""
    chart: Chart | None = None
    """None if the body has none."""
    words: str = ""
    """The error in the words of Yahoo itself, if it is well-formed."""
    retry_after_seconds: float = 0.0


class YahooSource:
    """Yahoo Finance as a price source; see `tasks.sources.Source`.

    Args:
        cache_dir: where yfinance keeps time zones and cookies between runs; made if need be.
        base_url: a server to ask in place of every yahoo.com address, such as http://127.0.0.1:8080.
        max_workers: how many symbols are asked for at once, over all `fetch` calls under way.
        limits: attempts, waits, requests and timeout, of all `fetch` calls together: a new object starts afresh.
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
        self._pace = Pace(self._limits, max_workers, sleep, rng or np.random.default_rng())
        self._session = _WatchedSession(base_url, self._limits.timeout_seconds)
        cache_dir.mkdir(parents=True, exist_ok=True)
        yfinance.set_tz_cache_location(str(cache_dir))
        yfinance.config.debug.hide_exceptions = False
        logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # its errors come back as outcomes
        warnings.filterwarnings("ignore", category=pd.errors.Pandas4Warning, module=r"yfinance(\.|$)")

    def instruments(self) -> None:
        """Yahoo cannot list what it has: the caller names the symbols."""

    def fetch(self, firsts: Mapping[str, date | None], now: datetime) -> Fetched:
        """Bars and actions of the symbols, asked for through the present; see `tasks.sources.Source`.

        All are asked for once, then those that failed again, until their attempts or the limits are used up. What
        still failed may be passed to a later `fetch`, of a new source object if this one has spent its limits.
        """
        last_closed_session("XNYS", now)  # refuses a naive or impossible `now` before any request
        self._pace.expect(len(firsts))
        said: dict[str, Fetched] = {}
        waiting = list(firsts)

        def ask(symbol: str, attempt: int) -> Fetched:
            return self._ask_in_turn(symbol, firsts[symbol], now, attempt, before=said.get(symbol))

        with ThreadPoolExecutor(self._max_workers, thread_name_prefix="yahoo") as pool:
            for attempt in range(1, self._limits.attempts + 1):
                if not waiting or (attempt > 1 and not self._pace.pause(attempt - 2)):
                    break
                said.update(zip(waiting, pool.map(ask, waiting, repeat(attempt)), strict=False))
                waiting = [symbol for symbol in waiting if not said[symbol].is_answered]
        return merge([said[symbol] for symbol in firsts])

    def _ask_in_turn(
        self, symbol: str, first: date | None, now: datetime, attempt: int, before: Fetched | None
    ) -> Fetched:
        """Ask when the pace allows it; if it never does, what was said before stands."""
        try:
            with self._pace.turn() as turn:
                fetched, seen = self._ask(symbol, first, now)
                turn.requests, turn.retry_after_seconds = seen.requests, seen.retry_after_seconds
                outcome = fetched.outcomes[0]
                # In later passes, where only those are asked that failed before, silence is the symbol's own.
                is_unreachable = seen.status is None and (attempt == 1 or turn.is_probe)
                is_told_when = seen.retry_after_seconds > 0 and not fetched.is_answered
                if outcome.outcome is Outcome.RATE_LIMITED or is_unreachable or is_told_when:
                    turn.refusal = outcome
        except BudgetSpentError as spent:
            return before or nothing(symbol, spent.outcome, f"not asked: {spent}")
        if fetched.is_answered:
            return fetched
        reason = f"{outcome.reason}, attempt {attempt} of {self._limits.attempts}"
        return replace(fetched, outcomes=(replace(outcome, reason=reason),))

    def _ask(self, symbol: str, first: date | None, now: datetime) -> tuple[Fetched, _Seen]:
        self._session.forget()
        span: dict[str, Any] = {"period": "max"} if first is None else {"start": first.isoformat()}
        try:
            ticker = yfinance.Ticker(symbol, session=self._session)
            YfData().cache_get.cache_clear()
            frame = ticker.history(
                **span, interval="1d", auto_adjust=False, actions=True, timeout=self._limits.timeout_seconds
            )
            fetched = _read(symbol, frame, self._session.seen.chart, first, now)
        except BadRequestError as fault:  # the exchange's calendar does not reach `now`
            fetched = nothing(symbol, Outcome.REJECTED, str(fault))
        except Exception as fault:  # yfinance lets through whatever a strange answer trips over
            fetched = nothing(symbol, *_judge(fault, self._session.seen, first))
        return fetched, self._session.seen


def _judge(fault: Exception, seen: _Seen, first: date | None) -> tuple[Outcome, str]:
    """What a failed attempt says about the symbol: nothing, unless Yahoo itself said so in well-formed words.

    The texts of `fault` stay out of the reason: they may hold addresses with a crumb or a proxy's password.
    """
    kind = type(fault).__name__
    if isinstance(fault, YFRateLimitError) or seen.status == 429:
        until = f", come back in {seen.retry_after_seconds:.0f} s" if seen.retry_after_seconds else ""
        return Outcome.RATE_LIMITED, f"HTTP 429: too many requests{until}"
    if seen.status is None:
        return Outcome.SOURCE_ERROR, f"no whole answer from Yahoo ({kind})"
    if seen.chart is not None and seen.status in NO_SUCH_DATA and seen.words:
        return Outcome.MISSING, f"HTTP {seen.status}: {seen.words}"
    if seen.chart is not None and seen.status == 200 and _is_empty(seen.chart):
        return Outcome.MISSING, _no_prices(first)
    if seen.words:
        return Outcome.SOURCE_ERROR, f"HTTP {seen.status}: {seen.words}"
    if seen.chart is None:
        return Outcome.SOURCE_ERROR, f"HTTP {seen.status} without a chart, {seen.content_type or 'no type'} ({kind})"
    return Outcome.SOURCE_ERROR, f"HTTP {seen.status} with a chart that cannot be read ({kind})"


def _no_prices(first: date | None) -> str:
    return "Yahoo returned no prices" + (f" from {first} on" if first else "")


def _read(symbol: str, frame: pd.DataFrame, chart: Chart | None, first: date | None, now: datetime) -> Fetched:
    """Bars and actions as traded, from `first` to the last session closed at `now`, or why they cannot be used."""
    if chart is None:
        raise ValueError("yfinance made prices of an answer without a chart.")
    if frame.empty:
        return nothing(symbol, Outcome.MISSING, _no_prices(first))
    result = chart["result"][0]
    exchange, currency, kind = (result["meta"].get(name) for name in ("exchangeName", "currency", "instrumentType"))
    mic = MIC_OF_YAHOO_EXCHANGE.get(exchange)
    if mic is None:
        reason = f"no calendar is known here for Yahoo's exchange {exchange!r} (instrument type {kind!r})"
        return nothing(symbol, Outcome.REJECTED, reason)
    if not currency:
        return nothing(symbol, Outcome.REJECTED, f"Yahoo names no currency for it (exchange {exchange!r})")
    unit = 0.01 if currency in CURRENCY_OF_HUNDREDTH else 1.0
    bars = frame.rename(columns=str.lower)[[*PRICE_COLUMNS, "volume"]].astype("float64")
    bars[PRICE_COLUMNS] *= unit
    bars[["open", "volume"]] = bars[["open", "volume"]].mask(bars[["open", "volume"]] == 0.0)
    # The index is midnight at the exchange: its wall-clock date is the session.
    bars = bars.assign(symbol=symbol, session=pd.DatetimeIndex(frame.index).tz_localize(None)).dropna(
        subset=PRICE_COLUMNS, how="all"
    )
    bars, actions = undo_splits(stack([bars], BAR_TYPES), _actions(symbol, result, unit))
    span = (pd.Timestamp.min if first is None else pd.Timestamp(first), pd.Timestamp(last_closed_session(mic, now)))
    bars, actions = bars[bars["session"].between(*span)], actions[actions["ex_date"].between(*span)]
    if bars.empty:
        return nothing(symbol, Outcome.MISSING, f"{_no_prices(first)}, of a session closed by {span[1]:%Y-%m-%d}")
    instrument = spans(bars).assign(
        exchange_mic=mic, currency_code=CURRENCY_OF_HUNDREDTH.get(currency, currency), bar_interval="daily"
    )
    return Fetched(bars, actions, (SourceOutcome(symbol, Outcome.OK),), instrument, stack([], FINDING_TYPES))


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


class _WatchedSession(curl_cffi.requests.Session[curl_cffi.requests.Response]):
    """yfinance's own kind of session, which also keeps what each thread has seen of the chart service."""

    def __init__(self, base_url: str | None, timeout_seconds: float) -> None:
        super().__init__(impersonate="chrome")
        self._base_url = base_url.rstrip("/") if base_url else None
        self._timeout_seconds = timeout_seconds
        self._here = threading.local()

    @property
    def seen(self) -> _Seen:
        """What this thread has seen since it last forgot."""
        seen: _Seen = self._here.seen
        return seen

    def forget(self) -> None:
        """Drop what this thread saw."""
        self._here.seen = _Seen()

    def request(self, *args: Any, **options: Any) -> curl_cffi.requests.Response:
        """Send the request, to `base_url` if it is for Yahoo; yfinance's own longer timeouts are cut."""
        parts = urlsplit(options["url"])
        is_chart = parts.path.startswith("/v8/finance/chart/")
        if is_chart:
            # Without an answer so far: a request that brings none must not be judged by the one before.
            self._here.seen = _Seen(self.seen.requests + 1)
        if self._base_url and (parts.hostname or "").endswith("yahoo.com"):
            options["url"] = self._base_url + parts.path + (f"?{parts.query}" if parts.query else "")
        options["timeout"] = min(options.get("timeout") or self._timeout_seconds, self._timeout_seconds)
        answer = super().request(*args, **options)
        if is_chart:
            self._here.seen = _see(answer, self.seen.requests)
        return answer


def _see(answer: curl_cffi.requests.Response, requests: int) -> _Seen:
    """What there is to judge in an answer."""
    try:
        body = json.loads(answer.content)
    except ValueError:
        body = None
    # An answer from before the chart service itself, such as a refused crumb, calls its envelope `finance`.
    chart, outer = (body.get("chart"), body.get("finance")) if isinstance(body, dict) else (None, None)
    envelope = chart if isinstance(chart, dict) else outer
    error = envelope.get("error") if isinstance(envelope, dict) else None
    words = (error.get("description") or error.get("code")) if isinstance(error, dict) else None
    retry_after = answer.headers.get("Retry-After") or ""
    return _Seen(
        requests=requests,
        status=answer.status_code,
        content_type=(answer.headers.get("Content-Type") or "").partition(";")[0],
        chart=chart if isinstance(chart, dict) else None,
        words=str(words or "")[:200],
        retry_after_seconds=float(retry_after) if re.fullmatch(r"\d{1,9}", retry_after) else 0.0,
    )
