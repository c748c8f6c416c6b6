"""The scorecard, column by column, against other libraries: published by the store, read as an analyst reads it."""

import io
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import psycopg2
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scipy import stats
from utilsforecast import losses

from model.evaluation.metrics import score_forecasts
from sql.scores import complete_scores
from sql.store import Backtest, ModelVersion, MonthKey, Publication, Store
from tasks.database import SCORE_FUNCTIONS
from tests.support.other_scores import (
    INTERVALS,
    LEVELS,
    QUANTILES,
    better_p,
    kupiec_p,
    kupiec_ratio,
    spearman,
    with_losses,
)
from tests.support.rows import query

FORECASTERS = ("hybrid", "baseline", "persistence")
ERROR_COLUMNS = ["run_id", "symbol", "horizon", "forecaster", "actual_log_return", "error", "crps"]
ERROR_COLUMNS += ["winkler_80", "winkler_95", "is_covered_80", "is_covered_95", "is_direction_right"]
WINDOWS = (3, 12, 60, None)
FIRST = pd.Timestamp("2010-01-01")
_names = itertools.count(1)


@dataclass(frozen=True)
class History:
    """Months of forecasts of one universe, with their outcomes."""

    universe: str
    rows: pd.DataFrame
    """One row per symbol, origin, horizon and forecaster; `actual` is NaN without a known outcome."""


def make_history(
    *,
    months: int,
    symbols: int,
    horizons: Sequence[int],
    seed: int,
    share_unknown: float = 0.0,
    currencies: Sequence[str] = ("USD",),
    decimals: int = 12,
) -> History:
    """Make forecasts from so many months, with the outcomes of target months up to the last one.

    A new model every eight months; the baseline is served in every third month. Few decimals make ties.
    """
    rng = np.random.default_rng(seed)
    names = [f"S{place:02}" for place in range(symbols)]
    movement = pd.Series(rng.uniform(0.01, 0.1, symbols).round(decimals), names)
    sectors = pd.Series([("Energy", "Utilities", None)[place % 3] for place in range(symbols)], names, dtype=object)
    exchanges = pd.Series([("XNYS", "XNAS")[place % 2] for place in range(symbols)], names)
    currency = pd.Series([currencies[place % len(currencies)] for place in range(symbols)], names)
    parts = []
    for month, horizon in itertools.product(range(months), horizons):
        width = movement.to_numpy() * math.sqrt(horizon)
        market = rng.normal(0.004, 0.03 * math.sqrt(horizon))
        actual = (market + rng.normal(size=symbols) * width).round(decimals)
        actual[rng.random(symbols) < share_unknown] = np.nan
        if month + horizon > months:
            actual[:] = np.nan
        for forecaster in FORECASTERS:
            location = rng.normal(0.003, 0.01, symbols).round(decimals) * (forecaster != "persistence")
            scale = width * {"hybrid": 1.0, "baseline": 1.1, "persistence": 1.5}[forecaster]
            quantiles = location[:, None] + scale[:, None] * stats.norm.ppf(LEVELS)
            part = pd.DataFrame(quantiles, columns=QUANTILES)
            parts.append(
                part.assign(
                    symbol=names,
                    month=month,
                    horizon=horizon,
                    forecaster=forecaster,
                    is_served=forecaster == ("baseline" if month % 3 == 2 else "hybrid"),
                    actual=actual,
                    version=month // 8,
                )
            )
    rows = pd.concat(parts, ignore_index=True)
    rows["origin_close"] = rows["symbol"].map(dict(zip(names, rng.uniform(5, 500, symbols), strict=True)))
    rows = rows.assign(
        origin_month=[FIRST + pd.DateOffset(months=int(month)) for month in rows["month"]],
        target_month=[
            FIRST + pd.DateOffset(months=int(month + horizon))
            for month, horizon in zip(rows["month"], rows["horizon"], strict=True)
        ],
        naive_mae=rows["symbol"].map(movement),
        currency_code=rows["symbol"].map(currency),
        sector=rows["symbol"].map(sectors),
        exchange_mic=rows["symbol"].map(exchanges),
    )
    return History(f"u{next(_names)}", rows)


def key_of(history: History, month: int) -> MonthKey:
    origin = FIRST + pd.DateOffset(months=month)
    return MonthKey(source="file", universe=history.universe, origin_month=origin.date())


