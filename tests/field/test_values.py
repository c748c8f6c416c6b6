"""Values that no column can hold, faulty adjusted closes and names with blanks: each per symbol, the others stored."""

import gzip
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.ingest import ingest_prices
from tests.support.rows import query

HEADER = "ticker,date,open,high,low,close,adj_close,volume"
DAYS = [f"{day:%Y-%m-%d}" for day in pd.bdate_range("2018-01-02", "2018-03-30")]
FINE = [f"FINE,{day},10,10,10,10,10,100" for day in DAYS]


def ingest(path: Path, rows: list[str]) -> None:
    path.write_bytes("\n".join([HEADER, *FINE, *rows]).encode("utf-8", "surrogateescape"))
    ingest_prices(source=f"file:{path}")


def bars(url: str, symbol: str) -> int:
    return int(query(url, f"select count(*) from market.daily_bar where symbol = '{symbol}'")[0][0])


def rules(url: str, symbol: str) -> dict[str, str]:
    return dict(query(url, f"select rule, min(treatment) from report.finding where symbol = '{symbol}' group by 1"))


@pytest.mark.parametrize(
    ("cells", "stored", "rule"),
    [
        ("1e99,1e99,1e99,1e99,1e99,100", len(DAYS) - 1, "oversized_price"),
        ("1e99,10,10,10,10,100", len(DAYS), None),
        ("10,10,10,10,10,1e99", len(DAYS), "oversized_volume"),
        ("10,10,10,10,10,-5", len(DAYS), None),
        ("-10,10,10,10,10,100", len(DAYS) - 1, "not_positive"),
        ("10,10,10,10,-3,100", len(DAYS), "adjusted_not_positive"),
        ("10,10,10,10,0,100", len(DAYS), "adjusted_not_positive"),
    ],
)
def test_one_impossible_value_costs_no_other_bar(
    machine: None, database_url: str, tmp_path: Path, cells: str, stored: int, rule: str | None
) -> None:
    rows = [f"ODD,{day},10,10,10,10,10,100" for day in DAYS]
    rows[20] = f"ODD,{DAYS[20]},{cells}"
    ingest(tmp_path / "prices.csv", rows)
    assert (bars(database_url, "FINE"), bars(database_url, "ODD")) == (len(DAYS), stored)
    assert rule is None or rule in rules(database_url, "ODD")
    assert "oversized_volume" not in rules(database_url, "FINE")


def test_blanks_and_nul_around_a_name_are_removed(machine: None, database_url: str, tmp_path: Path) -> None:
    rows = [f"{name},{day},10,10,10,10,10,100" for day in DAYS for name in (" BLANK ", "NUL\0", "\u200bWIDE")]
    ingest(tmp_path / "prices.csv", rows)
    stored = query(database_url, "select symbol, count(*) from market.daily_bar group by 1 order by 1")
    assert stored == [(name, len(DAYS)) for name in ("BLANK", "FINE", "NUL", "WIDE")]


def test_nul_in_a_file_of_a_directory_is_the_fault_of_its_symbol(
    machine: None, database_url: str, tmp_path: Path
) -> None:
    header = HEADER.removeprefix("ticker,")
    rows = [line.removeprefix("FINE,") for line in FINE]
    (tmp_path / "FINE.csv").write_text("\n".join([header, *rows]))
    (tmp_path / " SPACE .csv").write_text("\n".join([header, *rows]))
    (tmp_path / "NUL.csv").write_text("\n".join([header, *rows[:5], rows[5].replace("10", "1\0", 1), *rows[6:]]))
    (tmp_path / "CUT.csv.gz").write_bytes(gzip.compress("\n".join([header, *rows]).encode())[:-20])
    ingest_prices(source=f"file:{tmp_path}")
    outcomes = dict(query(database_url, "select symbol, outcome from ops.download"))
    assert outcomes == {"FINE": "ok", "SPACE": "ok", "NUL": "ok", "CUT": "source_error"}
    assert bars(database_url, "NUL") == len(DAYS) - 1
    assert rules(database_url, "NUL")["unreadable_line"] == "excluded"


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    cells=st.lists(
        st.sampled_from(["0", "-1", "1e-99", "1e99", "9" * 60, "nan", "inf", "-0.0", "\0", "1e400", "abc", "", "10"]),
        min_size=6,
        max_size=6,
    ),
    row=st.integers(0, len(DAYS) - 1),
)
def test_any_cells_leave_the_other_symbol_stored(
    machine: None, database_url: str, tmp_path: Path, cells: list[str], row: int
) -> None:
    rows = [f"{HEADER.removeprefix('ticker,')}", *(line.removeprefix("FINE,") for line in FINE)]
    (tmp_path / "FINE.csv").write_text("\n".join(rows))
    rows[1 + row] = ",".join([DAYS[row], *cells])
    (tmp_path / "ODD.csv").write_text("\n".join(rows))
    ingest_prices(source=f"file:{tmp_path}")
    assert bars(database_url, "FINE") == len(DAYS)
    assert bars(database_url, "ODD") >= len(DAYS) - 1
