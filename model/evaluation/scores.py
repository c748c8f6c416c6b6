"""Scores of published forecasts and of backtests: each measure is computed here, once, and stored.

Errors are added up in two steps. `month_scores` adds up the forecasts of one run and horizon, by forecaster and symbol
group. `scorecard` turns the months of a universe into means, shares and p-values, by model version and trailing window.
`backtest_scorecard` does the same for the monthly means of a backtest. docs/scores.md defines every measure and lists
the places to change for a new one.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from model import Floats, Ints
from model.evaluation.metrics import rank_ic_by_group
from model.evaluation.significance import better_p, coverage_p, kupiec_p

WINDOWS = (3, 12, 60, None)
"""Trailing windows in target months; None is the whole history."""

REFERENCES = ("persistence", "baseline")
"""Forecasters that the others are compared with."""

INTERVALS = {80: 0.8, 95: 0.95}
"""Nominal share of each central interval, by its suffix in column names."""

MONTH_KEYS = ["run_id", "horizon", "forecaster", "symbol_group"]
SCORECARD_KEYS = ["model_version_id", "forecaster", "horizon", "symbol_group", "window_months"]
BACKTEST_SCORECARD_KEYS = ["forecaster", "horizon", "window_months"]

_TARGET = ["run_id", "horizon", "symbol"]
_THIRDS = np.array(["volatility: low", "volatility: middle", "volatility: high"], dtype=object)
_FEWEST_FOR_THIRDS = 9  # symbols of a run


def month_scores(forecasts: pd.DataFrame, origins: pd.DataFrame) -> pd.DataFrame:
    """Add up the errors of runs and horizons, by forecaster and symbol group.

    Args:
        forecasts: All forecasts of the runs and horizons: run_id, horizon, symbol, forecaster, is_served,
            origin_month, target_month, the quantiles, and actual_log_return, error, crps, winkler_80, winkler_95,
            is_covered_80, is_covered_95, is_direction_right (NaN without an outcome), restated_error and restated_crps
            (NaN unless the outcome was restated).
        origins: All origins of the runs: run_id, symbol, model_version_id, origin_close, currency_code, naive_mae,
            sector, exchange_mic.

    Returns:
        Rows of `forecast.month_score`. Forecaster `served` is the served forecaster of each forecast. Groups without
        an outcome are omitted.
    """
    rows = forecasts.merge(origins, on=["run_id", "symbol"], validate="many_to_one")
    for name in REFERENCES:
        reference = rows.loc[rows["forecaster"] == name, [*_TARGET, "crps"]]
        rows = rows.merge(reference.rename(columns={"crps": f"{name}_crps"}), on=_TARGET, how="left")
    rows = pd.concat([rows, rows[rows["is_served"].astype(bool)].assign(forecaster="served")], ignore_index=True)
    rows = rows.merge(symbol_groups(origins), on=["run_id", "symbol"])
    made = rows.groupby(MONTH_KEYS).size()
    rows = rows[rows["error"].notna()].reset_index(drop=True)

    groups = rows.groupby(MONTH_KEYS)
    number, keys = np.asarray(groups.ngroup(), dtype=np.int64), groups.size().index
    months = groups[["model_version_id", "origin_month", "target_month"]].first()
    months["forecasts"] = made.reindex(keys)
    months["scored"] = groups.size()
    months["currency_code"] = _shared(rows["currency_code"], number)
    terms = pd.DataFrame(_month_terms(rows))
    months = months.join(terms.groupby(number).sum().set_axis(keys))
    for name in REFERENCES:  # both forecasters on the same symbols, or no comparison
        known = rows[f"{name}_crps"].groupby(number).count().to_numpy()
        months[f"sum_{name}_crps"] = months[f"sum_{name}_crps"].where(known == months["scored"])
    months["rank_ic"] = rank_ic_by_group(
        actual=rows["actual_log_return"].to_numpy(),
        forecast=rows["q50"].to_numpy(),
        group=number,
        groups=len(keys),
    )
    return months.reset_index()


def symbol_groups(origins: pd.DataFrame) -> pd.DataFrame:
    """Assign the symbols of every run to their groups.

    Args:
        origins: run_id, symbol, naive_mae, sector, exchange_mic; all symbols of each run.

    Returns:
        run_id, symbol, symbol_group: `all`; `volatility: low`, `middle` and `high`, thirds by naive_mae, in runs of
        nine symbols or more; `sector: …` where known; `exchange: …` in runs with several.
    """
    keys = ["run_id", "symbol"]
    ordered = origins.sort_values(["run_id", "naive_mae", "symbol"], ignore_index=True)
    run = ordered.groupby("run_id")["symbol"]
    place, size = run.cumcount().to_numpy(), run.transform("size").to_numpy()
    # The first size % 3 thirds have one symbol more.
    base, extra = size // 3, size % 3
    third = (place >= base + (extra > 0)).astype(int) + (place >= 2 * base + extra)
    has_thirds = size >= _FEWEST_FOR_THIRDS
    has_exchanges = origins.groupby("run_id")["exchange_mic"].transform("nunique") > 1
    in_sector, on_exchange = (
        origins[origins["sector"].notna()],
        origins[has_exchanges & origins["exchange_mic"].notna()],
    )
    parts = [
        origins[keys].assign(symbol_group="all"),
        ordered.loc[has_thirds, keys].assign(symbol_group=_THIRDS[third[has_thirds]]),
        in_sector[keys].assign(symbol_group="sector: " + in_sector["sector"].astype(str)),
        on_exchange[keys].assign(symbol_group="exchange: " + on_exchange["exchange_mic"].astype(str)),
    ]
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def scorecard(months: pd.DataFrame, is_changed: "pd.Series[bool]") -> pd.DataFrame:
    """Scores of one universe, by model version, forecaster, horizon, symbol group and trailing window.

    Args:
        months: Rows of `forecast.month_score` of all published runs in force, and is_retrospective of the run.
        is_changed: Whether a row's model version gets scores of its own. All rows count for all versions together.

    Returns:
        Rows of `forecast.scorecard` without source and universe; model_version_id is null for all versions together.
    """
    newest = months.loc[months["symbol_group"] == "all", "target_month"].max()
    by_version = months[is_changed].astype({"model_version_id": "Int64"})
    together = months.assign(model_version_id=pd.array([None] * len(months), dtype="Int64"))
    rows = pd.concat([together, by_version], ignore_index=True)
    return _score(rows, newest, SCORECARD_KEYS, _measures)


def backtest_scorecard(errors: pd.DataFrame) -> pd.DataFrame:
    """Scores of one backtest, by forecaster, horizon and trailing window; months count equally.

    Args:
        errors: Of `model.evaluation.backtest.mean_errors`.

    Returns:
        Rows of `forecast.backtest_scorecard` without the columns of the backtest.
    """
    origin = errors["origin_month"].to_numpy().astype("datetime64[M]")
    target = (origin + errors["horizon"].to_numpy().astype("timedelta64[M]")).astype("datetime64[ns]")
    rows = errors.assign(target_month=target)
    return _score(rows, rows["target_month"].max(), BACKTEST_SCORECARD_KEYS, _backtest_measures)


class _Groups:
    """Months in groups: G groups, T months of the longest, oldest first."""

    def __init__(self, rows: pd.DataFrame, keys: list[str]) -> None:
        self.rows = rows.sort_values("origin_month", kind="stable", ignore_index=True)
        grouped = self.rows.groupby(keys, dropna=False, sort=False)
        self._number: Ints = np.asarray(grouped.ngroup(), dtype=np.int64)
        self._place = grouped.cumcount().to_numpy()
        self.keys = self.rows.loc[self._place == 0, keys].reset_index(drop=True)
        self.months: Ints = np.bincount(self._number)

    def total(self, values: pd.Series) -> Floats:
        """[G] sum, without NaN."""
        weights = values.fillna(0).to_numpy(np.float64)
        return np.asarray(np.bincount(self._number, weights=weights), dtype=np.float64)

    def count(self, values: pd.Series) -> Ints:
        """[G] values that are not NaN."""
        return np.bincount(self._number, weights=values.notna()).astype(np.int64)

    def mean(self, values: pd.Series) -> Floats:
        """[G] mean, without NaN; NaN where nothing else is there."""
        return _ratio(self.total(values), self.count(values))

    def series(self, values: pd.Series) -> Floats:
        """[G, T] a row per group, NaN behind its last month."""
        table: Floats = np.full((len(self.months), self.months.max()), np.nan)
        table[self._number, self._place] = values
        return table

    def shared(self, values: pd.Series) -> npt.NDArray[np.object_]:
        """[G] the one value of the group, None where it has several or a null."""
        return _shared(values, self._number)


def _month_terms(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Terms of the sums: by column of `forecast.month_score`, the value of each forecast."""
    price_error = rows["origin_close"] * (np.exp(rows["q50"]) - np.exp(rows["actual_log_return"]))
    scaled_error = rows["error"].abs() / rows["naive_mae"].where(rows["naive_mae"] != 0)
    is_restated = rows["restated_error"].notna()
    return {
        "sum_absolute_error": rows["error"].abs(),
        "sum_squared_error": rows["error"] ** 2,
        "sum_absolute_price_error": price_error.abs(),
        "sum_squared_price_error": price_error**2,
        "scaled": scaled_error.notna(),
        "sum_scaled_error": scaled_error,
        "sum_crps": rows["crps"],
        "sum_persistence_crps": rows["persistence_crps"],
        "sum_baseline_crps": rows["baseline_crps"],
        "sum_winkler_80": rows["winkler_80"],
        "sum_winkler_95": rows["winkler_95"],
        "covered_80": rows["is_covered_80"].astype(bool),
        "covered_95": rows["is_covered_95"].astype(bool),
        "directions_right": rows["is_direction_right"].astype(bool),
        "went_up": rows["actual_log_return"] > 0,
        "restated": is_restated,
        "sum_absolute_error_now": rows["restated_error"].where(is_restated, rows["error"]).abs(),
        "sum_crps_now": rows["restated_crps"].where(is_restated, rows["crps"]),
    }


