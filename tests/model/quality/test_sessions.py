"""Rules on sessions, on series whose faults are made by Hypothesis."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import QualityConfig
from model.quality.screening import screen
from model.quality.sessions import exclude_before_first_trade, exclude_other_days

CONFIG = QualityConfig()
HOLIDAYS = pd.to_datetime(
    [f"{year}-{day}" for year in range(2014, 2020) for day in ("01-01", "03-17", "05-05", "07-04", "09-09", "12-25")]
)
SESSIONS = pd.DatetimeIndex(sorted(set(pd.bdate_range("2014-01-01", "2019-12-31")) - set(HOLIDAYS)))
NO_ACTIONS = pd.DataFrame({"symbol": [], "ex_date": [], "kind": [], "value": []}).astype(
    {"symbol": "str", "ex_date": "datetime64[ns]", "kind": "str", "value": "float64"}
)


def make_bars(days: pd.DatetimeIndex, seed: int = 1, symbol: str = "A") -> pd.DataFrame:
    """Bars of a random walk, with ranges and volume."""
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, len(days))))
    opened = close * np.exp(rng.normal(0, 0.003, len(days)))
    return pd.DataFrame(
        {
            "symbol": symbol,
            "session": days.astype("datetime64[ns]"),
            "open": opened,
            "high": np.maximum(opened, close) * 1.004,
            "low": np.minimum(opened, close) * 0.996,
            "close": close,
            "volume": rng.lognormal(13, 0.3, len(days)).round(),
        }
    )


def rules(findings: list) -> list[str]:
    return [finding.rule for finding in findings]


@given(st.integers(0, 10_000), st.sets(st.integers(5, 200), min_size=1, max_size=20), st.booleans())
def test_exclude_other_days_removes_copies_of_a_neighbour(seed: int, weeks: set[int], is_next: bool) -> None:
    """Copies of Monday's bar on Sundays, or of Friday's on Saturdays."""
    bars = make_bars(SESSIONS, seed)
    weekday = 0 if is_next else 4
    chosen = bars[bars["session"].dt.day_of_week == weekday].iloc[sorted(weeks)]
    copies = chosen.assign(session=chosen["session"] + pd.Timedelta(days=-1 if is_next else 1))
    mixed = pd.concat([bars, copies]).sort_values("session", ignore_index=True)
    screened, findings = exclude_other_days(mixed, SESSIONS, CONFIG)
    pd.testing.assert_frame_equal(screened, bars)
    assert rules(findings) == ["not_a_session"] * len(copies)
    assert all(("next" if is_next else "previous") in finding.reason for finding in findings)


@given(st.integers(0, 10_000), st.sampled_from(["day", "weekday"]), st.sampled_from([-1, 1]), st.integers(60, 1400))
def test_exclude_other_days_rejects_a_shifted_series(seed: int, unit: str, step: int, length: int) -> None:
    bars = make_bars(SESSIONS[-length - 20 : -20], seed)
    if unit == "day":
        moved = bars["session"] + pd.Timedelta(days=step)
    else:
        moved = pd.Series(np.busday_offset(bars["session"].to_numpy().astype("datetime64[D]"), step))
    shifted = bars.assign(session=moved.astype("datetime64[ns]"))
    has_fault = not shifted["session"].isin(SESSIONS).all()
    _, findings = exclude_other_days(shifted, SESSIONS, CONFIG)
    found = {finding.rule for finding in findings}
    # A short series without a holiday near it is not distinguishable from a correct one.
    share = 1 - shifted["session"].isin(SESSIONS).mean()
    if share >= CONFIG.shifted_share:
        assert found == {"shifted_sessions"}
    else:
        assert found == ({"not_a_session"} if has_fault else set())


def test_exclude_other_days_of_a_market_without_weekends_keeps_sessions_only() -> None:
    bars = make_bars(pd.date_range("2017-01-01", "2018-12-31"))
    screened, findings = exclude_other_days(bars, SESSIONS, CONFIG)
    assert screened["session"].isin(SESSIONS).all()
    assert set(rules(findings)) == {"not_a_session"}


def test_exclude_other_days_leaves_days_outside_the_calendar() -> None:
    bars = make_bars(pd.date_range("2013-06-01", "2013-12-31"))
    screened, findings = exclude_other_days(bars, SESSIONS, CONFIG)
    assert screened is bars
    assert findings == []


@given(st.integers(0, 10_000), st.integers(0, 400), st.booleans())
def test_exclude_before_first_trade_removes_a_dead_start(seed: int, dead: int, is_missing: bool) -> None:
    bars = make_bars(SESSIONS, seed)
    flat = bars.copy()
    prices = ["open", "high", "low", "close"]
    flat.loc[: dead - 1, prices] = bars.loc[dead, "close"]
    flat.loc[: dead - 1, "volume"] = np.nan if is_missing else 0.0
    screened, findings = exclude_before_first_trade(flat, CONFIG)
    if dead < CONFIG.stale_sessions:
        assert findings == []
        assert len(screened) == len(flat)
    else:
        assert rules(findings) == ["before_first_trade"]
        assert screened["session"].iloc[0] == bars["session"].iloc[dead]


def test_exclude_before_first_trade_keeps_a_history_without_any_volume() -> None:
    bars = make_bars(SESSIONS).assign(volume=np.nan)
    assert exclude_before_first_trade(bars, CONFIG)[0] is bars


@given(st.integers(0, 500), st.integers(13, 900))
def test_screen_never_takes_an_odd_reverse_split_for_another(seed: int, ratio: int) -> None:
    """The ratio found is the true one, or the symbol is rejected; a return of its size never stays."""
    bars = make_bars(SESSIONS[-400:], seed)
    row = 200
    before = bars.index < row
    bars.loc[before, ["open", "high", "low", "close"]] /= ratio
    bars.loc[before, "volume"] *= ratio
    screened = screen(bars, NO_ACTIONS, SESSIONS, SESSIONS[:0])
    splits = screened.actions[screened.actions["kind"] == "split"]
    is_rejected = (screened.findings["treatment"] == "rejected").any()
    assert is_rejected or splits["value"].tolist() == pytest.approx([1 / ratio])


@given(st.permutations(["open", "high", "low", "close"]))
def test_screen_rejects_misread_columns_or_leaves_them(order: list[str]) -> None:
    bars = make_bars(SESSIONS[-300:])
    names = ["open", "high", "low", "close"]
    misread = bars.assign(**{name: bars[other] for name, other in zip(names, order, strict=True)})
    findings = screen(misread, NO_ACTIONS, SESSIONS, SESSIONS[:0]).findings
    is_contradictory = (misread["high"] < misread[names].max(axis=1)) | (misread["low"] > misread[names].min(axis=1))
    assert (findings["treatment"] == "rejected").any() == (is_contradictory.mean() > CONFIG.misread_share)
