"""Interface of the price sources: merged fetches and their responses."""

from dataclasses import replace

import pandas as pd
import pytest

from model.frames import ACTION_TYPES, BAR_TYPES, FINDING_TYPES
from tasks.sources.base import (
    INSTRUMENT_TYPES,
    Outcome,
    SourceOutcome,
    merge_fetched,
    session_spans,
    stack,
    without_bars,
)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([Outcome.RATE_LIMITED, Outcome.SOURCE_ERROR], False),
        ([Outcome.RATE_LIMITED, Outcome.MISSING], True),
        ([Outcome.OK], True),
        ([], True),
    ],
)
def test_has_response_is_false_only_without_any_response(outcomes: list[Outcome], expected: bool) -> None:
    parts = [without_bars(f"S{number}", outcome, "") for number, outcome in enumerate(outcomes)]
    assert merge_fetched(parts).has_response is expected


def test_merge_fetched_sorts_rows_and_keeps_the_order_of_outcomes() -> None:
    bars = pd.DataFrame([("B", pd.Timestamp("2024-01-02"), 1.0, 1.0, 1.0, 1.0, 1.0)], columns=list(BAR_TYPES))
    first = replace(without_bars("C", Outcome.MISSING, "no prices"), bars=bars)
    second = replace(without_bars("A", Outcome.SOURCE_ERROR, "timeout"), bars=bars.assign(symbol="A"))
    merged = merge_fetched([first, second])
    assert merged.bars["symbol"].tolist() == ["A", "B"]
    assert merged.outcomes == (
        SourceOutcome("C", Outcome.MISSING, "no prices"),
        SourceOutcome("A", Outcome.SOURCE_ERROR, "timeout"),
    )


@pytest.mark.parametrize("types", [BAR_TYPES, ACTION_TYPES, INSTRUMENT_TYPES, FINDING_TYPES])
def test_stack_of_nothing_has_the_columns_and_types(types: dict[str, str]) -> None:
    assert stack([], types).dtypes.astype(str).to_dict() == types


def test_session_spans_gives_the_first_and_last_session() -> None:
    days = pd.to_datetime(["2024-01-03", "2024-01-02", "2024-01-04"])
    spans = session_spans(pd.DataFrame({"symbol": ["B", "A", "B"], "session": days}))
    assert spans.to_numpy().tolist() == [["A", days[1], days[1]], ["B", days[0], days[2]]]
