"""The statements behind the store's verbs, one file each, in folders by subject; parameters are written `%(name)s`."""

from functools import cache
from pathlib import Path


@cache
def statement(name: str) -> str:
    """Text of the one file `SUBJECT/NAME.sql`.

    Raises:
        ValueError: if there is no such file, or several.
    """
    paths = list(Path(__file__).parent.glob(f"*/{name}.sql"))
    if len(paths) != 1:
        raise ValueError(f"`name` must be that of one statement: {name!r} has {len(paths)} files.")
    return paths[0].read_text(encoding="utf-8")
