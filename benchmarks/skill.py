"""How much better than the random walk: fitted once on nothing after 2003-12, forecast at every month to 2017-11.

On the 128 symbols of ../shared/data/daily.csv.gz, by CRPS of the cumulative log return; skipped where that is absent.
"""

from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd

from model.backtest import score_origins
from model.config import ForecasterConfig
from model.features import make_panel
from model.forecaster import train
from model.months import build_months
from model.skill import compare, skill
from model.split import split_origins
from tasks.calendars import month_table
from tasks.sources import open_source

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "daily.csv.gz"
PERIODS = (
    ("2004-2008", "2003-12", "2008-11"),
    ("2009-2013", "2008-12", "2013-11"),
    ("2014-2017", "2013-12", "2017-11"),
)
HORIZONS = (1, 3, 6, 12)


def run() -> str:
    """Tables of skill and of coverage."""
    if not DATA.exists():
        return "## Skill\n\nNot measured: the recorded market data are not beside the checkout.\n"
    source = open_source(f"file:{DATA}")
    listed = source.instruments()
    assert listed is not None
    fetched = source.fetch(dict.fromkeys(listed["symbol"]), datetime.now(UTC))
    table = month_table("XNYS", date(1962, 1, 1), date(2018, 12, 18))
    months = build_months(fetched.bars, fetched.actions, table, pd.Timestamp("2018-12-18"))

    config = ForecasterConfig()
    panel = make_panel(months, config)
    past = panel.until(pd.Timestamp("2003-12-01"))
    forecaster = train(past, split_origins(len(past.months), config, is_judged=False), config)
    origins = pd.date_range("2003-12-01", "2017-11-01", freq="MS")
    scored = score_origins(forecaster, panel, panel.rows_of(list(origins)))

    losses = scored.groupby(["forecaster", "horizon", "origin_month"])["crps"].mean().unstack("forecaster")
    covered = scored[scored["forecaster"] == "hybrid"].groupby("horizon")[["is_covered_80", "is_covered_95"]].mean()
    lines = [
        "## Skill against the random walk",
        "",
        f"Epochs of the seeds: {', '.join(str(each) for each in forecaster.trained['epochs'])}.",
        "",
        "| months ahead | baseline | hybrid | hybrid against baseline (HLN p) | 80 % held | 95 % held |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for h in HORIZONS:
        own = losses.loc[h]
        gain = {name: skill(loss=own[name], reference=own["persistence"]) for name in ("baseline", "hybrid")}
        added = skill(loss=own["hybrid"], reference=own["baseline"])
        p = compare(loss=own["hybrid"], reference=own["baseline"], horizon=h).p_one_sided
        held = covered.loc[h]
        lines.append(
            f"| {h} | {gain['baseline']:.1%} | {gain['hybrid']:.1%} | {added:+.2%} ({p:.3f}) "
            f"| {held['is_covered_80']:.1%} | {held['is_covered_95']:.1%} |"
        )
    lines += ["", "Hybrid by period of origin:", "", "| months ahead | " + " | ".join(p[0] for p in PERIODS) + " |"]
    lines.append("| ---: |" + " ---: |" * len(PERIODS))
    for h in HORIZONS:
        own = losses.loc[h]
        parts = [own.loc[first:last] for _, first, last in PERIODS]
        gains = [skill(loss=part["hybrid"], reference=part["persistence"]) for part in parts]
        lines.append(f"| {h} | " + " | ".join(f"{gain:.1%}" for gain in gains) + " |")
    return "\n".join([*lines, ""])
