"""Bars and actions of chart responses, fetched with the real yfinance from a loopback server."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.sources.base import Outcome, SourceOutcome
from tasks.sources.yahoo.chart import is_empty, read_chart
from tasks.sources.yahoo.source import YahooSource
from tests.support.yahoo_server import YahooServer, make_result, read_recording

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
OpenYahoo = Callable[..., YahooSource]
TWO_DAYS = {"2026-11-19": 10.0, "2026-11-20": 11.0}


def closes(bars: pd.DataFrame) -> dict[str, float]:
    return {f"{session:%Y-%m-%d}": close for session, close in zip(bars["session"], bars["close"], strict=True)}


def test_fetch_returns_a_recording(yahoo_server: YahooServer, open_yahoo: OpenYahoo, shared_data: Path) -> None:
    result = read_recording(shared_data / "yahoo" / "chart-AAPL-2020-08-31-to-2020-11-07.json")
    yahoo_server.results["AAPL"] = result

    fetched = open_yahoo().fetch({"AAPL": None}, NOW)

    assert fetched.outcomes == (SourceOutcome("AAPL", Outcome.OK),)
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
            "first_trade": pd.Timestamp("1980-12-12"),
        }
    ]
    assert fetched.findings.empty


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


def test_fetch_returns_the_prices_of_an_older_download(
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
def test_fetch_drops_the_bar_of_an_open_session(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo, shared_data: Path, now: datetime, last_session: str
) -> None:
    yahoo_server.results["AAPL"] = read_recording(shared_data / "yahoo" / "v8-chart-2y-AAPL-2026-06-11.json")
    fetched = open_yahoo().fetch({"AAPL": date(2026, 6, 1)}, now)
    assert fetched.bars["session"].max() == pd.Timestamp(last_session)
    assert fetched.bars["session"].min() == pd.Timestamp("2026-06-01")


def test_fetch_undoes_later_splits_without_returning_them(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    """Yahoo's prices are adjusted for splits up to the present, also in a request about the past."""
    bars = {"2020-08-27": 25.0, "2020-08-28": 26.0, "2020-08-31": 27.0, "2020-09-01": 28.0}
    yahoo_server.results["X"] = make_result(bars, {"2020-08-31": "4:1"}, {"2020-08-28": 0.25, "2020-09-01": 0.5})

    fetched = open_yahoo().fetch({"X": date(2020, 8, 27)}, datetime(2020, 8, 30, tzinfo=UTC))

    assert closes(fetched.bars) == pytest.approx({"2020-08-27": 100.0, "2020-08-28": 104.0})
    assert fetched.bars["volume"].tolist() == pytest.approx([250.0, 250.0])
    assert fetched.actions[["ex_date", "kind", "value"]].to_numpy().tolist() == [
        [pd.Timestamp("2020-08-28"), "dividend", pytest.approx(1.0)]
    ]
    last_moment = int(yahoo_server.queries["X"][-1]["period2"])
    assert last_moment > datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def test_fetch_keeps_the_date_of_a_split_on_a_day_without_a_bar(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo
) -> None:
    """Yfinance moves the split to the 27th and leaves that day's price four times too low."""
    yahoo_server.results["X"] = make_result({"2020-08-27": 25.0, "2020-08-31": 27.0}, {"2020-08-28": "4:1"})
    fetched = open_yahoo().fetch({"X": None}, NOW)
    assert closes(fetched.bars) == pytest.approx({"2020-08-27": 100.0, "2020-08-31": 27.0})
    assert fetched.actions["ex_date"].tolist() == [pd.Timestamp("2020-08-28")]


def test_fetch_uses_the_local_date_as_session(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    """09:30 in Tokyo is still the day before in UTC."""
    yahoo_server.results["7203.T"] = make_result(
        {"2026-11-19": 3000.0}, zone="Asia/Tokyo", exchangeName="JPX", currency="JPY"
    )
    fetched = open_yahoo().fetch({"7203.T": None}, NOW)
    assert closes(fetched.bars) == {"2026-11-19": 3000.0}
    assert fetched.instruments[["exchange_mic", "currency_code"]].to_numpy().tolist() == [["XTKS", "JPY"]]


def test_fetch_converts_pence_to_pounds(yahoo_server: YahooServer, open_yahoo: OpenYahoo, shared_data: Path) -> None:
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


def test_fetch_knows_the_market_of_every_day_and_refuses_one_without_calendar(
    yahoo_server: YahooServer, open_yahoo: OpenYahoo, shared_data: Path
) -> None:
    result = read_recording(shared_data / "yahoo" / "chart-BTC-USD-2020-01-01-to-2020-01-03.json")
    yahoo_server.results["BTC-USD"] = result
    # The first of January is a holiday of every exchange but this one.
    fetched = open_yahoo().fetch({"BTC-USD": None}, NOW)
    assert (fetched.bars["session"].min(), len(fetched.findings)) == (pd.Timestamp("2020-01-01"), 0)
    assert fetched.instruments["exchange_mic"].tolist() == ["24/7"]
    result["meta"]["exchangeName"] = "CCY"
    (outcome,) = open_yahoo().fetch({"BTC-USD": None}, NOW).outcomes
    assert outcome.outcome is Outcome.REJECTED
    assert outcome.reason == "no calendar for Yahoo's exchange 'CCY' (instrument type 'CRYPTOCURRENCY')"


def test_fetch_refuses_prices_without_a_currency(yahoo_server: YahooServer, open_yahoo: OpenYahoo) -> None:
    yahoo_server.results["X"] = make_result(TWO_DAYS, currency=None)
    (outcome,) = open_yahoo().fetch({"X": None}, NOW).outcomes
    assert (outcome.outcome, outcome.reason) == (
        Outcome.REJECTED,
        "no currency in Yahoo's response (exchange 'NYQ')",
    )


@pytest.mark.parametrize(
    ("chart", "expected"),
    [
        ({"result": None, "error": None}, True),
        ({"result": [], "error": None}, True),
        ({"result": [{"indicators": {"quote": [{}]}}], "error": None}, True),
        ({"result": [{"indicators": {"quote": [{"close": [1.0]}]}}], "error": None}, False),
        ({"result": None, "error": {"code": "Not Found"}}, False),
        ({"result": [{}], "error": None}, False),
        ({}, False),
    ],
)
def test_is_empty_needs_a_well_formed_chart_without_prices(chart: dict[str, object], expected: bool) -> None:
    assert is_empty(chart) is expected


def test_read_chart_requires_the_chart_of_the_response() -> None:
    with pytest.raises(ValueError, match="`chart` must be the chart of the response; received None"):
        read_chart("X", pd.DataFrame(), None, None, NOW)
