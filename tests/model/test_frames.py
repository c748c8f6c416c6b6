"""Tests of model.frames."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from model.frames import ACTION_TYPES, BAR_TYPES, MONTH_TYPES, PANEL_COLUMNS, check_frame


def make_actions(**columns: Any) -> pd.DataFrame:
    row = {"symbol": "A", "ex_date": pd.Timestamp("2020-01-02"), "kind": "split", "value": 2.0}
    return pd.DataFrame([row | columns])


def test_check_frame_accepts_a_frame_of_its_schema_and_more_columns() -> None:
    check_frame(make_actions().astype(ACTION_TYPES), ACTION_TYPES, "actions")
    check_frame(make_actions(source="file"), ACTION_TYPES, "actions")


def test_check_frame_accepts_objects_integers_and_other_resolutions() -> None:
    actions = make_actions(value=2).astype({"symbol": "object", "ex_date": "datetime64[us]"})
    check_frame(actions, ACTION_TYPES, "actions")


def test_check_frame_names_every_missing_and_mistyped_column() -> None:
    actions = make_actions(value="2").drop(columns="kind")
    expected = (
        r"`actions` must have the columns kind \(str\), value \(float64\); "
        r"received: kind \(missing\), value \(str\)"
    )
    with pytest.raises(ValueError, match=expected):
        check_frame(actions, ACTION_TYPES, "actions")


def test_check_frame_refuses_dates_as_text() -> None:
    with pytest.raises(ValueError, match=r"ex_date \(datetime64\[ns\]\)"):
        check_frame(make_actions(ex_date="2020-01-02"), ACTION_TYPES, "actions")


def test_check_frame_needs_only_the_names_of_an_empty_frame() -> None:
    check_frame(pd.DataFrame(columns=list(BAR_TYPES)), BAR_TYPES, "bars")
    with pytest.raises(ValueError, match=r"volume \(missing\)"):
        check_frame(pd.DataFrame(columns=list(BAR_TYPES)[:-1]), BAR_TYPES, "bars")


def test_check_frame_may_require_some_columns_only() -> None:
    frame = pd.DataFrame({name: pd.Series([1]).astype(MONTH_TYPES[name]) for name in PANEL_COLUMNS})
    check_frame(frame, MONTH_TYPES, "months", PANEL_COLUMNS)
    with pytest.raises(ValueError, match="last_session"):
        check_frame(frame, MONTH_TYPES, "months")


def test_check_frame_reads_no_values() -> None:
    """Values that cannot be read raise no error, and the frame stays as it is."""
    bars = pd.DataFrame({name: pd.Series([np.nan, np.nan]).astype(dtype) for name, dtype in BAR_TYPES.items()})
    before = bars.copy()
    check_frame(bars, BAR_TYPES, "bars")
    pd.testing.assert_frame_equal(bars, before)
