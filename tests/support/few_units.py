"""A forecaster configuration for tests of flows: a network that trains in a second."""

from dataclasses import replace

from model.config import ForecasterConfig

SMALL = replace(ForecasterConfig(), units=2, epochs=1, fine_tune_epochs=1, seeds=(1,))
