"""The door against a real Postgres: what is stored, what is kept of the past, and what happens when things go wrong."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sql.store import AlreadyPublishedError, ModelVersion, MonthKey, Publication, Store, StoreUnavailableError
from tests.support.rows import query

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
T0 = datetime(2020, 1, 10, tzinfo=UTC)
KEY = MonthKey(source="file", universe="test", origin_month=date(2019, 12, 1))
NO_ACTIONS = pd.DataFrame({"symbol": [], "ex_date": [], "kind": [], "value": []})
QUANTILES = ["q025", "q05", "q10", "q20", "q30", "q40", "q50", "q60", "q70", "q80", "q90", "q95", "q975"]


def make_bars(closes: dict[str, float], symbol: str = "A", volume: float = 1000.0) -> pd.DataFrame:
    close = np.array(list(closes.values()))
    return pd.DataFrame(
        {
            "symbol": symbol,
            "session": pd.to_datetime(list(closes)),
            "open": close,
            "high": close,
            "low": close,
            "close": close,
            "volume": volume,
        }
    )


def merge(store: Store, bars: pd.DataFrame, known_at: datetime, actions: pd.DataFrame = NO_ACTIONS) -> tuple[int, ...]:
    names = sorted({*bars["symbol"], *actions["symbol"]})
    instruments = pd.DataFrame({"symbol": names, "exchange_mic": "XNYS", "currency_code": "USD"})
    done = store.merge_bars(
        source="file",
        instruments=instruments,
        bars=bars,
        actions=actions,
        known_at=known_at,
        accept_restated=True,
        knows_actions=False,
    )
    return done.added, done.revised, done.unchanged, done.actions


def closes_known(
    store: Store, known_at: datetime, as_of: date = date(2030, 1, 1), symbol: str = "A"
) -> dict[str, float]:
    bars = store.read_bars([symbol], as_of=as_of, known_at=known_at)
    return dict(zip(bars["session"].dt.strftime("%Y-%m-%d"), bars["close"], strict=True))


def test_merge_bars_again_writes_no_row_version(store: Store, database_url: str) -> None:
    bars = make_bars({"2020-01-02": 10.0, "2020-01-03": 11.0})
    assert merge(store, bars, T0) == (2, 0, 0, 0)
    versions = query(database_url, "select xmin, ctid from market.daily_bar order by session")
    assert merge(store, bars, T0 + DAY) == (0, 0, 2, 0)
    assert query(database_url, "select xmin, ctid from market.daily_bar order by session") == versions


def test_merge_bars_takes_a_difference_beyond_tolerance_for_a_correction(store: Store, database_url: str) -> None:
    """Price 1e-4, volume 5e-3, relative to what is stored."""
    cases = [
        ({"close": 10.0009}, False),
        ({"close": 10.0011}, True),
        ({"close": 9.9989}, True),
        ({"open": 10.0009}, False),
        ({"open": 10.0011}, True),
        ({"high": 10.0011}, True),
        ({"low": 9.9989}, True),
        ({"volume": 1004.0}, False),
        ({"volume": 1006.0}, True),
    ]
    symbols = [f"S{number}" for number in range(len(cases))]
    before = pd.concat([make_bars({"2020-01-02": 10.0}, symbol) for symbol in symbols], ignore_index=True)
    merge(store, before, T0)
    after = pd.concat([before[before["symbol"] == s].assign(**c) for s, (c, _) in zip(symbols, cases, strict=True)])
    assert merge(store, after, T0 + DAY) == (0, 6, 3, 0)
    corrected = query(database_url, "select symbol from market.bar_revision order by symbol")
    assert [symbol for (symbol,) in corrected] == [s for s, (_, is_) in zip(symbols, cases, strict=True) if is_]
    known = store.read_bars(symbols, as_of=date(2020, 1, 2), known_at=T0 + DAY).set_index("symbol")
    for symbol, (change, is_correction) in zip(symbols, cases, strict=True):
        ((column, value),) = change.items()
        stored = 1000.0 if column == "volume" else 10.0
        assert known.loc[symbol, column] == (value if is_correction else stored)


def test_merge_bars_keeps_what_a_correction_replaces(store: Store, database_url: str) -> None:
    old = make_bars({"2020-01-02": 10.0})
    new = make_bars({"2020-01-02": 12.0}, volume=3000.0).assign(open=11.0, high=13.0, low=9.0)
    merge(store, old, T0)
    assert merge(store, new, T0 + DAY) == (0, 1, 0, 0)
    assert query(database_url, "select * from market.bar_revision") == [
        ("A", date(2020, 1, 2), T0 + DAY, *[10.0] * 4, 1000, T0, 11.0, 13.0, 9.0, 12.0, 3000)
    ]
    for known_at, expected in ((T0, old), (T0 + DAY - SECOND, old), (T0 + DAY, new)):
        known = store.read_bars(["A"], as_of=date(2020, 1, 2), known_at=known_at)
        pd.testing.assert_frame_equal(known, expected, check_dtype=False)


def test_merge_bars_never_replaces_what_is_known_by_what_is_missing(store: Store, database_url: str) -> None:
    merge(store, make_bars({"2020-01-02": 10.0, "2020-01-03": 10.0}), T0)
    bare = make_bars({"2020-01-02": 10.0, "2020-01-03": 20.0}).assign(open=np.nan, high=np.nan, low=np.nan, volume=None)
    assert merge(store, bare.astype({"volume": "float64"}), T0 + DAY) == (0, 1, 1, 0)
    assert query(database_url, "select open, high, low, close, volume from market.daily_bar order by session") == [
        (10.0, 10.0, 10.0, 10.0, 1000),
        (10.0, 10.0, 10.0, 20.0, 1000),
    ]


def test_merge_bars_fills_in_what_was_missing_and_remembers_that_it_was(store: Store) -> None:
    merge(store, make_bars({"2020-01-02": 10.0}).assign(open=np.nan, volume=np.nan), T0)
    assert merge(store, make_bars({"2020-01-02": 10.0}), T0 + DAY) == (0, 1, 0, 0)
    before, after = (
        store.read_bars(["A"], as_of=date(2020, 1, 2), known_at=known_at).loc[0, ["open", "volume"]].tolist()
        for known_at in (T0, T0 + DAY)
    )
    assert np.isnan(before).all()
    assert after == [10.0, 1000.0]


def test_merge_bars_takes_less_than_half_a_share_for_no_volume(store: Store, database_url: str) -> None:
    """Undoing a later split leaves fractions."""
    bars = pd.concat([make_bars({f"2020-01-0{n}": 10.0}, volume=v) for n, v in ((2, 0.2), (3, 0.0), (6, 1.4))])
    merge(store, bars, T0)
    assert query(database_url, "select volume from market.daily_bar order by session") == [(None,), (None,), (1,)]


def test_merge_bars_retried_at_the_same_moment_leaves_one_revision(store: Store, database_url: str) -> None:
    merge(store, make_bars({"2020-01-02": 10.0}), T0)
    for close in (12.0, 15.0):
        assert merge(store, make_bars({"2020-01-02": close}), T0 + DAY, make_dividend(close)) == (0, 1, 0, 1)
    assert query(database_url, "select old_close, new_close from market.bar_revision") == [(10.0, 15.0)]
    assert closes_known(store, T0) == {"2020-01-02": 10.0}
    assert closes_known(store, T0 + DAY) == {"2020-01-02": 15.0}
    assert query(database_url, "select value from market.corporate_action") == [(15.0,)]


def test_merge_bars_leaves_a_known_symbol_its_exchange_and_currency(store: Store) -> None:
    merge(store, make_bars({"2020-01-02": 10.0, "2020-01-03": 10.0}), T0)
    moved = pd.DataFrame({"symbol": ["A", "B"], "exchange_mic": "XLON", "currency_code": "GBP"})
    nothing = make_bars({"2020-01-02": 10.0}).iloc[:0]
    store.merge_bars(source="file", instruments=moved, bars=nothing, actions=NO_ACTIONS, known_at=T0 + DAY)
    known = store.read_instruments(["A", "B", "C"])
    assert known[["symbol", "exchange_mic", "currency_code"]].to_numpy().tolist() == [
        ["A", "XNYS", "USD"],
        ["B", "XLON", "GBP"],
    ]
    assert known["first_session"][0] == pd.Timestamp("2020-01-02")
    assert known["last_session"][0] == pd.Timestamp("2020-01-03")
    assert known["last_session"].isna()[1]


def test_merge_bars_is_all_or_nothing(store: Store, database_url: str) -> None:
    with pytest.raises(psycopg2.errors.CheckViolation):
        merge(store, make_bars({"2020-01-02": 10.0}), T0, make_dividend(1.0).assign(kind="gift"))
    assert query(database_url, "select (select count(*) from market.instrument), count(*) from market.daily_bar") == [
        (0, 0)
    ]


def test_read_bars_gives_every_vintage_as_it_was_known(store: Store, database_url: str) -> None:
    for days, close in enumerate((10.0, 12.0, 15.0)):
        merge(store, make_bars({"2020-01-02": close}), T0 + days * DAY)
    assert closes_known(store, T0 - SECOND) == {}
    for days, close in enumerate((10.0, 12.0, 15.0)):
        assert closes_known(store, T0 + days * DAY) == {"2020-01-02": close}
        assert closes_known(store, T0 + (days + 1) * DAY - SECOND) == {"2020-01-02": close}
    assert query(database_url, "select old_close, new_close from market.bar_revision order by revised_at") == [
        (10.0, 12.0),
        (12.0, 15.0),
    ]


def test_read_bars_ends_at_as_of(store: Store) -> None:
    merge(store, make_bars({"2020-01-02": 10.0, "2020-01-03": 11.0}), T0)
    assert closes_known(store, T0, as_of=date(2020, 1, 2)) == {"2020-01-02": 10.0}


def make_dividend(value: float, kind: str = "dividend") -> pd.DataFrame:
    return pd.DataFrame({"symbol": "A", "ex_date": pd.to_datetime(["2020-01-03"]), "kind": kind, "value": [value]})


@pytest.mark.parametrize(
    ("kind", "first", "within", "beyond"),
    [
        # 5e-5 of the close before the ex-date, 0.005, is what rounded prices can be off by.
        ("dividend", 1.0, 1.004, 1.006),
        # 5e-5 of the ratio.
        ("split", 4.0, 4.00019, 4.00021),
    ],
)
def test_read_actions_gives_them_as_they_were_known(
    store: Store, kind: str, first: float, within: float, beyond: float
) -> None:
    bars = make_bars({"2020-01-02": 100.0, "2020-01-03": 99.0})
    assert merge(store, bars, T0, make_dividend(first, kind)) == (2, 0, 0, 1)
    assert merge(store, bars, T0 + DAY, make_dividend(within, kind)) == (0, 0, 2, 0)
    assert merge(store, bars, T0 + 2 * DAY, make_dividend(beyond, kind)) == (0, 0, 2, 1)
    assert store.read_actions(["A"], as_of=date(2020, 1, 3), known_at=T0 - SECOND).empty
    for days, value in ((0, first), (1, first), (2, beyond)):
        actions = store.read_actions(["A"], as_of=date(2020, 1, 3), known_at=T0 + days * DAY)
        assert actions.to_numpy().tolist() == [["A", pd.Timestamp("2020-01-03"), kind, value]]
    assert store.read_actions(["A"], as_of=date(2020, 1, 2), known_at=T0 + 2 * DAY).empty


DATES = [f"2020-01-{day:02d}" for day in (2, 3, 6)]
VINTAGES = st.lists(
    st.dictionaries(st.sampled_from(DATES), st.integers(1, 5).map(float), min_size=1), min_size=1, max_size=5
)
_examples = iter(range(10_000))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(vintages=VINTAGES)
def test_read_bars_equals_a_replay_of_the_downloads(store: Store, vintages: list[dict[str, float]]) -> None:
    symbol = f"S{next(_examples)}"
    replayed: dict[str, float] = {}
    expected = []
    for number, vintage in enumerate(vintages):
        merge(store, make_bars(dict(sorted(vintage.items())), symbol), T0 + number * DAY)
        replayed |= vintage
        expected.append(dict(replayed))
    for number, known in enumerate(expected):
        assert closes_known(store, T0 + number * DAY, symbol=symbol) == known


ALERT = {
    "kind": "failed_run",
    "subject": "file/test",
    "severity": "critical",
    "title": "No forecast",
    "detail": "",
    "look_deeper_sql": "select 1",
}
PUBLISHED_TABLES = (
    "forecast.model_version",
    "forecast.baseline_coefficient",
    "forecast.backtest_error",
    "forecast.candidate",
    "forecast.forecast_origin",
    "forecast.forecast",
    "forecast.forecast_error",
    "forecast.restated_error",
    "forecast.month_score",
    "ops.drift_check",
    "ops.symbol_outcome",
    "ops.alert",
)


def counts(url: str) -> dict[str, int]:
    """Rows of every table that a publication writes to."""
    (row,) = query(url, "select " + ", ".join(f"(select count(*) from {table})" for table in PUBLISHED_TABLES))
    return dict(zip(PUBLISHED_TABLES, row, strict=True))


def month_key(year: int, month: int, universe: str = "test") -> MonthKey:
    return MonthKey(source="file", universe=universe, origin_month=date(year, month, 1))


def begin(store: Store, key: MonthKey = KEY, correction: int = 0) -> int:
    return store.begin_run(
        key,
        correction=correction,
        as_of=date(2020, 1, 10),
        known_at=T0,
        mode="auto",
        symbols_requested=2,
        flow_run_id=None,
        parameters={"as_of": "2020-01-10"},
        software={"python": "3"},
        started_at=T0,
    )


def make_publication(**changes: Any) -> Publication:
    """A month of two symbols and two horizons; its quantiles are -6 … 6 per cent."""
    rows = [
        (symbol, KEY.origin_month, horizon, date(2020, horizon, 1), forecaster, forecaster == "hybrid")
        for symbol in ("A", "B")
        for horizon in (1, 2)
        for forecaster in ("hybrid", "baseline", "persistence")
    ]
    forecasts = pd.DataFrame(
        rows, columns=["symbol", "origin_month", "horizon", "target_month", "forecaster", "is_served"]
    ).assign(**{name: (place - 6) / 100 for place, name in enumerate(QUANTILES)})
    candidate = {"holdout_months": 3, "crps": 0.1, "baseline_crps": 0.2, "persistence_crps": 0.3, "p_value": 0.01}
    parts: dict[str, Any] = {
        "served": "hybrid",
        "message": "published",
        "new_model": ModelVersion(
            kind="retrain",
            trained_through=date(2018, 1, 1),
            holdout_start=date(2018, 1, 1),
            holdout_end=date(2019, 11, 1),
            verdict="hybrid",
            verdict_reason="better",
            weights=b"\x00weights",
            weights_sha256="0" * 64,
        ),
        "kept_model_id": None,
        "coefficients": pd.DataFrame({"horizon": [1], "term": ["location"], "value": [0.01]}),
        "backtest_errors": pd.DataFrame(
            {
                "origin_month": [date(2019, 1, 1)],
                "horizon": [1],
                "forecaster": ["hybrid"],
                "symbols": [2],
                "crps": [0.1],
                "absolute_error": [0.1],
                "covered_80": [1.0],
                "covered_95": [1.0],
            }
        ),
        "candidates": pd.DataFrame(
            [{"candidate": "retrain", "model_version_id": None, **candidate, "is_served": True, "reason": "better"}]
        ),
        "origins": pd.DataFrame(
            {
                "symbol": ["A", "B"],
                "origin_month": KEY.origin_month,
                "origin_session": date(2019, 12, 31),
                "origin_close": [100.0, 50.0],
                "currency_code": "USD",
                "naive_mae": [0.05, 0.04],
            }
        ),
        "forecasts": forecasts,
        "errors": pd.DataFrame(columns=["run_id", "symbol", "horizon", "forecaster", "actual_log_return", "error"]),
        "restated_errors": pd.DataFrame(columns=["run_id", "symbol", "horizon", "forecaster", "actual_log_return"]),
        "drift_checks": pd.DataFrame(
            {
                "horizon": [1],
                "measure": ["loss"],
                "status": ["ok"],
                "statistic": [0.5],
                "threshold": [5.0],
                "p_value": [0.4],
                "months_used": [7],
                "reason": ["fine"],
            }
        ),
        "drift_symbols": pd.DataFrame({"horizon": [1], "symbol": ["A"], "share": [1.0]}),
        "input_checks": pd.DataFrame(
            {"input": ["volume"], "value": [1.1], "lowest": [0.5], "highest": [2.0], "is_unusual": [False]}
        ),
        "outcomes": pd.DataFrame(
            {
                "symbol": ["A", "B"],
                "outcome": "ok",
                "reason": "",
                "last_session": date(2020, 1, 9),
                "months": [100, 100],
            }
        ),
        "alerts": [],
        "resolved_alerts": [],
    }
    return Publication(**(parts | changes))


def make_errors(run_id: int, actual: float = 0.03) -> pd.DataFrame:
    """Errors of symbol A one month ahead: median 0, actual 3 per cent."""
    return pd.DataFrame(
        {
            "run_id": run_id,
            "symbol": "A",
            "horizon": 1,
            "forecaster": ["hybrid", "baseline", "persistence"],
            "actual_log_return": actual,
            "error": -actual,
            "crps": [0.01, 0.02, 0.04],
            "winkler_80": 0.1,
            "winkler_95": 0.2,
            "is_covered_80": [True, True, False],
            "is_covered_95": True,
            "is_direction_right": [True, True, False],
        }
    )


def make_watched(run_id: int) -> pd.DataFrame:
    """What the forecasts one month ahead turned out to be: three deviations worse than expected."""
    row = {"run_id": run_id, "horizon": 1, "measure": "loss", "forecaster": "hybrid", "symbols": 1}
    return pd.DataFrame([{**row, "value": 0.07, "expected": 0.01, "deviation": 0.02}])


def publish_scores(store: Store, key: MonthKey, errors: pd.DataFrame, **changes: Any) -> int:
    """A later month that forecasts nothing and scores the past."""
    run_id, month = begin(store, key), make_publication()
    empty = {"forecasts": month.forecasts.iloc[:0], "origins": month.origins.iloc[:0]}
    store.publish(run_id, make_publication(errors=errors, **empty, **changes), finished_at=T0)
    return run_id


def test_publish_writes_every_frame_under_the_run(store: Store, database_url: str) -> None:
    run_id = begin(store)
    assert store.find_published(KEY) is None
    store.publish(run_id, make_publication(), finished_at=T0 + DAY)
    assert counts(database_url) == {
        "forecast.model_version": 1,
        "forecast.baseline_coefficient": 1,
        "forecast.backtest_error": 1,
        "forecast.candidate": 1,
        "forecast.forecast_origin": 2,
        "forecast.forecast": 12,
        "forecast.forecast_error": 0,
        "forecast.restated_error": 0,
        "forecast.month_score": 0,
        "ops.drift_check": 1,
        "ops.symbol_outcome": 2,
        "ops.alert": 0,
    }
    assert query(database_url, "select distinct run_id from forecast.forecast") == [(run_id,)]
    # The candidate without a version is the one just trained.
    assert query(
        database_url,
        "select count(*) from forecast.candidate c join forecast.model_version m using (run_id, model_version_id)",
    ) == [(1,)]
    published = {"run_id": run_id, "correction": 0, "as_of": date(2020, 1, 10), "served": "hybrid"}
    assert store.find_published(KEY) == {**published, "finished_at": T0 + DAY}


BREAKS = {
    "coefficients": {"horizon": 13},
    "candidates": {"p_value": 2.0},
    "origins": {"naive_mae": np.nan},
    "forecasts": {"q05": 9.0},
    "drift_checks": {"status": "perhaps"},
    "drift_months": {"deviation": 0.0},
    "drift_symbols": {"share": 2.0},
    "input_checks": {"input": "luck"},
    "outcomes": {"outcome": "perfect"},
}


def test_publish_is_all_or_nothing(store: Store, database_url: str) -> None:
    run_id = begin(store)
    for name, change in BREAKS.items():
        sound = make_watched(run_id) if name == "drift_months" else getattr(make_publication(), name)
        broken = sound.assign(**change)
        with pytest.raises(psycopg2.errors.IntegrityError):
            store.publish(run_id, make_publication(**{name: broken}), finished_at=T0)
    alert = {**ALERT, "severity": "perhaps"}
    with pytest.raises(psycopg2.errors.CheckViolation):
        store.publish(run_id, make_publication(alerts=[alert]), finished_at=T0)
    assert set(counts(database_url).values()) == {0}
    assert query(database_url, "select status, finished_at from ops.run") == [("running", None)]
    store.publish(run_id, make_publication(), finished_at=T0)
    assert query(database_url, "select status from ops.run") == [("published",)]


def test_publish_by_a_run_that_was_taken_over_is_refused(store: Store, database_url: str) -> None:
    late, owner = begin(store), begin(store)
    with pytest.raises(AlreadyPublishedError, match="another process took its month over"):
        store.publish(late, make_publication(), finished_at=T0)
    assert set(counts(database_url).values()) == {0}
    assert query(database_url, "select run_id, status from ops.run order by run_id") == [
        (late, "abandoned"),
        (owner, "running"),
    ]


def test_publish_of_two_months_at_once_scores_the_past_once(store: Store, database_url: str) -> None:
    """Each reads what is to be scored before the other has written it; the first one's errors stand."""
    first = begin(store)
    store.publish(first, make_publication(), finished_at=T0)
    one = publish_scores(store, month_key(2020, 1), make_errors(first))
    publish_scores(store, month_key(2020, 2), make_errors(first, actual=0.5))
    assert query(database_url, "select distinct scored_by_run_id, actual_log_return from forecast.forecast_error") == [
        (one, 0.03)
    ]