def _measures(groups: _Groups, horizon: int) -> dict[str, Any]:
    """[G] measures of published forecasts, by column of `forecast.scorecard`."""
    rows = groups.rows
    forecasts = groups.total(rows["scored"])

    def mean(column: str) -> Floats:
        return groups.total(rows[column]) / forecasts

    currency_code = groups.shared(rows["currency_code"])
    has_prices = np.array([code is not None for code in currency_code], dtype=bool)
    mse_price = np.where(has_prices, mean("sum_squared_price_error"), np.nan)
    measures = {
        "forecasts": _whole(forecasts),
        "unscored": _whole(groups.total(rows["forecasts"]) - forecasts),
        "months": groups.months,
        "mae": mean("sum_absolute_error"),
        "mse": mean("sum_squared_error"),
        "rmse": np.sqrt(mean("sum_squared_error")),
        "mae_price": np.where(has_prices, mean("sum_absolute_price_error"), np.nan),
        "mse_price": mse_price,
        "rmse_price": np.sqrt(mse_price),
        "currency_code": currency_code,
        "mase": _ratio(groups.total(rows["sum_scaled_error"]), groups.total(rows["scaled"])),
        "crps": mean("sum_crps"),
        "pinball": mean("sum_crps") / 2,
        "winkler_80": mean("sum_winkler_80"),
        "winkler_95": mean("sum_winkler_95"),
        "coverage_80": mean("covered_80"),
        "coverage_95": mean("covered_95"),
        "hit_rate": mean("directions_right"),
        "always_up_rate": mean("went_up"),
        "rank_ic": groups.mean(rows["rank_ic"]),
        "restated": _whole(groups.total(rows["restated"])),
        "mae_restated": mean("sum_absolute_error_now"),
        "crps_restated": mean("sum_crps_now"),
        "retrospective_share": groups.total(rows["scored"].where(rows["is_retrospective"].astype(bool))) / forecasts,
    }
    for level in INTERVALS:
        measures |= _coverage_p_values(groups, rows[f"covered_{level}"], rows["scored"], level, horizon)
    for name in REFERENCES:
        reference = rows[f"sum_{name}_crps"]
        saved = groups.total(rows["sum_crps"].where(reference.notna()))
        measures[f"skill_vs_{name}"] = 1.0 - _ratio(saved, groups.total(reference))
        measures[f"p_vs_{name}"] = _p_vs(groups, (rows["sum_crps"] - reference) / rows["scored"], name, horizon)
    return measures


