"""Tests of `sql`."""
