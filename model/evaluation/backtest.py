"""Forecasts from past origins and their scores, for the gate and for backtests."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from model import Floats, quantile_names
from model.config import ForecasterConfig
from model.evaluation import benchmark_forecasters
from model.evaluation.metrics import rank_ic, score_forecasts
from model.evaluation.significance import compare, skill
from model.forecaster.features import Panel, make_panel
from model.forecaster.forecaster import Forecaster, train
from model.forecaster.split import split_origins
from model.forecaster.training import Epoch
from model.frames import (
    BACKTEST_ERROR_TYPES,
    BACKTEST_SUMMARY_TYPES,
    FORECAST_TYPES,
    MONTH_TYPES,
    MONTHLY_KEYS,
    OUTCOME_FORECAST_TYPES,
    PANEL_COLUMNS,
    RETURN_COLUMNS,
    SUMMARY_ERROR_COLUMNS,
    check_frame,
)

TRAINED = ("hybrid", "baseline")
"""Forecasters trained on all symbols together; `--refit` sets how often."""
SIMPLE = ("persistence", "drift")
"""Forecasters without fitted parameters."""
FITTED = ("garch", "ets")
"""Forecasters fitted symbol by symbol, once a year."""
BACKTEST_FORECASTERS = (*TRAINED, *SIMPLE, *FITTED)

REFIT_MONTHS = {"monthly": 1, "yearly": 12, "never": None}
"""Origins per fit; None = all origins."""

_YEAR = 12
_LONG_SPAN = 120  # origins; a longer backtest is also summarised by period
_PERIOD = 60  # approximate origins per period


@dataclass(frozen=True)
class Fold:
    """Consecutive origins that share one fit, and the forecasters of the fold."""

    origins: tuple[pd.Timestamp, ...]
    """First days of consecutive months."""
    forecasters: tuple[str, ...]

    @property
    def fitted_at(self) -> pd.Timestamp:
        """Last month of the data that the fold is fitted on."""
        return self.origins[0]


def plan_folds(origins: Sequence[pd.Timestamp], refit: str, forecasters: Sequence[str]) -> list[Fold]:
    """Split the origins into folds; folds with trained forecasters come first because they take longest.

    With origins 2003-12 … 2005-01 and `yearly`: 2003-12 … 2004-11 are fitted at 2003-12, and 2004-12 … 2005-01 at
    2004-12. The forecasters of FITTED are refitted every twelve origins regardless of `refit`. Those of SIMPLE share
    the folds of the trained ones.

    Args:
        origins: First days of consecutive months.
        refit: A name of REFIT_MONTHS.
        forecasters: Names of BACKTEST_FORECASTERS.

    Returns:
        The folds.
    """
    trained, simple, fitted = ([name for name in forecasters if name in group] for group in (TRAINED, SIMPLE, FITTED))
    every = REFIT_MONTHS[refit] if trained else None
    folds = _cut(origins, every, [*trained, *simple]) if trained or simple else []
    return [*folds, *(_cut(origins, _YEAR, fitted) if fitted else [])]


def forecast_fold(
    months: pd.DataFrame, fold: Fold, config: ForecasterConfig, *, on_epoch: Callable[[Epoch], None] | None = None
) -> Iterator[pd.DataFrame]:
    """Fit at the first origin of a fold and forecast from all of its origins, a year of origins at a time.

    The fit uses the months up to the first origin, of the symbols with data by then. Each forecast uses the months
    up to its own origin.

    Args:
        months: Frame of MONTH_TYPES; not changed.
        fold: The fold; its origins must be months of the frame.
        config: Configuration of the forecaster.
        on_epoch: Called after each epoch of a training.

    Yields:
        Frames of OUTCOME_FORECAST_TYPES with quantile columns, sorted by forecaster, origin, symbol and horizon.
        `actual_log_return` is NaN where a month up to the target is unknown. A symbol without the origin month or
        without a forecast has no rows.

    Raises:
        ValueError: If a column is missing, or there are too few months up to the first origin to train.
    """
    check_frame(months, MONTH_TYPES, "months", PANEL_COLUMNS)
    ends = fold.origins[-1] + pd.DateOffset(months=config.longest_horizon)
    panel = make_panel(months[months["month"] <= ends], config)
    forecaster = None
    if set(fold.forecasters) & set(TRAINED):
        # Not `Panel.until`: it keeps symbols without data by then, which would change the training batches.
        past = make_panel(months[months["month"] <= fold.fitted_at], config)
        split = split_origins(len(past.months), config, has_holdout=False)
        forecaster = train(past, split, config, on_epoch=on_epoch)
    (end,) = panel.positions_of([fold.fitted_at])
    for start in range(0, len(fold.origins), _YEAR):
        origins = panel.positions_of(fold.origins[start : start + _YEAR])
        parts = [
            _benchmark_frame(panel, origins, end, name, config) for name in fold.forecasters if name not in TRAINED
        ]
        if forecaster is not None:
            forecasts = forecaster.forecast_many(panel, list(panel.months[origins]))
            is_wanted = forecasts["forecaster"].isin(set(fold.forecasters) & set(TRAINED))
            parts.insert(0, forecasts[is_wanted])
        yield _with_actuals(pd.concat(parts, ignore_index=True), panel)


def origin_symbols(months: pd.DataFrame) -> pd.DataFrame:
    """Return the origins that each symbol can be forecast from.

    An origin is a final month at or after the symbol's first known return.

    Args:
        months: Frame of MONTH_TYPES; the columns RETURN_COLUMNS are used.

    Returns:
        symbol and origin_month, sorted by both.

    Raises:
        ValueError: If a column is missing or has another type.
    """
    check_frame(months, MONTH_TYPES, "months", RETURN_COLUMNS)
    final = months[months["is_final"]].sort_values(["symbol", "month"])
    has_return = final["log_return"].notna().groupby(final["symbol"]).cummax()
    origins = final.loc[has_return, ["symbol", "month"]].rename(columns={"month": "origin_month"})
    return origins.reset_index(drop=True)


def mean_errors(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Average the scores of forecasts with a known outcome over the symbols of each origin.

    Args:
        forecasts: Frame of `forecast_fold` with all forecasters of each origin.

    Returns:
        Frame of BACKTEST_ERROR_TYPES. `persistence_crps` and `baseline_crps` are averaged over the symbols of the
        row's own forecaster, so that both sides of a comparison cover the same symbols.

    Raises:
        ValueError: If a column is missing or has another type.
    """
    check_frame(forecasts, OUTCOME_FORECAST_TYPES, "forecasts")
    actuals = forecasts[["symbol", "origin_month", "horizon", "actual_log_return"]]
    actuals = actuals.rename(columns={"actual_log_return": "log_return"})
    actuals = actuals.drop_duplicates(["symbol", "origin_month", "horizon"])
    scored = score_forecasts(forecasts.drop(columns="actual_log_return"), actuals)
    naive = forecasts.drop_duplicates(["symbol", "origin_month"])[["symbol", "origin_month", "naive_mae"]]
    scored = scored.merge(naive, on=["symbol", "origin_month"], how="left")
    target = ["symbol", "origin_month", "horizon"]
    for reference in ("persistence", "baseline"):
        losses = scored.loc[scored["forecaster"] == reference, [*target, "crps"]]
        scored = scored.merge(losses.rename(columns={"crps": f"{reference}_crps"}), on=target, how="left")
    error = scored["error"]
    scored = scored.assign(
        absolute_error=error.abs(),
        squared_error=error**2,
        scaled_absolute_error=error.abs() / scored["naive_mae"].where(scored["naive_mae"] > 0),
        went_up=scored["actual_log_return"] > 0,
    )
    means = scored.groupby(MONTHLY_KEYS).agg(
        symbols=("symbol", "size"),
        crps=("crps", "mean"),
        absolute_error=("absolute_error", "mean"),
        squared_error=("squared_error", "mean"),
        scaled_absolute_error=("scaled_absolute_error", "mean"),
        winkler_80=("winkler_80", "mean"),
        winkler_95=("winkler_95", "mean"),
        covered_80=("is_covered_80", "mean"),
        covered_95=("is_covered_95", "mean"),
        direction_right=("is_direction_right", "mean"),
        went_up=("went_up", "mean"),
        persistence_crps=("persistence_crps", "mean"),
        baseline_crps=("baseline_crps", "mean"),
    )
    ranks = {
        key: rank_ic(actual=group["actual_log_return"].to_numpy(), forecast=group["median"].to_numpy())
        for key, group in scored.groupby(MONTHLY_KEYS)
    }
    return means.assign(rank_ic=pd.Series(ranks, dtype="float64")).reset_index()[list(BACKTEST_ERROR_TYPES)]


