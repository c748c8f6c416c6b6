"""Tests of `tasks.month`, one module per module."""