def test_read_forecasts_to_score_gives_what_is_published_has_happened_and_has_no_error(store: Store) -> None:
    assert store.read_forecasts_to_score(KEY).empty
    first = begin(store)
    assert store.read_forecasts_to_score(month_key(2020, 1)).empty
    store.publish(first, make_publication(), finished_at=T0)
    assert store.read_forecasts_to_score(KEY).empty
    january = store.read_forecasts_to_score(month_key(2020, 1))
    assert sorted(zip(january["symbol"], january["horizon"], january["forecaster"], strict=True)) == [
        (symbol, 1, forecaster) for symbol in ("A", "B") for forecaster in ("baseline", "hybrid", "persistence")
    ]
    assert january.dtypes[["horizon", "target_month", "is_served", "q50"]].astype(str).tolist() == [
        "int64",
        "datetime64[ns]",
        "bool",
        "float64",
    ]
    assert len(store.read_forecasts_to_score(month_key(2020, 2))) == 12
    assert store.read_forecasts_to_score(month_key(2020, 2, "other")).empty
    publish_scores(store, month_key(2020, 1), make_errors(first))
    assert set(store.read_forecasts_to_score(month_key(2020, 1))["symbol"]) == {"B"}
    # A correction takes the month's place: what it corrects is scored no more.
    correction = begin(store, correction=1)
    store.publish(correction, make_publication(), finished_at=T0)
    assert set(store.read_forecasts_to_score(month_key(2020, 2))["run_id"]) == {correction}


