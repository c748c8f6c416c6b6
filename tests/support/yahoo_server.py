"""A loopback server that responds like Yahoo's chart service, from recordings or made-up bars, with faults on demand.

It serves the cookie (`/`), the crumb (`/v1/test/getcrumb`) and `/v8/finance/chart/SYMBOL` with `period1`, `period2` and
`range`. Every other address, and an unknown symbol, gets a 404 page.
"""

import gzip
import json
import select
import socket
import threading
from collections import Counter
from datetime import date, datetime, time
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

PAGE = "<!DOCTYPE html><html><body>Something is wrong.</body></html>"


def _chart(result: Any, error: Any = None) -> str:
    return json.dumps({"chart": {"result": result, "error": error}})


class Fault(Enum):
    """Responses of the chart service without prices: status, body."""

    NOT_FOUND = 404, _chart(None, {"code": "Not Found", "description": "No data found, symbol may be delisted"})
    NOT_FOUND_PAGE = 404, PAGE
    NO_DATA_FOR_DATES = (
        400,
        _chart(None, {"code": "Bad Request", "description": "No data for startDate = 1"}),
    )
    RATE_LIMITED = 429, "Edge: Too Many Requests"
    INVALID_CRUMB = (
        401,
        '{"finance": {"result": null, "error": {"code": "Unauthorized", "description": "Invalid Crumb"}}}',
    )
    SERVER_ERROR = 500, PAGE
    SERVER_ERROR_CHART = 500, _chart(None, {"code": "Internal Server Error", "description": "upstream"})
    ODD_CHART = 200, _chart([{}])
    NO_CHART = 200, '{"chart": {}}'
    DOWN = 200, "<html>Will be right back</html>"
    NULL_RESULT = 200, _chart(None)
    EMPTY_CHART = 200, _chart([])
    TRUNCATED = 200, '{"chart": {"result": [{"meta": {"curr'
    SLOW = 200, "{}"


