"""The protocol that choices of the forecaster are made by: `python -m benchmarks.protocol DAILY WIDE [CACHE]`.

DAILY and WIDE are files of daily bars (CSV and Parquet). Panels: all symbols of DAILY, four random quarters of WIDE,
and random universes of 2, 5, 10 and 20 symbols of DAILY and of a quarter. Folds: fitted to the data up to a month and
evaluated on the origins of the next six years. A quarter and its universes use vintages of the other quarters.
CACHE is a directory for the months, which take two minutes to build.

The table has points of skill (percent of the CRPS of the random walk) above the former baseline: the mean over panels
and folds, and the worst fold against the better of the former baseline and the pooled EWMA.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

from benchmarks.pretrain import read_wide_months, train_vintage
from benchmarks.skill import read_months
from model import Floats
from model.config import ForecasterConfig
from model.evaluation.metrics import crps
from model.evaluation.significance import compare
from model.forecaster.baseline import Baseline, fit_baseline, quantiles
from model.forecaster.calibration import market_scale
from model.forecaster.features import RHYTHM_HORIZONS, Panel, make_panel
from model.forecaster.training_rows import eligible_rows, month_weights
from model.forecaster.vintages import find_vintage

FOLDS = ("1985-12", "1991-12", "1997-12", "2003-12", "2009-12")
"""Last months of the data that a fold is fitted to."""
VINTAGES = {"1997-12": "1997-12", "2003-12": "2003-12", "2009-12": "2008-12"}
"""Fold, and the vintage that it may use."""
HORIZONS = (1, 3, 6, 12)
YEARS = 6
SIZES = {2: 30, 5: 30, 10: 30, 20: 30}
"""Symbols of the random universes, and their number, half of them from each file."""
_FEWEST_MONTHS = 300  # of a symbol of a small universe
_CONFIG = ForecasterConfig()


@dataclass(frozen=True)
class Case:
    """One panel of the protocol."""

    panel: str
    """Name of the group that is averaged over."""
    months: pd.DataFrame
    vintages: Mapping[str, Baseline]
    """By fold; a fold without one has none."""


def former_panel(months: pd.DataFrame) -> Panel:
    """Return the panel of the former baseline: constant location, no quarter rhythm, the market's terms not shrunk."""
    panel = make_panel(months, replace(_CONFIG, market_half_weight_symbols=0.0, location_market_weight=0.0))
    x = panel.x.copy()
    x[..., -RHYTHM_HORIZONS:] = 0.0
    return replace(panel, x=x)


def losses(case: Case, fold: str) -> pd.DataFrame:
    """Return the mean CRPS over symbols, indexed by origin month; columns (forecaster, horizon).

    Forecasters: random_walk, ewma (pooled), former and baseline.
    """
    panel, former = make_panel(case.months, _CONFIG), former_panel(case.months)
    last = pd.Timestamp(fold)
    end = int(panel.months.searchsorted(last, side="right"))
    origins = range(_CONFIG.burn_in_months, end - _CONFIG.longest_horizon)
    evaluated = np.arange(end - 1, min(end - 1 + 12 * YEARS, len(panel.months) - 1))
    vintage = case.vintages.get(fold)
    # The former baseline extrapolated its terms.
    own = replace(
        fit_baseline(former.until(last), origins, _CONFIG),
        term_low=np.full(panel.x.shape[2], -np.inf),
        term_high=np.full(panel.x.shape[2], np.inf),
    )
    fits = {"former": (own, former), "baseline": (fit_baseline(panel.until(last), origins, _CONFIG, vintage), panel)}
    columns = {}
    for h in HORIZONS:
        unit = panel.sigma[:, evaluated] * np.sqrt(h)
        walk = panel.random_walk_sd[:, evaluated] * np.sqrt(h)
        forecasts = {name: _quantiles(*fit, evaluated, h) for name, fit in fits.items()}
        forecasts["ewma"] = unit[..., None] * _pooled(panel.until(last), origins, h)
        forecasts["random_walk"] = walk[..., None] * norm.ppf(_CONFIG.quantile_levels)
        target = np.where(panel.known, panel.y[..., h - 1], np.nan)[:, evaluated]
        for name, forecast in forecasts.items():
            columns[name, h] = _mean_loss(target, forecast)
    frame = pd.DataFrame(columns, index=panel.months[evaluated])
    return frame.dropna(how="all")


def _quantiles(baseline: Baseline, panel: Panel, evaluated: np.ndarray, h: int) -> Floats:
    scale = baseline.scale_at(h - 1, panel.sigma, panel.x) * market_scale(baseline, panel, _CONFIG)
    location = np.broadcast_to(baseline.location[h - 1] * panel.location_factor, scale.shape)
    return quantiles(location, scale, baseline.standardised_quantiles[h - 1])[:, evaluated]


def _pooled(panel: Panel, origins: Sequence[int], h: int) -> Floats:
    """[Q] weighted quantiles of the past returns in units of sigma sqrt(h)."""
    rows = eligible_rows(panel, origins, h, _CONFIG)
    weights = month_weights(rows, origins, _CONFIG)
    standard = panel.y[..., h - 1][rows] / (panel.sigma[rows] * np.sqrt(h))
    order = np.argsort(standard)
    share = np.cumsum(weights[order]) - weights[order] / 2
    return np.interp(_CONFIG.quantile_levels, share, standard[order])


