"""Yahoo source: daily bars from Yahoo Finance's chart service, through yfinance.

- `source`: `YahooSource`, the price source. The only module that imports yfinance.
- `pace`: limits on requests, waiting and concurrency, and a circuit breaker.
- `session`: the HTTP session, which records the last response of the chart service.
- `chart`: bars, splits and dividends of a chart response.
"""
