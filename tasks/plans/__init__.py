"""Plans of the flows: each module turns the parameters of a request into a checked plan, before any work starts.

- `sources`: `open_source`, which opens the source of a spec: `sample`, `file:PATH` or `yahoo`.
- `universe`: symbols of a run, with their exchange, currency and sector.
- `prices`: a download of prices.
- `month`: a month to forecast: its dates, its universe and how the model is chosen.
- `backtest`: a backtest over past origin months.
- `paper`: a run of the paper's experiment.
"""
