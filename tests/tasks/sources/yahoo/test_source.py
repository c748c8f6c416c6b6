"""The Yahoo source with the real yfinance, on a loopback server: outcomes, repeats, limits and concurrency."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pandas as pd
import pytest

from tasks.sources.base import Fetched, Outcome
from tasks.sources.yahoo.pace import Limits
from tasks.sources.yahoo.source import YahooSource
from tests.support.yahoo_server import Fault, YahooServer, make_result

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
OpenYahoo = Callable[..., YahooSource]
TWO_DAYS = {"2026-11-19": 10.0, "2026-11-20": 11.0}


def closes(bars: pd.DataFrame) -> dict[str, float]:
    return {f"{session:%Y-%m-%d}": close for session, close in zip(bars["session"], bars["close"], strict=True)}


def outcomes(fetched: Fetched) -> dict[str, Outcome]:
    return {outcome.symbol: outcome.outcome for outcome in fetched.outcomes}


def test_fetch_requests_each_symbol_from_its_first_session(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    yahoo_server.results |= {symbol: make_result(TWO_DAYS) for symbol in ("A", "B", "C")}

    fetched = open_yahoo().fetch({"A": date(2026, 11, 20), "B": None, "C": date(2026, 11, 19)}, NOW)

    by_symbol = fetched.bars.groupby("symbol")["session"].min()
    assert by_symbol.dt.strftime("%d").to_dict() == {"A": "20", "B": "19", "C": "19"}
    first_moments = {symbol: int(queries[-1]["period1"]) for symbol, queries in yahoo_server.queries.items()}
    assert datetime.fromtimestamp(first_moments["A"], UTC) == datetime(2026, 11, 20, 5, tzinfo=UTC)  # midnight there
    assert datetime.fromtimestamp(first_moments["C"], UTC) == datetime(2026, 11, 19, 5, tzinfo=UTC)
    assert first_moments["B"] < 0


FAULTS = [
    (Fault.NOT_FOUND, Outcome.MISSING, "HTTP 404: No data found, symbol may be delisted"),
    (Fault.NO_DATA_FOR_DATES, Outcome.MISSING, "HTTP 400: No data for startDate = 1"),
    (Fault.NULL_RESULT, Outcome.MISSING, "Yahoo returned no prices"),
    (Fault.EMPTY_CHART, Outcome.MISSING, "Yahoo returned no prices"),
    (Fault.RATE_LIMITED, Outcome.RATE_LIMITED, "HTTP 429: too many requests, attempt 2 of 2"),
    (
        Fault.NOT_FOUND_PAGE,
        Outcome.SOURCE_ERROR,
        "HTTP 404 without a chart, text/html (JSONDecodeError), attempt 2 of 2",
    ),
    (Fault.INVALID_CRUMB, Outcome.SOURCE_ERROR, "HTTP 401: Invalid Crumb, attempt 2 of 2"),
    (Fault.SERVER_ERROR, Outcome.SOURCE_ERROR, "HTTP 500 without a chart, text/html (JSONDecodeError), attempt 2 of 2"),
    (Fault.SERVER_ERROR_CHART, Outcome.SOURCE_ERROR, "HTTP 500: upstream, attempt 2 of 2"),
    (Fault.ODD_CHART, Outcome.SOURCE_ERROR, "HTTP 200 with an unreadable chart (KeyError), attempt 2 of 2"),
    (Fault.NO_CHART, Outcome.SOURCE_ERROR, "HTTP 200 with an unreadable chart"),
    (Fault.DOWN, Outcome.SOURCE_ERROR, "HTTP 200 without a chart, text/html"),
    (Fault.TRUNCATED, Outcome.SOURCE_ERROR, "no complete response from Yahoo (IncompleteRead), attempt 2 of 2"),
    (Fault.SLOW, Outcome.SOURCE_ERROR, "no complete response from Yahoo (Timeout), attempt 2 of 2"),
]


def test_every_fault_is_tried() -> None:
    assert {fault for fault, *_ in FAULTS} == set(Fault)


@pytest.mark.parametrize("is_known", [True, False], ids=["known symbol", "cold symbol"])
@pytest.mark.parametrize(("fault", "outcome", "reason"), FAULTS, ids=[fault.name for fault, *_ in FAULTS])
def test_fetch_classifies_each_fault(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo, fault: Fault, outcome: Outcome, reason: str, is_known: bool
) -> None:
    """Only a well-formed response makes a symbol missing, with or without a cached time zone."""
    yahoo_server.results |= {"BAD": make_result(TWO_DAYS), "GOOD": make_result(TWO_DAYS)}
    source = open_yahoo(limits=Limits(attempts=2, timeout_seconds=0.4 if fault is Fault.SLOW else 5.0))
    if is_known:
        assert source.fetch({"BAD": None}, NOW).has_response
    yahoo_server.fail("BAD", fault)

    fetched = source.fetch(dict.fromkeys(["BAD", "GOOD"]), NOW)

    bad, good = fetched.outcomes
    assert (bad.symbol, bad.outcome) == ("BAD", outcome), bad.reason
    assert bad.reason.startswith(reason)
    assert "Crumb=" not in bad.reason.title()
    assert (good.symbol, good.outcome) == ("GOOD", Outcome.OK)
    assert fetched.bars["symbol"].tolist() == ["GOOD", "GOOD"]


def test_fetch_of_a_weekend_is_missing(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    yahoo_server.results["X"] = make_result(TWO_DAYS)
    (outcome,) = open_yahoo().fetch({"X": date(2026, 11, 21)}, NOW).outcomes
    assert (outcome.outcome, outcome.reason) == (Outcome.MISSING, "Yahoo returned no prices from 2026-11-21 on")


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.TRUNCATED, Fault.RATE_LIMITED, Fault.NOT_FOUND_PAGE])
def test_fetch_recovers_when_the_fault_passes(yahoo_server: YahooServer, open_yahoo: OpenYahoo, fault: Fault) -> None:
    """This includes failed responses that yfinance caches."""
    yahoo_server.results["X"] = make_result(TWO_DAYS)
    yahoo_server.fail("X", fault, times=2)
    waits: list[float] = []
    fetched = open_yahoo(sleep=waits.append).fetch({"X": None}, NOW)
    assert fetched.outcomes[0].outcome is Outcome.OK, fetched.outcomes
    assert closes(fetched.bars) == TWO_DAYS
    assert len(waits) in {1, 2}


def test_fetch_waits_once_for_all_failed_symbols(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    """Before the k-th repeat, 2 s · 2^k, at most 5 s here, times a number between a half and one."""
    symbols = ["A", "B", "C"]
    yahoo_server.fail_all(Fault.SERVER_ERROR)
    waits: list[float] = []
    limits = Limits(attempts=4, first_wait_seconds=2.0, longest_wait_seconds=5.0)
    open_yahoo(limits=limits, sleep=waits.append).fetch(dict.fromkeys(symbols), NOW)
    assert len(waits) == 3
    assert all(longest / 2 <= wait <= longest for wait, longest in zip(waits, [2.0, 4.0, 5.0], strict=True))
    assert {len(queries) for queries in yahoo_server.queries.values()} == {8}


@pytest.mark.parametrize("max_workers", [1, 4])
def test_fetch_resumes_after_a_rate_limit(yahoo_server: YahooServer, open_yahoo: OpenYahoo, max_workers: int) -> None:
    """While all requests are refused, one symbol probes after each cool-down; then all are fetched."""
    symbols = [f"S{number}" for number in range(20)]
    yahoo_server.results |= {symbol: make_result(TWO_DAYS) for symbol in symbols}
    yahoo_server.fail_all(Fault.RATE_LIMITED, times=14 + 2 * (max_workers - 1))
    waits: list[float] = []
    requests_before: list[int] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        requests_before.append(yahoo_server.chart_requests)

    limits = Limits(refusals_to_open=5, cool_down_seconds=30.0)
    fetched = open_yahoo(limits=limits, sleep=sleep, max_workers=max_workers).fetch(dict.fromkeys(symbols), NOW)

    assert set(outcomes(fetched).values()) == {Outcome.OK}
    assert len(fetched.bars) == 40
    assert sum(waits) <= limits.wait_budget_seconds
    if max_workers == 1:
        # Five refused attempts of two requests each, then probe by probe; the third brings an answer.
        assert requests_before[:3] == [10, 12, 14]
        assert [wait > 15.0 for wait in waits] == [True, True, True, False]
    assert yahoo_server.chart_requests <= limits.requests_budget(20)


def test_fetch_stops_if_a_rate_limit_outlasts_the_waits(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    """Later calls of the same object send nothing either; a new object fetches the rest."""
    symbols = [f"S{number}" for number in range(30)]
    yahoo_server.results |= {symbol: make_result(TWO_DAYS) for symbol in symbols}
    yahoo_server.fail_all(Fault.RATE_LIMITED)
    waits: list[float] = []
    limits = Limits(refusals_to_open=5, cool_down_seconds=30.0, wait_budget_seconds=300.0)
    source = open_yahoo(limits=limits, sleep=waits.append)

    fetched = source.fetch(dict.fromkeys(symbols), NOW)

    assert 240.0 <= sum(waits) <= 300.0
    assert set(outcomes(fetched).values()) == {Outcome.RATE_LIMITED}
    assert not fetched.has_response
    assert fetched.bars.empty
    # Five open it, three more may be under way; two requests each.
    assert yahoo_server.chart_requests <= 2 * (5 + 3 + len(waits))
    reason = fetched.outcomes[-1].reason
    assert reason.startswith("not requested: the source refused ")
    assert "(HTTP 429: too many requests)" in reason

    sent = yahoo_server.chart_requests
    (later,) = source.fetch({"LATER": None}, NOW).outcomes
    assert (later.outcome, later.reason.partition(":")[0]) == (Outcome.RATE_LIMITED, "not requested")
    assert yahoo_server.chart_requests == sent

    yahoo_server.fail_all(Fault.RATE_LIMITED, times=0)
    assert set(outcomes(open_yahoo().fetch(dict.fromkeys(symbols), NOW)).values()) == {Outcome.OK}


def test_fetch_stops_if_the_source_never_responds(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    """Otherwise each symbol would take several timeouts. A timeout is no rate limit."""
    symbols = [f"S{number}" for number in range(40)]
    yahoo_server.fail_all(Fault.SLOW)
    waits: list[float] = []
    limits = Limits(timeout_seconds=0.1, refusals_to_open=3, wait_budget_seconds=100.0)
    fetched = open_yahoo(limits=limits, sleep=waits.append).fetch(dict.fromkeys(symbols), NOW)
    assert set(outcomes(fetched).values()) == {Outcome.SOURCE_ERROR}
    assert fetched.outcomes[-1].reason.startswith("not requested: the source refused ")
    assert "(no complete response from Yahoo (Timeout))" in fetched.outcomes[-1].reason
    assert yahoo_server.chart_requests <= 3 + 3 + len(waits)


@pytest.mark.parametrize("fault", [Fault.RATE_LIMITED, Fault.SERVER_ERROR])
def test_fetch_waits_for_retry_after(yahoo_server: YahooServer, open_yahoo: OpenYahoo, fault: Fault) -> None:
    yahoo_server.results |= {symbol: make_result(TWO_DAYS) for symbol in ("A", "B", "C")}
    yahoo_server.fail_all(fault, times=2)
    yahoo_server.retry_after = "120"
    waits: list[float] = []
    fetched = open_yahoo(sleep=waits.append, max_workers=1).fetch(dict.fromkeys("ABC"), NOW)
    assert set(outcomes(fetched).values()) == {Outcome.OK}
    assert waits[0] == 120.0
    assert sum(waits[1:]) <= 2.0


def test_fetch_stops_if_retry_after_exceeds_the_waits(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    yahoo_server.fail_all(Fault.RATE_LIMITED)
    yahoo_server.retry_after = "3600"
    waits: list[float] = []
    fetched = open_yahoo(sleep=waits.append, max_workers=1).fetch(dict.fromkeys("ABC"), NOW)
    assert set(outcomes(fetched).values()) == {Outcome.RATE_LIMITED}
    assert "retry after 3600 s" in fetched.outcomes[0].reason
    assert [each.reason.startswith("not requested") for each in fetched.outcomes] == [False, True, True]
    assert waits == []
    assert yahoo_server.chart_requests == 2


def test_fetch_accepts_a_response_with_retry_after(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    """A well-formed response is no refusal, also with a Retry-After header."""
    yahoo_server.results["B"] = make_result(TWO_DAYS)
    yahoo_server.retry_after = "3600"
    fetched = open_yahoo(max_workers=1).fetch(dict.fromkeys("AB"), NOW)
    assert outcomes(fetched) == {"A": Outcome.MISSING, "B": Outcome.OK}


@pytest.mark.parametrize("retry_after", ["soon", "-1", "Fri, 31 Dec 1999 23:59:59 GMT", "1e9", ""])
def test_fetch_ignores_a_retry_after_that_is_no_number(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo, retry_after: str
) -> None:
    yahoo_server.results["A"] = make_result(TWO_DAYS)
    yahoo_server.fail("A", Fault.RATE_LIMITED, times=2)
    yahoo_server.retry_after = retry_after
    waits: list[float] = []
    assert open_yahoo(sleep=waits.append).fetch({"A": None}, NOW).has_response
    assert len(waits) == 1
    assert waits[0] <= 2.0


def test_fetch_respects_its_requests_budget(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    """Without requests left, the outcome of the previous attempt stands."""
    symbols = [f"S{number}" for number in range(20)]
    yahoo_server.fail_all(Fault.SERVER_ERROR)
    limits = Limits(attempts=4, requests_per_symbol=3)
    fetched = open_yahoo(limits=limits).fetch(dict.fromkeys(symbols), NOW)
    assert limits.requests_budget(20) == 3 * 20 + 16
    assert 70 <= yahoo_server.chart_requests <= 76
    assert {outcome.reason.partition(",")[0] for outcome in fetched.outcomes} == {"HTTP 500 without a chart"}


NO_RESPONSE = [
    Fault.NOT_FOUND_PAGE,
    Fault.INVALID_CRUMB,
    Fault.RATE_LIMITED,
    Fault.SERVER_ERROR,
    Fault.SERVER_ERROR_CHART,
    Fault.ODD_CHART,
    Fault.NO_CHART,
    Fault.DOWN,
    Fault.TRUNCATED,
    Fault.SLOW,
]
NO_DATA = [Fault.NOT_FOUND, Fault.NO_DATA_FOR_DATES, Fault.NULL_RESULT, Fault.EMPTY_CHART]


def test_fetch_of_200_symbols_with_40_failing_in_every_way(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    """Ten have no data; of the others a third recovers within the call, a third by the next one, and a third never."""
    symbols = [f"S{number:03}" for number in range(200)]
    price = {symbol: 10.0 + number for number, symbol in enumerate(symbols)}
    for symbol in symbols:
        yahoo_server.results[symbol] = make_result({"2026-11-19": price[symbol], "2026-11-20": price[symbol] + 0.5})
    failing = symbols[2::5]
    missing, soon, later, never = failing[:10], failing[10:20], failing[20:30], failing[30:]
    for number, symbol in enumerate(missing):
        yahoo_server.fail(symbol, NO_DATA[number % 4])
    limits = Limits(timeout_seconds=0.4)
    for group, attempts in ((soon, limits.attempts - 2), (later, limits.attempts), (never, float("inf"))):
        for symbol, fault in zip(group, NO_RESPONSE, strict=True):
            is_repeated = fault.value[0] >= 400  # by yfinance, at once
            yahoo_server.fail(symbol, fault, times=attempts * (2 if is_repeated else 1))
    waits: list[float] = []

    def check_fetched(fetched: Fetched, complete: list[str], requested: list[str]) -> None:
        failed = dict.fromkeys([*later, *never], Outcome.SOURCE_ERROR) | dict.fromkeys(missing, Outcome.MISSING)
        failed |= dict.fromkeys([later[2], never[2]], Outcome.RATE_LIMITED)
        expected_outcomes = failed | dict.fromkeys(complete, Outcome.OK)
        assert outcomes(fetched) == {symbol: expected_outcomes[symbol] for symbol in requested}
        assert all(bool(outcome.reason) == (outcome.outcome is not Outcome.OK) for outcome in fetched.outcomes)
        expected = [(symbol, price[symbol] + step) for symbol in complete for step in (0.0, 0.5)]
        assert list(zip(fetched.bars["symbol"], fetched.bars["close"], strict=True)) == expected
        assert fetched.instruments["symbol"].tolist() == complete
        assert fetched.actions.empty

    first = open_yahoo(limits=limits, sleep=waits.append, max_workers=4).fetch(dict.fromkeys(symbols), NOW)

    check_fetched(first, [symbol for symbol in symbols if symbol not in {*missing, *later, *never}], symbols)
    assert yahoo_server.chart_requests <= limits.requests_budget(200) == 816
    assert 2 <= yahoo_server.most_at_once <= 4
    assert 0.0 < sum(waits) <= limits.wait_budget_seconds

    requests_before_second = yahoo_server.chart_requests
    failures = {Outcome.RATE_LIMITED, Outcome.SOURCE_ERROR}
    again = [outcome.symbol for outcome in first.outcomes if outcome.outcome in failures]
    second = open_yahoo(limits=limits, max_workers=4).fetch(dict.fromkeys(again), NOW)

    check_fetched(second, later, again)
    assert yahoo_server.chart_requests - requests_before_second <= limits.requests_budget(20) == 96


def test_fetch_bounds_concurrent_requests(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    symbols = [f"S{number}" for number in range(12)]
    yahoo_server.results |= {symbol: make_result(TWO_DAYS) for symbol in symbols}
    fetched = open_yahoo(max_workers=3).fetch(dict.fromkeys(symbols), NOW)
    assert [outcome.symbol for outcome in fetched.outcomes] == symbols
    assert len(fetched.bars) == 24
    assert fetched.bars["symbol"].is_monotonic_increasing
    assert 2 <= yahoo_server.most_at_once <= 3


def test_concurrent_fetches_share_the_bound(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    symbols = [f"S{number}" for number in range(24)]
    yahoo_server.results |= {symbol: make_result(TWO_DAYS) for symbol in symbols}
    source = open_yahoo(max_workers=3)
    with ThreadPoolExecutor(4) as callers:
        parts = list(callers.map(lambda start: source.fetch(dict.fromkeys(symbols[start::4]), NOW), range(4)))
    assert all(set(outcomes(part).values()) == {Outcome.OK} for part in parts)
    assert 2 <= yahoo_server.most_at_once <= 3


def test_consecutive_fetches_share_the_waits(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    yahoo_server.fail_all(Fault.SERVER_ERROR)
    waits: list[float] = []
    source = open_yahoo(limits=Limits(first_wait_seconds=2.0, wait_budget_seconds=20.0), sleep=waits.append)
    for symbol in "ABCDEFGH":
        assert outcomes(source.fetch({symbol: None}, NOW)) == {symbol: Outcome.SOURCE_ERROR}
    assert sum(waits) <= 20.0
    # Without waits left, a symbol is still requested once.
    assert len(yahoo_server.queries["A"]) == 8
    assert len(yahoo_server.queries["H"]) == 2


def test_fetch_sends_one_request_for_a_known_symbol(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    """Time zones are cached in the directory: two chart requests the first time, one afterwards; one crumb in all."""
    yahoo_server.results["X"] = make_result(TWO_DAYS)
    open_yahoo().fetch({"X": None}, NOW)
    assert len(yahoo_server.queries["X"]) == 2
    open_yahoo().fetch({"X": None}, NOW)
    assert len(yahoo_server.queries["X"]) == 3
    assert yahoo_server.paths["/v1/test/getcrumb"] == 1


def test_fetch_without_symbols_is_empty_and_sends_nothing(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    fetched = open_yahoo().fetch({}, NOW)
    assert fetched.bars.empty
    assert fetched.actions.empty
    assert fetched.outcomes == ()
    assert not yahoo_server.paths


def test_fetch_refuses_a_naive_now(open_yahoo: OpenYahoo) -> None:
    with pytest.raises(ValueError, match="timezone"):
        open_yahoo().fetch({"X": None}, datetime(2026, 11, 24))  # noqa: DTZ001 - the fault under test


def test_fetch_leaves_no_thread_behind(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    yahoo_server.results["X"] = make_result(TWO_DAYS)
    open_yahoo().fetch({"X": None}, NOW)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("yahoo")]
