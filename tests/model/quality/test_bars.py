"""Tests of model.quality.bars."""

import numpy as np
import pandas as pd
import pytest

from model.frames import PRICE_COLUMNS
from model.quality.screening import screen
from tests.support.quality import NO_DAYS, make_actions, outcomes, quiet_bars, run_screen, scale


@pytest.mark.parametrize(
    ("changed", "expected", "treatment"),
    [
        ({"high": 99.0}, {"high": 100.0}, "repaired"),
        ({"open": 102.0}, {"open": 102.0, "high": 102.0}, "repaired"),
        ({"open": 120.0}, {"open": np.nan, "high": 100.5}, "repaired"),
        ({"low": 102.0}, {"low": 100.0, "high": 102.0}, "repaired"),
        ({"low": 0.0}, {"low": np.nan, "high": 100.5}, "repaired"),
        ({"high": 85.0, "low": 80.0}, {}, "excluded"),
        ({"high": 90.0, "low": 110.0}, {}, "excluded"),
    ],
)
def test_impossible_bar_by_hand(changed: dict[str, float], expected: dict[str, float], treatment: str) -> None:
    bars = quiet_bars()
    bars.loc[50, list(changed)] = list(changed.values())
    screened = run_screen(bars)
    assert outcomes(screened) == [("impossible_bar", 50, treatment)]
    assert len(screened.bars) == 100 - (treatment == "excluded")
    for name, value in expected.items():
        assert screened.bars.loc[50, name] == pytest.approx(value, nan_ok=True)


def test_impossible_bar_allows_six_digits_of_rounding() -> None:
    bars = quiet_bars()
    bars.loc[50, "high"] = 99.9999
    assert outcomes(run_screen(bars)) == []


@pytest.mark.parametrize("name", PRICE_COLUMNS)
@pytest.mark.parametrize("factor", [100.0, 0.01, 1000.0])
def test_unit_jump_of_one_price_is_repaired(name: str, factor: float) -> None:
    screened = run_screen(scale(quiet_bars(), slice(50, 51), factor, [name]))
    assert outcomes(screened) == [("unit_jump", 50, "repaired")]
    assert screened.findings["value"].tolist() == pytest.approx([1 / factor])
    pd.testing.assert_frame_equal(screened.bars, quiet_bars())


def test_stale_run_is_kept_unless_it_includes_the_newest_bar() -> None:
    """Ten equal bars in the middle are kept. At the end, nine are too few and ten are rejected."""
    bars = quiet_bars()
    bars.loc[50:59, [*PRICE_COLUMNS, "volume"]] = [100.0, 100.0, 100.0, 100.0, np.nan]
    assert outcomes(run_screen(bars)) == [("stale_run", 50, "kept"), ("zero_volume", 50, "kept")]
    bars = quiet_bars()
    bars.loc[91:, [*PRICE_COLUMNS, "volume"]] = [99.0, 99.0, 99.0, 99.0, 1000.0]
    assert outcomes(run_screen(bars)) == []
    bars.loc[90, [*PRICE_COLUMNS, "volume"]] = [99.0, 99.0, 99.0, 99.0, 1000.0]
    assert outcomes(run_screen(bars)) == [("stale_run", 90, "rejected")]


def test_gap_counts_the_missing_sessions() -> None:
    """Sessions 20 and 40 to 45 are missing. Session 5 is before the first of the calendar and does not count."""
    bars = quiet_bars()
    sessions = pd.DatetimeIndex(bars["session"][10:])
    screened = run_screen(bars.drop(index=[5, 20, *range(40, 46)]).reset_index(drop=True), sessions=sessions)
    assert outcomes(screened) == [("gap", 20, "kept"), ("gap", 40, "kept")]
    assert screened.findings["value"].tolist() == [1.0, 6.0]
    assert screened.findings["reason"].str.contains("long gap").tolist() == [False, True]


def test_gap_ignores_sessions_that_most_symbols_lack() -> None:
    """All three symbols lack session 20, two lack 30, one lacks 40."""
    lacking = {"A": [20, 30, 40], "B": [20, 30], "C": [20]}
    parts = [quiet_bars(symbol=symbol).drop(index=rows) for symbol, rows in lacking.items()]
    screened = run_screen(pd.concat(parts, ignore_index=True), sessions=pd.DatetimeIndex(quiet_bars()["session"]))
    assert outcomes(screened) == [("gap", 40, "kept")]
    # With two symbols, it is unknown which one is right.
    screened = run_screen(pd.concat(parts[:2], ignore_index=True), sessions=pd.DatetimeIndex(quiet_bars()["session"]))
    assert outcomes(screened) == [("gap", 20, "kept"), ("gap", 30, "kept"), ("gap", 40, "kept"), *[
        ("gap", 20, "kept"), ("gap", 30, "kept")]]  # fmt: skip


def test_zero_volume_needs_volume_on_both_sides() -> None:
    bars = quiet_bars()
    bars.loc[:9, "volume"] = 0.0
    bars.loc[30:34, "volume"] = 0.0
    bars.loc[50:53, "volume"] = np.nan
    bars.loc[95:, "volume"] = np.nan
    assert outcomes(run_screen(bars)) == [("zero_volume", 30, "kept")]


def test_partial_session_is_the_newest_with_too_little_volume() -> None:
    bars = pd.concat([quiet_bars(symbol=symbol) for symbol in "ABC"], ignore_index=True)
    newest = quiet_bars()["session"].iloc[-1]
    bars.loc[bars["session"] == newest, "volume"] *= [0.25, 0.28, 0.9]
    screened = run_screen(bars)
    assert screened.findings["rule"].tolist() == ["partial_session"] * 3
    assert screened.bars["session"].max() < newest
    early = screen(bars, make_actions(), NO_DAYS, pd.DatetimeIndex([newest]))
    assert len(early.findings) == 0


@pytest.mark.parametrize(("symbols", "lowest"), [(1, 0.2), (3, 0.3), (10, 0.4)])
def test_partial_session_threshold_depends_on_the_symbols(symbols: int, lowest: float) -> None:
    bars = pd.concat([quiet_bars(symbol=f"S{number}") for number in range(symbols)], ignore_index=True)
    is_newest = bars["session"] == bars["session"].max()
    assert len(run_screen(scale(bars, is_newest.to_numpy(), lowest * 1.02, ["volume"])).findings) == 0
    assert len(run_screen(scale(bars, is_newest.to_numpy(), lowest * 0.98, ["volume"])).findings) == symbols
