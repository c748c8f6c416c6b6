"""Runs every benchmark and writes `benchmarks/RESULTS.md`: `make bench`."""

import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import bars, drift, ingestion, month, skill, speed, windows

RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    """Run them one after the other, so that they do not take the machine from each other."""
    parts = []
    for benchmark in (bars, ingestion, month, speed, windows, skill, drift):
        print(f"{benchmark.__name__} …", flush=True)
        parts.append(benchmark.run())
    heading = f"# Results\n\n`make bench`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, 2 cores.\n"
    RESULTS.write_text("\n".join([heading, *parts]), encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
