"""Bars per second into the store, beside pandas and SQLAlchemy."""

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg2
import sqlalchemy as sa

from sql.server import lifecycle as server
from sql.store import Store

ROWS = 1_000_000
COMPARISON_ROWS = 30_000  # the other paths take half a minute for a million
NO_ACTIONS = pd.DataFrame({"symbol": [], "ex_date": [], "kind": [], "value": []})


def make_bars(rows: int) -> pd.DataFrame:
    """Simulate bars of 100 symbols."""
    sessions = pd.bdate_range("1990-01-01", periods=rows // 100).astype("datetime64[ns]")
    close = 50 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, rows)) % 1)
    frame = pd.DataFrame({"symbol": np.repeat([f"S{n:03d}" for n in range(100)], len(sessions))})
    frame["session"] = np.tile(sessions, 100)
    return frame.assign(open=close, high=close * 1.01, low=close * 0.99, close=close, volume=1e6)


def run() -> str:
    """Return a table of rows per second."""
    bars = make_bars(ROWS)
    instruments = pd.DataFrame({"symbol": bars["symbol"].unique(), "exchange_mic": "XNYS", "currency_code": "USD"})
    results: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        home.chmod(0o755)
        url = server.start(home)
        try:
            with Store(url) as store:
                store.upgrade()

                def merge() -> None:
                    store.merge_bars(
                        source="file",
                        instruments=instruments,
                        bars=bars,
                        actions=NO_ACTIONS,
                    )

                results["Bellwether, into an empty table"] = _rate(merge)
                before = _row_versions(url)
                results["Bellwether, the same rows again"] = _rate(merge)
                written = {table: count - before.get(table, 0) for table, count in _row_versions(url).items()}
                engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
                small = bars.head(COMPARISON_ROWS)
                plain = small.assign(known_at=datetime.now(UTC))
                plain.head(0).to_sql("plain", engine, index=False)
                results["pandas to_sql"] = _rate(
                    lambda: plain.to_sql("plain", engine, index=False, if_exists="append"), len(plain)
                )
                table = sa.Table("plain", sa.MetaData(), autoload_with=engine)
                records = plain.to_dict("records")

                def insert_many() -> None:
                    with engine.begin() as connection:
                        connection.execute(table.insert(), records)

                results["SQLAlchemy insertmanyvalues"] = _rate(insert_many, len(plain))
                engine.dispose()
        finally:
            server.stop(home)
    slowest = min(results.values())
    lines = [f"| {name} | {rate:,.0f} | {rate / slowest:.1f} |" for name, rate in results.items()]
    return "\n".join(
        [
            "## Bars into Postgres",
            "",
            "| path | rows per second | times the slowest |",
            "| --- | ---: | ---: |",
            *lines,
            "",
            f"{ROWS:,} bars of 100 symbols; {COMPARISON_ROWS:,} for pandas and SQLAlchemy. "
            "Row versions written by the same rows again: "
            f"{', '.join(f'{count} in {table}' for table, count in sorted(written.items()))}.",
            "",
        ]
    )


def _row_versions(url: str) -> dict[str, int]:
    """Read how many row versions Postgres has counted in the tables of bars and of downloads."""
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        cursor.execute("select pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
        cursor.execute(
            "select schemaname || '.' || relname, n_tup_ins + n_tup_upd + n_tup_del from pg_stat_user_tables "
            "where schemaname = 'market' or relname = 'download'"
        )
        counts = {str(name): int(count) for name, count in cursor.fetchall()}
    connection.close()
    return counts


def _rate(work: object, rows: int = ROWS) -> float:
    """Measure the rows per second of a function."""
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return rows / (time.perf_counter() - start)
