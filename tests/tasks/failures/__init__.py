"""Tests of `tasks.failures`."""
