"""HTTP session for yfinance that records the last response of the chart service.

yfinance hides the response behind its own errors: it reports a refused crumb (401) as missing prices, and the 404 of a
new symbol as invalid JSON. An attempt is therefore classified by the recorded response.
"""

import json
import re
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import curl_cffi.requests

Chart = dict[str, Any]
"""The `chart` object of a response, with `result` and `error`."""


@dataclass(frozen=True)
class ChartResponse:
    """Last response of the chart service to an attempt, and the number of its requests."""

    requests: int = 0
    status: int | None = None
    """HTTP status; None if the last request got no complete response."""
    content_type: str = ""
    chart: Chart | None = None
    """None if the body has no chart."""
    error_text: str = ""
    """Yahoo's description of the error, if the body is well-formed."""
    retry_after_seconds: float = 0.0
    """Value of Retry-After; 0 if absent or not a number."""


class RecordingSession(curl_cffi.requests.Session[curl_cffi.requests.Response]):
    """Session of the kind that yfinance uses, with a record of the chart service's last response for each thread.

    Args:
        base_url: Server that receives every request for yahoo.com; None: Yahoo itself.
        timeout_seconds: Longest timeout of a request; longer ones of yfinance are shortened.
    """

    def __init__(self, base_url: str | None, timeout_seconds: float) -> None:
        super().__init__(impersonate="chrome")
        self._base_url = base_url.rstrip("/") if base_url else None
        self._timeout_seconds = timeout_seconds
        self._by_thread = threading.local()

    @property
    def recorded(self) -> ChartResponse:
        """Record of this thread since `clear_record`."""
        recorded: ChartResponse = self._by_thread.recorded
        return recorded

    def clear_record(self) -> None:
        """Start a new record for this thread."""
        self._by_thread.recorded = ChartResponse()

    def request(self, *args: Any, **options: Any) -> curl_cffi.requests.Response:
        """Send a request, and record the response if it is for the chart service."""
        parts = urlsplit(options["url"])
        is_chart = parts.path.startswith("/v8/finance/chart/")
        if is_chart:
            # Without a response so far, so that a failed request is not classified by the response before it.
            self._by_thread.recorded = ChartResponse(self.recorded.requests + 1)
        if self._base_url and (parts.hostname or "").endswith("yahoo.com"):
            options["url"] = self._base_url + parts.path + (f"?{parts.query}" if parts.query else "")
        options["timeout"] = min(options.get("timeout") or self._timeout_seconds, self._timeout_seconds)
        response = super().request(*args, **options)
        if is_chart:
            self._by_thread.recorded = _record(response, self.recorded.requests)
        return response


def _record(response: curl_cffi.requests.Response, requests: int) -> ChartResponse:
    try:
        body = json.loads(response.content)
    except ValueError:
        body = None
    # An error raised before the chart service, such as a refused crumb, is wrapped in `finance`.
    chart, outer = (body.get("chart"), body.get("finance")) if isinstance(body, dict) else (None, None)
    envelope = chart if isinstance(chart, dict) else outer
    error = envelope.get("error") if isinstance(envelope, dict) else None
    text = (error.get("description") or error.get("code")) if isinstance(error, dict) else None
    retry_after = response.headers.get("Retry-After") or ""
    return ChartResponse(
        requests=requests,
        status=response.status_code,
        content_type=(response.headers.get("Content-Type") or "").partition(";")[0],
        chart=chart if isinstance(chart, dict) else None,
        error_text=str(text or "")[:200],
        retry_after_seconds=float(retry_after) if re.fullmatch(r"\d{1,9}", retry_after) else 0.0,
    )