def summarise_errors(errors: pd.DataFrame) -> pd.DataFrame:
    """Average the errors of a backtest over months, for all origins and by period in backtests above ten years.

    Args:
        errors: Frame of `mean_errors` for all origins; the columns SUMMARY_ERROR_COLUMNS are used.

    Returns:
        Frame of BACKTEST_SUMMARY_TYPES, sorted by period, horizon and the order of BACKTEST_FORECASTERS. The p-values
        are those of the Harvey-Leybourne-Newbold test: 1 with too few months, NaN without the reference and for the
        reference itself.

    Raises:
        ValueError: If a column is missing or has another type.
    """
    check_frame(errors, BACKTEST_ERROR_TYPES, "errors", SUMMARY_ERROR_COLUMNS)
    rows: list[dict[str, Any]] = []
    for period, part in _periods(errors):
        groups = dict(list(part.sort_values("origin_month").groupby(["horizon", "forecaster"])))
        for horizon, forecaster in sorted(groups, key=lambda key: (key[0], BACKTEST_FORECASTERS.index(key[1]))):
            group = groups[horizon, forecaster]
            loss = group["crps"]
            rows.append(
                {
                    "period": period,
                    "horizon": horizon,
                    "forecaster": forecaster,
                    "months": len(group),
                    "crps": float(loss.mean()),
                    "skill_vs_persistence": skill(loss=loss, reference=group["persistence_crps"]),
                    "p_vs_persistence": _p_value(group, "persistence"),
                    "p_vs_baseline": _p_value(group, "baseline"),
                    "coverage_80": float(group["covered_80"].mean()),
                    "coverage_95": float(group["covered_95"].mean()),
                }
            )
    return pd.DataFrame(rows, columns=list(BACKTEST_SUMMARY_TYPES))