def _mean_loss(target: Floats, forecast: Floats) -> Floats:
    """[T] mean CRPS over symbols, NaN without a known target."""
    loss = crps(actual=target, quantiles=forecast, levels=_CONFIG.quantile_levels)
    known = np.isfinite(loss)
    return np.where(
        known.any(axis=0), np.where(known, loss, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1), np.nan
    )


def skills(frame: pd.DataFrame) -> pd.DataFrame:
    """Return 100 (1 - CRPS / CRPS of the random walk): one row per forecaster, one column per horizon."""
    mean = frame.mean()
    names = dict.fromkeys(frame.columns.get_level_values(0))
    return pd.DataFrame(
        {h: {name: 100 * (1 - mean[name, h] / mean["random_walk", h]) for name in names} for h in HORIZONS}
    )


def make_cases(daily: pd.DataFrame, wide: pd.DataFrame) -> Iterator[Case]:
    """Yield the panels: all symbols of `daily`, the quarters of `wide`, and the random universes."""
    rng = np.random.default_rng(7)
    shipped = {fold: find_vintage(pd.Timestamp(name), _CONFIG) for fold, name in VINTAGES.items()}
    own = {fold: vintage.baseline for fold, vintage in shipped.items() if vintage is not None}
    yield Case("daily, all", daily, own)
    quarters = np.array_split(rng.permutation(np.array(sorted(wide["symbol"].unique()))), 4)
    first: dict[str, Baseline] = {}
    for number, quarter in enumerate(quarters):
        others = wide[~wide["symbol"].isin(quarter)]
        trained = {fold: train_vintage(others, name, _CONFIG).baseline for fold, name in VINTAGES.items()}
        first = first or trained
        yield Case(f"wide, quarter {number + 1}", wide[wide["symbol"].isin(quarter)], trained)
    sources = {"daily": (daily, own), "wide": (wide[wide["symbol"].isin(quarters[0])], first)}
    for size, count in SIZES.items():
        for name, (months, vintages) in sources.items():
            lengths = months[months["is_final"]].groupby("symbol").size()
            symbols = np.array(sorted(lengths.index[lengths >= _FEWEST_MONTHS]))
            for _ in range(count // 2):
                chosen = rng.choice(symbols, size, replace=False)
                yield Case(f"{name}, {size} symbols", months[months["symbol"].isin(chosen)], vintages)


def run(daily: pd.DataFrame, wide: pd.DataFrame) -> str:
    """Evaluate all panels and folds; return a Markdown table."""
    rows = []
    for case in make_cases(daily, wide):
        for fold in FOLDS:
            if "symbols" in case.panel and fold not in VINTAGES:
                continue
            try:
                frame = losses(case, fold)
            except ValueError:  # no row of training: the symbols begin later
                continue
            skill = skills(frame)
            best = np.maximum(skill.loc["former"], skill.loc["ewma"])
            for h in HORIZONS:
                test = compare(loss=frame["baseline", h], reference=frame["former", h], horizon=h)
                rows.append(
                    {
                        "panel": case.panel, "fold": fold, "horizon": h, "p": test.p_one_sided,
                        "gain": skill.loc["baseline", h] - skill.loc["former", h],
                        "against_best": skill.loc["baseline", h] - best[h],
                        "skill": skill.loc["baseline", h],
                    }
                )  # fmt: skip
    table = pd.DataFrame(rows)
    return "\n\n".join([_by_panel(table), _by_fold(table)])


def _by_panel(table: pd.DataFrame) -> str:
    gain = table.pivot_table(index="panel", columns="horizon", values="gain", sort=False)
    means = table.groupby(["panel", "fold", "horizon"], sort=False)["against_best"].mean().reset_index()
    worst = means.pivot_table(index="panel", columns="horizon", values="against_best", aggfunc="min", sort=False)
    lines = ["| panel | gain 1 m | 3 m | 6 m | 12 m | worst fold 1 m | 3 m | 6 m | 12 m |", "|" + " --- |" * 9]
    for panel in gain.index:
        cells = [f"{value:+.2f}" for value in [*gain.loc[panel], *worst.loc[panel]]]
        lines.append(f"| {panel} | {' | '.join(cells)} |")
    cells = [f"{value:+.2f}" for value in [*gain.mean(), *worst.min()]]
    return "\n".join([*lines, f"| **mean, worst** | {' | '.join(cells)} |"])


def _by_fold(table: pd.DataFrame) -> str:
    large = table[~table["panel"].str.contains("symbols")]
    gain = large.pivot_table(index="fold", columns="horizon", values="gain")
    lines = ["| fold (large panels) | gain 1 m | 3 m | 6 m | 12 m |", "|" + " --- |" * 5]
    return "\n".join([*lines, *(f"| {f} | {' | '.join(f'{v:+.2f}' for v in gain.loc[f])} |" for f in gain.index)])


def _cached(path: Path | None, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    if path is not None and path.exists():
        return pd.read_parquet(path)
    months = make()
    if path is not None:
        months.to_parquet(path)
    return months


def main(daily: Path, wide: Path, cache: Path | None = None) -> None:
    """Print the tables."""
    months = _cached(cache / "daily.parquet" if cache else None, read_months)
    print(run(months, _cached(cache / "wide.parquet" if cache else None, lambda: read_wide_months(wide))))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
