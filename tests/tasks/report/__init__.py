"""Tests of the package `tasks.report`."""
