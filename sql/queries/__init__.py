"""The statements behind the door's verbs, one file each; parameters are written `%(name)s`."""

from functools import cache
from pathlib import Path


@cache
def statement(name: str) -> str:
    """Text of `NAME.sql`."""
    return (Path(__file__).parent / f"{name}.sql").read_text(encoding="utf-8")
