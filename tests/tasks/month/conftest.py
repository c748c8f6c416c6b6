"""Fixtures of the month's steps: Prefect and a machine with an empty database."""

from tests.flows.conftest import machine, prefect_server

__all__ = ["machine", "prefect_server"]
