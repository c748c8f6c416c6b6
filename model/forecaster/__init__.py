"""The monthly forecaster: a readable baseline, and networks that correct it.

- `features`: the panel of months that baseline and networks read.
- `split`: origins for training, validation and holdout.
- `training_rows`: eligible training rows and their sample weights.
- `baseline`: the traditional forecast and its fit.
- `vintages`: pre-trained baselines of many symbols, and the newest one that a fit may use.
- `calibration`: the market scale, a monthly factor from past misses.
- `training_set`: the arrays that networks are fitted to, cross-sectionally demeaned.
- `network`: the network, its corrections and its loss.
- `training`: the training of networks and their corrections for new inputs.
- `forecaster`: the trained forecaster: train, fine-tune and forecast.
- `validation`: checks of a restored forecaster: its config, the shapes of its arrays, and their values.
- `serialization`: a forecaster as bytes.
"""
