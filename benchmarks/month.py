"""`bellwether run` on simulated universes of realistic size: seconds per step and memory.

The universes are resampled from the recorded bars in `../shared/data/daily.csv.gz`. Each simulated symbol takes the
bars of a random recorded symbol, a new one each week, so that days keep the market's move, ranges and dividends.

    python -m benchmarks.month                       # all sizes
    python -m benchmarks.month make 500 456 PATH     # only the file
"""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "daily.csv.gz"
SIZES = ((500, 456), (1500, 301))
"""Symbols and months."""
LAST_SESSION = "2018-11-30"
SECONDS = 3600
"""Time limit of a run."""
_STEPS = ("fetch", "check", "train", "compare", "forecast", "score", "rescore", "drift", "publish")


def simulate_universe(symbols: int, months: int, path: Path, *, seed: int = 1) -> None:
    """Write daily bars of simulated symbols as Parquet, in the columns of a price file.

    Args:
        symbols: Number of symbols, named S00000 and so on.
        months: Complete months, the last one 2018-11.
        path: File to write.
        seed: Of the recorded symbol of each simulated symbol and week.
    """
    bars = pd.read_csv(SHARED, parse_dates=["date"], keep_default_na=False, na_values=[""])
    first = pd.Timestamp(LAST_SESSION).replace(day=1) - pd.DateOffset(months=months - 1)
    bars = bars[(bars["date"] >= first - pd.DateOffset(days=10)) & (bars["date"] <= LAST_SESSION)]
    wide = {
        name: bars.pivot(index="date", columns="ticker", values=name)
        for name in ("open", "high", "low", "close", "adj_close", "volume")
    }
    close = wide["close"].ffill()
    before = close.shift(1)
    total_return = np.log(wide["adj_close"].ffill()).diff()
    price_return = np.log(close).diff()
    ratio = {name: (wide[name].where(wide[name] > 0) / before).to_numpy() for name in ("open", "high", "low")}
    volume = (wide["volume"] / wide["volume"].median()).to_numpy()
    is_used = close.index >= first
    week = close.index.to_period("W").factorize()[0]
    rng = np.random.default_rng(seed)
    rows = np.arange(len(close))
    dates = close.index[is_used]
    writer: pq.ParquetWriter | None = None
    for number in range(symbols):
        donor = rng.integers(close.shape[1], size=week.max() + 1)[week]
        steps = np.nan_to_num(price_return.to_numpy()[rows, donor])
        closes = 40.0 * np.exp(np.cumsum(steps))
        adjusted = 40.0 * np.exp(np.cumsum(np.nan_to_num(total_return.to_numpy()[rows, donor])))
        previous = np.concatenate([[40.0], closes[:-1]])
        part = pd.DataFrame(
            {
                "ticker": f"S{number:05d}",
                "date": close.index,
                **{name: previous * values[rows, donor] for name, values in ratio.items()},
                "close": closes,
                "adj_close": adjusted * closes[-1] / adjusted[-1],
                "volume": np.nan_to_num(volume[rows, donor] * 1e6).astype(np.int64),
            }
        )[is_used]
        table = pa.Table.from_pandas(part.assign(date=dates.date), preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def run_month(prices: Path, home: Path, *options: str) -> tuple[dict[str, float], float]:
    """Run the command in a new home.

    Returns:
        Seconds per step, and the peak memory of the command and its child processes in GB, without the database server.

    Raises:
        RuntimeError: If the command fails; with the end of its output.
    """
    environment = {**os.environ, "BELLWETHER_HOME": str(home), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    command = [str(Path(sys.executable).with_name("bellwether")), "run", "--source", f"file:{prices}", *options]
    begun = time.perf_counter()
    seconds: dict[str, float] = {}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        limit = threading.Timer(SECONDS, process.kill)
        limit.start()
        peak = _PeakMemory(process.pid)
        assert process.stdout is not None
        lines, last = [], begun
        for line in process.stdout:
            lines.append(line)
            if (step := re.match(r"\W*(\w+)", line)) and step[1] in _STEPS:
                now = time.perf_counter()
                seconds[step[1]] = seconds.get(step[1], 0.0) + now - last
                last = now
        limit.cancel()
    if process.returncode != 0:
        raise RuntimeError(f"exit code {process.returncode}: {''.join(lines[-15:])}")
    seconds["all"] = time.perf_counter() - begun
    return seconds, peak.stop()


class _PeakMemory:
    """Peak proportional memory of a process and its children, in GB, sampled twice per second."""

    def __init__(self, pid: int) -> None:
        self._process, self._peak, self._is_done = psutil.Process(pid), 0.0, threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._is_done.wait(0.5):
            total = 0
            try:
                for process in (self._process, *self._process.children(recursive=True)):
                    if process.name() != "postgres":
                        total += process.memory_full_info().pss
            except psutil.Error:
                continue
            self._peak = max(self._peak, total / 1e9)

    def stop(self) -> float:
        self._is_done.set()
        self._thread.join()
        return self._peak


def run() -> str:
    """Return a table with a row per size."""
    if not SHARED.is_file():
        return "## The whole month\n\nNot measured: needs recorded market data in ../shared/data.\n"
    rows = {}
    for symbols, months in SIZES:
        # Readable for all, because root runs the embedded server as another user.
        with TemporaryDirectory(prefix="bellwether-month-") as name:
            directory = Path(name)
            directory.chmod(0o755)
            prices = directory / "prices.parquet"
            simulate_universe(symbols, months, prices)
            home = directory / "home"
            try:
                rows[symbols, months] = run_month(prices, home)
            finally:
                _stop_server(home)
    names = list(dict.fromkeys(step for seconds, _ in rows.values() for step in seconds))
    lines = [f"| symbols × months | {' | '.join(names)} | peak GB |", f"| --- |{' ---: |' * (len(names) + 1)}"]
    for (symbols, months), (seconds, peak) in rows.items():
        cells = [f"{seconds[step]:.0f}" if step in seconds else "" for step in names]
        lines.append(f"| {symbols:,} × {months} | {' | '.join(cells)} | {peak:.1f} |")
    text = (
        "`bellwether run` on a new database, in seconds per step. The symbols are resampled from recorded bars. The "
        "first step includes the start of Prefect and Postgres. The memory includes worker processes."
    )
    return "\n".join(["## The whole month", "", text, "", *lines, ""])


def _stop_server(home: Path) -> None:
    command = [str(Path(sys.executable).with_name("bellwether")), "db", "stop"]
    subprocess.run(command, env={**os.environ, "BELLWETHER_HOME": str(home)}, check=False, capture_output=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        simulate_universe(int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
    else:
        print(run())
