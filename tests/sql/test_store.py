"""The door against a real Postgres: what is stored, what is kept of the past, and what happens when things go wrong."""

import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sql.store import AlreadyPublishedError, ModelVersion, MonthKey, Publication, Store, StoreUnavailableError

DAY = timedelta(days=1)
T0 = datetime(2020, 1, 10, tzinfo=UTC)
KEY = MonthKey(source="file", universe="test", origin_month=date(2019, 12, 1))
NO_ACTIONS = pd.DataFrame({"symbol": [], "ex_date": [], "kind": [], "value": []})
QUANTILES = ["q025", "q05", "q10", "q20", "q30", "q40", "q50", "q60", "q70", "q80", "q90", "q95", "q975"]


def query(url: str, statement: str) -> list[tuple]:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


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
    done = store.merge_bars(source="file", instruments=instruments, bars=bars, actions=actions, known_at=known_at)
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


@pytest.mark.parametrize(
    ("close", "volume", "is_correction"),
    [
        (10.0009, 1000.0, False),
        (10.0011, 1000.0, True),
        (9.9989, 1000.0, True),
        (10.0, 1004.0, False),
        (10.0, 1006.0, True),
        (10.0, np.nan, False),
    ],
)
def test_merge_bars_takes_a_difference_beyond_tolerance_for_a_correction(
    store: Store, close: float, volume: float, is_correction: bool
) -> None:
    """Price 1e-4, volume 5e-3, relative; what is missing replaces nothing."""
    merge(store, make_bars({"2020-01-02": 10.0}), T0)
    done = merge(store, make_bars({"2020-01-02": close}, volume=volume), T0 + DAY)
    assert done == ((0, 1, 0, 0) if is_correction else (0, 0, 1, 0))
    (known,) = closes_known(store, T0 + DAY).values()
    assert known == (close if is_correction else 10.0)


def test_read_bars_gives_every_vintage_as_it_was_known(store: Store, database_url: str) -> None:
    for days, close in enumerate((10.0, 12.0, 15.0)):
        merge(store, make_bars({"2020-01-02": close}), T0 + days * DAY)
    assert closes_known(store, T0 - DAY) == {}
    for days, close in enumerate((10.0, 12.0, 15.0)):
        assert closes_known(store, T0 + days * DAY) == {"2020-01-02": close}
    assert query(database_url, "select old_close, new_close from market.bar_revision order by revised_at") == [
        (10.0, 12.0),
        (12.0, 15.0),
    ]


def test_read_bars_ends_at_as_of(store: Store) -> None:
    merge(store, make_bars({"2020-01-02": 10.0, "2020-01-03": 11.0}), T0)
    assert closes_known(store, T0, as_of=date(2020, 1, 2)) == {"2020-01-02": 10.0}


def test_merge_bars_keeps_actions_as_they_were_known(store: Store) -> None:
    def dividend(value: float) -> pd.DataFrame:
        ex_date = pd.to_datetime(["2020-01-03"])
        return pd.DataFrame({"symbol": "A", "ex_date": ex_date, "kind": "dividend", "value": [value]})

    bars = make_bars({"2020-01-02": 100.0, "2020-01-03": 99.0})
    assert merge(store, bars, T0, dividend(1.0)) == (2, 0, 0, 1)
    # 5e-5 of the close before the ex-date, 0.005, is what rounded prices can be off by.
    assert merge(store, bars, T0 + DAY, dividend(1.004)) == (0, 0, 2, 0)
    assert merge(store, bars, T0 + DAY, dividend(1.02)) == (0, 0, 2, 1)
    for known_at, value in ((T0, 1.0), (T0 + DAY, 1.02)):
        actions = store.read_actions(["A"], as_of=date(2020, 1, 3), known_at=known_at)
        assert list(actions["value"]) == [value]
    assert store.read_actions(["A"], as_of=date(2020, 1, 2), known_at=T0).empty


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


