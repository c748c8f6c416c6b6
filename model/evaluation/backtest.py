"""Forecasts of many past origins, scored: what the gate judges and a backtest reports."""

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

TRAINED = ("hybrid", "baseline")
"""Forecasters that learn from all symbols together, by the backtest's rule of refitting."""
SIMPLE = ("persistence", "drift")
"""Forecasters with nothing to fit but means of what is known."""
FITTED = ("garch", "ets")
"""Forecasters fitted symbol by symbol, once a year."""
FORECASTERS = (*TRAINED, *SIMPLE, *FITTED)

REFIT_MONTHS = {"monthly": 1, "yearly": 12, "never": None}
"""Origins that one fit serves; None is all of them."""

FOLD_KEYS = ["symbol", "origin_month", "target_month", "horizon", "forecaster"]
BACKTEST_KEYS = ["origin_month", "horizon", "forecaster"]

_YEAR = 12
_LONG_SPAN = 120  # origins beyond which a backtest is also looked at by period
_PERIOD = 60  # origins of a period, about


@dataclass(frozen=True)
class Fold:
    """Origins forecast with what was fitted at the first of them, and by whom."""

    origins: tuple[pd.Timestamp, ...]
    """First days of consecutive months."""
    forecasters: tuple[str, ...]

    @property
    def fitted_at(self) -> pd.Timestamp:
        """The last month that any fit of the fold knows."""
        return self.origins[0]


def plan_folds(origins: Sequence[pd.Timestamp], refit: str, forecasters: Sequence[str]) -> list[Fold]:
    """Cut the origins into folds, those that are trained first: they take longest.

    With origins 2003-12 … 2005-01 and `yearly`: 2003-12 … 2004-11 fitted at 2003-12, and 2004-12 … 2005-01 fitted at
    2004-12. Forecasters fitted symbol by symbol are refitted every twelve origins whatever the rule, and those with
    nothing to fit go along with the trained ones.

    Args:
        origins: First days of consecutive months.
        refit: A name of REFIT_MONTHS.
        forecasters: Names of FORECASTERS.
    """
    trained, simple, fitted = ([each for each in forecasters if each in group] for group in (TRAINED, SIMPLE, FITTED))
    every = REFIT_MONTHS[refit] if trained else None
    folds = _cut(origins, every, [*trained, *simple]) if trained or simple else []
    return [*folds, *(_cut(origins, _YEAR, fitted) if fitted else [])]


def forecast_fold(
    months: pd.DataFrame, fold: Fold, config: ForecasterConfig, *, on_epoch: Callable[[Epoch], None] | None = None
) -> Iterator[pd.DataFrame]:
    """Fit at the fold's first origin and forecast from all of them, a year of origins at a time.

    What is fitted sees nothing but the months up to the first origin, of the symbols that are there by then; each
    forecast reads the months up to its own origin.

    Args:
        months: Frame of `model.bars.months.build_months`; not changed.
        fold: Its origins must be months of the frame.
        config: All choices.
        on_epoch: Called after each pass of a training.

    Yields:
        FOLD_KEYS, a column a quantile of the log return to the target month, `actual_log_return` (NaN where the
        months up to the target are not all known) and `naive_mae` (the symbol's mean absolute monthly log return up
        to the origin), sorted by forecaster, origin, symbol and horizon. A symbol without the month or without a
        forecast has no rows.

    Raises:
        ValueError: If there are too few months up to the first origin to train.
    """
    ends = fold.origins[-1] + pd.DateOffset(months=config.longest_horizon)
    panel = make_panel(months[months["month"] <= ends], config)
    forecaster = None
    if set(fold.forecasters) & set(TRAINED):
        # Not `Panel.until`: a symbol of which nothing was known yet would still have its place among the batches.
        past = make_panel(months[months["month"] <= fold.fitted_at], config)
        split = split_origins(len(past.months), config, has_holdout=False)
        forecaster = train(past, split, config, on_epoch=on_epoch)
    (end,) = panel.positions_of([fold.fitted_at])
    for start in range(0, len(fold.origins), _YEAR):
        origins = panel.positions_of(fold.origins[start : start + _YEAR])
        parts = [_peer_frame(panel, origins, end, name, config) for name in fold.forecasters if name not in TRAINED]
        if forecaster is not None:
            everything = forecaster.forecast_many(panel, list(panel.months[origins]))
            wanted = set(fold.forecasters) & set(TRAINED)
            parts.insert(0, everything[everything["forecaster"].isin(wanted)])
        yield _with_actuals(pd.concat(parts, ignore_index=True), panel)


