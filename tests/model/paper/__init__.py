"""Tests of `model.paper`."""