def moment_of(month: int) -> datetime:
    return (FIRST + pd.DateOffset(months=month + 1, days=2)).to_pydatetime().replace(tzinfo=UTC)


def begin(store: Store, history: History, month: int, correction: int = 0) -> int:
    moment = moment_of(month)
    return store.begin_run(
        key_of(history, month),
        correction=correction,
        as_of=moment.date() - timedelta(days=2),
        known_at=moment,
        mode="auto",
        symbols_requested=1,
        flow_run_id=None,
        parameters={},
        software={},
        started_at=moment,
    )


def publication(**parts: Any) -> Publication:
    """Make a publication that is empty but for the parts given."""
    nothing = pd.DataFrame()
    whole: dict[str, Any] = {
        "served": "hybrid",
        "message": "",
        "new_model": None,
        "kept_model_id": None,
        "coefficients": nothing,
        "backtest_errors": nothing,
        "candidates": pd.DataFrame(columns=["candidate", "model_version_id"]),
        "origins": pd.DataFrame(columns=["symbol"]),
        "forecasts": pd.DataFrame(columns=["symbol"]),
        "errors": pd.DataFrame(columns=ERROR_COLUMNS),
        "restated_errors": pd.DataFrame(columns=ERROR_COLUMNS),
        "drift_checks": pd.DataFrame(columns=["horizon"]),
        "outcomes": pd.DataFrame(columns=["symbol"]),
        "alerts": [],
        "resolved_alerts": [],
    }
    return Publication(**(whole | parts))


def errors_of(history: History, run_ids: dict[int, int], rows: pd.DataFrame) -> pd.DataFrame:
    """Score forecasts as the program does."""
    actuals = rows.rename(columns={"actual": "log_return"}).drop_duplicates(["symbol", "origin_month", "horizon"])
    forecasts = rows[["symbol", "origin_month", "target_month", "horizon", "forecaster", *QUANTILES]]
    scored = score_forecasts(forecasts, actuals)
    months = dict(zip(rows["origin_month"], rows["month"], strict=True))
    scored["run_id"] = [run_ids[months[origin]] for origin in scored["origin_month"]]
    return scored[ERROR_COLUMNS]


def publish(store: Store, url: str, history: History, *, on_month: Callable[[], None] = lambda: None) -> dict[int, int]:
    """Publish every month of a history, each with the errors of the outcomes known by then; run ids by month."""
    locate(url, history.rows)
    rows, run_ids, model_id = history.rows, dict[int, int](), None
    last = int(rows["month"].max())
    for month in range(last + 2):  # one month more than there are forecasts: then all outcomes are known
        run_ids[month] = begin(store, history, month)
        forecasts = rows[rows["month"] == month]
        outcomes = rows[(rows["target_month"] == FIRST + pd.DateOffset(months=month)) & rows["actual"].notna()]
        new_model = None
        if month % 8 == 0 and len(forecasts):
            new_model = ModelVersion(
                kind="retrain",
                trained_through=FIRST.date(),
                holdout_start=FIRST.date(),
                holdout_end=FIRST.date(),
                verdict="hybrid",
                verdict_reason="",
                weights=b"",
                weights_sha256="0" * 64,
            )
        origin = ["symbol", "origin_month", "origin_close", "currency_code", "naive_mae", "sector"]
        columns = ["symbol", "origin_month", "horizon", "target_month", "forecaster", "is_served", *QUANTILES]
        store.publish(
            run_ids[month],
            publication(
                served="baseline" if month % 3 == 2 else "hybrid",
                new_model=new_model,
                kept_model_id=None if new_model else model_id,
                coefficients=pd.DataFrame(columns=["horizon"]),
                backtest_errors=pd.DataFrame(columns=["origin_month"]),
                origins=forecasts[origin].drop_duplicates("symbol").assign(origin_session=FIRST.date()),
                forecasts=forecasts[columns],
                errors=errors_of(history, run_ids, outcomes) if len(outcomes) else pd.DataFrame(columns=ERROR_COLUMNS),
            ),
            finished_at=moment_of(month),
        )
        if new_model is not None:
            ((model_id,),) = query(url, "select max(model_version_id) from forecast.model_version")
        on_month()
    return run_ids


