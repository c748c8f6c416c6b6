"""Train the vintages of `model/pretrained` on a wide panel of symbols: `python -m benchmarks.pretrain FILE`.

FILE is a Parquet file of daily bars: ticker, date, open, high, low, close, adj_close, volume. The months are those of a
monthly run: the same actions, rules and calendar. Takes about three minutes and 3 GB for 900 symbols.
"""

import hashlib
import json
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from model.bars.adjustment import read_adjusted_steps
from model.bars.months import build_months
from model.config import ForecasterConfig
from model.forecaster.baseline import fit_baseline
from model.forecaster.features import make_panel
from model.forecaster.vintages import Vintage, to_json
from model.quality.screening import screen
from tasks.calendars import month_table, sessions_between

DATES = ("1997-12", "2003-12", "2008-12", "2013-12", "2018-06")
"""Last months that the vintages are trained through."""
DIRECTORY = Path(__file__).parents[1] / "model" / "pretrained"

_MIC = "XNYS"
_CHUNK = 50  # symbols


def read_wide_months(path: Path) -> pd.DataFrame:
    """Return the months of the accepted symbols of a Parquet file, as a monthly run would build them."""
    bars = pq.read_table(path).to_pandas().rename(columns={"ticker": "symbol", "date": "session"})
    bars["session"] = pd.to_datetime(bars["session"]).astype("datetime64[ns]")
    numbers = ["open", "high", "low", "close", "adj_close", "volume"]
    bars[numbers] = bars[numbers].astype("float64")
    bars[["open", "volume"]] = bars[["open", "volume"]].where(bars[["open", "volume"]] != 0)
    bars = bars[bars["close"] > 0]
    span = _MIC, bars["session"].min().date(), bars["session"].max().date()
    symbols = np.array(sorted(bars["symbol"].unique()))
    parts = []
    for chunk in np.array_split(symbols, max(1, len(symbols) // _CHUNK)):
        own = bars[bars["symbol"].isin(chunk)].sort_values(["symbol", "session"], ignore_index=True)
        parts.append(_months_of(own, *span))
        print(f"{sum(part['symbol'].nunique() for part in parts)} of {len(symbols)} symbols", flush=True)
    return pd.concat(parts, ignore_index=True)


def _months_of(bars: pd.DataFrame, mic: str, first: date, last: date) -> pd.DataFrame:
    actions = [read_adjusted_steps(group.reset_index(drop=True)).actions for _, group in bars.groupby("symbol")]
    screened = screen(
        bars.drop(columns="adj_close"), pd.concat(actions, ignore_index=True), *sessions_between(mic, first, last)
    )
    rejected = screened.findings.loc[screened.findings["treatment"] == "rejected", "symbol"]
    months = build_months(screened.bars, screened.actions, month_table(mic, first, last), pd.Timestamp(last))
    return months[~months["symbol"].isin(rejected)]


def train_vintage(months: pd.DataFrame, trained_through: str, config: ForecasterConfig) -> Vintage:
    """Fit the baseline of all symbols on the data up to a month, without an earlier vintage.

    Args:
        months: frame of MONTH_TYPES.
        trained_through: last month, YYYY-MM.
        config: all choices.
    """
    last = pd.Timestamp(trained_through)
    panel = make_panel(months[months["month"] <= last], config)
    origins = range(config.burn_in_months, len(panel.months) - config.longest_horizon)
    return Vintage(last, config.quantile_levels, fit_baseline(panel, origins, replace(config, uses_vintage=False)))


def main(path: Path) -> None:
    """Write one JSON file a vintage, and print its sha256."""
    config = ForecasterConfig()
    months = read_wide_months(path)
    for trained_through in DATES:
        vintage = train_vintage(months, trained_through, config)
        text = json.dumps(to_json(vintage), indent=1) + "\n"
        file = DIRECTORY / f"{trained_through}.json"
        file.write_text(text, encoding="utf-8")
        print(f"{file.name}: sha256 {hashlib.sha256(text.encode()).hexdigest()}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