def test_read_forecasts_to_watch_gives_what_was_served_and_the_baseline(store: Store) -> None:
    first = begin(store)
    store.publish(first, make_publication(), finished_at=T0)

    def watch(horizons: Sequence[int] = (1, 2), month: int = 2, since: date = date(2020, 2, 1)) -> set[tuple]:
        found = store.read_forecasts_to_check(month_key(2020, month), horizons=horizons, since_month=since)
        columns = ["run_id", "symbol", "horizon", "forecaster", "is_served", "is_checked", "actual_log_return"]
        return {tuple(None if pd.isna(value) else value for value in row) for row in found[columns].to_numpy()}

    both = [("hybrid", True), ("baseline", False)]
    rows = {(first, s, h, name, served, False, None) for s in ("A", "B") for h in (1, 2) for name, served in both}
    assert watch() == rows
    assert watch(horizons=(2,)) == {row for row in rows if row[2] == 2}
    assert watch(month=1) == {row for row in rows if row[2] == 1}  # the other month is not over
    publish_scores(store, month_key(2020, 1), make_errors(first), drift_months=make_watched(first))
    # January, horizon 1, has been watched: it comes only to those who ask for months that old.
    assert watch() == {row for row in rows if row[2] == 2}
    actuals = {(row[1], row[3]): row[6] for row in watch(since=date(2020, 1, 1)) if row[2] == 1}
    assert actuals == {("A", "hybrid"): 0.03, ("A", "baseline"): 0.03, ("B", "hybrid"): None, ("B", "baseline"): None}


