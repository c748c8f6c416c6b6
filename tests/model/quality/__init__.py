"""Tests of model.quality."""
