"""Tests, in packages that mirror the rooms of the program."""