def test_publish_of_two_months_at_once_watches_the_past_once(store: Store, database_url: str) -> None:
    first = begin(store)
    store.publish(first, make_publication(), finished_at=T0)
    one = publish_scores(store, month_key(2020, 1), make_errors(first), drift_months=make_watched(first))
    publish_scores(store, month_key(2020, 2), make_errors(first), drift_months=make_watched(first).assign(value=9.0))
    assert query(database_url, "select checked_by_run_id, value from ops.drift_month") == [(one, 0.07)]


def test_read_watched_months_gives_those_in_force_by_target_month(store: Store) -> None:
    first = begin(store)
    store.publish(first, make_publication(), finished_at=T0)
    publish_scores(store, month_key(2020, 1), make_errors(first), drift_months=make_watched(first))
    (row,) = store.read_drift_months(month_key(2020, 1)).to_dict("records")
    assert row == {
        "horizon": 1,
        "measure": "loss",
        "target_month": pd.Timestamp("2020-01-01"),
        "value": 0.07,
        "expected": 0.01,
        "deviation": 0.02,
    }
    assert store.read_drift_months(KEY).empty
    store.publish(begin(store, correction=1), make_publication(), finished_at=T0)
    assert store.read_drift_months(month_key(2020, 1)).empty


def test_read_watch_reference_is_of_the_version_stored_with_it(store: Store, database_url: str) -> None:
    reference = pd.DataFrame(
        {
            "origin_month": [date(2018, 1, 1)],
            "horizon": [1],
            "forecaster": ["hybrid"],
            "measure": ["loss"],
            "symbols": [2],
            "value": [-0.02],
        }
    )
    store.publish(begin(store), make_publication(drift_expectation=reference), finished_at=T0)
    ((version,),) = query(database_url, "select model_version_id from forecast.model_version")
    (row,) = store.read_drift_expectation(version).to_dict("records")
    assert row == reference.iloc[0].to_dict() | {
        "origin_month": pd.Timestamp("2018-01-01"),
        "holdout_start": pd.Timestamp("2018-01-01"),
    }
    assert store.read_drift_expectation(version + 1).empty


