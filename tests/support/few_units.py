"""A forecaster configuration for tests of flows: a network that trains in a second."""

from dataclasses import replace

from model.config import ForecasterConfig

SMALL = replace(ForecasterConfig(), units=2, epochs=2, seeds=(1,))
