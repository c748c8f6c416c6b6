"""Schemas of the frames that the model takes and returns, and the check of a frame against its schema.

A schema maps a column to its dtype; the comment beside it gives unit and meaning. Prices are in the currency of the
symbol, returns are natural logarithms, months are first days of months, and all dates are without a timezone. Frames
of forecasts have one more column for each quantile, named by `model.quantile_names`.
"""

from collections.abc import Iterable, Mapping

import pandas as pd

PRICE_COLUMNS = ["open", "high", "low", "close"]

BAR_TYPES = {
    "symbol": "str",
    "session": "datetime64[ns]",  # trading day
    "open": "float64",  # price, NaN = missing
    "high": "float64",  # price, NaN = missing
    "low": "float64",  # price, NaN = missing
    "close": "float64",  # price, as traded unless stated otherwise
    "volume": "float64",  # shares, NaN or 0 = missing
}
"""Daily bars, one row per symbol and session, sorted by both. A monthly source has one bar a month."""

ADJUSTED_BAR_TYPES = {
    **{name: BAR_TYPES[name] for name in ("symbol", "session", "close")},
    "adj_close": "float64",  # price, adjusted by the provider for dividends
}
"""Closes beside the adjusted closes of a provider, one row per symbol and session, sorted by both."""

ACTION_TYPES = {
    "symbol": "str",
    "ex_date": "datetime64[ns]",  # first session at the new price
    "kind": "str",  # split or dividend
    "value": "float64",  # split: new shares per old share; dividend: cash per share of the ex-date
}
"""Splits and dividends, one row per symbol, ex-date and kind."""

CALENDAR_TYPES = {
    "month": "datetime64[ns]",
    "last_session": "datetime64[ns]",  # last trading day of the month
    "sessions_expected": "int64",  # trading days in the month
}
"""Months of an exchange's calendar, one row per month, oldest first."""

MONTH_TYPES = {
    "symbol": "str",
    "month": "datetime64[ns]",
    "open": "float64",  # price, in the shares of the month's last session, like the three that follow
    "high": "float64",
    "low": "float64",
    "close": "float64",
    "volume": "float64",  # shares of the month's last session
    "log_return": "float64",  # total return since the last close of the previous month, NaN = unknown
    "realised_variance": "float64",  # sum of the squared daily log returns
    "last_session": "datetime64[ns]",  # last session with a close
    "sessions_present": "int64",  # sessions with a close
    "sessions_expected": "int64",  # sessions of the exchange's calendar
    "is_final": "bool",  # the month is over and its last session is present
}
"""Months built from sessions, one row per symbol and month, sorted by both."""

RETURN_COLUMNS = ["symbol", "month", "log_return", "is_final"]
"""Columns of MONTH_TYPES that determine the origins of a symbol."""
REFERENCE_COLUMNS = [*RETURN_COLUMNS, "realised_variance"]
"""Columns of MONTH_TYPES that the reference forecast needs."""
INPUT_COLUMNS = ["symbol", "month", "realised_variance", "volume", "is_final"]
"""Columns of MONTH_TYPES that the input check needs."""
PANEL_COLUMNS = [*REFERENCE_COLUMNS, "high", "low", "close", "volume"]
"""Columns of MONTH_TYPES that the features of a panel need."""

FINDING_TYPES = {
    "symbol": "str",
    "session": "datetime64[ns]",  # first session of the fault
    "rule": "str",  # name of the rule
    "value": "float64",  # size of the fault in the unit of the rule
    "treatment": "str",  # repaired, excluded, rejected or kept
    "reason": "str",  # one sentence for the operator
}
"""Findings of the quality rules, one row per symbol, session and rule."""

DECISION_TYPES = {
    "symbol": "str",
    "session": "datetime64[ns]",  # session of the finding; history: its first session, NaT = all bars belong to it
    "kind": "str",  # split, unit, move or history
    "ratio": "float64",  # split: new shares per old share; unit: factor of the earlier prices; else NaN
    "note": "str",  # who decided and when, for the findings
}
"""Decisions of the operator about doubtful prices, oldest first."""

