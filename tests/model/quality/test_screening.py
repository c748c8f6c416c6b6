"""Tests of model.quality.screening on simulated bars without faults, planted faults and recorded faults."""

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.bars.adjustment import total_log_returns, undo_splits
from model.frames import BAR_TYPES, FINDING_TYPES, PRICE_COLUMNS
from model.quality.screening import RULES, Screened, screen
from tests.support.bars import actions_from_adjusted_close
from tests.support.quality import NO_DAYS, make_actions, omit_split, outcomes, quiet_bars, run_screen, scale

CHANGED = ["repaired", "excluded"]


def test_screen_returns_quiet_bars_unchanged() -> None:
    bars = quiet_bars()
    screened = run_screen(bars)
    assert outcomes(screened) == []
    assert screened.findings.dtypes.astype(str).to_dict() == FINDING_TYPES
    pd.testing.assert_frame_equal(screened.bars, bars)


def test_screen_accepts_no_bars() -> None:
    days = quiet_bars()["session"]
    screened = run_screen(quiet_bars(0), sessions=pd.DatetimeIndex(days))
    assert (len(screened.bars), len(screened.actions), len(screened.findings)) == (0, 0, 0)


def test_screen_refuses_unsorted_bars() -> None:
    with pytest.raises(ValueError, match="sorted"):
        run_screen(quiet_bars().iloc[::-1])


def test_screen_does_not_change_its_arguments() -> None:
    bars, actions = scale(quiet_bars(), slice(40, 43), 100), make_actions((quiet_bars()["session"][50], "dividend", 90))
    copies = bars.copy(), actions.copy()
    run_screen(bars, actions)
    pd.testing.assert_frame_equal(bars, copies[0])
    pd.testing.assert_frame_equal(actions, copies[1])


def test_rules_describe_findings_in_full_sentences() -> None:
    assert all(sentence.startswith("Finds ") and sentence.endswith(".") for sentence in RULES.values())


def test_screen_applies_fewer_rules_to_monthly_symbols() -> None:
    bars = pd.concat([scale(quiet_bars(symbol=symbol), slice(60, None), 0.5) for symbol in "AB"], ignore_index=True)
    screened = screen(bars, make_actions(), NO_DAYS, NO_DAYS, {"B"})
    assert screened.findings[["symbol", "rule"]].to_numpy().tolist() == [["A", "missed_split"]]
    pd.testing.assert_frame_equal(screened.bars, bars)


def simulate_bars(seed: int, count: int = 260) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate bars as traded with ordinary moves, varying volume, two splits and four dividends."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2010-01-04", periods=count).as_unit("ns")
    returns = rng.uniform(0.005, 0.02) * np.clip(rng.standard_normal(count), -4, 4)
    split, dividend = np.ones(count), np.zeros(count)
    split[rng.choice(np.arange(60, 240), 2, replace=False)] = rng.choice([1.5, 2.0, 3.0, 7.0, 0.1], 2)
    close = np.empty(count)
    close[0] = 80.0
    for row in range(1, count):
        before = close[row - 1] / split[row]
        dividend[row] = 0.01 * before if row % 63 == 0 else 0.0
        close[row] = (before - dividend[row]) * np.exp(returns[row])
    opened = close * np.exp(0.003 * rng.standard_normal(count))
    reach = 0.01 * rng.uniform(0.1, 1.0, (2, count))
    high, low = np.maximum(opened, close) * (1 + reach[0]), np.minimum(opened, close) * (1 - reach[1])
    volume = np.round(1e6 * np.cumprod(split) * np.exp(np.clip(0.25 * rng.standard_normal(count), -0.5, 0.5)))
    prices = {"open": opened, "high": high, "low": low, "close": close}
    events = [(days[row], "split", split[row]) for row in np.flatnonzero(split != 1)]
    events += [(days[row], "dividend", dividend[row]) for row in np.flatnonzero(dividend)]
    actions = make_actions(*events).sort_values(["ex_date", "kind"], ignore_index=True)
    return pd.DataFrame({"symbol": "A", "session": days, **prices, "volume": volume}), actions


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_screen_finds_nothing_in_simulated_bars(seed: int) -> None:
    bars, actions = simulate_bars(seed)
    screened = run_screen(bars, actions, pd.DatetimeIndex(bars["session"]))
    assert outcomes(screened) == []
    pd.testing.assert_frame_equal(screened.bars, bars)
    pd.testing.assert_frame_equal(screened.actions, actions)