def origin_symbols(months: pd.DataFrame) -> pd.DataFrame:
    """The origins a symbol can be forecast from: symbol, origin_month of final months with a return so far.

    Args:
        months: Frame of `model.bars.months.build_months`.
    """
    final = months[months["is_final"]].sort_values(["symbol", "month"])
    has_return = final["log_return"].notna().groupby(final["symbol"]).cummax()
    there = final.loc[has_return, ["symbol", "month"]].rename(columns={"month": "origin_month"})
    return there.reset_index(drop=True)


def mean_errors(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Means over the symbols of whole origins, of whatever can be scored.

    Args:
        forecasts: Of `forecast_fold`; every forecaster of an origin together.

    Returns:
        One row of BACKTEST_KEYS: symbols, crps, absolute_error, squared_error, scaled_absolute_error (over
        `naive_mae`), winkler_80, winkler_95, covered_80, covered_95, direction_right and went_up (shares),
        persistence_crps and baseline_crps, the CRPS of those two on the very symbols of the row: NaN where they are
        not among them, and rank_ic.
    """
    actuals = forecasts[["symbol", "origin_month", "horizon", "actual_log_return"]]
    actuals = actuals.rename(columns={"actual_log_return": "log_return"})
    actuals = actuals.drop_duplicates(["symbol", "origin_month", "horizon"])
    scored = score_forecasts(forecasts.drop(columns="actual_log_return"), actuals)
    naive = forecasts.drop_duplicates(["symbol", "origin_month"])[["symbol", "origin_month", "naive_mae"]]
    scored = scored.merge(naive, on=["symbol", "origin_month"], how="left")
    target = ["symbol", "origin_month", "horizon"]
    for reference in ("persistence", "baseline"):
        own = scored.loc[scored["forecaster"] == reference, [*target, "crps"]]
        scored = scored.merge(own.rename(columns={"crps": f"{reference}_crps"}), on=target, how="left")
    error = scored["error"]
    scored = scored.assign(
        absolute_error=error.abs(),
        squared_error=error**2,
        scaled_absolute_error=error.abs() / scored["naive_mae"].where(scored["naive_mae"] > 0),
        went_up=scored["actual_log_return"] > 0,
    )
    means = scored.groupby(BACKTEST_KEYS).agg(
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
        key: rank_ic(actual=own["actual_log_return"].to_numpy(), forecast=own["median"].to_numpy())
        for key, own in scored.groupby(BACKTEST_KEYS)
    }
    return means.assign(rank_ic=pd.Series(ranks, dtype="float64")).reset_index()


def summarise_errors(errors: pd.DataFrame) -> pd.DataFrame:
    """Scores of a backtest, months counted equally: over all origins and, beyond ten years of them, by period.

    Args:
        errors: Of `mean_errors`, all origins.

    Returns:
        One row a period, horizon and forecaster: period ("all", or its first and last origin), horizon, forecaster,
        months, crps, skill_vs_persistence, p_vs_persistence, p_vs_baseline (one-sided HLN, 1 with too few months,
        NaN against itself or nobody), coverage_80, coverage_95. Sorted by period, horizon and the order of
        FORECASTERS.
    """
    rows: list[dict[str, Any]] = []
    for period, part in _periods(errors):
        groups = dict(list(part.sort_values("origin_month").groupby(["horizon", "forecaster"])))
        for horizon, forecaster in sorted(groups, key=lambda key: (key[0], FORECASTERS.index(key[1]))):
            own = groups[horizon, forecaster]
            loss = own["crps"]
            rows.append(
                {
                    "period": period,
                    "horizon": horizon,
                    "forecaster": forecaster,
                    "months": len(own),
                    "crps": float(loss.mean()),
                    "skill_vs_persistence": skill(loss=loss, reference=own["persistence_crps"]),
                    "p_vs_persistence": _p_value(own, "persistence"),
                    "p_vs_baseline": _p_value(own, "baseline"),
                    "coverage_80": float(own["covered_80"].mean()),
                    "coverage_95": float(own["covered_95"].mean()),
                }
            )
    return pd.DataFrame(rows)


def known_returns(panel: Panel, positions: Sequence[int]) -> pd.DataFrame:
    """What came after origins: symbol, origin_month, horizon, log_return, of the targets that the panel knows.

    Args:
        panel: Its targets.
        positions: Of the origins on the time axis.
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
    """Scores of every forecaster at the origins whose targets are known; SCORE_COLUMNS of `model.evaluation.metrics`.

    Args:
        forecaster: Trained on nothing that happened after the first origin, or the scores flatter it.
        panel: Features and targets.
        positions: Of the origins on the time axis.
    """
    forecasts = forecaster.forecast_many(panel, list(panel.months[list(positions)]))
    return score_forecasts(forecasts, known_returns(panel, positions))


def _cut(origins: Sequence[pd.Timestamp], every: int | None, forecasters: Sequence[str]) -> list[Fold]:
    step = every or len(origins)
    return [Fold(tuple(origins[at : at + step]), tuple(forecasters)) for at in range(0, len(origins), step)]


def _peer_frame(panel: Panel, origins: Sequence[int], end: int, name: str, config: ForecasterConfig) -> pd.DataFrame:
    """FOLD_KEYS and quantiles of a peer, sorted by origin, symbol and horizon."""
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
        }
    ).astype({"symbol": "str"})
    levels = quantile_names(config.quantile_levels)
    return pd.concat([frame, pd.DataFrame(by_origin[place, symbol, column], columns=levels)], axis=1)


