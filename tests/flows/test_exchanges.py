"""A universe on two exchanges through a whole month: the month is complete when each exchange's last session is there.

The last session of 2018-12 was the 28th in Tokyo and the 31st in New York.
"""

from datetime import date
from pathlib import Path

# Imported before TensorFlow: both contain BoringSSL, and curl_cffi fails if it is loaded second.
import curl_cffi  # noqa: F401
import numpy as np
import pandas as pd
import pytest

from flows.monthly import monthly_forecast
from tasks.calendars import sessions_between
from tasks.errors import PricesIncompleteError
from tasks.plans.month import last_complete_month
from tasks.settings import get_settings
from tests.support.rows import query
from tests.support.yahoo_server import YahooServer, make_result

FIRST, LAST = date(2009, 1, 1), date(2018, 12, 31)
EXCHANGES = {
    "NEWYORK": {"mic": "XNYS", "currency": "USD", "exchangeName": "NYQ", "zone": "America/New_York"},
    "TOKYO": {"mic": "XTKS", "currency": "JPY", "exchangeName": "JPX", "zone": "Asia/Tokyo"},
}
EVERY_DAY = {"COIN-USD": {"mic": "24/7", "currency": "USD", "exchangeName": "CCC", "zone": "UTC"}}


@pytest.fixture
def exchanges(machine: pytest.MonkeyPatch, yahoo_server: YahooServer) -> YahooServer:
    """The server of the Yahoo source, with ten years of bars of one symbol on each exchange."""
    machine.setenv("BELLWETHER_YAHOO_BASE_URL", yahoo_server.url)
    get_settings.cache_clear()
    for symbol in EXCHANGES:
        yahoo_server.results[symbol] = make_bars(symbol, LAST)
    return yahoo_server


def make_bars(symbol: str, last: date) -> dict:
    """Make bars of a random walk on the sessions of the symbol's exchange, up to `last`."""
    exchange = dict((EXCHANGES | EVERY_DAY)[symbol])
    sessions, _ = sessions_between(exchange.pop("mic"), FIRST, LAST)
    steps = np.random.default_rng(len(symbol)).normal(0.0, 0.01, len(sessions))
    closes = np.round(100.0 * np.exp(steps.cumsum()), 4)
    days = [f"{day:%Y-%m-%d}" for day in sessions]
    bars = {day: close for day, close in zip(days, closes.tolist(), strict=True) if day <= f"{last}"}
    return make_result(bars, **exchange)


@pytest.fixture
def universe(tmp_path: Path) -> str:
    """A universe file with the exchange and currency of each symbol."""
    rows = [(symbol, exchange["mic"], exchange["currency"]) for symbol, exchange in EXCHANGES.items()]
    path = tmp_path / "world.csv"
    pd.DataFrame(rows, columns=["symbol", "exchange_mic", "currency_code"]).to_csv(path, index=False)
    return str(path)


def test_month_is_complete_after_the_last_session_of_every_exchange(
    exchanges: YahooServer, universe: str, database_url: str
) -> None:
    """On the 28th New York's last session is still to come, so the newest complete month is the one before."""
    monthly_forecast(as_of=date(2018, 12, 28), source="yahoo", universe=universe)
    assert read_origins(database_url) == [
        ("NEWYORK", date(2018, 11, 1), date(2018, 11, 30), "USD"),
        ("TOKYO", date(2018, 11, 1), date(2018, 11, 30), "JPY"),
    ]
    monthly_forecast(as_of=date(2018, 12, 31), source="yahoo", universe=universe)
    assert read_origins(database_url) == [
        ("NEWYORK", date(2018, 12, 1), date(2018, 12, 31), "USD"),
        ("TOKYO", date(2018, 12, 1), date(2018, 12, 28), "JPY"),
    ]
    scored = query(
        database_url, "select symbol, horizon, count(*) from forecast.forecast_error group by 1, 2 order by 1"
    )
    assert scored == [("NEWYORK", 1, 3), ("TOKYO", 1, 3)]


@pytest.mark.parametrize(
    ("symbol", "last", "newest"),
    [("NEWYORK", date(2018, 12, 30), "2018-12-28"), ("TOKYO", date(2018, 12, 27), "2018-12-27")],
)
def test_month_needs_the_last_session_of_every_exchange(
    exchanges: YahooServer, universe: str, database_url: str, symbol: str, last: date, newest: str
) -> None:
    """Bars of the 28th complete the month in Tokyo, and not in New York."""
    exchanges.results[symbol] = make_bars(symbol, last)
    with pytest.raises(PricesIncompleteError, match="1 of 2 symbols do"):
        monthly_forecast(as_of=LAST, source="yahoo", universe=universe)
    ((reason,),) = query(database_url, f"select reason from ops.symbol_outcome where symbol = '{symbol}'")
    assert f"newest bar {newest}" in reason
    assert query(database_url, "select count(*) from forecast.forecast") == [(0,)]

    exchanges.results[symbol] = make_bars(symbol, LAST)
    monthly_forecast(as_of=LAST, source="yahoo", universe=universe)
    assert [row[:2] for row in read_origins(database_url)] == [
        ("NEWYORK", date(2018, 12, 1)),
        ("TOKYO", date(2018, 12, 1)),
    ]


def test_month_of_a_market_of_every_day_ends_on_its_last_day(
    exchanges: YahooServer, database_url: str, tmp_path: Path
) -> None:
    """2018-06-30 was a Saturday: the month ends on the 29th in New York."""
    exchanges.results["COIN-USD"] = make_bars("COIN-USD", LAST)
    path = tmp_path / "days.csv"
    path.write_text("symbol,exchange_mic\nCOIN-USD,24/7\nNEWYORK,XNYS\n")
    assert last_complete_month(["24/7", "XNYS"], date(2018, 6, 29)) == date(2018, 5, 1)
    monthly_forecast(as_of=date(2018, 6, 30), source="yahoo", universe=str(path), mode="baseline")
    assert read_origins(database_url) == [
        ("COIN-USD", date(2018, 6, 1), date(2018, 6, 30), "USD"),
        ("NEWYORK", date(2018, 6, 1), date(2018, 6, 29), "USD"),
    ]
    days = query(database_url, "select count(*) from market.daily_bar where symbol = 'COIN-USD'")
    assert days == [((LAST - FIRST).days + 1,)]
    assert query(database_url, "select * from report.finding") == []


def read_origins(url: str) -> list[tuple]:
    """Read the origins of the newest published forecasts."""
    return query(
        url,
        "select symbol, origin_month, origin_session, currency_code from forecast.forecast_origin "
        "where run_id = (select max(run_id) from ops.run where status = 'published') order by symbol",
    )
