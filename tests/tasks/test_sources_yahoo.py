"""The Yahoo source, with the real yfinance, against a server on loopback."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from yahoo_server import Fault, YahooServer, make_result, read_recording

from tasks.sources import Outcome
from tasks.sources.yahoo import Limits, YahooSource

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
OpenYahoo = Callable[..., YahooSource]
TWO_DAYS = {"2026-11-19": 10.0, "2026-11-20": 11.0}


def closes(bars: pd.DataFrame) -> dict[str, float]:
    return {f"{session:%Y-%m-%d}": close for session, close in zip(bars["session"], bars["close"], strict=True)}


def test_fetch_gives_back_a_recording(yahoo_server: YahooServer, open_yahoo: OpenYahoo, shared_data: Path) -> None:
    result = read_recording(shared_data / "yahoo" / "chart-AAPL-2020-08-31-to-2020-11-07.json")
    yahoo_server.results["AAPL"] = result

    fetched = open_yahoo().fetch(["AAPL"], None, NOW)

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
            "first_session": pd.Timestamp("2020-08-31"),
            "last_session": pd.Timestamp("2020-11-06"),
        }
    ]


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

    bars = open_yahoo().fetch(["AAPL"], None, NOW).bars

    assert bars["close"].iloc[:2].tolist() == pytest.approx([499.23, 129.04], abs=0.005)
    assert bars["volume"].iloc[:2].tolist() == pytest.approx([187_630_000 / 4, 225_702_700])


def test_fetch_gives_tesla_as_traded(yahoo_server: YahooServer, open_yahoo: OpenYahoo, shared_data: Path) -> None:
    """The recording has no events; with the splits of 2020 (5:1) and 2022 (3:1) the closes are the published ones."""
    result = read_recording(shared_data / "yahoo" / "historical-via-chart-dividends-TSLA-no-dividends.json.gz")
    result["events"] = make_result({}, splits={"2020-08-31": "5:1", "2022-08-25": "3:1"})["events"]
    yahoo_server.results["TSLA"] = result

    bars = open_yahoo().fetch(["TSLA"], None, NOW).bars

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

    traded = pd.Series(closes(open_yahoo().fetch(["AAPL"], None, NOW).bars))

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
    fetched = open_yahoo().fetch(["AAPL"], date(2026, 6, 1), now)
    assert fetched.bars["session"].max() == pd.Timestamp(last_session)
    assert fetched.bars["session"].min() == pd.Timestamp("2026-06-01")


def test_fetch_undoes_splits_later_than_now_without_telling_of_them(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo
) -> None:
    """Yahoo's prices know of every split up to the real present, whatever moment the caller asks about."""
    bars = {"2020-08-27": 25.0, "2020-08-28": 26.0, "2020-08-31": 27.0, "2020-09-01": 28.0}
    yahoo_server.results["X"] = make_result(bars, {"2020-08-31": "4:1"}, {"2020-08-28": 0.25, "2020-09-01": 0.5})

    fetched = open_yahoo().fetch(["X"], date(2020, 8, 27), datetime(2020, 8, 30, tzinfo=UTC))

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
    fetched = open_yahoo().fetch(["X"], None, NOW)
    assert closes(fetched.bars) == pytest.approx({"2020-08-27": 100.0, "2020-08-31": 27.0})
    assert fetched.actions["ex_date"].tolist() == [pd.Timestamp("2020-08-28")]