def _with_actuals(forecasts: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """The forecasts with what came, and with how far the symbol moves in a usual month."""
    symbol = pd.Index(panel.symbols).get_indexer(pd.Index(forecasts["symbol"]))
    month = panel.months.get_indexer(pd.DatetimeIndex(forecasts["origin_month"]))
    moves = np.nancumsum(np.abs(panel.returns), axis=1)
    usual: Floats = np.where(panel.age > 0, moves / np.maximum(panel.age, 1.0), np.nan)
    return forecasts.assign(
        actual_log_return=panel.y[symbol, month, forecasts["horizon"].to_numpy() - 1], naive_mae=usual[symbol, month]
    )


def _periods(errors: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """All errors, then those of parts of about five years when there are more than ten."""
    yield "all", errors
    origins = np.sort(errors["origin_month"].unique())
    if len(origins) <= _LONG_SPAN:
        return
    for part in np.array_split(origins, round(len(origins) / _PERIOD)):
        first, last = pd.Timestamp(part[0]), pd.Timestamp(part[-1])
        yield f"{first:%Y-%m} … {last:%Y-%m}", errors[errors["origin_month"].between(first, last)]


def _p_value(own: pd.DataFrame, reference: str) -> float:
    """One-sided p of being better than the reference, both on the same symbols."""
    theirs = own[f"{reference}_crps"]
    if theirs.isna().all() or (own["forecaster"] == reference).all():
        return float("nan")
    return compare(loss=own["crps"], reference=theirs, horizon=int(own["horizon"].iloc[0])).p_one_sided
