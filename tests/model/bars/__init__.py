"""Tests of model.bars."""
