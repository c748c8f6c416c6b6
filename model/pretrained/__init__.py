"""Pre-trained coefficients, one JSON file a vintage; `CARD.md` says what they were learnt from.

`model.forecaster.vintages` reads them. `python -m benchmarks.pretrain` writes them.
"""
