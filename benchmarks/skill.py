"""Skill of the forecasts against the random walk and other forecasters, trained once on months up to 2003-12.

Measured by the CRPS of the cumulative log return of the 128 symbols of ../shared/data/daily.csv.gz, for origins from
2003-12 to 2017-11.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import benchmark_forecasters
from model.bars.months import build_months
from model.config import ForecasterConfig
from model.evaluation.backtest import score_origins
from model.evaluation.metrics import crps
from model.evaluation.significance import compare, skill
from model.forecaster.features import Panel, make_panel
from model.forecaster.forecaster import train
from model.forecaster.split import split_origins
from model.quality.screening import screen
from tasks.calendars import month_table, sessions_between
from tasks.plans.sources import open_source

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "daily.csv.gz"
END = pd.Timestamp("2003-12-01")
ORIGINS = pd.date_range(END, "2017-11-01", freq="MS")
PERIODS = (
    ("2004-2008", "2003-12", "2008-11"),
    ("2009-2013", "2008-12", "2013-11"),
    ("2014-2017", "2013-12", "2017-11"),
)
HORIZONS = (1, 3, 6, 12)
TERCILES = ("low", "middle", "high")


def read_months() -> pd.DataFrame:
    """Build the months of the recorded symbols."""
    source = open_source(f"file:{DATA}")
    listed = source.instruments()
    assert listed is not None
    fetched = source.fetch(dict.fromkeys(listed["symbol"]), datetime.now(UTC))
    span = "XNYS", date(1962, 1, 1), date(2018, 12, 18)
    screened = screen(fetched.bars, fetched.actions, *sessions_between(*span))
    return build_months(screened.bars, screened.actions, month_table(*span), pd.Timestamp("2018-12-18"))


def run() -> str:
    """Return tables of skill, of coverage and of the median."""
    if not DATA.exists():
        return "## Skill\n\nNot measured: needs recorded market data in ../shared/data.\n"
    config = ForecasterConfig()
    months = read_months()
    panel = make_panel(months, config)
    past = panel.until(END)
    forecaster = train(past, split_origins(len(past.months), config, has_holdout=False), config)
    origins = panel.positions_of(list(ORIGINS))
    scored = score_origins(forecaster, panel, origins)
    losses = scored.groupby(["horizon", "origin_month", "forecaster"])["crps"].mean().unstack("forecaster")
    end = len(past.months) - 1
    losses["ewma"] = _mean_crps(
        panel, origins, benchmark_forecasters.pooled_ewma(months, panel, origins, end, config), config
    )
    losses["garch"] = _mean_crps(panel, origins, benchmark_forecasters.garch(panel, origins, end, config), config)
    epochs = ", ".join(str(count) for count in forecaster.trained["epochs"])
    return "\n".join(
        [
            "## Skill against the random walk",
            "",
            "1 - CRPS / CRPS of the random walk. In brackets: one-sided Harvey-Leybourne-Newbold p of the hybrid "
            f"against the column's forecaster. Epochs of the seeds: {epochs}.",
            "",
            *_skill_table(losses),
            "",
            "Hybrid by period of origin:",
            "",
            *_period_table(losses),
            "",
            "Coverage of the hybrid's intervals, by tercile of the symbol's volatility in the month:",
            "",
            *_coverage_table(scored, panel),
            "",
            "Error of the median relative to persistence with drift (the symbol's mean past return) and to no change:",
            "",
            *_median_table(scored, panel, origins, config),
            "",
        ]
    )


def _mean_crps(panel: Panel, origins: Sequence[int], forecast: np.ndarray, config: ForecasterConfig) -> pd.Series:
    """Return the mean CRPS over symbols, by horizon and origin_month, of quantiles [N, O, H, Q]."""
    actual = panel.y[:, list(origins)]
    loss = crps(actual=actual, quantiles=forecast, levels=config.quantile_levels)
    loss = np.where(panel.known[:, list(origins), None], loss, np.nan)
    mean = pd.DataFrame(np.nanmean(loss, axis=0), index=panel.months[list(origins)], columns=list(config.horizons))
    return mean.unstack().rename_axis(["horizon", "origin_month"])


def _skill_table(losses: pd.DataFrame) -> list[str]:
    names = ("ewma", "garch", "baseline", "hybrid")
    lines = ["| months ahead | pooled EWMA | GARCH(1,1) | baseline | hybrid |", "| ---: |" + " ---: |" * len(names)]
    for h in HORIZONS:
        group = losses.loc[h]
        cells = []
        for name in names:
            gain = skill(loss=group[name], reference=group["persistence"])
            p = compare(loss=group["hybrid"], reference=group[name], horizon=h).p_one_sided
            cells.append(f"{gain:.2%}" if name == "hybrid" else f"{gain:.2%} ({p:.3f})")
        lines.append(f"| {h} | " + " | ".join(cells) + " |")
    return lines


def _period_table(losses: pd.DataFrame) -> list[str]:
    lines = ["| months ahead | " + " | ".join(p[0] for p in PERIODS) + " |", "| ---: |" + " ---: |" * len(PERIODS)]
    for h in HORIZONS:
        parts = [losses.loc[h].loc[first:last] for _, first, last in PERIODS]
        gains = [skill(loss=part["hybrid"], reference=part["persistence"]) for part in parts]
        lines.append(f"| {h} | " + " | ".join(f"{gain:.1%}" for gain in gains) + " |")
    return lines


def _coverage_table(scored: pd.DataFrame, panel: Panel) -> list[str]:
    hybrid = scored[scored["forecaster"] == "hybrid"]
    sigma = pd.DataFrame(panel.sigma.T, index=panel.months, columns=list(panel.symbols))
    rank = np.ceil(sigma.rank(axis=1, pct=True) * len(TERCILES)).unstack()
    tercile = rank.rename("tercile").rename_axis(["symbol", "origin_month"])
    hybrid = hybrid.join(tercile, on=["symbol", "origin_month"])
    heading = "| months ahead | interval | all | " + " | ".join(TERCILES) + " |"
    lines = [heading, "| ---: | ---: |" + " ---: |" * 4]
    for h in HORIZONS:
        rows = hybrid[hybrid["horizon"] == h]
        for level in (80, 95):
            covered = rows.groupby("tercile")[f"is_covered_{level}"].mean()
            cells = [rows[f"is_covered_{level}"].mean(), *covered]
            lines.append(f"| {h} | {level} % | " + " | ".join(f"{cell:.1%}" for cell in cells) + " |")
    return lines


def _median_table(scored: pd.DataFrame, panel: Panel, origins: Sequence[int], config: ForecasterConfig) -> list[str]:
    actual = panel.y[:, list(origins)]
    errors = {"drift": benchmark_forecasters.drift(panel, origins, config) - actual, "none": -actual}
    hybrid = scored[scored["forecaster"] == "hybrid"]
    lines = [
        "| months ahead | RMSE / drift | MAE / drift | RMSE / no change | MAE / no change |",
        "| ---: |" + " ---: |" * 4,
    ]
    for h in HORIZONS:
        error = hybrid.loc[hybrid["horizon"] == h, "error"].to_numpy()
        cells = []
        for name in ("drift", "none"):
            other = errors[name][..., h - 1][panel.known[:, list(origins)]]
            other = other[np.isfinite(other)]
            cells += [np.sqrt(np.mean(error**2) / np.mean(other**2)), np.mean(np.abs(error)) / np.mean(np.abs(other))]
        lines.append(f"| {h} | " + " | ".join(f"{cell:.4f}" for cell in cells) + " |")
    return lines