def test_fetch_takes_the_local_date_for_the_session(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    """09:30 in Tokyo is still the day before in UTC."""
    yahoo_server.results["7203.T"] = make_result(
        {"2026-11-19": 3000.0}, zone="Asia/Tokyo", exchangeName="JPX", currency="JPY"
    )
    fetched = open_yahoo().fetch(["7203.T"], None, NOW)
    assert closes(fetched.bars) == {"2026-11-19": 3000.0}
    assert fetched.instruments[["exchange_mic", "currency_code"]].to_numpy().tolist() == [["XTKS", "JPY"]]


def test_fetch_brings_pence_to_pounds(yahoo_server: YahooServer, open_yahoo: OpenYahoo, shared_data: Path) -> None:
    result = read_recording(shared_data / "yahoo" / "chart-OCDO.L-2020-01-01-to-2020-01-03.json")
    assert result["meta"]["currency"] == "GBp"
    yahoo_server.results["OCDO.L"] = result
    fetched = open_yahoo().fetch(["OCDO.L"], None, NOW)
    assert fetched.instruments[["exchange_mic", "currency_code"]].to_numpy().tolist() == [["XLON", "GBP"]]
    in_pence = result["indicators"]["quote"][0]["close"]
    assert fetched.bars["close"].tolist() == pytest.approx([each / 100 for each in in_pence])


def test_fetch_reads_a_volume_of_zero_as_missing(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    yahoo_server.results["X"] = make_result(TWO_DAYS, volume=0)
    assert open_yahoo().fetch(["X"], None, NOW).bars["volume"].isna().all()


def test_fetch_refuses_an_exchange_without_a_calendar(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo, shared_data: Path
) -> None:
    yahoo_server.results["BTC-USD"] = read_recording(
        shared_data / "yahoo" / "chart-BTC-USD-2020-01-01-to-2020-01-03.json"
    )
    (outcome,) = open_yahoo().fetch(["BTC-USD"], None, NOW).outcomes
    assert outcome.outcome is Outcome.REJECTED
    assert "'CCC'" in outcome.reason


FAULTS = [
    (Fault.NOT_FOUND, Outcome.MISSING, "HTTP 404: No data found, symbol may be delisted"),
    (Fault.NO_DATA_FOR_DATES, Outcome.MISSING, "HTTP 400: No data for startDate = 1"),
    (Fault.NULL_RESULT, Outcome.MISSING, "no prices returned"),
    (Fault.RATE_LIMITED, Outcome.RATE_LIMITED, "HTTP 429"),
    (Fault.NOT_FOUND_PAGE, Outcome.SOURCE_ERROR, "HTTP 404"),
    (Fault.INVALID_CRUMB, Outcome.SOURCE_ERROR, "HTTP 401"),
    (Fault.SERVER_ERROR, Outcome.SOURCE_ERROR, "HTTP 500"),
    (Fault.SERVER_ERROR_CHART, Outcome.SOURCE_ERROR, "HTTP 500"),
    (Fault.ODD_CHART, Outcome.SOURCE_ERROR, "HTTP 200"),
    (Fault.NO_CHART, Outcome.SOURCE_ERROR, "HTTP 200"),
    (Fault.DOWN, Outcome.SOURCE_ERROR, "HTTP 200"),
    (Fault.TRUNCATED, Outcome.SOURCE_ERROR, "no answer: IncompleteRead"),
    (Fault.SLOW, Outcome.SOURCE_ERROR, "no answer: Timeout"),
]


@pytest.mark.parametrize("is_known", [True, False], ids=["known symbol", "cold symbol"])
@pytest.mark.parametrize(("fault", "outcome", "reason"), FAULTS, ids=[fault.name for fault, *_ in FAULTS])
def test_fetch_tells_faults_apart(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo, fault: Fault, outcome: Outcome, reason: str, is_known: bool
) -> None:
    """Only what Yahoo says in its own words is 'missing'; and whether the time zone was known makes no difference."""
    yahoo_server.results |= {"BAD": make_result(TWO_DAYS), "GOOD": make_result(TWO_DAYS)}
    source = open_yahoo(limits=Limits(attempts=2, timeout_seconds=0.4 if fault is Fault.SLOW else 5.0))
    if is_known:
        assert source.fetch(["BAD"], None, NOW).is_answered
    yahoo_server.fail("BAD", fault)

    fetched = source.fetch(["BAD", "GOOD", "BAD"], None, NOW)

    bad, good = fetched.outcomes
    assert (bad.symbol, bad.outcome) == ("BAD", outcome), bad.reason
    assert bad.reason.startswith(reason)
    assert (good.symbol, good.outcome) == ("GOOD", Outcome.OK)
    assert fetched.bars["symbol"].tolist() == ["GOOD", "GOOD"]


def test_fetch_of_a_weekend_is_missing(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    yahoo_server.results["X"] = make_result(TWO_DAYS)
    (outcome,) = open_yahoo().fetch(["X"], date(2026, 11, 21), NOW).outcomes
    assert (outcome.outcome, outcome.reason) == (Outcome.MISSING, "no prices returned")


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.TRUNCATED, Fault.RATE_LIMITED, Fault.NOT_FOUND_PAGE])
def test_fetch_recovers_when_the_fault_passes(yahoo_server: YahooServer, open_yahoo: OpenYahoo, fault: Fault) -> None:
    """Also when the failed answer is one that yfinance would keep in its cache."""
    yahoo_server.results["X"] = make_result(TWO_DAYS)
    yahoo_server.fail("X", fault, times=2)
    waits: list[float] = []
    fetched = open_yahoo(sleep=waits.append).fetch(["X"], None, NOW)
    assert fetched.outcomes[0].outcome is Outcome.OK, fetched.outcomes
    assert closes(fetched.bars) == TWO_DAYS
    assert len(waits) in {1, 2}


def test_waits_grow_with_jitter_and_are_the_same_for_the_same_generator(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo
) -> None:
    """The k-th wait is 2 s · 2^k, at most 5 s here, times a number between a half and one."""
    yahoo_server.fail("X", Fault.RATE_LIMITED)
    limits = Limits(attempts=4, first_wait_seconds=2.0, longest_wait_seconds=5.0)
    seen = []
    for _ in range(2):
        waits: list[float] = []
        open_yahoo(limits=limits, sleep=waits.append, rng=np.random.default_rng(5)).fetch(["X"], None, NOW)
        seen.append(waits)
    assert seen[0] == seen[1]
    assert [longest / 2 <= wait <= longest for wait, longest in zip(seen[0], [2.0, 4.0, 5.0], strict=True)] == [
        True
    ] * 3


def test_fetch_stops_asking_once_a_rate_limit_has_used_up_the_waits(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo
) -> None:
    symbols = [f"S{number}" for number in range(10)]
    for symbol in symbols:
        yahoo_server.fail(symbol, Fault.RATE_LIMITED)
    waits: list[float] = []
    limits = Limits(attempts=3, first_wait_seconds=1.0, wait_budget_seconds=3.0)
    source = open_yahoo(limits=limits, sleep=waits.append, max_workers=1)

    fetched = source.fetch(symbols, None, NOW)

    assert sum(waits) <= 3.0
    assert {each.outcome for each in fetched.outcomes} == {Outcome.RATE_LIMITED}
    assert not fetched.is_answered
    assert len(yahoo_server.queries) < 5
    assert fetched.outcomes[-1].reason.startswith("not asked")
    assert source.fetch(["LATER"], None, NOW).outcomes[0].reason.startswith("not asked")


def test_fetch_asks_for_a_bounded_number_at_once(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    symbols = [f"S{number}" for number in range(12)]
    yahoo_server.results |= {symbol: make_result(TWO_DAYS) for symbol in symbols}
    fetched = open_yahoo(max_workers=3).fetch(symbols, None, NOW)
    assert [each.symbol for each in fetched.outcomes] == symbols
    assert len(fetched.bars) == 24
    assert fetched.bars["symbol"].is_monotonic_increasing
    assert 2 <= yahoo_server.most_at_once <= 3


def test_fetch_asks_once_for_a_known_symbol_and_takes_one_crumb(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo
) -> None:
    """Time zones are kept in the cache directory: two chart requests the first time, one from then on."""
    yahoo_server.results["X"] = make_result(TWO_DAYS)
    open_yahoo().fetch(["X"], None, NOW)
    assert len(yahoo_server.queries["X"]) == 2
    open_yahoo().fetch(["X"], None, NOW)
    assert len(yahoo_server.queries["X"]) == 3
    assert yahoo_server.paths["/v1/test/getcrumb"] == 1


def test_fetch_of_nothing_is_empty_and_asks_nothing(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    fetched = open_yahoo().fetch([], None, NOW)
    assert fetched.bars.empty
    assert fetched.actions.empty
    assert fetched.outcomes == ()
    assert not yahoo_server.paths


def test_fetch_refuses_a_naive_now(open_yahoo: OpenYahoo) -> None:
    with pytest.raises(ValueError, match="timezone"):
        open_yahoo().fetch(["X"], None, datetime(2026, 11, 24))  # noqa: DTZ001 - the fault under test


def test_source_leaves_no_thread_behind(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    yahoo_server.results["X"] = make_result(TWO_DAYS)
    open_yahoo().fetch(["X"], None, NOW)
    assert not [each.name for each in threading.enumerate() if each.name.startswith("yahoo")]
