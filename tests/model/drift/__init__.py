"""Tests of model.drift."""
