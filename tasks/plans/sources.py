"""Specs of the price sources: `sample`, `file:PATH` and `yahoo`."""

import time
from collections.abc import Callable
from pathlib import Path

from tasks.errors import BadRequestError
from tasks.paths import show_path
from tasks.sources.base import Source


def open_source(
    spec: str,
    *,
    cache_dir: Path | None = None,
    base_url: str | None = None,
    max_workers: int = 4,
    sleep: Callable[[float], None] = time.sleep,
) -> Source:
    """Open the source of a spec.

    Args:
        spec: Exactly 'sample', 'file:PATH' or 'yahoo'; no other spelling is accepted.
        cache_dir: Directory in which 'yahoo' caches time zones and cookies; required for it, created if absent.
        base_url: Server to use in place of Yahoo's, for tests and proxies.
        max_workers: Number of symbols that 'yahoo' requests at a time.
        sleep: Function that waits between attempts, given seconds.

    Raises:
        BadRequestError: if `spec` is unknown.
        ValueError: if `cache_dir` is missing for 'yahoo'.
    """
    # Imported on use: yfinance and pyarrow take a second to load.
    if spec == "sample":
        from tasks.sources.sample import SampleSource

        return SampleSource()
    if spec.startswith("file:") and spec != "file:":
        from tasks.sources.files.source import FileSource

        return FileSource(spec.removeprefix("file:"))
    if spec == "yahoo":
        from tasks.sources.yahoo.source import YahooSource

        if cache_dir is None:
            raise ValueError("`cache_dir` must name a directory for the source 'yahoo'; received None.")
        return YahooSource(cache_dir, base_url=base_url, max_workers=max_workers, sleep=sleep)
    raise BadRequestError(f"Unknown price source '{show_path(spec)}'; choose 'sample', 'file:PATH' or 'yahoo'.")