def locate(url: str, rows: pd.DataFrame) -> None:
    """Store the instruments, with their exchanges."""
    listed = rows[["symbol", "exchange_mic", "currency_code"]].drop_duplicates("symbol")
    for symbol, mic, currency in listed.itertuples(index=False):
        query(
            url,
            "insert into market.instrument (symbol, source, exchange_mic, currency_code, known_at) "
            f"values ('{symbol}', 'file', '{mic}', '{currency}', now()) on conflict do nothing",
        )


def symbol_groups(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield every symbol group with its rows, scored or not."""
    yield "all", rows
    origins = rows.drop_duplicates("symbol").sort_values(["naive_mae", "symbol"])
    if len(origins) >= 9:
        for name, part in zip(("low", "middle", "high"), np.array_split(origins["symbol"].to_numpy(), 3), strict=True):
            yield f"volatility: {name}", rows[rows["symbol"].isin(part)]
    for column, name in (("sector", "sector"), ("exchange_mic", "exchange")):
        groups = list(rows.groupby(column))
        if column == "sector" or len(groups) > 1:
            for value, part in groups:
                yield f"{name}: {value}", part


def mean_losses(parts: dict[Any, pd.DataFrame]) -> pd.DataFrame:
    """Compute the losses of every part by utilsforecast; the index is the place of the part."""
    stacked = pd.concat(parts.values(), keys=range(len(parts)), names=["unique_id"]).reset_index(level=0)
    frame = stacked[["unique_id", *QUANTILES]].assign(y=stacked["actual"], m=stacked["q50"])
    for level, lower, upper in INTERVALS:
        frame = frame.assign(**{f"m-lo-{level}": stacked[lower], f"m-hi-{level}": stacked[upper]})
    prices = pd.DataFrame({"unique_id": stacked["unique_id"], "y": stacked["price"], "m": stacked["price_q50"]})
    means = {name: getattr(losses, name)(frame, ["m"]) for name in ("mae", "mse", "rmse")}
    means |= {f"{name}_price": getattr(losses, name)(prices, ["m"]) for name in ("mae", "mse", "rmse")}
    means |= {f"coverage_{level}": losses.coverage(frame, ["m"], level=level) for level in (80, 95)}
    means["pinball"] = losses.mqloss(frame, {"m": QUANTILES}, LEVELS)
    return pd.DataFrame({name: loss.set_index("unique_id")["m"] for name, loss in means.items()})


def expected_scores(
    made: int, scored: pd.DataFrame, references: pd.DataFrame, means: pd.Series, forecaster: str, horizon: int
) -> dict[str, Any]:
    """Compute a row of the scorecard.

    Args:
        made: Forecasts with and without a known outcome.
        scored: Those with a known outcome, oldest first.
        references: Scored forecasts of all forecasters.
        means: Row of `mean_losses`.
        forecaster: One of FORECASTERS, or served.
        horizon: Months ahead.
    """
    values: dict[str, Any] = means.to_dict()
    currencies = set(scored["currency_code"])
    values["currency_code"] = currencies.pop() if len(currencies) == 1 else None
    if values["currency_code"] is None:
        values |= dict.fromkeys(("mae_price", "mse_price", "rmse_price"))
    y, median = scored["actual"].to_numpy(), scored["q50"].to_numpy()
    months = scored.groupby("origin_month")
    values |= {
        "forecasts": len(scored),
        "unscored": made - len(scored),
        "months": months.ngroups,
        "mase": None if scored["scaled"].isna().all() else scored["scaled"].mean(),
        "crps": scored["crps"].mean(),
        "hit_rate": float(np.mean([(a > 0) == (m > 0) for a, m in zip(y, median, strict=True)])),
        "always_up_rate": float(np.mean([a > 0 for a in y])),
        "rank_ic": rank_ic(scored),
        "restated": 0,
        "mae_restated": values["mae"],
        "crps_restated": scored["crps"].mean(),
        "retrospective_share": 0,
    }
    forecasts = months.size().to_numpy(np.float64)
    for level in (80, 95):
        is_in = scored[f"covered_{level}"]
        covered = is_in.groupby(scored["origin_month"]).sum().to_numpy(np.float64)
        ratio = kupiec_ratio(float(is_in.mean()), len(scored), level / 100)
        values[f"winkler_{level}"] = scored[f"winkler_{level}"].mean()
        values[f"kupiec_p_{level}"] = kupiec_p(covered, forecasts, level / 100, horizon)
        values[f"kupiec_p_{level}_if_independent"] = float(stats.chi2.sf(ratio, 1))
    for name in ("persistence", "baseline"):
        reference = references[references["forecaster"] == name]
        difference = (months["crps"].mean() - reference.groupby("origin_month")["crps"].mean()).to_numpy()
        total = reference["crps"].sum()
        values[f"skill_vs_{name}"] = 1 - scored["crps"].sum() / total if total > 0 else None
        values[f"p_vs_{name}"] = None if forecaster == name else better_p(difference, horizon)
    return values


def rank_ic(scored: pd.DataFrame) -> float | None:
    """Mean rank correlation of the months that have one."""
    by_month = [
        spearman(tuple(scored["q50"].to_numpy()[rows]), tuple(scored["actual"].to_numpy()[rows]))
        for rows in scored.groupby("origin_month").indices.values()
    ]
    correlations = [correlation for correlation in by_month if correlation is not None]
    return float(np.mean(correlations)) if correlations else None


def expected_scorecard(history: History) -> dict[tuple[Any, ...], dict[str, Any]]:
    """All rows of the scorecard, by version (its place), forecaster, horizon, group and window."""
    rows = history.rows.sort_values(["origin_month", "symbol"], ignore_index=True)
    scored = with_losses(rows)
    newest = scored["target_month"].max()
    parts: dict[Any, pd.DataFrame] = {}
    sides: dict[Any, tuple[int, pd.DataFrame]] = {}
    for group, members in symbol_groups(rows):
        # A month without any known outcome has no row.
        known = members.groupby(["month", "horizon"])["actual"].transform("count") > 0
        outcomes = scored[scored["symbol"].isin(members["symbol"])]
        for version, horizon, window in itertools.product(
            (None, *rows["version"].unique()), rows["horizon"].unique(), WINDOWS
        ):

            def chosen(of: pd.DataFrame, version: Any = version, horizon: Any = horizon, window: Any = window) -> Any:
                is_in = of["horizon"] == horizon
                if version is not None:
                    is_in &= of["version"] == version
                if window is not None:
                    is_in &= of["target_month"] > newest - pd.DateOffset(months=window)
                return of[is_in]

            made, of_all = chosen(members[known]), chosen(outcomes)
            for forecaster in (*FORECASTERS, "served") if len(of_all) else ():
                name, value = ("is_served", True) if forecaster == "served" else ("forecaster", forecaster)
                key = (version, forecaster, int(horizon), group, window)
                parts[key] = of_all[of_all[name] == value]
                sides[key] = int((made[name] == value).sum()), of_all
    means = mean_losses(parts)
    return {
        key: expected_scores(sides[key][0], part, sides[key][1], means.loc[place], key[1], key[2])
        for place, (key, part) in enumerate(parts.items())
    }


def read_scorecard(url: str, history: History) -> dict[tuple[Any, ...], dict[str, Any]]:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("select * from report.scorecard where universe = %s", (history.universe,))
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    connection.close()
    versions = sorted({row["model_version_id"] for row in rows} - {None})
    return {
        (
            None if row["model_version_id"] is None else versions.index(row["model_version_id"]),
            row["forecaster"],
            row["horizon"],
            row["symbol_group"],
            row["window_months"],
        ): row
        for row in rows
    }


KEYS = {"source", "universe", "model_version_id", "forecaster", "horizon", "symbol_group", "window_months"}


def assert_scorecard_is_right(store: Store, url: str, history: History) -> None:
    """Compare every row and column with other libraries, to 1e-9."""
    scores, expected = read_scorecard(url, history), expected_scorecard(history)
    assert set(scores) == set(expected)
    for key, values in expected.items():
        row = scores[key]
        assert set(row) == set(values) | KEYS
        for column, value in values.items():
            if value is None or isinstance(value, str):
                assert row[column] == value, (key, column)
            else:
                assert row[column] is not None, (key, column, value)
                assert float(row[column]) == pytest.approx(value, rel=1e-9, abs=1e-9), (key, column)


def test_every_column_agrees_with_other_libraries(store: Store, database_url: str) -> None:
    """Twelve symbols, two sectors, two exchanges, three models, and windows of 3 and 12 months that cut the history."""
    history = make_history(months=17, symbols=12, horizons=(1, 3), seed=1, share_unknown=0.05)
    publish(store, database_url, history)
    assert_scorecard_is_right(store, database_url, history)
    scores = read_scorecard(database_url, history)
    # No column is empty in all rows, so each was compared.
    for column in {name for row in scores.values() for name in row} - KEYS:
        assert any(row[column] is not None for row in scores.values()), column
    groups = {key[3] for key in scores}
    assert groups == {
        "all",
        *(f"volatility: {third}" for third in ("low", "middle", "high")),
        *(f"sector: {name}" for name in ("Energy", "Utilities")),
        *(f"exchange: {mic}" for mic in ("XNAS", "XNYS")),
    }


@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a month takes a transaction: too slow to shrink
)
@given(
    months=st.integers(1, 7),
    symbols=st.integers(1, 10),
    horizons=st.sets(st.sampled_from([1, 2, 5]), min_size=1),
    seed=st.integers(0, 2**16),
    share_unknown=st.sampled_from([0.0, 0.3, 0.9]),
    currencies=st.sampled_from([("USD",), ("USD", "EUR")]),
    decimals=st.sampled_from([1, 2, 12]),
)
def test_every_column_agrees_for_histories_of_any_shape(store: Store, database_url: str, **shape: Any) -> None:
    """Few symbols or months, missing outcomes, several currencies, and ties."""
    shape["horizons"] = sorted(shape["horizons"])
    history = make_history(**shape)
    publish(store, database_url, history)
    if history.rows["actual"].notna().any():
        assert_scorecard_is_right(store, database_url, history)
    else:
        assert read_scorecard(database_url, history) == {}


def publish_scores(
    store: Store,
    history: History,
    month: int,
    *,
    errors: pd.DataFrame | None = None,
    restated: pd.DataFrame | None = None,
) -> int:
    """Publish a month without forecasts that scores earlier ones; returns its run."""
    nothing = pd.DataFrame(columns=ERROR_COLUMNS)
    run_id = begin(store, history, month)
    month_of_scores = publication(
        errors=nothing if errors is None else errors, restated_errors=nothing if restated is None else restated
    )
    store.publish(run_id, month_of_scores, finished_at=moment_of(month))
    return run_id


def scores_of_all(url: str, history: History, columns: str, forecaster: str = "served") -> tuple[Any, ...]:
    (row,) = query(
        url,
        f"select {columns} from report.scorecard where universe = '{history.universe}' and forecaster = '{forecaster}' "
        "and model_version_id is null and symbol_group = 'all' and window_months is null and horizon = 1",
    )
    return row


def state_of(url: str) -> list[list[tuple]]:
    """First errors, restated errors, month scores and the scorecard."""
    tables = ("forecast.forecast_error", "forecast.restated_error", "forecast.month_score", "forecast.scorecard")
    return [query(url, f"select * from {table} order by 1, 2, 3, 4, 5, 6, 7") for table in tables]


def moved(history: History, run_ids: dict[int, int], by: float) -> pd.DataFrame:
    """Errors of S00's first forecast one month ahead, with an outcome that is higher by `by`."""
    first = history.rows.query("month == 0 and horizon == 1 and symbol == 'S00'")
    return errors_of(history, run_ids, first.assign(actual=first["actual"] + by))


def test_scoring_twice_leaves_the_same_rows(store: Store, database_url: str) -> None:
    history = make_history(months=2, symbols=3, horizons=(1,), seed=2)
    run_ids = publish(store, database_url, history)
    before = state_of(database_url)
    again = errors_of(history, run_ids, history.rows.assign(actual=history.rows["actual"] + 1.0))
    publish_scores(store, history, 3, errors=again)
    assert state_of(database_url) == before


def test_restated_outcomes_are_stored_beside_the_first_errors(store: Store, database_url: str) -> None:
    history = make_history(months=2, symbols=2, horizons=(1,), seed=3)
    run_ids = publish(store, database_url, history)
    first_errors = query(database_url, "select * from forecast.forecast_error order by 1, 2, 3, 4")
    served = history.rows.query("month == 0 and symbol == 'S00' and is_served").iloc[0]
    mae, crps = scores_of_all(database_url, history, "mae, crps")
    error = abs(served["q50"] - served["actual"])

    run_id = publish_scores(store, history, 3, restated=moved(history, run_ids, 0.02))
    assert query(database_url, "select * from forecast.forecast_error order by 1, 2, 3, 4") == first_errors
    rows = query(
        database_url, "select forecaster, revision, actual_log_return, scored_by_run_id from forecast.restated_error"
    )
    assert sorted(rows) == [(name, 1, pytest.approx(served["actual"] + 0.02), run_id) for name in sorted(FORECASTERS)]
    scores = scores_of_all(database_url, history, "forecasts, restated, mae, mae_restated, crps")
    restated_mae = mae + (abs(served["q50"] - served["actual"] - 0.02) - error) / 4
    assert scores == (4, 1, mae, pytest.approx(restated_mae), crps)
    ((now,),) = query(
        database_url,
        "select restated_log_return from report.forecast_vs_actual where restated_at is not null and is_served",
    )
    assert now == pytest.approx(served["actual"] + 0.02)

    # The same outcome again changes nothing.
    before = state_of(database_url)
    publish_scores(store, history, 4, restated=moved(history, run_ids, 0.02))
    assert state_of(database_url) == before

    # Restated to the first outcome: both revisions are stored.
    publish_scores(store, history, 5, restated=moved(history, run_ids, 0.0))
    assert query(database_url, "select distinct revision from forecast.restated_error order by 1") == [(1,), (2,)]
    assert scores_of_all(database_url, history, "restated, mae_restated") == (1, pytest.approx(mae))


@pytest.mark.parametrize(("by", "rows"), [(0.9e-4, 0), (-0.9e-4, 0), (1.1e-4, 3), (-1.1e-4, 3)])
def test_outcomes_that_move_by_more_than_a_basis_point_are_restated(
    store: Store, database_url: str, by: float, rows: int
) -> None:
    history = make_history(months=1, symbols=1, horizons=(1,), seed=4)
    run_ids = publish(store, database_url, history)
    publish_scores(store, history, 3, restated=moved(history, run_ids, by))
    assert query(database_url, "select count(*) from forecast.restated_error") == [(rows,)]


def test_late_outcomes_join_the_scores_of_their_month(store: Store, database_url: str) -> None:
    """One symbol's bars are missing when the others are scored."""
    history = make_history(months=1, symbols=4, horizons=(1,), seed=5)
    is_late = history.rows["symbol"] == "S01"
    known_then = History(history.universe, history.rows.assign(actual=history.rows["actual"].mask(is_late)))
    run_ids = publish(store, database_url, known_then)
    assert_scorecard_is_right(store, database_url, known_then)
    assert scores_of_all(database_url, history, "forecasts, unscored") == (3, 1)
    publish_scores(store, history, 3, errors=errors_of(history, run_ids, history.rows[is_late]))
    assert scores_of_all(database_url, history, "forecasts, unscored") == (4, 0)
    assert_scorecard_is_right(store, database_url, history)


def test_analysts_can_read_scores_with_p_values(store: Store, postgres_home: Path, database_url: str) -> None:
    history = make_history(months=6, symbols=3, horizons=(1,), seed=6)
    publish(store, database_url, history)
    password = (postgres_home / "postgres" / "analyst.password").read_text().strip()
    address = database_url.rpartition("@")[2]
    analyst_url = f"postgresql://analyst:{quote(password, safe='')}@{address}"
    (row,) = query(
        analyst_url,
        "select kupiec_p_80, kupiec_p_80_if_independent, p_vs_persistence from report.scorecard "
        "where forecaster = 'served' and model_version_id is null and symbol_group = 'all' and window_months is null",
    )
    assert None not in row
    assert len(query(analyst_url, "select winkler_80 from report.forecast_vs_actual")) == 6 * 3 * 3


def test_upgrade_scores_the_errors_of_an_early_database(empty_database_url: str) -> None:
    """Two forecasts with errors of 0.03 and -0.01, stored before month scores existed."""
    quantiles = ", ".join(str((place - 6) / 100) for place in range(13))
    with Store(empty_database_url, score_functions=SCORE_FUNCTIONS) as store:
        store.upgrade("0005")
        query(
            empty_database_url,
            "insert into ops.run (source, universe, origin_month, as_of, known_at, status, mode, symbols_asked, "
            "served, parameters, software, started_at, finished_at) values ('file', 'u', '2020-01-01', '2020-01-31', "
            "now(), 'published', 'auto', 2, 'baseline', '{}', '{}', now(), now());"
            "insert into forecast.model_version (source, universe, kind, run_id, trained_through, judged_from, "
            "judged_through, seed, config, data_fingerprint, software, weights, weights_sha256, verdict, "
            "verdict_reason, verdict_numbers, created_at) select 'file', 'u', 'retrain', run_id, now(), now(), now(), "
            "0, '{}', '', '{}', '', repeat('0', 64), 'baseline', '', '[]', now() from ops.run;"
            "insert into forecast.forecast_origin select run_id, symbol, '2020-01-01', '2020-01-31', 100, 'USD', 0.05, "
            "model_version_id from forecast.model_version, (values ('A'), ('B')) v (symbol);"
            "insert into forecast.forecast select run_id, symbol, '2020-01-01', 1, '2020-02-01', 'baseline', true, "
            f"{quantiles} from forecast.forecast_origin;"
            "insert into forecast.forecast_error select run_id, symbol, 1, 'baseline', -error, error, 0.01, true, "
            "true, error < 0, run_id, now() from ops.run, (values ('A', 0.03::float8), ('B', -0.01)) v (symbol, error)",
        )
        before = query(empty_database_url, "select * from forecast.forecast_error order by symbol")
        store.upgrade()
    rows = query(empty_database_url, "select * from forecast.forecast_error order by symbol")
    assert [row[:-2] for row in rows] == before
    # Interval scores are new. The actuals -0.03 and 0.01 lie inside -0.04 … 0.04 and -0.06 … 0.06.
    assert [row[-2:] for row in rows] == [pytest.approx((0.08, 0.12))] * 2
    scores = query(
        empty_database_url,
        "select forecaster, forecasts, mae, hit_rate from report.scorecard where model_version_id is null "
        "and symbol_group = 'all' and window_months is null order by 1",
    )
    assert scores == [(name, 2, pytest.approx(0.02), 0.5) for name in ("baseline", "served")]


def test_upgrade_keeps_the_scorecard_of_a_scored_database(
    store: Store, database_url: str, empty_database_url: str
) -> None:
    """A database of revision 0010, whose scores were computed by views, has the same scorecard after the upgrade."""
    history = make_history(months=9, symbols=9, horizons=(2,), seed=15, share_unknown=0.1)
    publish(store, database_url, history)
    with Store(empty_database_url, score_functions=SCORE_FUNCTIONS) as earlier:
        earlier.upgrade("0010")
        for table in SCORED_TABLES:
            copy_rows(database_url, empty_database_url, table)
        earlier.upgrade()
    assert_scorecard_is_right(store, empty_database_url, history)
    assert read_scorecard(empty_database_url, history) == read_scorecard(database_url, history)
    winkler = "select run_id, symbol, horizon, forecaster, winkler_80, winkler_95 from report.forecast_vs_actual"
    assert sorted(query(empty_database_url, winkler)) == sorted(query(database_url, winkler))


SCORED_TABLES = (
    "market.instrument",
    "ops.run",
    "forecast.model_version",
    "forecast.forecast_origin",
    "forecast.forecast",
    "forecast.forecast_error",
    "forecast.month_score",
)


def copy_rows(source_url: str, target_url: str, table: str) -> None:
    """Copy a table to a database where it may have fewer columns."""
    columns = "select attname from pg_attribute where attrelid = '{}'::regclass and attnum > 0 and attgenerated = ''"
    names = ", ".join(name for (name,) in query(target_url, columns.format(table)))
    buffer = io.BytesIO()
    with psycopg2.connect(source_url) as source, source.cursor() as cursor:
        cursor.copy_expert(f"copy (select {names} from {table}) to stdout", buffer)
    source.close()
    buffer.seek(0)
    with psycopg2.connect(target_url) as target, target.cursor() as cursor:
        cursor.copy_expert(f"copy {table} ({names}) from stdin", buffer)
    target.close()


def test_publications_change_the_scorecard_as_a_complete_run_would(store: Store, database_url: str) -> None:
    """After each of 19 months, a correction, a late and a restated outcome; and versions leave their windows."""
    history = make_history(months=18, symbols=4, horizons=(1, 3), seed=16, share_unknown=0.2)
    publication_count = itertools.count()

    def assert_complete() -> None:
        next(publication_count)
        stored = sorted(query(database_url, "select s::text from forecast.scorecard s"))
        with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
            complete_scores(cursor, SCORE_FUNCTIONS)
            cursor.execute("select s::text from forecast.scorecard s")
            assert stored == sorted(cursor.fetchall())

    run_ids = publish(store, database_url, history, on_month=assert_complete)
    publish_scores(store, history, 20, restated=moved(history, run_ids, 0.02))
    assert_complete()
    is_late = history.rows["actual"].isna() & (history.rows["target_month"] < FIRST + pd.DateOffset(months=18))
    late = history.rows[is_late].assign(actual=0.01)
    publish_scores(store, history, 21, errors=errors_of(history, run_ids, late))
    assert_complete()
    for month in (17, 3):  # the newest scored month, and one that is in no window of three
        store.publish(begin(store, history, month, 1), publication(), finished_at=moment_of(22))
        assert_complete()
    assert next(publication_count) == 19 + 4


def test_publications_at_once_add_up_the_same_month(store: Store, database_url: str) -> None:
    """Two runs score one symbol each of the same forecasts; neither loses the other's."""
    history = make_history(months=1, symbols=4, horizons=(1,), seed=17)
    unknown = History(history.universe, history.rows.assign(actual=np.nan))
    run_ids = publish(store, database_url, unknown)

    def score(place: int) -> None:
        rows = history.rows[history.rows["symbol"] == f"S{place:02}"]
        publish_scores(store, history, 3 + place, errors=errors_of(history, run_ids, rows))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(score, range(4)))
    assert scores_of_all(database_url, history, "forecasts, unscored") == (4, 0)
    assert_scorecard_is_right(store, database_url, history)


