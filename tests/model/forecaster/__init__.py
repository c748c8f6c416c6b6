"""Tests of `model.forecaster`."""
