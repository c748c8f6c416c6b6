"""Tests of the sessions of the database."""