def begin(store: Store, key: MonthKey = KEY, correction: int = 0) -> int:
    return store.begin_run(
        key,
        correction=correction,
        as_of=date(2020, 1, 10),
        known_at=T0,
        mode="auto",
        symbols_asked=2,
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
    candidate = {"months_judged": 3, "crps": 0.1, "baseline_crps": 0.2, "persistence_crps": 0.3, "p_value": 0.01}
    parts: dict[str, Any] = {
        "served": "hybrid",
        "message": "published",
        "new_model": ModelVersion(
            kind="retrain",
            trained_through=date(2018, 1, 1),
            judged_from=date(2018, 1, 1),
            judged_through=date(2019, 11, 1),
            verdict="hybrid",
            verdict_reason="better",
            weights=b"\x00weights",
            weights_sha256="0" * 64,
        ),
        "kept_model_id": None,
        "coefficients": pd.DataFrame({"horizon": [1], "term": ["centre"], "value": [0.01]}),
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
        "drift_checks": pd.DataFrame(
            {
                "horizon": [1],
                "status": ["ok"],
                "statistic": [0.5],
                "threshold": [5.0],
                "p_value": [0.4],
                "months_used": [7],
                "reason": ["fine"],
            }
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
            "is_covered_80": [True, True, False],
            "is_covered_95": True,
            "is_direction_right": [True, True, False],
        }
    )


def test_publish_shows_the_month_in_every_report(store: Store, database_url: str) -> None:
    first = begin(store)
    store.publish(first, make_publication(), finished_at=T0)
    prices = query(
        database_url,
        "select symbol, horizon, price_q10, price_q50, price_q90 from report.latest_forecast order by 1, 2",
    )
    assert len(prices) == 4
    assert prices[0][2:] == pytest.approx((100 * np.exp(-0.04), 100.0, 100 * np.exp(0.04)))

    later = MonthKey(source="file", universe="test", origin_month=date(2020, 1, 1))
    pending = store.read_forecasts_to_score(later)
    assert set(pending["horizon"]) == {1}
    assert len(pending) == 6
    second = begin(store, later)
    nothing = make_publication().forecasts.iloc[:0]
    published = make_publication(
        errors=make_errors(first), forecasts=nothing, origins=make_publication().origins.iloc[:0]
    )
    store.publish(second, published, finished_at=T0)
    scores = query(
        database_url,
        "select forecaster, months, mae, mse, rmse, mase, crps, coverage_80, hit_rate, always_up_rate, "
        "skill_vs_persistence, skill_vs_baseline from report.scorecard where window_months is null order by 1",
    )
    by_name = {row[0]: [float(value) for value in row[1:]] for row in scores}
    # 0.03 off; against a usual move of 0.05 that is a MASE of 0.6.
    assert by_name["hybrid"] == pytest.approx([1, 0.03, 0.0009, 0.03, 0.6, 0.01, 1, 1, 1, 0.75, 0.5])
    assert by_name["served"] == by_name["hybrid"]
    assert by_name["persistence"] == pytest.approx([1, 0.03, 0.0009, 0.03, 0.6, 0.04, 0, 0, 1, 0.0, -1.0])
    assert query(database_url, "select months_used, status from report.drift_status") == [(7, "ok")]
    assert set(store.read_forecasts_to_score(later)["symbol"]) == {"B"}


def test_publish_is_all_or_nothing(store: Store, database_url: str) -> None:
    run_id = begin(store)
    broken = make_publication().outcomes.assign(outcome="perfect")
    with pytest.raises(psycopg2.errors.CheckViolation):
        store.publish(run_id, make_publication(outcomes=broken), finished_at=T0)
    for table in ("forecast.model_version", "forecast.forecast", "forecast.candidate", "ops.drift_check"):
        assert query(database_url, f"select count(*) from {table}") == [(0,)]
    assert query(database_url, "select status from ops.run") == [("running",)]


def test_publish_of_a_month_twice_is_refused_and_a_correction_is_not(store: Store, database_url: str) -> None:
    first, late = begin(store), None
    store.publish(first, make_publication(), finished_at=T0)
    late = begin(store)
    with pytest.raises(AlreadyPublishedError):
        store.publish(late, make_publication(), finished_at=T0)
    assert query(database_url, "select count(distinct run_id) from forecast.forecast") == [(1,)]
    correction = begin(store, correction=1)
    store.publish(correction, make_publication(), finished_at=T0)
    published = store.find_published(KEY)
    assert published is not None
    assert published["run_id"] == correction
    assert query(database_url, "select status from ops.run order by run_id") == [
        ("published",),
        ("abandoned",),
        ("published",),
    ]


def test_fail_run_leaves_a_reason_and_one_open_alert(store: Store, database_url: str) -> None:
    alert = {
        "kind": "failed_run",
        "subject": "file/test",
        "severity": "critical",
        "title": "No forecast",
        "detail": "",
        "look_deeper_sql": "select 1",
    }
    for _ in range(2):
        store.fail_run(begin(store), message="the source is down", finished_at=T0, alert=alert)
    assert query(database_url, "select status, message from ops.run") == [("failed", "the source is down")] * 2
    assert query(database_url, "select count(*) from report.open_alert") == [(1,)]
    cleared = [{"kind": "failed_run", "subject": "file/test"}]
    store.publish(begin(store), make_publication(resolved_alerts=cleared), finished_at=T0)
    assert query(database_url, "select count(*) from report.open_alert") == [(0,)]


def test_read_champion_is_the_newest_that_knew_nothing_later(store: Store) -> None:
    assert store.read_champion(KEY) is None
    store.publish(begin(store), make_publication(), finished_at=T0)
    champion = store.read_champion(KEY)
    assert champion is not None
    assert champion.weights == b"\x00weights"
    assert store.read_champion(MonthKey(source="file", universe="test", origin_month=date(2019, 11, 1))) is None
    assert store.read_champion(MonthKey(source="file", universe="other", origin_month=date(2019, 12, 1))) is None


def test_exclusive_gives_a_month_to_one_process_until_it_ends(store: Store, database_url: str) -> None:
    with Store(database_url) as other:
        with store.exclusive(KEY) as is_ours, other.exclusive(KEY) as is_theirs:
            assert (is_ours, is_theirs) == (True, False)
        with other.exclusive(KEY) as is_theirs:
            assert is_theirs
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from datetime import date; from sql.store import MonthKey, Store\n"
            "key = MonthKey(source='file', universe='test', origin_month=date(2019, 12, 1))\n"
            "with Store(sys.argv[1]).exclusive(key) as held: print(held, flush=True); time.sleep(60)",
            database_url,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    with store.exclusive(KEY) as is_ours:
        assert not is_ours
    holder.kill()
    holder.wait()
    holder.stdout.close()
    for _ in range(50):
        with store.exclusive(KEY) as is_ours:
            if is_ours:
                break
        time.sleep(0.1)
    assert is_ours


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:s3cret@127.0.0.1:1/x",
        "mysql://u:s3cret@127.0.0.1/x",
        "s3cret",
        "postgresql://u:s3cret@host:port/x",
    ],
)
def test_a_store_that_cannot_be_had_is_one_sentence_without_a_secret(url: str) -> None:
    with pytest.raises(StoreUnavailableError) as caught, Store(url) as unreachable:
        unreachable.is_current()
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("text", ["plain", 'a "quoted", one', "two\nlines", "NA", "NULL", "", "σ × β", "back\\slash"])
def test_text_survives_the_way_in_and_out(store: Store, text: str) -> None:
    store.fail_run(begin(store), message=text, finished_at=T0)
    outcomes = make_publication().outcomes.assign(reason=text)
    run_id = begin(store)
    store.publish(run_id, make_publication(outcomes=outcomes), finished_at=T0)
    assert set(store.read_report("symbol_outcomes", run_id=run_id)["reason"]) == {text}