def test_read_drift_before_gives_the_last_published_month_before(store: Store) -> None:
    checks = make_publication().drift_checks
    for month, status in ((11, "ok"), (12, "warning")):
        key = month_key(2019, month)
        store.publish(begin(store, key), make_publication(drift_checks=checks.assign(status=status)), finished_at=T0)
    row = {"horizon": 1, "measure": "loss"}
    assert store.read_drift_before(month_key(2020, 1)).to_dict("records") == [{**row, "status": "warning"}]
    assert store.read_drift_before(month_key(2019, 12)).to_dict("records") == [{**row, "status": "ok"}]
    assert store.read_drift_before(month_key(2019, 11)).empty


def test_publish_of_a_month_twice_is_refused_and_a_correction_is_not(store: Store, database_url: str) -> None:
    first = begin(store)
    store.publish(first, make_publication(), finished_at=T0)
    late = begin(store)
    written = counts(database_url)
    with pytest.raises(AlreadyPublishedError, match="another run published its month first"):
        store.publish(late, make_publication(), finished_at=T0)
    assert counts(database_url) == written
    correction = begin(store, correction=1)
    store.publish(correction, make_publication(), finished_at=T0)
    assert query(database_url, "select run_id, correction from report.published_run") == [(correction, 1)]
    published = store.find_published(KEY)
    assert published is not None
    assert published["run_id"] == correction
    assert query(database_url, "select status from ops.run order by run_id") == [
        ("published",),
        ("abandoned",),
        ("published",),
    ]