def read_recording(path: Path) -> dict[str, Any]:
    """Read the first chart result of a recorded response, with or without its envelope, gzipped or not."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    body = json.loads(raw)
    body = body["response"]["bodyJson"] if "response" in body else body
    result: dict[str, Any] = body["chart"]["result"][0]
    return result


def make_result(
    closes: dict[str, float],
    splits: dict[str, str] | None = None,
    dividends: dict[str, float] | None = None,
    *,
    zone: str = "America/New_York",
    volume: int = 1_000,
    **meta: Any,
) -> dict[str, Any]:
    """Make a chart result: bars with open = high = low = close, at 09:30; splits like "4:1"; `meta` overrides."""

    def moment(day: str) -> int:
        return int(datetime.combine(date.fromisoformat(day), time(9, 30), ZoneInfo(zone)).timestamp())

    price = list(closes.values())
    events: dict[str, Any] = {}
    for day, ratio in (splits or {}).items():
        new, old = (int(part) for part in ratio.split(":"))
        event = {"date": moment(day), "numerator": new, "denominator": old, "splitRatio": ratio}
        events.setdefault("splits", {})[str(moment(day))] = event
    for day, amount in (dividends or {}).items():
        events.setdefault("dividends", {})[str(moment(day))] = {"date": moment(day), "amount": amount}
    return {
        "meta": {
            "currency": "USD",
            "exchangeName": "NYQ",
            "instrumentType": "EQUITY",
            "exchangeTimezoneName": zone,
            "priceHint": 2,
            "dataGranularity": "1d",
            "validRanges": ["1d", "max"],
            **meta,
        },
        "timestamp": [moment(day) for day in closes],
        "events": events,
        "indicators": {
            "quote": [{"open": price, "high": price, "low": price, "close": price, "volume": [volume] * len(price)}],
            "adjclose": [{"adjclose": price}],
        },
    }


class YahooServer:
    """Server of `results` by symbol, on a free port of 127.0.0.1; a context manager."""

    def __init__(self) -> None:
        self.results: dict[str, dict[str, Any]] = {}
        self.queries: dict[str, list[dict[str, str]]] = {}
        """Queries of the chart requests by symbol, in order."""
        self.paths: Counter[str] = Counter()
        self.most_at_once = 0
        """Largest number of concurrent chart requests, without those that the client gave up."""
        self.retry_after: str | None = None
        """Retry-After header of every fault."""
        self._faults: dict[str, tuple[Fault, float]] = {}
        self._fault_of_all: tuple[Fault, float] = (Fault.RATE_LIMITED, 0)
        self._under_way: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._http = _Http(("127.0.0.1", 0), _handler_of(self))
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def fail(self, symbol: str, fault: Fault, times: float = float("inf")) -> None:
        """Respond to the next `times` chart requests for a symbol with a fault; yfinance repeats a refused one."""
        self._faults[symbol] = (fault, times)

    def fail_all(self, fault: Fault, times: float = float("inf")) -> None:
        """Respond to the next `times` chart requests with a fault, for any symbol."""
        self._fault_of_all = (fault, times)

    @property
    def chart_requests(self) -> int:
        """Number of chart requests."""
        with self._lock:
            return sum(len(queries) for queries in self.queries.values())

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def respond(self, path: str, client: socket.socket) -> tuple[int, str, Fault | None]:
        """Return status, body, and the fault of the chart service, if any."""
        parts = urlsplit(path)
        with self._lock:
            self.paths[parts.path] += 1
        if parts.path == "/v1/test/getcrumb":
            return 200, "a.Crumb", None
        if not parts.path.startswith("/v8/finance/chart/"):
            return 404, PAGE, None
        symbol = unquote(parts.path.rsplit("/", 1)[1])
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with self._lock:
            self.queries.setdefault(symbol, []).append(query)
            fault = self._take_fault(symbol)
            self._under_way.add(client)
            self.most_at_once = max(self.most_at_once, sum(not _is_abandoned(client) for client in self._under_way))
        try:
            if fault is Fault.SLOW:  # longer than any client's timeout
                select.select([client], [], [], 5.0)
            else:  # lets requests overlap if the client allows it
                self._closing.wait(0.005)
        finally:
            with self._lock:
                self._under_way.remove(client)
        if fault is None and symbol not in self.results:
            fault = Fault.NOT_FOUND
        if fault is not None:
            return *fault.value, fault
        return 200, _chart([_cut(self.results[symbol], query)]), None

    def _take_fault(self, symbol: str) -> Fault | None:
        fault, times = self._fault_of_all
        if times > 0:
            self._fault_of_all = (fault, times - 1)
            return fault
        fault, times = self._faults.get(symbol, (fault, 0))
        if times > 0:
            self._faults[symbol] = (fault, times - 1)
            return fault
        return None


def _is_abandoned(client: socket.socket) -> bool:
    """Check that the client has closed the connection; while it waits for the response it sends nothing."""
    return bool(select.select([client], [], [], 0.0)[0])


def _cut(result: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
    """Select the part of a result that the query requests: from period1 until period2, or the last bar."""
    moments = result.get("timestamp", [])
    if "range" in query:
        kept = [len(moments) - 1] if moments else []
    else:
        first, last = int(query["period1"]), int(query["period2"])
        kept = [position for position, moment in enumerate(moments) if first <= moment < last]
    if not kept:
        # As recorded for a weekend: no timestamps, and a quote without columns.
        return {"meta": result["meta"], "indicators": {"quote": [{}], "adjclose": [{}]}}
    events = {
        kind: {key: event for key, event in listed.items() if event["date"] >= int(query.get("period1", moments[-1]))}
        for kind, listed in result.get("events", {}).items()
    }
    columns = {
        group: [{name: [values[position] for position in kept] for name, values in listed[0].items()}]
        for group, listed in result["indicators"].items()
    }
    return {
        "meta": result["meta"],
        "timestamp": [moments[position] for position in kept],
        "events": events,
        "indicators": columns,
    }


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that closed the connection early: its request timed out."""


def _handler_of(server: YahooServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, fault = server.respond(self.path, self.connection)
            payload = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if payload.startswith(b"{") else "text/html")
            self.send_header("Content-Length", str(len(payload) + (1_000 if fault is Fault.TRUNCATED else 0)))
            if fault is not None and server.retry_after is not None:
                self.send_header("Retry-After", server.retry_after)
            self.send_header("Set-Cookie", "A3=loopback; Expires=Thu, 01 Jan 2099 00:00:00 GMT")
            self.end_headers()
            self.wfile.write(payload)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    return Handler
