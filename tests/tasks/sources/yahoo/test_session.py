"""The recording session: redirected requests, and a record for each thread."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.sources.yahoo.session import ChartResponse, RecordingSession
from tests.support.yahoo_server import Fault, YahooServer, make_result

CHART_URL = "https://query2.finance.yahoo.com/v8/finance/chart/X"
SPAN = {"period1": "0", "period2": "4000000000"}


@pytest.fixture
def session(yahoo_server: YahooServer) -> RecordingSession:
    """A session that sends every request for Yahoo to the server on loopback."""
    yahoo_server.results["X"] = make_result({"2026-11-20": 10.0})
    return RecordingSession(yahoo_server.url, timeout_seconds=5.0)


def test_session_records_the_chart_and_counts_requests(session: RecordingSession) -> None:
    session.clear_record()
    for count in (1, 2):
        session.get(CHART_URL, params=SPAN)
        assert (session.recorded.requests, session.recorded.status) == (count, 200)
    chart = session.recorded.chart
    assert chart is not None
    assert chart["result"][0]["indicators"]["quote"][0]["close"] == [10.0]
    session.clear_record()
    assert session.recorded == ChartResponse()


def test_session_records_the_error_and_the_delay(session: RecordingSession, yahoo_server: YahooServer) -> None:
    session.clear_record()
    yahoo_server.fail("X", Fault.INVALID_CRUMB)
    yahoo_server.retry_after = "30"
    session.get(CHART_URL, params=SPAN)
    assert session.recorded == ChartResponse(
        requests=1,
        status=401,
        content_type="application/json",
        chart=None,
        error_text="Invalid Crumb",
        retry_after_seconds=30.0,
    )


def test_session_does_not_record_other_requests(session: RecordingSession) -> None:
    session.clear_record()
    assert session.get("https://query1.finance.yahoo.com/v1/test/getcrumb").text == "a.Crumb"
    assert session.recorded == ChartResponse()


def test_session_records_each_thread_separately(session: RecordingSession) -> None:
    session.clear_record()

    def request_chart(times: int) -> int:
        session.clear_record()
        for _ in range(times):
            session.get(CHART_URL, params=SPAN)
        return session.recorded.requests

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(request_chart, [1, 3])) == [1, 3]
    assert session.recorded == ChartResponse()
