"""Comparison of stored and replayed rows."""

import pandas as pd

from tasks.research.replay import compare_rows


def test_compare_rows_finds_values_and_rows_in_any_order() -> None:
    stored = pd.DataFrame(
        {
            "symbol": ["A", "A", "B"],
            "horizon": [1, 2, 1],
            "forecaster": "hybrid",
            "q10": [-0.1, -0.2, -0.3],
            "q50": [0.0, 0.1, 0.2],
        }
    )
    replayed = stored.iloc[[2, 0]].assign(q50=[0.2, 0.5], extra="x")
    differing, one_sided = compare_rows(stored, replayed)
    assert differing.to_dict("records") == [
        {"symbol": "A", "horizon": 1, "forecaster": "hybrid", "quantile": "q50", "stored": 0.0, "replayed": 0.5}
    ]
    assert one_sided.to_dict("records") == [{"symbol": "A", "horizon": 2, "forecaster": "hybrid", "lacks": "replayed"}]
    assert [len(part) for part in compare_rows(stored, stored)] == [0, 0]