def _backtest_measures(groups: _Groups, horizon: int) -> dict[str, Any]:
    """[G] measures of a backtest, by column of `forecast.backtest_scorecard`."""
    rows = groups.rows
    mse, crps = groups.mean(rows["squared_error"]), groups.mean(rows["crps"])
    measures = {
        "forecasts": _whole(groups.total(rows["symbols"])),
        "months": groups.months,
        "mae": groups.mean(rows["absolute_error"]),
        "mse": mse,
        "rmse": np.sqrt(mse),
        "mase": groups.mean(rows["scaled_absolute_error"]),
        "crps": crps,
        "pinball": crps / 2,
        "winkler_80": groups.mean(rows["winkler_80"]),
        "winkler_95": groups.mean(rows["winkler_95"]),
        "coverage_80": groups.mean(rows["covered_80"]),
        "coverage_95": groups.mean(rows["covered_95"]),
        "hit_rate": groups.mean(rows["direction_right"]),
        "always_up_rate": groups.mean(rows["went_up"]),
        "rank_ic": groups.mean(rows["rank_ic"]),
    }
    for level in INTERVALS:
        covered = rows[f"covered_{level}"] * rows["symbols"]
        measures |= _coverage_p_values(groups, covered, rows["symbols"], level, horizon)
    for name in REFERENCES:
        reference = rows[f"{name}_crps"]
        measures[f"skill_vs_{name}"] = 1.0 - _ratio(crps, groups.mean(reference))
        measures[f"p_vs_{name}"] = _p_vs(groups, rows["crps"] - reference, name, horizon)
    return measures