FORECAST_TYPES = {
    "symbol": "str",
    "origin_month": "datetime64[ns]",  # last complete month that the forecast uses
    "target_month": "datetime64[ns]",  # `horizon` months after the origin month
    "horizon": "int64",  # months
    "forecaster": "str",
}
"""Forecasts, one row per symbol, origin month, horizon and forecaster. The quantile columns are log returns."""

ACTUAL_TYPES = {
    "symbol": "str",
    "origin_month": "datetime64[ns]",
    "horizon": "int64",  # months
    "log_return": "float64",  # from the end of the origin month to the end of the target month, NaN = unknown
}
"""Actual returns, one row per symbol, origin month and horizon."""

SCORE_TYPES = {
    **FORECAST_TYPES,
    "actual_log_return": "float64",
    "median": "float64",  # log return, the forecast's 50 % quantile
    "error": "float64",  # log return, median - actual
    "crps": "float64",  # log return
    "winkler_80": "float64",  # log return, interval score
    "winkler_95": "float64",  # log return, interval score
    "is_covered_80": "bool",  # the actual lies in the 80 % interval
    "is_covered_95": "bool",  # the actual lies in the 95 % interval
    "is_direction_right": "bool",  # median and actual have the same sign
}
"""Scores of forecasts with a known outcome, one row per forecast."""

MONTHLY_KEYS = ["origin_month", "horizon", "forecaster"]
"""Keys of scores averaged over symbols."""

LOSS_TYPES = {
    **{name: SCORE_TYPES[name] for name in ("symbol", *MONTHLY_KEYS, "crps")},
}
"""Losses that the gate compares, one row per forecast."""

OUTCOME_FORECAST_TYPES = {
    **FORECAST_TYPES,
    "actual_log_return": "float64",  # NaN = not yet known
    "naive_mae": "float64",  # log return, mean absolute monthly return of the symbol up to the origin
}
"""Forecasts of a backtest with their outcomes, one row per forecast; has quantile columns like FORECAST_TYPES."""

BACKTEST_ERROR_TYPES = {
    "origin_month": "datetime64[ns]",
    "horizon": "int64",  # months
    "forecaster": "str",
    "symbols": "int64",  # symbols in the means
    "crps": "float64",  # log return
    "absolute_error": "float64",  # log return
    "squared_error": "float64",  # squared log return
    "scaled_absolute_error": "float64",  # absolute error / naive_mae
    "winkler_80": "float64",  # log return
    "winkler_95": "float64",  # log return
    "covered_80": "float64",  # share of actuals in the 80 % interval
    "covered_95": "float64",  # share of actuals in the 95 % interval
    "direction_right": "float64",  # share of forecasts with the right sign
    "went_up": "float64",  # share of actuals above zero
    "persistence_crps": "float64",  # log return, on the same symbols; NaN where persistence lacks all of them
    "baseline_crps": "float64",  # log return, on the same symbols; NaN where the baseline lacks all of them
    "rank_ic": "float64",  # Spearman correlation of median and actual over symbols
}
"""Errors of a backtest averaged over symbols, one row per origin month, horizon and forecaster."""

SUMMARY_ERROR_COLUMNS = [*MONTHLY_KEYS, "crps", "covered_80", "covered_95", "persistence_crps", "baseline_crps"]
"""Columns of BACKTEST_ERROR_TYPES that the summary of a backtest needs."""

BACKTEST_SUMMARY_TYPES = {
    "period": "str",  # all, or first and last origin month
    "horizon": "int64",  # months
    "forecaster": "str",
    "months": "int64",  # origin months in the means
    "crps": "float64",  # log return
    "skill_vs_persistence": "float64",  # 1 - CRPS / CRPS of persistence
    "p_vs_persistence": "float64",  # one-sided p-value of a lower CRPS than persistence
    "p_vs_baseline": "float64",  # one-sided p-value of a lower CRPS than the baseline
    "coverage_80": "float64",  # share of actuals in the 80 % interval
    "coverage_95": "float64",  # share of actuals in the 95 % interval
}
"""Scores of a backtest averaged over months, one row per period, horizon and forecaster."""