def test_begin_run_marks_what_was_left_running_of_its_month_alone(store: Store, database_url: str) -> None:
    begin(store)
    begin(store, month_key(2020, 1))
    begin(store, month_key(2019, 12, "other"))
    begin(store)
    assert query(database_url, "select status, message from ops.run order by run_id") == [
        ("abandoned", "its process ended before the run did"),
        ("running", None),
        ("running", None),
        ("running", None),
    ]


def test_fail_run_leaves_a_reason_the_outcomes_and_one_open_alert(store: Store, database_url: str) -> None:
    outcomes = make_publication().outcomes.assign(outcome="missing", reason="gone", last_session=pd.NaT, months=0)
    for _ in range(2):
        run_id = begin(store)
        store.fail_run(run_id, message="the source is down", finished_at=T0, outcomes=outcomes, alert=ALERT)
    assert (
        query(database_url, "select status, message, served from ops.run")
        == [("failed", "the source is down", None)] * 2
    )
    assert store.read_report("symbol_outcomes", run_id=run_id)["reason"].tolist() == ["gone", "gone"]
    assert query(database_url, "select kind, subject from report.open_alert") == [("failed_run", "file/test")]
    store.fail_run(begin(store), message="", finished_at=T0, alert={**ALERT, "subject": "file/other"})
    store.fail_run(begin(store), message="", finished_at=T0, alert={**ALERT, "kind": "coverage"})
    assert query(database_url, "select count(*) from report.open_alert") == [(3,)]
    cleared = [{"kind": "failed_run", "subject": "file/test"}]
    store.publish(begin(store), make_publication(resolved_alerts=cleared, alerts=[ALERT]), finished_at=T0 + DAY)
    # The old one is closed, and what is true again is said anew.
    assert query(
        database_url,
        "select opened_at, resolved_at from ops.alert where kind = 'failed_run' and subject = 'file/test' order by 1",
    ) == [(T0, T0 + DAY), (T0 + DAY, None)]


