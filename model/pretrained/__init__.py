"""Pre-trained coefficients, one JSON file a vintage; `CARD.md` describes their data and training.

`model.forecaster.vintages` reads them. `python -m benchmarks.pretrain` writes them.
"""
