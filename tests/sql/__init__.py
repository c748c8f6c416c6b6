"""Tests of the package `sql`."""
