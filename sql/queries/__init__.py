"""The statements of the verbs, one file each, in folders by subject; parameters are written `%(name)s`."""

from functools import cache
from pathlib import Path


@cache
def statement(name: str) -> str:
    """Return the text of the only file `SUBJECT/NAME.sql`.

    Raises:
        ValueError: if no file or several files have that name.
    """
    paths = list(Path(__file__).parent.glob(f"*/{name}.sql"))
    if len(paths) != 1:
        raise ValueError(f"`name` must be the name of exactly one statement: {name!r} has {len(paths)} files.")
    return paths[0].read_text(encoding="utf-8")
