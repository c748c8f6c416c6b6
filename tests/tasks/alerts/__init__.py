"""Tests of `tasks.alerts`."""
