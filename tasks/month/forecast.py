"""Forecast: the forecasts of every symbol, and the prices that they start from."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from prefect import task

from model import quantile_names
from tasks.month.check import Checked
from tasks.month.train import Choice
from tasks.plans.month import MonthPlan
from tasks.progress import log_line
from tasks.retries import STEP
from tasks.sources.base import Outcome

FORECAST_KEYS = ["symbol", "origin_month", "horizon", "target_month", "forecaster", "is_served"]


@dataclass(frozen=True)
class Forecasts:
    """The forecasts of a month, and the prices that they start from."""

    rows: pd.DataFrame
    """FORECAST_KEYS and the quantiles of the log return; one row per symbol, horizon and forecaster."""
    origins: pd.DataFrame
    """Of `describe_origins`: one row per symbol."""


@task(name="forecast", **STEP)
def make_forecasts(plan: MonthPlan, checked: Checked, choice: Choice) -> Forecasts:
    """Forecast every symbol with a complete origin month, with every forecaster; mark the served one."""
    origin_month = pd.Timestamp(plan.key.origin_month)
    usable = checked.outcomes.loc[checked.outcomes["outcome"] == Outcome.OK, "symbol"]
    forecast = choice.forecaster.forecast(choice.panel, origin_month)
    rows = forecast[forecast["symbol"].isin(usable)]
    rows = rows.assign(is_served=rows["forecaster"] == choice.served)
    forecasts = Forecasts(
        rows[[*FORECAST_KEYS, *quantile_names(choice.forecaster.config.quantile_levels)]],
        describe_origins(plan, checked.months, rows["symbol"].unique()),
    )
    log_line(
        "forecast", f"{len(forecasts.origins)} symbols, {rows['horizon'].nunique()} horizons, served: {choice.served}"
    )
    return forecasts


def describe_origins(plan: MonthPlan, months: pd.DataFrame, symbols: np.ndarray) -> pd.DataFrame:
    """Describe the last complete month of each symbol: the rows of `forecast.forecast_origin`.

    Args:
        plan: The origin month, and the symbols' currencies and sectors.
        months: Columns of `model.bars.months.build_months`.
        symbols: Symbols with a forecast.

    Returns:
        symbol, origin_month, origin_session, origin_close (price as traded), currency_code, naive_mae (mean absolute
        monthly log return), sector; one row per symbol, in the order of `months`.
    """
    final = months[months["symbol"].isin(symbols) & months["is_final"]]
    naive_mae = final["log_return"].abs().groupby(final["symbol"]).mean()
    last = final[final["month"] == pd.Timestamp(plan.key.origin_month)]
    currency = {instrument.symbol: instrument.currency_code for instrument in plan.instruments}
    sector = {instrument.symbol: instrument.sector for instrument in plan.instruments}
    return pd.DataFrame(
        {
            "symbol": last["symbol"],
            "origin_month": last["month"],
            "origin_session": last["last_session"],
            "origin_close": last["close"],
            "currency_code": last["symbol"].map(currency),
            "naive_mae": last["symbol"].map(naive_mae),
            "sector": last["symbol"].map(sector),
        }
    )
