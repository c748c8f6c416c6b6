"""Flows: the order of the steps, one flow per module, without SQL and without arithmetic.

- `backtest`: forecasts from past months, and their scores.
- `cli`: the command `bellwether`.
- `ingest`: prices without a forecast.
- `monthly`: the forecast of a month, and the catch-up of several months.
- `paper`: the experiment of the paper behind the project.
- `replay`: the forecasts of a published run, recomputed and compared.
- `service_check`: the daily check for killed runs, stuck runs and overdue months.

To change the steps of a month or their order, edit `monthly`. To change one step, see `tasks.month`.
"""