def plant_fault(rule: str, bars: pd.DataFrame, actions: pd.DataFrame, row: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the bars and actions with one fault at a row."""
    day, close = bars["session"][row], bars["close"][row]
    if rule == "price_spike":
        bars = scale(bars, slice(row, row + 1), 4.5)
    elif rule == "unit_jump":
        bars = scale(bars, slice(row, row + 9), 0.01)
    elif rule == "missed_split":
        bars = omit_split(bars, row, 4)
        is_old_cash = (actions["kind"] == "dividend") & (actions["ex_date"] < day)
        actions = actions.assign(value=actions["value"].where(~is_old_cash, actions["value"] * 4))
    elif rule == "unexplained_move":
        bars = scale(scale(bars, slice(row, None), 0.45), slice(row, row + 9), 12.0, ["volume"])
        is_cash = (actions["kind"] == "dividend") & (actions["ex_date"] >= day)
        actions = actions.assign(value=actions["value"].where(~is_cash, actions["value"] * 0.45))
    elif rule == "impossible_bar":
        bars = scale(bars, slice(row, row + 1), 1.05, ["low"])
    elif rule == "implausible_dividend":
        actions = pd.concat([actions, make_actions((day, "dividend", 0.25 * close))])
    elif rule == "repeated_dividend":
        actions = pd.concat([actions, make_actions((day, "dividend", 0.01 * close))])
        row = int(bars["session"].searchsorted(day + pd.Timedelta(days=1)))
        actions = pd.concat([actions, make_actions((bars["session"][row], "dividend", 0.01 * close))])
    elif rule == "gap":
        bars = bars.drop(index=row).reset_index(drop=True)
    elif rule == "zero_volume":
        bars = scale(bars, slice(row, row + 6), 0.0, ["volume"])
    return bars, actions.sort_values(["ex_date", "kind"], ignore_index=True)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rule=st.sampled_from(
        sorted(
            {*RULES}
            - {
                "erratic",
                "stale_run",
                "partial_session",
                "not_a_session",
                "shifted_sessions",
                "before_first_trade",
                "other_history",
            }
        )
    ),
)
def test_screen_finds_a_planted_fault_and_nothing_else(seed: int, rule: str) -> None:
    bars, actions = simulate_bars(seed)
    near = np.abs(np.subtract.outer(np.arange(len(bars)), bars["session"].searchsorted(actions["ex_date"])))
    rows = np.flatnonzero((near > 12).all(axis=1))
    row = int(rows[(rows > 70) & (rows < 220)][seed % 10])
    faulty, facts = plant_fault(rule, bars, actions, row)
    screened = run_screen(faulty, facts, pd.DatetimeIndex(bars["session"]))
    assert screened.findings["rule"].tolist() == [rule]
    late = screened.findings["session"][0] - bars["session"][row]
    assert late == pd.Timedelta(0) or (rule == "repeated_dividend" and late <= pd.Timedelta(days=4))
    if rule in {"price_spike", "unit_jump", "missed_split", "implausible_dividend", "zero_volume"}:
        repaired, true = total_log_returns(screened.bars, screened.actions), total_log_returns(bars, actions)
        assert repaired.sum() == pytest.approx(true.sum(), abs=1e-9)
    assert_second_screen_is_identity(screened)


def assert_second_screen_is_identity(screened: Screened) -> None:
    again = run_screen(screened.bars, screened.actions)
    assert not again.findings["treatment"].isin(CHANGED).any()
    pd.testing.assert_frame_equal(again.bars, screened.bars)
    pd.testing.assert_frame_equal(again.actions, screened.actions)


def read_bars(rows: pd.DataFrame, symbol: str) -> pd.DataFrame:
    """Convert a recorded table as the file source does: unique, sorted, zeros missing; with adj_close."""
    rows = rows.rename(columns=lambda name: name.lower().replace(" ", "_"))
    rows = rows.rename(columns={"date": "session", "datetime": "session"}).assign(symbol=symbol)
    rows["session"] = pd.to_datetime(rows["session"].astype(str).str[:10]).dt.as_unit("ns")
    for name in [*PRICE_COLUMNS, "adj_close", "volume"]:
        rows[name] = pd.to_numeric(rows[name], errors="coerce").astype("float64")
        rows[name] = rows[name].mask(rows[name] == 0) if name in {"open", "volume"} else rows[name]
    rows = rows[rows["close"] > 0].drop_duplicates("session", keep="last")
    return rows.sort_values("session", ignore_index=True).astype({"symbol": "str"})


def read_table(path: Path, **options: object) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, na_values=[""], **options)  # type: ignore[call-overload,no-any-return]


def screen_pair(shared_data: Path, name: str) -> tuple[Screened, pd.Series, pd.Series]:
    """Screen a recorded fault; return the result, its total returns, and those of the repaired reference."""
    screened_returns = []
    for part in (name, f"{name}-fixed"):
        rows = read_bars(read_table(shared_data / "messy" / "yfinance_repair" / f"{part}.csv"), name)
        splits = [(row.session, "split", row.stock_splits) for row in rows.itertuples() if row.stock_splits]
        paid = [(row.session, "dividend", row.dividends) for row in rows.itertuples() if row.dividends]
        bars, actions = undo_splits(rows, make_actions(*splits, *paid, symbol=name))
        screened = run_screen(bars[list(BAR_TYPES)], actions)
        if part == name:
            result = screened
            bars, actions = screened.bars, screened.actions
        screened_returns.append(total_log_returns(bars, actions).set_axis(bars["session"]).dropna())
    return result, screened_returns[0], screened_returns[1]


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("4063-T-1d-bad-div", ["implausible_dividend"]),  # per share before the split of the day
        ("4063-T-1d-bad-stock-split", ["missed_split"]),  # a day before the recorded split
        ("AET-L-1d-100x-error", ["unit_jump"]),  # all bars in the other unit, which returns do not show
        ("ALPHA-PA-1d-bad-stock-split", ["unit_jump"]),
        ("CNE-L-1d-bad-stock-split", ["unit_jump"]),
        ("DEX-AX-1d-bad-stock-split", ["missed_split"]),
        ("KAP-IL-1d-bad-div", ["repeated_dividend"]),
        ("LA-V-1d-bad-stock-split", ["unit_jump"]),
        ("MOB-ST-1d-bad-stock-split", ["unit_jump"]),
    ],
)
def test_screen_repairs_recorded_faults_like_their_references(shared_data: Path, name: str, rules: list[str]) -> None:
    screened, returns, reference = screen_pair(shared_data, name)
    assert screened.findings.loc[screened.findings["treatment"] == "repaired", "rule"].tolist() == rules
    pd.testing.assert_series_equal(returns, reference, rtol=0, atol=1e-5)
    assert_second_screen_is_identity(screened)


@pytest.mark.parametrize(
    ("name", "findings", "largest_difference"),
    [
        # The fault is in adj_close, which is not used.
        ("8TRA-DE-1d-missing-div-adjust", [], 1e-9),
        # Weekly bars, and an unrecorded ratio of 0.76.
        ("AV-L-1wk-bad-stock-split", [], 0.28),
        # The reference divides by the recorded 10 and keeps a fall by half from an unrecorded rights issue. The price
        # falls to a nineteenth in total, which is not the ratio of a split.
        ("SPM-MI-1d-bad-stock-split", [("unexplained_move", "kept")], np.log(10)),
        # The newest seven bars changed from cents to rand. The reference assumes that the newest are right.
        ("SSW-JO-1d-100x-error", [("unit_jump", "rejected")], np.log(105)),
    ],
)
def test_screen_reports_recorded_faults_it_cannot_repair(
    shared_data: Path, name: str, findings: list[tuple[str, str]], largest_difference: float
) -> None:
    screened, returns, reference = screen_pair(shared_data, name)
    others = screened.findings[screened.findings["rule"] != "impossible_bar"]
    assert others[["rule", "treatment"]].apply(tuple, axis=1).tolist() == findings
    assert (returns - reference).abs().max() <= largest_difference + 1e-6


def test_screen_keeps_recorded_dividends_that_vary(shared_data: Path) -> None:
    """Dividends from 0.006 to 2.2 per share; the small ones are real."""
    rows = read_bars(read_table(shared_data / "messy" / "yfinance_repair" / "CALM-1d-no-bad-divs.csv"), "CALM")
    paid = [(row.session, "dividend", row.dividends) for row in rows.itertuples() if row.dividends]
    assert outcomes(run_screen(rows[list(BAR_TYPES)], make_actions(*paid, symbol="CALM"))) == []


def read_feed(shared_data: Path, symbol: str) -> pd.DataFrame:
    """Read a file of the appending feed without the lines that are not rows."""
    with gzip.open(shared_data / "messy" / "append_feed" / f"{symbol}.csv.gz", "rt") as lines:
        rows = [line for line in lines if line[:4].isdigit()]
    names = ["Date", "Open", "High", "Low", "Close", "Adj Close", "Volume"]
    return read_bars(pd.read_csv(io.StringIO("".join(rows)), names=names, on_bad_lines="skip"), symbol)[list(BAR_TYPES)]


@pytest.mark.parametrize(
    ("symbol", "splits"),
    [
        ("AMZN", {"2022-06-06": 20.0}),
        ("CMG", {"2024-06-25": 50.0}),
        ("TSLA", {"2022-08-25": 3.0}),
        ("ATVI", {}),
        ("CCL", {}),
        ("FRC", {}),  # the last weeks of a failing bank
        ("JNJ", {}),
        ("RJF", {}),
        ("TWTR", {}),
    ],
)
def test_screen_adds_the_splits_missed_by_an_appending_feed(
    shared_data: Path, symbol: str, splits: dict[str, float]
) -> None:
    screened = run_screen(read_feed(shared_data, symbol))
    added = {
        str(day.date()): value
        for day, value in zip(screened.actions["ex_date"], screened.actions["value"], strict=True)
    }
    assert added == splits
    assert not screened.findings["treatment"].isin(["rejected", "excluded"]).any()
    assert_second_screen_is_identity(screened)


@pytest.mark.parametrize("symbol", ["AAPL", "NFLX", "NKE", "SBUX", "V"])
def test_screen_adds_the_splits_of_adjusted_closes(shared_data: Path, symbol: str) -> None:
    """Raw closes with restated volume. The fall of NFLX on 2011-10-25 is near 3:2, but real."""
    rows = read_bars(read_table(shared_data / "messy" / "unadjusted" / f"{symbol}.csv.gz"), symbol)
    step = (rows["adj_close"] / rows["close"]).pct_change() + 1
    screened = run_screen(rows[list(BAR_TYPES)])
    expected = step[(step - 1).abs() > 0.3]
    assert screened.actions["ex_date"].tolist() == rows.loc[expected.index, "session"].tolist()
    assert screened.actions["value"].tolist() == pytest.approx(expected.tolist(), rel=0.01)
    assert_second_screen_is_identity(screened)


def test_screen_keeps_recorded_large_moves(shared_data: Path) -> None:
    """Spin-offs and special dividends are in adj_close. Two bars of BEN are at 0.4 of their neighbours.

    NVR rose 27-fold when it left bankruptcy, on ordinary volume: the close before is that of another security.
    """
    events = read_table(shared_data / "messy" / "large_moves.csv")
    changed = []
    for event, rows in events.groupby("event"):
        bars = read_bars(rows, str(event).split()[0])
        screened = run_screen(bars[list(BAR_TYPES)], actions_from_adjusted_close(bars))
        is_changed = screened.findings["treatment"].isin([*CHANGED, "rejected"])
        changed += screened.findings.loc[is_changed, ["symbol", "session", "rule"]].astype(str).to_numpy().tolist()
    assert changed == [
        ["BEN", "1984-11-13", "price_spike"],
        ["BEN", "1984-11-16", "price_spike"],
        ["NVR", "1993-10-01", "unexplained_move"],
    ]


def test_screen_excludes_recorded_partial_sessions(shared_data: Path) -> None:
    downloads = read_table(shared_data / "messy" / "partial_last_bar.csv")
    counts = {}
    for download, rows in downloads.groupby("download"):
        bars = pd.concat([read_bars(group, str(symbol)) for symbol, group in rows.groupby("ticker")], ignore_index=True)
        counts[download] = run_screen(bars[list(BAR_TYPES)]).findings["rule"].value_counts().to_dict()
    assert counts == {"2023-11-08_intraday_download": {"partial_session": 10}, "2023-12-01_later_download": {}}


@pytest.mark.parametrize(
    ("symbols", "excluded"), [(["AAPL"], 1), (["^GSPC"], 1), (["SPY"], 0), (["AAPL", "^GSPC", "SPY"], 3)]
)
def test_screen_excludes_the_newest_bar_of_a_recorded_response(
    shared_data: Path, symbols: list[str], excluded: int
) -> None:
    """SPY has 0.35 of its usual volume, like a complete session before a holiday."""
    parts = []
    for symbol in symbols:
        file = shared_data / "yahoo" / f"v8-chart-2y-{symbol.strip('^')}-2026-06-11.json"
        body = json.loads(file.read_text())["chart"]["result"][0]
        days = pd.to_datetime(body["timestamp"], unit="s").strftime("%Y-%m-%d")
        quote = body["indicators"]["quote"][0]
        parts.append(read_bars(pd.DataFrame({**quote, "date": days, "adj_close": quote["close"]}), symbol))
    screened = run_screen(pd.concat(parts, ignore_index=True)[list(BAR_TYPES)])
    assert screened.findings["rule"].tolist() == ["partial_session"] * excluded


def test_screen_requires_no_volume_of_indices(shared_data: Path) -> None:
    """Null rows on holidays, decades without volume, constant bars before 1962."""
    rows = read_table(shared_data / "messy" / "GSPC_yahoo_daily_1927_2018_raw.csv.gz")
    assert outcomes(run_screen(read_bars(rows, "^GSPC")[list(BAR_TYPES)])) == []
    rows = read_table(shared_data / "messy" / "index_daily_null_rows_raw.csv.gz", encoding="utf-8-sig")
    for name, group in rows.groupby(rows.columns[0]):
        findings = run_screen(read_bars(group, str(name))[list(BAR_TYPES)]).findings
        assert set(findings["rule"]) <= {"zero_volume"}


def read_monthly(shared_data: Path, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = read_table(shared_data / name).rename(columns={"ticker": "symbol", "date": "session"})
    rows["session"] = pd.to_datetime(rows["session"]).dt.as_unit("ns")
    rows = rows[rows["close"] > 0].sort_values(["symbol", "session"], ignore_index=True)
    rows = rows.astype({"symbol": "str", "volume": "float64"})
    return rows[list(BAR_TYPES)], actions_from_adjusted_close(
        rows.assign(adj_close=rows["adj_close"].fillna(rows["close"]))
    )


@pytest.mark.parametrize(
    ("name", "rejected"),
    [
        ("monthly_gone.csv.gz", []),
        ("monthly_panel.csv.gz", []),
        ("monthly_long.csv.gz", []),
        ("messy/monthly_gone_dirty.csv.gz", ["APHB"]),
    ],
)
def test_screen_rejects_erratic_monthly_symbols(shared_data: Path, name: str, rejected: list[str]) -> None:
    """The other six unusable histories have at most six moves above a factor of 3."""
    bars, actions = read_monthly(shared_data, name)
    screened = screen(bars, actions, NO_DAYS, NO_DAYS, bars["symbol"].unique().tolist())
    assert screened.findings.loc[screened.findings["treatment"] == "rejected", "symbol"].tolist() == rejected
    assert len(screened.bars) == len(bars)


def test_screen_changes_little_of_the_recorded_reference(shared_data: Path) -> None:
    """Of 1.4 million bars, one is excluded and 23 are widened. 7 splits and 57 dividends look like source faults."""
    rows = pd.read_csv(shared_data / "daily.csv.gz", engine="pyarrow")
    rows = rows.rename(columns={"ticker": "symbol", "date": "session"}).astype({"symbol": "str", "volume": "float64"})
    rows["session"] = pd.to_datetime(rows["session"]).dt.as_unit("ns")
    rows[["open", "volume"]] = rows[["open", "volume"]].mask(rows[["open", "volume"]] == 0)
    actions = actions_from_adjusted_close(rows)
    screened = run_screen(rows[list(BAR_TYPES)], actions)
    findings = screened.findings
    assert not (findings["treatment"] == "rejected").any()
    changed = findings[findings["treatment"].isin(CHANGED)]
    assert changed["rule"].value_counts().to_dict() == {
        "implausible_dividend": 38,
        "impossible_bar": 24,
        "repeated_dividend": 19,
        "missed_split": 7,
    }
    splits = changed[changed["rule"] == "missed_split"]
    assert (splits["symbol"] + splits["session"].dt.strftime(" %Y-%m-%d")).tolist() == [
        "MKC 1980-09-02",
        "MMC 1980-11-12",
        "PH 1981-09-08",
        "TRV 1986-06-09",
        "VTRS 1981-11-16",
        "VTRS 1983-07-01",
        "VTRS 1985-02-19",
    ]
    kept = findings[findings["rule"] == "unexplained_move"]
    kept = set(kept["symbol"] + kept["session"].dt.strftime(" %Y-%m-%d"))
    assert kept >= {"AIG 2008-09-15", "STT 2009-01-20", "CNP 2002-07-25", "AMD 2016-04-22", "AMD 1992-06-18"}
    assert_second_screen_is_identity(screened)
