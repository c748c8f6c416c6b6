"""Drift monitor: whether the published forecasts are as accurate as the model normally is.

- `expectation`: expected values of the drift measures of a model, from its forecasts of past months.
- `inputs`: comparison of a month's inputs with the years before.
- `measures`: drift measures of scored forecasts, relative to the reference forecast.
- `monitor`: CUSUM checks of the measures with calibrated thresholds.
- `reference_forecast`: model-free forecast that the measures are relative to.
"""