DRIFT_FORECAST_TYPES = {
    **{name: FORECAST_TYPES[name] for name in ("symbol", *MONTHLY_KEYS)},
    "actual_log_return": "float64",
}
"""Forecasts with known outcomes, one row per forecast; has quantile columns like FORECAST_TYPES."""

MEASURED_FORECAST_TYPES = {
    **{name: FORECAST_TYPES[name] for name in ("symbol", *MONTHLY_KEYS)},
    "crps": "float64",  # widths of the reference forecast's 80 % interval
    "reference_crps": "float64",  # CRPS of the reference forecast in the same unit
    "pit": "float64",  # share of the forecast distribution below the actual
    "reference_pit": "float64",  # share of the reference distribution below the actual
    "is_covered_80": "bool",  # the actual lies in the 80 % interval
    "is_covered_95": "bool",  # the actual lies in the 95 % interval
    "width": "float64",  # log ratio of the 80 % interval widths, forecast to reference
    "shift": "float64",  # median - reference median, in widths of the reference forecast's 80 % interval
    "lagged_width": "float64",  # log ratio of the 80 % width to the volatility a month before the origin, per sqrt(h)
    "volatility_change": "float64",  # log change of the volatility since the month before the origin
}
"""Forecasts measured against the reference forecast, one row per forecast."""

MEASURE_TYPES = {
    "origin_month": "datetime64[ns]",
    "horizon": "int64",  # months
    "forecaster": "str",
    "symbols": "int64",  # symbols in the value
    "measure": "str",  # one of `model.drift.measures.MEASURES`
    "value": "float64",  # unit of the measure
}
"""Drift measures, one row per origin month, horizon, forecaster and measure."""

EXPECTED_VALUE_TYPES = {
    "forecaster": "str",
    "horizon": "int64",  # months
    "measure": "str",
    "expected": "float64",  # expected value in control, unit of the measure
    "deviation": "float64",  # standard deviation in control, unit of the measure
}
"""Expected values of the drift measures, one row per forecaster, horizon and measure."""

INPUT_CHECK_TYPES = {
    "input": "str",  # one of `model.drift.inputs.CHECKED_INPUTS`
    "value": "float64",
    "lowest": "float64",  # lower end of the usual range, NaN = too little history
    "highest": "float64",  # upper end of the usual range, NaN = too little history
    "is_unusual": "bool",  # the value lies outside of the usual range
}
"""Inputs of a month compared with the years before, one row per input."""

_ACCEPTED_KINDS = {"str": "O", "datetime64[ns]": "M", "float64": "fiu", "int64": "iu", "bool": "b"}
"""numpy kinds accepted for a dtype; integers are read as floats without loss."""


def check_frame(
    frame: pd.DataFrame, schema: Mapping[str, str], name: str, columns: Iterable[str] | None = None
) -> None:
    """Require the columns and dtypes of a schema; values are not read and further columns are allowed.

    Text may be `str` or `object`, dates may have any resolution, and integers pass as floats. An empty frame needs
    the columns alone, because pandas gives it `object` columns.

    Args:
        frame: The frame that a caller passed in.
        schema: Column to dtype; one of this module.
        name: Name of the argument, for the message.
        columns: Columns of the schema that are required; all by default.

    Raises:
        ValueError: If a column is missing or has another dtype; the message names every such column.
    """
    present = dict(zip(frame.columns, frame.dtypes, strict=True))
    required = list(schema if columns is None else columns)
    is_empty = len(frame) == 0
    wrong = {
        column: str(present.get(column, "missing"))
        for column in required
        if column not in present or not (is_empty or present[column].kind in _ACCEPTED_KINDS[schema[column]])
    }
    if wrong:
        expected = ", ".join(f"{column} ({schema[column]})" for column in wrong)
        received = ", ".join(f"{column} ({dtype})" for column, dtype in wrong.items())
        raise ValueError(f"`{name}` must have the columns {expected}; received: {received}. See model/frames.py.")
