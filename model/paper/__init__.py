"""The experiment of the paper behind the project, reproduced as published; independent of the monthly forecaster.

- `experiment`: choices, windows, scaling, the linear forecast and scores.
- `training`: the paper's networks and their training.
"""
