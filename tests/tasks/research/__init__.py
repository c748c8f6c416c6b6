"""Tests of `tasks.research`, one module per module."""