def _coverage_p_values(
    groups: _Groups, covered: pd.Series, forecasts: pd.Series, level: int, horizon: int
) -> dict[str, Floats]:
    """[G] p-values of the share covered: of dependent forecasts, and as if they were independent."""
    nominal, total = INTERVALS[level], groups.total(forecasts)
    share = np.minimum(groups.total(covered) / total, 1.0)
    dependent = coverage_p(
        covered=groups.series(covered), forecasts=groups.series(forecasts), level=nominal, horizon=horizon
    )
    return {
        f"kupiec_p_{level}": dependent,
        f"kupiec_p_{level}_if_independent": kupiec_p(share=share, forecasts=total, level=nominal),
    }


def _p_vs(groups: _Groups, difference: pd.Series, reference: str, horizon: int) -> Floats:
    """[G] one-sided p-values of monthly differences of loss; NaN for the reference itself."""
    return better_p(groups.series(difference.where(groups.rows["forecaster"] != reference)), horizon)


def _score(
    rows: pd.DataFrame,
    newest: pd.Timestamp,
    keys: list[str],
    measure: Callable[[_Groups, int], dict[str, Any]],
) -> pd.DataFrame:
    """The keys and measures of every group and trailing window back from the newest target month."""
    parts = []
    for horizon in np.unique(rows["horizon"]):
        groups = _Groups(_repeat_by_window(rows[rows["horizon"] == horizon], newest), keys)
        parts.append(pd.concat([groups.keys, pd.DataFrame(measure(groups, int(horizon)))], axis=1))
    scores: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return scores


def _repeat_by_window(rows: pd.DataFrame, newest: pd.Timestamp) -> pd.DataFrame:
    """Each row once per trailing window that contains its target month."""
    parts = []
    for months in WINDOWS:
        part = rows if months is None else rows[rows["target_month"] > newest - pd.DateOffset(months=months)]
        parts.append(part.assign(window_months=pd.array([months] * len(part), dtype="Int64")))
    return pd.concat(parts, ignore_index=True)


def _shared(values: pd.Series, group: Ints) -> npt.NDArray[np.object_]:
    """[G] the one value of each group, None where a group has several or a null."""
    codes, names = pd.factorize(values)
    by_group = pd.Series(codes).groupby(group)
    lowest, highest = by_group.min().to_numpy(), by_group.max().to_numpy()
    last_is_null = np.array([*names, None], dtype=object)
    return np.asarray(np.where(lowest == highest, last_is_null[lowest], None), dtype=object)


def _ratio(numerator: Floats, denominator: Floats | Ints) -> Floats:
    """[G] quotient; NaN where the denominator is zero or NaN."""
    is_valid = np.nan_to_num(denominator) != 0
    return np.where(is_valid, numerator / np.where(is_valid, denominator, 1.0), np.nan)


def _whole(values: Floats) -> Ints:
    return np.rint(values).astype(np.int64)
