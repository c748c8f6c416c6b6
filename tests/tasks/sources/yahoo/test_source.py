"""The Yahoo source, with the real yfinance, against a server on loopback."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.sources.base import Fetched, Outcome
from tasks.sources.yahoo.pace import Limits
from tasks.sources.yahoo.source import YahooSource
from tests.support.yahoo_server import Fault, YahooServer, make_result, read_recording

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
OpenYahoo = Callable[..., YahooSource]
TWO_DAYS = {"2026-11-19": 10.0, "2026-11-20": 11.0}


def closes(bars: pd.DataFrame) -> dict[str, float]:
    return {f"{session:%Y-%m-%d}": close for session, close in zip(bars["session"], bars["close"], strict=True)}


def outcomes(fetched: Fetched) -> dict[str, Outcome]:
    return {each.symbol: each.outcome for each in fetched.outcomes}


def test_fetch_gives_back_a_recording(yahoo_server: YahooServer, open_yahoo: OpenYahoo, shared_data: Path) -> None:
    result = read_recording(shared_data / "yahoo" / "chart-AAPL-2020-08-31-to-2020-11-07.json")
    yahoo_server.results["AAPL"] = result

    fetched = open_yahoo().fetch({"AAPL": None}, NOW)

    assert [(each.symbol, each.outcome, each.reason) for each in fetched.outcomes] == [("AAPL", Outcome.OK, "")]
    assert list(fetched.bars) == ["symbol", "session", "open", "high", "low", "close", "volume"]
    assert fetched.bars["session"].dtype == "datetime64[ns]"
    assert len(fetched.bars) == 49
    quote = result["indicators"]["quote"][0]
    for name in ("open", "high", "low", "close", "volume"):
        assert fetched.bars[name].tolist() == quote[name]
    # Both events are in the recording: 4 new shares for 1 on the first day, 0.205 USD on the last.
    assert fetched.actions.to_dict("records") == [
        {"symbol": "AAPL", "ex_date": pd.Timestamp("2020-08-31"), "kind": "split", "value": 4.0},
        {"symbol": "AAPL", "ex_date": pd.Timestamp("2020-11-06"), "kind": "dividend", "value": 0.205},
    ]
    assert fetched.instruments.to_dict("records") == [
        {
            "symbol": "AAPL",
            "exchange_mic": "XNAS",
            "currency_code": "USD",
            "bar_interval": "daily",
            "first_session": pd.Timestamp("2020-08-31"),
            "last_session": pd.Timestamp("2020-11-06"),
        }
    ]
    assert fetched.findings.empty


def test_fetch_asks_for_each_symbol_from_its_own_first_session(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo
) -> None:
    yahoo_server.results |= {symbol: make_result(TWO_DAYS) for symbol in ("A", "B", "C")}

    fetched = open_yahoo().fetch({"A": date(2026, 11, 20), "B": None, "C": date(2026, 11, 19)}, NOW)

    by_symbol = fetched.bars.groupby("symbol")["session"].min()
    assert by_symbol.dt.strftime("%d").to_dict() == {"A": "20", "B": "19", "C": "19"}
    asked_from = {symbol: int(queries[-1]["period1"]) for symbol, queries in yahoo_server.queries.items()}
    assert datetime.fromtimestamp(asked_from["A"], UTC) == datetime(2026, 11, 20, 5, tzinfo=UTC)  # midnight there
    assert datetime.fromtimestamp(asked_from["C"], UTC) == datetime(2026, 11, 19, 5, tzinfo=UTC)
    assert asked_from["B"] < 0


def test_fetch_undoes_the_split_of_a_recording(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo, shared_data: Path
) -> None:
    """On Friday 2020-08-28 Apple closed at 499.23; Yahoo's 124.81 is that, divided by Monday's 4:1 split."""
    result = read_recording(shared_data / "yahoo" / "chart-AAPL-2020-08-31-to-2020-11-07.json")
    quote = result["indicators"]["quote"][0]
    result["timestamp"].insert(0, result["timestamp"][0] - 3 * 86_400)
    for values in quote.values():
        values.insert(0, result["meta"]["chartPreviousClose"])
    quote["volume"][0] = 187_630_000
    result["indicators"]["adjclose"][0]["adjclose"].insert(0, 124.0)
    yahoo_server.results["AAPL"] = result

    bars = open_yahoo().fetch({"AAPL": None}, NOW).bars

    assert bars["close"].iloc[:2].tolist() == pytest.approx([499.23, 129.04], abs=0.005)
    assert bars["volume"].iloc[:2].tolist() == pytest.approx([187_630_000 / 4, 225_702_700])


def test_fetch_gives_tesla_as_traded(yahoo_server: YahooServer, open_yahoo: OpenYahoo, shared_data: Path) -> None:
    """The recording has no events; with the splits of 2020 (5:1) and 2022 (3:1) the closes are the published ones."""
    result = read_recording(shared_data / "yahoo" / "historical-via-chart-dividends-TSLA-no-dividends.json.gz")
    result["events"] = make_result({}, splits={"2020-08-31": "5:1", "2022-08-25": "3:1"})["events"]
    yahoo_server.results["TSLA"] = result

    bars = open_yahoo().fetch({"TSLA": None}, NOW).bars

    traded = closes(bars)
    assert traded["2010-06-29"] == pytest.approx(23.89, abs=0.005)
    assert traded["2020-08-28"] == pytest.approx(2213.40, abs=0.005)
    assert traded["2020-08-31"] == pytest.approx(498.32, abs=0.005)
    assert traded["2022-08-24"] == pytest.approx(891.29, abs=0.005)
    assert traded["2022-08-25"] == pytest.approx(296.07, abs=0.005)


def test_fetch_gives_the_prices_an_older_download_had(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo, shared_data: Path
) -> None:
    """Apple as downloaded in 2023, 28 times smaller in early 2014, comes out as it was downloaded raw in 2017."""
    vintages = pd.read_csv(shared_data / "messy" / "vintages_2014_2016.csv.gz")
    apple = vintages[vintages["ticker"] == "AAPL"].set_index(["vintage", "Date"])["Close"]
    late, raw = apple.loc["2023-11"], apple.loc["2017-03_raw_close"]
    yahoo_server.results["AAPL"] = make_result(late.to_dict(), splits={"2014-06-09": "7:1", "2020-08-31": "4:1"})
    assert late["2014-06-06"] == pytest.approx(raw["2014-06-06"] / 28, rel=1e-4)

    traded = pd.Series(closes(open_yahoo().fetch({"AAPL": None}, NOW).bars))

    shared = traded.index.intersection(raw.index)
    assert len(shared) > 500
    np.testing.assert_allclose(traded[shared], raw[shared], rtol=1e-5)


@pytest.mark.parametrize(
    ("now", "last_session"),
    [
        (datetime(2026, 6, 11, 15, 0, tzinfo=UTC), "2026-06-10"),  # as recorded: during trading
        (datetime(2026, 6, 11, 19, 59, 59, tzinfo=UTC), "2026-06-10"),
        (datetime(2026, 6, 11, 20, 0, tzinfo=UTC), "2026-06-11"),  # the close, 16:00 in New York
    ],
)
def test_fetch_drops_the_bar_of_a_session_that_is_not_closed(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo, shared_data: Path, now: datetime, last_session: str
) -> None:
    yahoo_server.results["AAPL"] = read_recording(shared_data / "yahoo" / "v8-chart-2y-AAPL-2026-06-11.json")
    fetched = open_yahoo().fetch({"AAPL": date(2026, 6, 1)}, now)
    assert fetched.bars["session"].max() == pd.Timestamp(last_session)
    assert fetched.bars["session"].min() == pd.Timestamp("2026-06-01")


def test_fetch_undoes_splits_later_than_now_without_telling_of_them(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo
) -> None:
    """Yahoo's prices know of every split up to the real present, whatever moment the caller asks about."""
    bars = {"2020-08-27": 25.0, "2020-08-28": 26.0, "2020-08-31": 27.0, "2020-09-01": 28.0}
    yahoo_server.results["X"] = make_result(bars, {"2020-08-31": "4:1"}, {"2020-08-28": 0.25, "2020-09-01": 0.5})

    fetched = open_yahoo().fetch({"X": date(2020, 8, 27)}, datetime(2020, 8, 30, tzinfo=UTC))

    assert closes(fetched.bars) == pytest.approx({"2020-08-27": 100.0, "2020-08-28": 104.0})
    assert fetched.bars["volume"].tolist() == pytest.approx([250.0, 250.0])
    assert fetched.actions[["ex_date", "kind", "value"]].to_numpy().tolist() == [
        [pd.Timestamp("2020-08-28"), "dividend", pytest.approx(1.0)]
    ]
    asked_until = int(yahoo_server.queries["X"][-1]["period2"])
    assert asked_until > datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def test_fetch_keeps_the_date_of_a_split_on_a_day_without_a_bar(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo
) -> None:
    """Yfinance would file it under the 27th, and leave that day's price four times too low."""
    yahoo_server.results["X"] = make_result({"2020-08-27": 25.0, "2020-08-31": 27.0}, {"2020-08-28": "4:1"})
    fetched = open_yahoo().fetch({"X": None}, NOW)
    assert closes(fetched.bars) == pytest.approx({"2020-08-27": 100.0, "2020-08-31": 27.0})
    assert fetched.actions["ex_date"].tolist() == [pd.Timestamp("2020-08-28")]


