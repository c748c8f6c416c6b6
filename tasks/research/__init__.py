"""Research: backtests, replays of stored runs, and the paper's experiment. Changes no published forecast.

- `backtest`: forecasts from past origins by all forecasters, scored.
- `stored_run`: a published run as the database has it, and the months it was made from.
- `replay`: the forecasts of a published run, made again and compared.
- `paper`: the paper's experiment: one series, trained networks, stored errors.
- `paper_table`: the errors of the experiment as table rows with explanations.
- `paper_figures`: the figures of the experiment.
"""
