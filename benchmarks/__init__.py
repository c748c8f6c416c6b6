"""Benchmarks of speed, skill and drift; `make bench` runs all but the last two.

- `bars`: storage of bars, beside pandas and SQLAlchemy.
- `ingestion`: a file of 1.4 million bars, from disk to months.
- `month`: `bellwether run` on simulated universes: seconds per step and memory.
- `speed`: training and forecasting by number of symbols.
- `windows`: training on whole sequences, beside training on windows.
- `skill`: CRPS of the forecasts, beside the random walk and `benchmark_forecasters`.
- `drift`: false alarms and delays of the drift monitor, beside other detectors.
- `benchmark_forecasters`: forecasters that `skill` compares with.
- `paper`: training settings tried for the paper's networks.
- `neural_forecasters`: LSTM and GRU of neuralforecast, in a separate environment.
"""