def test_fetch_takes_the_local_date_for_the_session(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    """09:30 in Tokyo is still the day before in UTC."""
    yahoo_server.results["7203.T"] = make_result(
        {"2026-11-19": 3000.0}, zone="Asia/Tokyo", exchangeName="JPX", currency="JPY"
    )
    fetched = open_yahoo().fetch({"7203.T": None}, NOW)
    assert closes(fetched.bars) == {"2026-11-19": 3000.0}
    assert fetched.instruments[["exchange_mic", "currency_code"]].to_numpy().tolist() == [["XTKS", "JPY"]]


def test_fetch_brings_pence_to_pounds(yahoo_server: YahooServer, open_yahoo: OpenYahoo, shared_data: Path) -> None:
    result = read_recording(shared_data / "yahoo" / "chart-OCDO.L-2020-01-01-to-2020-01-03.json")
    assert result["meta"]["currency"] == "GBp"
    yahoo_server.results["OCDO.L"] = result
    fetched = open_yahoo().fetch({"OCDO.L": None}, NOW)
    assert fetched.instruments[["exchange_mic", "currency_code"]].to_numpy().tolist() == [["XLON", "GBP"]]
    in_pence = result["indicators"]["quote"][0]["close"]
    assert fetched.bars["close"].tolist() == pytest.approx([each / 100 for each in in_pence])


def test_fetch_reads_a_volume_of_zero_as_missing(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    yahoo_server.results["X"] = make_result(TWO_DAYS, volume=0)
    assert open_yahoo().fetch({"X": None}, NOW).bars["volume"].isna().all()


def test_fetch_refuses_an_exchange_without_a_calendar(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo, shared_data: Path
) -> None:
    yahoo_server.results["BTC-USD"] = read_recording(
        shared_data / "yahoo" / "chart-BTC-USD-2020-01-01-to-2020-01-03.json"
    )
    (outcome,) = open_yahoo().fetch({"BTC-USD": None}, NOW).outcomes
    assert outcome.outcome is Outcome.REJECTED
    assert outcome.reason == "no calendar for Yahoo's exchange 'CCC' (instrument type 'CRYPTOCURRENCY')"


def test_fetch_refuses_prices_without_a_currency(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    yahoo_server.results["X"] = make_result(TWO_DAYS, currency=None)
    (outcome,) = open_yahoo().fetch({"X": None}, NOW).outcomes
    assert (outcome.outcome, outcome.reason) == (
        Outcome.REJECTED,
        "no currency in Yahoo's response (exchange 'NYQ')",
    )


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
def test_fetch_tells_faults_apart(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo, fault: Fault, outcome: Outcome, reason: str, is_known: bool
) -> None:
    """Only what Yahoo says in its own words is 'missing'; and whether the time zone was known makes no difference."""
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
    """Also when the failed answer is one that yfinance would keep in its cache."""
    yahoo_server.results["X"] = make_result(TWO_DAYS)
    yahoo_server.fail("X", fault, times=2)
    waits: list[float] = []
    fetched = open_yahoo(sleep=waits.append).fetch({"X": None}, NOW)
    assert fetched.outcomes[0].outcome is Outcome.OK, fetched.outcomes
    assert closes(fetched.bars) == TWO_DAYS
    assert len(waits) in {1, 2}


def test_fetch_waits_once_for_all_that_failed(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
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
def test_fetch_goes_on_where_a_rate_limit_stopped_it(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo, max_workers: int
) -> None:
    """While all are refused, nobody asks but one probe after each cool-down; then all come."""
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


def test_fetch_stops_asking_when_a_rate_limit_outlasts_the_waits(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo
) -> None:
    """Later calls of the same object ask nothing either; a new object completes what is left."""
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

    asked = yahoo_server.chart_requests
    (later,) = source.fetch({"LATER": None}, NOW).outcomes
    assert (later.outcome, later.reason.partition(":")[0]) == (Outcome.RATE_LIMITED, "not requested")
    assert yahoo_server.chart_requests == asked

    yahoo_server.fail_all(Fault.RATE_LIMITED, times=0)
    assert set(outcomes(open_yahoo().fetch(dict.fromkeys(symbols), NOW)).values()) == {Outcome.OK}


def test_fetch_stops_asking_a_source_that_never_answers(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    """Else each symbol would cost its timeout, several times over; and silence is no rate limit."""
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
def test_fetch_stays_away_as_long_as_it_is_told(yahoo_server: YahooServer, open_yahoo: OpenYahoo, fault: Fault) -> None:
    yahoo_server.results |= {symbol: make_result(TWO_DAYS) for symbol in ("A", "B", "C")}
    yahoo_server.fail_all(fault, times=2)
    yahoo_server.retry_after = "120"
    waits: list[float] = []
    fetched = open_yahoo(sleep=waits.append, max_workers=1).fetch(dict.fromkeys("ABC"), NOW)
    assert set(outcomes(fetched).values()) == {Outcome.OK}
    assert waits[0] == 120.0
    assert sum(waits[1:]) <= 2.0


def test_fetch_gives_up_when_told_to_stay_away_longer_than_it_may_wait(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo
) -> None:
    yahoo_server.fail_all(Fault.RATE_LIMITED)
    yahoo_server.retry_after = "3600"
    waits: list[float] = []
    fetched = open_yahoo(sleep=waits.append, max_workers=1).fetch(dict.fromkeys("ABC"), NOW)
    assert set(outcomes(fetched).values()) == {Outcome.RATE_LIMITED}
    assert "retry after 3600 s" in fetched.outcomes[0].reason
    assert [each.reason.startswith("not requested") for each in fetched.outcomes] == [False, True, True]
    assert waits == []
    assert yahoo_server.chart_requests == 2


def test_fetch_believes_an_answer_that_comes_with_a_retry_after(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo
) -> None:
    """What Yahoo says in its own words is no refusal, whatever its headers."""
    yahoo_server.results["B"] = make_result(TWO_DAYS)
    yahoo_server.retry_after = "3600"
    fetched = open_yahoo(max_workers=1).fetch(dict.fromkeys("AB"), NOW)
    assert outcomes(fetched) == {"A": Outcome.MISSING, "B": Outcome.OK}


@pytest.mark.parametrize("retry_after", ["soon", "-1", "Fri, 31 Dec 1999 23:59:59 GMT", "1e9", ""])
def test_fetch_passes_over_a_retry_after_that_is_no_number(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo, retry_after: str
) -> None:
    yahoo_server.results["A"] = make_result(TWO_DAYS)
    yahoo_server.fail("A", Fault.RATE_LIMITED, times=2)
    yahoo_server.retry_after = retry_after
    waits: list[float] = []
    assert open_yahoo(sleep=waits.append).fetch({"A": None}, NOW).has_response
    assert len(waits) == 1
    assert waits[0] <= 2.0


def test_fetch_keeps_to_its_requests_when_everything_fails(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    """What was said of a symbol stands when there is nothing left to ask again with."""
    symbols = [f"S{number}" for number in range(20)]
    yahoo_server.fail_all(Fault.SERVER_ERROR)
    limits = Limits(attempts=4, requests_per_symbol=3)
    fetched = open_yahoo(limits=limits).fetch(dict.fromkeys(symbols), NOW)
    assert limits.requests_budget(20) == 3 * 20 + 16
    assert 70 <= yahoo_server.chart_requests <= 76
    assert {each.reason.partition(",")[0] for each in fetched.outcomes} == {"HTTP 500 without a chart"}


NO_ANSWER = [
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
NO_SUCH_DATA = [Fault.NOT_FOUND, Fault.NO_DATA_FOR_DATES, Fault.NULL_RESULT, Fault.EMPTY_CHART]


def test_fetch_of_200_symbols_of_which_40_fail_in_every_way(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    """Ten have no data; of the others a third recovers soon, a third by the next call, and a third never."""
    symbols = [f"S{number:03}" for number in range(200)]
    price = {symbol: 10.0 + number for number, symbol in enumerate(symbols)}
    for symbol in symbols:
        yahoo_server.results[symbol] = make_result({"2026-11-19": price[symbol], "2026-11-20": price[symbol] + 0.5})
    failing = symbols[2::5]
    missing, soon, later, never = failing[:10], failing[10:20], failing[20:30], failing[30:]
    for number, symbol in enumerate(missing):
        yahoo_server.fail(symbol, NO_SUCH_DATA[number % 4])
    limits = Limits(timeout_seconds=0.4)
    for group, attempts in ((soon, limits.attempts - 2), (later, limits.attempts), (never, float("inf"))):
        for symbol, fault in zip(group, NO_ANSWER, strict=True):
            is_repeated = fault.value[0] >= 400  # by yfinance, at once
            yahoo_server.fail(symbol, fault, times=attempts * (2 if is_repeated else 1))
    waits: list[float] = []

    def is_right(fetched: Fetched, come: list[str], asked: list[str]) -> None:
        failed = dict.fromkeys([*later, *never], Outcome.SOURCE_ERROR) | dict.fromkeys(missing, Outcome.MISSING)
        failed |= dict.fromkeys([later[2], never[2]], Outcome.RATE_LIMITED)
        assert outcomes(fetched) == {each: Outcome.OK if each in come else failed[each] for each in asked}
        assert all(bool(each.reason) == (each.outcome is not Outcome.OK) for each in fetched.outcomes)
        expected = [(each, price[each] + step) for each in come for step in (0.0, 0.5)]
        assert list(zip(fetched.bars["symbol"], fetched.bars["close"], strict=True)) == expected
        assert fetched.instruments["symbol"].tolist() == come
        assert fetched.actions.empty

    first = open_yahoo(limits=limits, sleep=waits.append, max_workers=4).fetch(dict.fromkeys(symbols), NOW)

    is_right(first, [each for each in symbols if each not in {*missing, *later, *never}], symbols)
    assert yahoo_server.chart_requests <= limits.requests_budget(200) == 816
    assert 2 <= yahoo_server.most_at_once <= 4
    assert 0.0 < sum(waits) <= limits.wait_budget_seconds

    asked_before = yahoo_server.chart_requests
    again = [each.symbol for each in first.outcomes if each.outcome in {Outcome.RATE_LIMITED, Outcome.SOURCE_ERROR}]
    second = open_yahoo(limits=limits, max_workers=4).fetch(dict.fromkeys(again), NOW)

    is_right(second, later, again)
    assert yahoo_server.chart_requests - asked_before <= limits.requests_budget(20) == 96


def test_fetch_asks_for_a_bounded_number_at_once(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    symbols = [f"S{number}" for number in range(12)]
    yahoo_server.results |= {symbol: make_result(TWO_DAYS) for symbol in symbols}
    fetched = open_yahoo(max_workers=3).fetch(dict.fromkeys(symbols), NOW)
    assert [each.symbol for each in fetched.outcomes] == symbols
    assert len(fetched.bars) == 24
    assert fetched.bars["symbol"].is_monotonic_increasing
    assert 2 <= yahoo_server.most_at_once <= 3


def test_calls_of_fetch_at_the_same_time_share_the_bound(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    symbols = [f"S{number}" for number in range(24)]
    yahoo_server.results |= {symbol: make_result(TWO_DAYS) for symbol in symbols}
    source = open_yahoo(max_workers=3)
    with ThreadPoolExecutor(4) as callers:
        parts = list(callers.map(lambda start: source.fetch(dict.fromkeys(symbols[start::4]), NOW), range(4)))
    assert all(set(outcomes(part).values()) == {Outcome.OK} for part in parts)
    assert 2 <= yahoo_server.most_at_once <= 3


def test_calls_of_fetch_one_after_another_share_the_waits(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    yahoo_server.fail_all(Fault.SERVER_ERROR)
    waits: list[float] = []
    source = open_yahoo(limits=Limits(first_wait_seconds=2.0, wait_budget_seconds=20.0), sleep=waits.append)
    for symbol in "ABCDEFGH":
        assert outcomes(source.fetch({symbol: None}, NOW)) == {symbol: Outcome.SOURCE_ERROR}
    assert sum(waits) <= 20.0
    # Without waits left, a symbol is still asked for once.
    assert len(yahoo_server.queries["A"]) == 8
    assert len(yahoo_server.queries["H"]) == 2


def test_fetch_asks_once_for_a_known_symbol_and_takes_one_crumb(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo
) -> None:
    """Time zones are kept in the cache directory: two chart requests the first time, one from then on."""
    yahoo_server.results["X"] = make_result(TWO_DAYS)
    open_yahoo().fetch({"X": None}, NOW)
    assert len(yahoo_server.queries["X"]) == 2
    open_yahoo().fetch({"X": None}, NOW)
    assert len(yahoo_server.queries["X"]) == 3
    assert yahoo_server.paths["/v1/test/getcrumb"] == 1


def test_fetch_of_nothing_is_empty_and_asks_nothing(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    fetched = open_yahoo().fetch({}, NOW)
    assert fetched.bars.empty
    assert fetched.actions.empty
    assert fetched.outcomes == ()
    assert not yahoo_server.paths


def test_fetch_refuses_a_naive_now(open_yahoo: OpenYahoo) -> None:
    with pytest.raises(ValueError, match="timezone"):
        open_yahoo().fetch({"X": None}, datetime(2026, 11, 24))  # noqa: DTZ001 - the fault under test


def test_source_leaves_no_thread_behind(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    yahoo_server.results["X"] = make_result(TWO_DAYS)
    open_yahoo().fetch({"X": None}, NOW)
    assert not [each.name for each in threading.enumerate() if each.name.startswith("yahoo")]
