"""Run the benchmarks and write `benchmarks/RESULTS.md`: `make bench`."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import bars, drift, ingestion, month, skill, speed, windows

RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    """Run the benchmarks sequentially, because they would slow each other down."""
    sections = []
    for benchmark in (bars, ingestion, month, speed, windows, skill, drift):
        print(f"{benchmark.__name__} …", flush=True)
        sections.append(benchmark.run())
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    heading = f"# Results\n\n`make bench`, {datetime.now(UTC):%Y-%m-%d}, {machine}.\n"
    RESULTS.write_text("\n".join([heading, *sections]), encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
