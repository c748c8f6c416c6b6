"""The recorded daily file from disk to months: seconds per step and differences from the source's adjusted close."""

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from model.bars.adjustment import adjusted_close
from model.bars.months import build_months
from model.quality.screening import screen
from sql.server import lifecycle as server
from sql.store import Store
from tasks.calendars import month_table, sessions_between
from tasks.plans.sources import open_source

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "daily.csv.gz"
AS_OF = date(2018, 12, 18)


def run() -> str:
    """Return a table of seconds per step and the largest differences of adjusted closes."""
    if not DATA.exists():
        return "## A file of 1.4 million bars\n\nNot measured: needs recorded market data in ../shared/data.\n"
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        seconds[name] = time.perf_counter() - start
        return result

    source = open_source(f"file:{DATA}")
    listed = timed("read the file", source.instruments)
    assert listed is not None
    symbols = list(listed["symbol"])
    fetched = timed("derive dividends", lambda: source.fetch(dict.fromkeys(symbols), datetime.now(UTC)))
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        home.chmod(0o755)
        try:
            with Store(server.start(home)) as store:
                store.upgrade()
                load = {"source": "file", "instruments": fetched.instruments, "actions": fetched.actions}
                timed("store", lambda: store.merge_bars(**load, bars=fetched.bars))
                repeated = timed("store the same again", lambda: store.merge_bars(**load, bars=fetched.bars))
                assert (repeated.added, repeated.revised, repeated.actions) == (0, 0, 0)
                moment = {"as_of": AS_OF, "known_at": datetime.now(UTC)}
                bars = timed("read back", lambda: store.read_bars(symbols, **moment))
                actions = store.read_actions(symbols, **moment)
        finally:
            server.stop(home)
    calendar = sessions_between("XNYS", date(1962, 1, 1), AS_OF)
    screened = timed("check", lambda: screen(bars, actions, *calendar))
    table = month_table("XNYS", date(1962, 1, 1), AS_OF)
    months = timed("build months", lambda: build_months(screened.bars, screened.actions, table, pd.Timestamp(AS_OF)))
    total = sum(value for name, value in seconds.items() if name != "store the same again")
    lines = [f"| {name} | {value:.1f} | {value / total:.0%} |" for name, value in seconds.items()]
    counts = screened.findings["treatment"].value_counts()
    return "\n".join(
        [
            "## A file of 1.4 million bars",
            "",
            f"{len(bars):,} bars of {len(symbols)} symbols to {len(months):,} months in {total:.1f} s.",
            "",
            "| step | seconds | share |",
            "| --- | ---: | ---: |",
            *lines,
            "",
            f"Findings: {', '.join(f'{count} {name}' for name, count in counts.items())}.",
            "",
            _distance(bars, actions),
            "",
        ]
    )


def _distance(bars: pd.DataFrame, actions: pd.DataFrame) -> str:
    """Compare the adjusted closes with the source's by symbol."""
    source = pd.read_csv(DATA, usecols=["ticker", "date", "adj_close"], keep_default_na=False, na_values=[""])
    source["date"] = pd.to_datetime(source["date"]).astype("datetime64[ns]")
    computed = bars.assign(computed=adjusted_close(bars, actions, pd.Timestamp(AS_OF)))
    both = computed.merge(source, left_on=["symbol", "session"], right_on=["ticker", "date"])
    # The source adjusts to the day of its download, five years later, so only ratios can be compared.
    ratio = both["computed"] / both["adj_close"]
    last = ratio.groupby(both["symbol"]).transform("last")
    worst = (ratio / last - 1).abs().groupby(both["symbol"]).max().sort_values()
    beyond = worst[worst > 1e-4]
    named = ", ".join(f"{symbol} {value:.1e}" for symbol, value in beyond.items())
    larger = f"; larger: {named}" if named else ""
    return (
        f"Adjusted closes beside the source's: {len(worst) - len(beyond)} of {len(worst)} symbols agree within "
        f"1e-4 at every bar (median over symbols of the largest difference {worst.median():.1e}){larger}."
    )
