"""Steps of the month, one module per verb, in the order of `flows.monthly`.

- `run`: the run's row in the ledger, open while the steps work.
- `fetch`: bars, splits and dividends from the price source into the store.
- `overlap`: downloads of symbols whose stored bars come from another source.
- `check`: screened bars, the months built from them, and the coverage of the universe.
- `train`: the candidate models: kept, fine-tuned, or trained from scratch.
- `ensemble`: the networks of one model, trained sequentially or in parallel.
- `compare`: the evaluation of the candidates on holdout months, and the selection of one.
- `forecast`: the forecasts of every symbol, and the prices that they start from.
- `score`: errors of earlier forecasts whose outcome is known.
- `drift`: the drift checks of the published forecasts and of their input prices.
- `publish`: the rows of the month, written in one transaction.
"""