def test_store_without_score_functions_publishes_nothing(store: Store, database_url: str) -> None:
    history = make_history(months=1, symbols=1, horizons=(1,), seed=18)
    with Store(database_url) as other:
        run_id = begin(other, history, 0)
        with pytest.raises(ValueError, match="score_functions"):
            other.publish(run_id, publication(), finished_at=moment_of(0))
    assert query(database_url, "select status from ops.run") == [("running",)]


def test_upgrade_without_score_functions_is_made_up_by_a_publication(store: Store, database_url: str) -> None:
    history = make_history(months=9, symbols=2, horizons=(1,), seed=19)
    publish(store, database_url, history)
    query(database_url, "truncate forecast.scorecard")
    publish_scores(store, history, 11)
    assert_scorecard_is_right(store, database_url, history)


def test_upgrade_computes_scores_that_a_migration_has_truncated(store: Store, database_url: str) -> None:
    """Migrations that add a measure truncate the month scores."""
    history = make_history(months=9, symbols=9, horizons=(2,), seed=20)
    publish(store, database_url, history)
    query(database_url, "truncate forecast.month_score, forecast.scorecard")
    query(database_url, "comment on schema report is 'views of an earlier release'")
    assert store.upgrade() is True
    assert_scorecard_is_right(store, database_url, history)


