"""Tests of the Yahoo source."""