def test_read_champion_is_the_newest_of_its_universe_that_knew_nothing_later(store: Store) -> None:
    def publish(key: MonthKey, weights: bytes, correction: int = 0) -> None:
        month = make_publication()
        assert month.new_model is not None
        model = replace(month.new_model, weights=weights)
        store.publish(begin(store, key, correction), make_publication(new_model=model), finished_at=T0)

    def champion(key: MonthKey) -> bytes | None:
        found = store.read_champion(key)
        return None if found is None else found.weights

    assert champion(KEY) is None
    publish(month_key(2020, 1), b"\x00january")
    publish(month_key(2019, 12), b"december, made later")
    publish(month_key(2020, 1, "other"), b"other")
    assert champion(month_key(2019, 11)) is None
    assert champion(month_key(2019, 12)) == b"december, made later"
    assert champion(month_key(2020, 1)) == b"\x00january"
    assert champion(month_key(2021, 1)) == b"\x00january"
    assert champion(month_key(2020, 1, "other")) == b"other"
    publish(month_key(2020, 1), b"correction", correction=1)
    assert champion(month_key(2020, 1)) == b"correction"
    found = store.read_champion(KEY)
    assert found is not None
    assert (found.trained_at_month, found.holdout_end) == (date(2019, 12, 1), date(2019, 11, 1))