def test_upgrade_computes_the_scores_of_stored_backtests(store: Store, database_url: str) -> None:
    add_backtest(store)
    before = query(database_url, "select s::text from report.backtest_scorecard s order by 1")
    assert len(before) == 4
    query(database_url, "truncate forecast.backtest_scorecard")
    query(database_url, "comment on schema report is 'views of an earlier release'")
    assert store.upgrade() is True
    assert query(database_url, "select s::text from report.backtest_scorecard s order by 1") == before


def add_backtest(store: Store) -> None:
    """Store a backtest of one forecaster over twenty months."""
    origins = pd.date_range("2010-01-01", periods=20, freq="MS")
    columns = {"horizon": 1, "forecaster": "garch", "symbols": 2, "absolute_error": 0.03, "squared_error": 0.001}
    columns |= {"scaled_absolute_error": 0.6, "covered_80": [0.5, 1.0] * 10, "covered_95": 1.0, "went_up": 0.5}
    columns |= {"direction_right": 1.0, "persistence_crps": 0.04, "baseline_crps": np.nan, "winkler_80": 0.2}
    columns |= {"winkler_95": 0.4, "rank_ic": np.nan, "crps": np.linspace(0.01, 0.05, 20)}
    backtest = Backtest(
        source="file",
        universe="u",
        first_origin=origins[0].date(),
        last_origin=origins[-1].date(),
        refit="never",
        forecasters=("garch",),
        symbols=2,
        config={},
        software={},
        data_fingerprint="",
        started_at=moment_of(0),
        finished_at=moment_of(0),
    )
    store.add_backtest(backtest, pd.DataFrame({"origin_month": origins, **columns}))
