"""Configs for tests of flows: networks of two units."""

from dataclasses import replace

from model.config import ForecasterConfig

SMALL = replace(ForecasterConfig(), units=2, epochs=1, fine_tune_epochs=1, seeds=(1,))
"""A network that trains in a second."""
UNTRAINED = replace(SMALL, epochs=0, fine_tune_epochs=0)
"""A network that keeps its initial weights, for tests of everything around the training."""
