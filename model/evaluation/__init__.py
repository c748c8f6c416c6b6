"""Evaluation of forecasts: scores, tests, the gate and the backtest.

- `backtest`: forecasts from past origins and their scores.
- `benchmark_forecasters`: textbook methods that the forecasts are compared with.
- `gate`: selection of the served model on holdout months.
- `metrics`: losses and rates of forecasts.
- `scores`: scores of published forecasts and of backtests, averaged over symbols and months.
- `significance`: tests of equal accuracy and of coverage.
"""
