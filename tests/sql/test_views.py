"""The views of the schema `report`, against values computed by hand."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from math import exp, sqrt
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import cursor as Cursor  # noqa: N812  a class under a lower-case name

from sql.scores import complete_scores
from tasks.database import SCORE_FUNCTIONS

START = datetime(2020, 2, 3, 12, tzinfo=UTC)
JANUARY, FEBRUARY, MARCH = date(2020, 1, 1), date(2020, 2, 1), date(2020, 3, 1)


@pytest.fixture
def cursor(database_url: str) -> Iterator[Cursor]:
    """A cursor in a database with the newest schema, in one transaction."""
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as opened:
        yield opened


def insert(cursor: Cursor, table: str, **values: Any) -> None:
    places = ", ".join(f"%({name})s" for name in values)
    cursor.execute(f"insert into {table} ({', '.join(values)}) values ({places})", values)


def select(cursor: Cursor, statement: str) -> list[tuple]:
    cursor.execute(statement)
    return cursor.fetchall()


def add_run(cursor: Cursor, origin_month: date, **changes: Any) -> int:
    """A published run of universe `u`, started on the third of the month after, and its model."""
    started_at = datetime(origin_month.year, origin_month.month, 3, 12, tzinfo=UTC) + timedelta(days=31)
    row = {
        "source": "file",
        "universe": "u",
        "origin_month": origin_month,
        "correction": 0,
        "as_of": started_at.date() - timedelta(days=3),
        "known_at": started_at,
        "status": "published",
        "mode": "auto",
        "symbols_requested": 2,
        "symbols_forecast": 2,
        "served": "hybrid",
        "parameters": "{}",
        "software": "{}",
        "started_at": started_at,
        "finished_at": started_at + timedelta(seconds=90),
    }
    insert(cursor, "ops.run", **(row | changes))
    (run_id,) = select(cursor, "select max(run_id) from ops.run")[0]
    cursor.execute(
        "insert into forecast.model_version (source, universe, kind, run_id, trained_through, holdout_start, "
        "holdout_end, seed, config, data_fingerprint, software, weights, weights_sha256, verdict, verdict_reason, "
        "verdict_numbers, created_at) values ('file', 'u', 'retrain', %s, now(), now(), now(), 0, '{}', '', '{}', '', "
        "repeat('0', 64), 'hybrid', '', '[]', now())",
        (run_id,),
    )
    return run_id


def add_forecast(
    cursor: Cursor,
    run_id: int,
    symbol: str,
    origin_month: date,
    target_month: date,
    crps: dict[str, float],
    *,
    served: str = "hybrid",
    median: float = 0.0,
    actual: float | None = None,
    close: float = 100.0,
    naive_mae: float = 0.05,
    covered_80: bool = True,
    covered_95: bool = True,
) -> None:
    """One forecast by every forecaster of `crps`, quantiles -6 … 6 per cent off the median; scored if `actual`."""
    cursor.execute(
        "insert into forecast.forecast_origin select %s, %s, %s, %s, %s, 'USD', %s, max(model_version_id) "
        "from forecast.model_version where run_id = %s on conflict do nothing",
        (run_id, symbol, origin_month, origin_month + timedelta(days=27), close, naive_mae, run_id),
    )
    horizon = (target_month.year - origin_month.year) * 12 + target_month.month - origin_month.month
    for forecaster, loss in crps.items():
        quantiles = [median + (place - 6) / 100 for place in range(13)]
        row = (run_id, symbol, origin_month, horizon, target_month, forecaster, forecaster == served, *quantiles)
        cursor.execute(f"insert into forecast.forecast values ({', '.join(['%s'] * len(row))})", row)
        if actual is not None:
            insert(
                cursor,
                "forecast.forecast_error",
                run_id=run_id,
                symbol=symbol,
                horizon=horizon,
                forecaster=forecaster,
                actual_log_return=actual,
                error=median - actual,
                crps=loss,
                winkler_80=0.1,
                winkler_95=0.2,
                is_covered_80=covered_80,
                is_covered_95=covered_95,
                is_direction_right=(median > 0) == (actual > 0),
                scored_by_run_id=run_id,
                scored_at=START,
            )


def accumulate(cursor: Cursor) -> None:
    """Scores of the errors so far, as an upgrade leaves them."""
    complete_scores(cursor, SCORE_FUNCTIONS)


def losses(hybrid: float, baseline: float, persistence: float) -> dict[str, float]:
    return {"hybrid": hybrid, "baseline": baseline, "persistence": persistence}


SCORES = (
    "select forecasts, months, mae, mse, rmse, mase, crps, coverage_80, coverage_95, hit_rate, always_up_rate, "
    "retrospective_share, skill_vs_persistence, skill_vs_baseline from report.scorecard "
    "where universe = 'u' and horizon = 1 and model_version_id is null and symbol_group = 'all' and "
)


def scores(cursor: Cursor, condition: str) -> list[float]:
    (row,) = select(cursor, SCORES + condition)
    return [float(value) for value in row]


def test_scorecard_equals_values_computed_by_hand(cursor: Cursor) -> None:
    """Errors of -0.03, +0.01, -0.02 and +0.04; one symbol moves 0.05 a month as a rule, the other 0.02."""
    one, two = add_run(cursor, JANUARY), add_run(cursor, FEBRUARY, served="baseline")
    expected = {"A": 0.05, "B": 0.02}
    cases = [
        # run, symbol, origin, target, losses, served, median, actual, covered 80, covered 95
        (one, "A", JANUARY, FEBRUARY, losses(0.01, 0.02, 0.04), "hybrid", 0.00, 0.03, True, True),
        (one, "B", JANUARY, FEBRUARY, losses(0.03, 0.02, 0.04), "hybrid", 0.02, 0.01, True, True),
        (two, "A", FEBRUARY, MARCH, losses(0.02, 0.04, 0.08), "baseline", 0.01, 0.03, False, True),
        (two, "B", FEBRUARY, MARCH, losses(0.06, 0.08, 0.08), "baseline", -0.01, -0.05, False, False),
    ]
    for run_id, symbol, origin, target, crps, served, median, actual, in_80, in_95 in cases:
        add_forecast(
            cursor,
            run_id,
            symbol,
            origin,
            target,
            crps,
            served=served,
            median=median,
            actual=actual,
            naive_mae=expected[symbol],
            covered_80=in_80,
            covered_95=in_95,
        )
    accumulate(cursor)
    mae = (0.03 + 0.01 + 0.02 + 0.04) / 4  # 0.025
    mse = (9 + 1 + 4 + 16) * 1e-4 / 4  # 0.00075
    mase = (0.6 + 0.5 + 0.4 + 2.0) / 4  # 0.875
    # Right: B in both months, A in the second; a median of zero is not "up". Up: three of four.
    common = [4, 2, mae, mse, sqrt(mse), mase]
    shares = [0.5, 0.75, 0.75, 0.75, 0.0]
    assert scores(cursor, "forecaster = 'hybrid' and window_months is null") == pytest.approx(
        [*common, 0.03, *shares, 0.5, 0.25]
    )
    assert scores(cursor, "forecaster = 'baseline' and window_months is null") == pytest.approx(
        [*common, 0.04, *shares, 1 / 3, 0.0]
    )
    assert scores(cursor, "forecaster = 'persistence' and window_months is null") == pytest.approx(
        [*common, 0.06, *shares, 0.0, -0.5]
    )
    # Served: the hybrid in the first month, the baseline in the second: (0.01 + 0.03 + 0.04 + 0.08) / 4.
    assert scores(cursor, "forecaster = 'served' and window_months is null") == pytest.approx(
        [*common, 0.04, *shares, 1 / 3, 0.0]
    )
    # Four forecasters and four windows, of both months together and of either month's model.
    by_version = "select model_version_id is null, count(*) from report.scorecard group by 1 order by 1"
    assert select(cursor, by_version) == [(False, 32), (True, 16)]


def test_scorecard_windows_count_back_from_the_newest_scored_month(cursor: Cursor) -> None:
    """Months 1 … 13 of one symbol, the loss of month n being n."""
    months = [date(2020 + place // 12, place % 12 + 1, 1) for place in range(14)]
    for number, (origin, target) in enumerate(pairwise(months), start=1):
        run_id = add_run(cursor, origin)
        add_forecast(cursor, run_id, "A", origin, target, losses(number, number, 2 * number), actual=0.01)
    accumulate(cursor)
    found = select(
        cursor,
        "select window_months, months, crps, skill_vs_persistence from report.scorecard "
        "where forecaster = 'served' and model_version_id is null order by window_months nulls last",
    )
    # 11, 12, 13; 2 … 13; everything.
    assert found == [(3, 3, 12.0, 0.5), (12, 12, 7.5, 0.5), (60, 13, 7.0, 0.5), (None, 13, 7.0, 0.5)]


def test_scorecard_uses_runs_in_force_by_universe(cursor: Cursor) -> None:
    late = START + timedelta(days=400)
    old = add_run(cursor, JANUARY)
    new = add_run(cursor, JANUARY, correction=1, started_at=late, finished_at=late)
    other = add_run(cursor, JANUARY, universe="other")
    failed = add_run(cursor, FEBRUARY, status="failed")
    for run_id, loss in ((old, 0.5), (new, 0.1), (other, 0.7), (failed, 0.9)):
        add_forecast(cursor, run_id, "A", JANUARY, FEBRUARY, losses(loss, loss, 1.0), actual=0.01)
    accumulate(cursor)
    assert select(
        cursor,
        "select universe, forecasts, crps, retrospective_share from report.scorecard "
        "where forecaster = 'hybrid' and window_months is null and model_version_id is null order by universe",
    ) == [("other", 1, 0.7, 0), ("u", 1, 0.1, 1)]


def test_scorecard_has_no_mase_and_no_skill_against_zero(cursor: Cursor) -> None:
    """A symbol without moves and an exact random walk: both denominators are zero."""
    run_id = add_run(cursor, JANUARY)
    add_forecast(cursor, run_id, "A", JANUARY, FEBRUARY, {"hybrid": 0.1, "persistence": 0.0}, actual=0.0, naive_mae=0.0)
    accumulate(cursor)
    assert select(
        cursor,
        "select mase, skill_vs_persistence, skill_vs_baseline from report.scorecard "
        "where forecaster = 'hybrid' and window_months is null and model_version_id is null",
    ) == [(None, None, None)]


def test_latest_forecast_returns_the_served_one_in_prices(cursor: Cursor) -> None:
    add_forecast(cursor, add_run(cursor, JANUARY), "A", JANUARY, FEBRUARY, losses(0, 0, 0))
    newest = add_run(cursor, FEBRUARY)
    add_forecast(cursor, newest, "A", FEBRUARY, MARCH, losses(0, 0, 0), median=0.02, close=50.0)
    add_forecast(cursor, newest, "B", FEBRUARY, MARCH, losses(0, 0, 0), served="baseline", close=200.0)
    running = add_run(cursor, MARCH, status="running", finished_at=None)
    add_forecast(cursor, running, "A", MARCH, date(2020, 4, 1), losses(0, 0, 0))
    found = select(
        cursor,
        "select symbol, forecaster, origin_close, price_q025, price_q10, price_q50, price_q90, price_q975, q50, run_id "
        "from report.latest_forecast order by symbol",
    )
    assert [row[:2] for row in found] == [("A", "hybrid"), ("B", "baseline")]
    assert {row[-1] for row in found} == {newest}
    # Quantiles lie 0.06, 0.04 and 0 from the median.
    for row, close, median in zip(found, (50.0, 200.0), (0.02, 0.0), strict=True):
        prices = [close * exp(median + step) for step in (-0.06, -0.04, 0.0, 0.04, 0.06)]
        assert row[2:-1] == pytest.approx((close, *prices, median))


def test_forecast_vs_actual_joins_forecasts_and_outcomes(cursor: Cursor) -> None:
    run_id = add_run(cursor, JANUARY)
    add_forecast(cursor, run_id, "A", JANUARY, FEBRUARY, losses(1, 2, 3), median=0.02, actual=-0.03, close=50.0)
    add_forecast(cursor, run_id, "A", JANUARY, MARCH, losses(1, 2, 3))  # has not happened
    found = select(
        cursor,
        "select forecaster, horizon, is_served, price_q10, price_q50, price_q90, price_actual, error, "
        "scaled_absolute_error, is_direction_right from report.forecast_vs_actual order by crps",
    )
    assert [row[:3] for row in found] == [("hybrid", 1, True), ("baseline", 1, False), ("persistence", 1, False)]
    expected = (50 * exp(-0.02), 50 * exp(0.02), 50 * exp(0.06), 50 * exp(-0.03), 0.05, 1.0)
    for row in found:
        assert row[3:9] == pytest.approx(expected)
        assert row[9] is False


def test_published_run_is_the_last_correction(cursor: Cursor) -> None:
    add_run(cursor, JANUARY)
    second = add_run(cursor, JANUARY, correction=1)
    add_run(cursor, JANUARY, correction=2, status="failed")
    assert select(cursor, "select run_id, correction from report.published_run") == [(second, 1)]


def test_drift_status_is_the_worst_of_the_newest_checks(cursor: Cursor) -> None:
    def check(run_id: int, horizon: int, measure: str, status: str, statistic: float | None) -> None:
        cursor.execute(
            "insert into ops.drift_check (run_id, horizon, measure, status, statistic, threshold, p_value, "
            "months_used, reason, since_month) values (%s, %s, %s, %s, %s, 5, 0.2, 7, 'why', '2019-11-01')",
            (run_id, horizon, measure, status, statistic),
        )

    newest, older, failed = add_run(cursor, FEBRUARY), add_run(cursor, JANUARY), add_run(cursor, MARCH, status="failed")
    check(newest, 1, "loss", "ok", 1.5)
    check(newest, 1, "calibration", "alarm", 4.0)
    check(newest, 1, "staleness", "not_enough_data", None)
    check(older, 1, "loss", "alarm", 5.0)
    check(older, 3, "loss", "warning", 3.0)  # not watched in the newest month
    check(older, 3, "staleness", "warning", 3.5)
    check(failed, 1, "loss", "ok", 0.0)
    cursor.execute(
        "insert into ops.drift_symbol (run_id, horizon, symbol, share) values (%s, 1, 'B', 0.25), (%s, 1, 'A', 0.5)",
        (newest, newest),
    )
    assert select(
        cursor,
        "select horizon, measure, status, origin_month, statistic, symbols from report.drift_status order by horizon",
    ) == [
        (1, "calibration", "alarm", FEBRUARY, 4.0, "A 50 %, B 25 %"),
        (3, "staleness", "warning", JANUARY, 3.5, None),
    ]
    assert select(cursor, "select horizon, measure from report.drift_check order by 1, 2") == [
        (1, "calibration"),
        (1, "loss"),
        (1, "staleness"),
        (3, "loss"),
        (3, "staleness"),
    ]


def test_drift_month_uses_runs_in_force(cursor: Cursor) -> None:
    replaced, in_force = add_run(cursor, JANUARY), add_run(cursor, JANUARY, correction=1)
    for run_id, value in ((replaced, 9.0), (in_force, 0.07)):
        cursor.execute(
            "insert into ops.drift_month (run_id, horizon, measure, forecaster, symbols, value, expected, deviation, "
            "checked_by_run_id) values (%s, 3, 'loss', 'baseline', 20, %s, 0.01, 0.02, %s)",
            (run_id, value, run_id),
        )
    rows = select(cursor, "select target_month, horizon, measure, surprise from report.drift_month")
    assert [row[:3] for row in rows] == [(date(2020, 4, 1), 3, "loss")]
    assert rows[0][3] == pytest.approx(3.0)


def test_input_status_is_the_newest(cursor: Cursor) -> None:
    for run_id, value in ((add_run(cursor, FEBRUARY), 0.2), (add_run(cursor, JANUARY), 0.05)):
        cursor.execute("insert into ops.input_check values (%s, 'volatility', %s, 0.03, 0.1, true)", (run_id, value))
    assert select(cursor, "select input, value, origin_month from report.input_status") == [
        ("volatility", 0.2, FEBRUARY)
    ]


def test_data_quality_shows_outcomes_and_corrected_bars(cursor: Cursor) -> None:
    run_id = add_run(cursor, JANUARY)
    for symbol, outcome in (("A", "ok"), ("B", "missing")):
        cursor.execute(
            "insert into ops.symbol_outcome values (%s, %s, %s, 'why', '2020-01-31', 60)", (run_id, symbol, outcome)
        )
    for day in (2, 3):
        cursor.execute(
            "insert into market.bar_revision (symbol, session, revised_at, old_close, old_known_at, new_close) "
            "values ('A', %s, now(), 1, now(), 2)",
            (date(2020, 1, day),),
        )
    assert select(cursor, "select symbol, outcome, reason, bars_revised from report.data_quality order by symbol") == [
        ("A", "ok", "why", 2),
        ("B", "missing", "why", 0),
    ]


def test_run_history_is_newest_first_with_durations(cursor: Cursor) -> None:
    one = add_run(cursor, JANUARY)
    two = add_run(cursor, FEBRUARY, status="running", finished_at=None)
    found = select(cursor, "select run_id, status, duration_seconds, is_retrospective from report.run_history")
    assert found == [(two, "running", None, False), (one, "published", 90, False)]


def test_run_history_marks_runs_31_days_after_as_of_retrospective(cursor: Cursor) -> None:
    as_of = date(2020, 1, 31)
    for days, universe in ((31, "in time"), (32, "late")):
        moment = datetime(2020, 1, 31, 23, tzinfo=UTC) + timedelta(days=days)
        add_run(cursor, JANUARY, universe=universe, as_of=as_of, started_at=moment, finished_at=moment)
    assert select(cursor, "select universe, is_retrospective from report.run_history order by universe") == [
        ("in time", False),
        ("late", True),
    ]


def months_back(day: date, months: int) -> date:
    place = day.year * 12 + day.month - 1 - months
    return date(place // 12, place % 12 + 1, 1)


def monitor(cursor: Cursor, universe: str, first_month: date, due: dict[date, date], **changes: Any) -> None:
    """Monitor a universe with the given due dates."""
    row = {
        "source": "file",
        "universe": universe,
        "exchange_mics": ["XNYS"],
        "due_sessions": 5,
        "first_month": first_month,
        "monitored_since": START,
    }
    insert(cursor, "ops.monitored_universe", **(row | changes))
    for month, day in due.items():
        insert(cursor, "ops.due_month", source="file", universe=universe, origin_month=month, due_on=day)


def test_overdue_lists_monitored_due_unpublished_months(cursor: Cursor) -> None:
    ((today,),) = select(cursor, "select (now() at time zone 'UTC')::date")
    one, two, three = (months_back(today, months) for months in (1, 2, 3))
    now, yesterday = datetime.now(UTC), today - timedelta(days=1)
    past = {three: today - timedelta(days=60), two: today - timedelta(days=30), one: yesterday}

    monitor(cursor, "punctual", one, past)
    add_run(cursor, one, universe="punctual")
    monitor(cursor, "due today", one, {one: today})
    monitor(cursor, "late", three, past)
    add_run(cursor, two, universe="late")
    # All its runs failed.
    monitor(cursor, "never", three, past)
    failed = add_run(cursor, one, universe="never", status="failed", message="no source")
    monitor(cursor, "caught up", three, past)  # a late run by hand counts
    add_run(cursor, one, universe="caught up", started_at=now, finished_at=now)
    monitor(cursor, "retired", three, past, ended_at=now)
    monitor(cursor, "young", three, past, monitored_since=now)
    add_run(cursor, three, universe="by hand", started_at=now, finished_at=now)
    assert select(
        cursor,
        "select universe, origin_month, newest_origin_month, due_on, months_overdue, days_overdue, last_run_id, "
        "last_status, last_message from report.overdue where universe <> 'late' order by universe",
    ) == [("never", one, None, past[three], 3, 60, failed, "failed", "no source")]
    assert select(
        cursor,
        "select origin_month, newest_origin_month, due_on, months_overdue, days_overdue, last_status "
        "from report.overdue where universe = 'late'",
    ) == [(one, two, yesterday, 1, 1, "published")]


def test_overdue_needs_no_stored_due_dates(cursor: Cursor) -> None:
    """Five sessions are seven days, plus two for holidays: the tenth of the following month."""
    ((today,),) = select(cursor, "select (now() at time zone 'UTC')::date")
    monitor(cursor, "u", months_back(today, 3), {})
    ((due_on, months),) = select(cursor, "select due_on, months_overdue from report.overdue")
    assert due_on == months_back(today, 2) + timedelta(days=9)
    assert months == (3 if today.day > 10 else 2)


def test_monitored_universe_shows_the_next_month(cursor: Cursor) -> None:
    ((today,),) = select(cursor, "select (now() at time zone 'UTC')::date")
    last, this, following = (months_back(today, months) for months in (1, 0, -1))
    monitor(cursor, "new", last, {last: today})
    monitor(cursor, "published", months_back(today, 5), {this: following})
    add_run(cursor, last, universe="published")
    monitor(cursor, "retired", last, {}, ended_at=START)
    monitor(cursor, "young", last, {last: today}, monitored_since=datetime.now(UTC))
    assert select(
        cursor,
        "select universe, newest_origin_month, next_origin_month, next_due_on "
        "from report.monitored_universe order by 1",
    ) == [
        ("new", None, last, today),
        ("published", last, this, following),
        ("young", None, last, today + timedelta(days=1)),
    ]


def test_open_alert_excludes_cleared_alerts(cursor: Cursor) -> None:
    for subject, resolved_at in (("one", None), ("two", START)):
        insert(
            cursor,
            "ops.alert",
            kind="drift",
            subject=subject,
            severity="warning",
            title="",
            detail="",
            look_deeper_sql="",
            opened_at=START,
            resolved_at=resolved_at,
        )
    assert select(cursor, "select subject from report.open_alert") == [("one",)]