def test_publish_with_a_kept_model_adds_no_version(store: Store, database_url: str) -> None:
    store.publish(begin(store), make_publication(), finished_at=T0)
    champion = store.read_champion(KEY)
    assert champion is not None
    kept = make_publication(new_model=None, kept_model_id=champion.model_version_id)
    store.publish(begin(store, month_key(2020, 1)), kept, finished_at=T0)
    assert query(database_url, "select count(distinct model_version_id), count(*) from forecast.forecast_origin") == [
        (1, 4)
    ]


def test_exclusive_gives_a_month_to_one_process_until_it_ends(store: Store, database_url: str) -> None:
    with Store(database_url) as other:
        with store.hold_month(KEY) as is_ours, other.hold_month(KEY) as is_theirs:
            assert (is_ours, is_theirs) == (True, False)
        with other.hold_month(KEY) as is_theirs:
            assert is_theirs
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from datetime import date; from sql.store import MonthKey, Store\n"
            "key = MonthKey(source='file', universe='test', origin_month=date(2019, 12, 1))\n"
            "with Store(sys.argv[1]).hold_month(key) as held: print(held, flush=True); time.sleep(60)",
            database_url,
        ],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    with store.hold_month(KEY) as is_ours:
        assert not is_ours
    holder.kill()
    holder.wait()
    holder.stdout.close()
    for _ in range(50):
        with store.hold_month(KEY) as is_ours:
            if is_ours:
                break
        time.sleep(0.1)
    assert is_ours


def test_exclusive_of_two_months_can_be_held_at_once(store: Store) -> None:
    with store.hold_month(KEY) as one, store.hold_month(month_key(2020, 1)) as other:
        assert (one, other) == (True, True)


def test_exclusive_lets_go_when_the_work_fails(store: Store, database_url: str) -> None:
    with pytest.raises(KeyError), store.hold_month(KEY):
        raise KeyError
    with Store(database_url) as other, other.hold_month(KEY) as is_theirs:
        assert is_theirs


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:s3cret@127.0.0.1:1/x", "does not answer"),
        ("postgresql://u@127.0.0.1:1/x?password=s3cret", "does not answer"),
        ("mysql://u:s3cret@127.0.0.1/x", "must start with postgresql://, and it starts with mysql://"),
        ("s3cret", "is not an address such as"),
        ("", "is not an address such as"),
        ("postgresql://u:s3cret@host:port/x", "is not an address such as"),
        ("postgresql://u:p@s3cret@127.0.0.1:1/x", "holds more than one @"),
    ],
)
def test_a_store_that_cannot_be_had_is_one_sentence_without_a_secret(url: str, words: str) -> None:
    with pytest.raises(StoreUnavailableError, match=words) as caught, Store(url) as unreachable:
        unreachable.is_current()
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_wrong_password_is_one_sentence_without_it(database_url: str) -> None:
    right = str(urlsplit(database_url).password)
    with Store(database_url.replace(f":{right}@", ":s3cret@")) as locked:
        with pytest.raises(StoreUnavailableError, match="password authentication failed") as caught:
            locked.find_published(KEY)
        assert "\n" not in str(caught.value)
        assert "s3cret" not in f"{caught.value} {locked!r} {locked.address}"
        assert locked.connection_environment()["PGPASSWORD"] == "s3cret"


def test_a_database_without_the_schema_says_what_to_do(empty_database_url: str) -> None:
    with Store(empty_database_url) as empty, pytest.raises(StoreUnavailableError, match="bellwether db upgrade"):
        empty.find_published(KEY)


def test_text_is_utf8_whatever_the_environment_says(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with Store(database_url) as store:
        store.fail_run(
            begin(store), message="σ × β", finished_at=T0, outcomes=make_publication().outcomes.assign(reason="é…")
        )
    monkeypatch.delenv("PGCLIENTENCODING")
    assert (
        query(database_url, "select message, reason from ops.run join ops.symbol_outcome using (run_id)")
        == [("σ × β", "é…")] * 2
    )