def known_returns(panel: Panel, positions: Sequence[int]) -> pd.DataFrame:
    """Return the known outcomes of origins.

    Args:
        panel: Panel with the targets.
        positions: Positions of the origins on the time axis.

    Returns:
        Frame of ACTUAL_TYPES without unknown returns, sorted by symbol, origin and horizon.
    """
    y = panel.y[:, list(positions)]  # [N, origins, H]
    symbol, origin, horizon = np.nonzero(np.isfinite(y))
    return pd.DataFrame(
        {
            "symbol": np.asarray(panel.symbols, dtype=object)[symbol],
            "origin_month": panel.months[np.asarray(positions, dtype=np.int64)[origin]],
            "horizon": horizon + 1,
            "log_return": y[symbol, origin, horizon],
        }
    ).astype({"symbol": "str"})


def score_origins(forecaster: Forecaster, panel: Panel, positions: Sequence[int]) -> pd.DataFrame:
    """Score every forecaster at the given origins, where the outcome is known.

    Args:
        forecaster: Forecaster; its training data must end by the first origin, else the scores are too good.
        panel: Features and targets.
        positions: Positions of the origins on the time axis.

    Returns:
        Frame of SCORE_TYPES.
    """
    forecasts = forecaster.forecast_many(panel, list(panel.months[list(positions)]))
    return score_forecasts(forecasts, known_returns(panel, positions))


def _cut(origins: Sequence[pd.Timestamp], every: int | None, forecasters: Sequence[str]) -> list[Fold]:
    step = every or len(origins)
    return [Fold(tuple(origins[at : at + step]), tuple(forecasters)) for at in range(0, len(origins), step)]


def _benchmark_frame(
    panel: Panel, origins: Sequence[int], end: int, name: str, config: ForecasterConfig
) -> pd.DataFrame:
    """Return the forecasts of a benchmark forecaster, sorted by origin, symbol and horizon.

    Returns:
        Frame of FORECAST_TYPES with quantile columns.
    """
    if name in SIMPLE:
        values = {"persistence": benchmark_forecasters.persistence, "drift": benchmark_forecasters.drift}[name](
            panel, origins, config
        )
    else:
        values = {"garch": benchmark_forecasters.garch, "ets": benchmark_forecasters.ets}[name](
            panel, origins, end, config
        )
    by_origin = values.swapaxes(0, 1)  # [O, N, H, Q]
    place, symbol, column = np.nonzero(np.isfinite(by_origin).all(axis=-1))
    origin = panel.months[np.asarray(origins, dtype=np.int64)[place]]
    horizon = np.array(config.horizons)[column]
    frame = pd.DataFrame(
        {
            "symbol": np.asarray(panel.symbols, dtype=object)[symbol],
            "origin_month": origin,
            "target_month": (origin.to_numpy().astype("datetime64[M]") + horizon).astype("datetime64[ns]"),
            "horizon": horizon,
            "forecaster": name,
        },
        columns=list(FORECAST_TYPES),
    ).astype({"symbol": "str"})
    levels = quantile_names(config.quantile_levels)
    return pd.concat([frame, pd.DataFrame(by_origin[place, symbol, column], columns=levels)], axis=1)


def _with_actuals(forecasts: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """Add `actual_log_return` and `naive_mae` to forecasts."""
    symbol = pd.Index(panel.symbols).get_indexer(pd.Index(forecasts["symbol"]))
    month = panel.months.get_indexer(pd.DatetimeIndex(forecasts["origin_month"]))
    moves = np.nancumsum(np.abs(panel.returns), axis=1)
    naive_mae: Floats = np.where(panel.age > 0, moves / np.maximum(panel.age, 1.0), np.nan)
    return forecasts.assign(
        actual_log_return=panel.y[symbol, month, forecasts["horizon"].to_numpy() - 1],
        naive_mae=naive_mae[symbol, month],
    )


def _periods(errors: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield all errors, then those of each period of about five years if the backtest is longer than ten."""
    yield "all", errors
    origins = np.sort(errors["origin_month"].unique())
    if len(origins) <= _LONG_SPAN:
        return
    for part in np.array_split(origins, round(len(origins) / _PERIOD)):
        first, last = pd.Timestamp(part[0]), pd.Timestamp(part[-1])
        yield f"{first:%Y-%m} … {last:%Y-%m}", errors[errors["origin_month"].between(first, last)]


def _p_value(errors: pd.DataFrame, reference: str) -> float:
    """Return the one-sided p-value of a lower CRPS than the reference, both on the same symbols."""
    loss = errors[f"{reference}_crps"]
    if loss.isna().all() or (errors["forecaster"] == reference).all():
        return float("nan")
    return compare(loss=errors["crps"], reference=loss, horizon=int(errors["horizon"].iloc[0])).p_one_sided
