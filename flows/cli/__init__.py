"""The `bellwether` command: parse options, call one flow or task, print the result.

- `main`: the program and its commands about months, backtests, replays, the paper and the service.
- `database`: the commands of `bellwether db`.
- `alerts`: the commands of `bellwether alerts`.
- `prices`: the commands of `bellwether prices`.
- `failures`: the border of the command line: one sentence and an exit code for every failure.
- `options`: options that several commands share, and their choices.
- `runtime`: the environment of a local Prefect, and alerts about commands that fail without it.
- `progress`: the console, the progress display and the context in which a flow runs.
- `views`: output about a month, a download and a backtest.
- `service_views`: output about runs, alerts, recipients and due months.
- `paper_views`: output about the paper's experiment.

Commands import what they need when they run, so that `--help` starts neither Prefect nor TensorFlow.
"""
