"""Evaluation and selection of candidates."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

import tasks.month.compare
from model.evaluation.gate import evaluate
from model.forecaster.features import NETWORK_INPUTS
from model.forecaster.forecaster import Forecaster
from tasks.errors import NotEnoughHistoryError
from tasks.month.compare import compare_candidates, holdout_positions
from tasks.month.train import Candidate, Candidates
from tests.support.untrained import CONFIG, PANEL, make_forecaster, make_plan


def make_candidate(name: str, holdout_start: date, number: int | None = None) -> Candidate:
    return Candidate(name, make_forecaster(), PANEL, holdout_start, holdout_start, number)


def test_holdout_positions_are_new_to_every_candidate() -> None:
    """Of 120 months, 15 and 12 are held back: positions 93 (2007-10) to 118, whose next month is complete."""
    keep = make_candidate("keep", date(2006, 1, 1))
    assert holdout_positions(Candidates((keep,), CONFIG, "")) == range(93, 119)
    assert PANEL.months[93] == pd.Timestamp("2007-10-01")
    late = make_candidate("keep", date(2008, 3, 1))
    newest = make_candidate("retrain", date(2007, 10, 1))
    assert holdout_positions(Candidates((late, newest), CONFIG, "")) == range(98, 119)


def test_compare_candidates_requires_a_common_holdout_month() -> None:
    later = Candidates((make_candidate("keep", date(2010, 5, 1)),), CONFIG, "")
    with pytest.raises(NotEnoughHistoryError, match="need a common holdout month to be compared, and there is none"):
        compare_candidates.fn(make_plan("keep"), later)


def test_compare_candidates_makes_a_version_of_the_selected_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Given losses: keep's hybrid 10 % below its baseline, fine_tune's 1 % below that, retrain's equal to it."""
    origins = PANEL.months[93:119]

    def score(forecaster: Forecaster, panel: object, positions: object) -> pd.DataFrame:
        hybrid = forecaster.input_mean[0]
        return pd.concat(
            pd.DataFrame(
                {
                    "symbol": "A",
                    "origin_month": origins,
                    "horizon": 1,
                    "forecaster": name,
                    "crps": level,
                    "error": 0.0,
                    "is_covered_80": True,
                    "is_covered_95": True,
                }
            )
            for name, level in {"hybrid": hybrid, "baseline": 1.0, "persistence": 1.1}.items()
        )

    monkeypatch.setattr(tasks.month.compare, "score_origins", score)
    levels = {"keep": 0.9, "fine_tune": 0.89, "retrain": 1.0}
    models = tuple(
        replace(
            make_candidate(name, date(2007, 10, 1), 12 if name == "keep" else None),
            forecaster=make_forecaster(input_mean=np.full(len(NETWORK_INPUTS), level)),
            parent_id=12 if name == "fine_tune" else None,
        )
        for name, level in levels.items()
    )
    choice = compare_candidates.fn(make_plan("auto"), Candidates(models, CONFIG, "print"))
    assert choice.served == "hybrid"
    assert choice.kept_model_id is None
    assert choice.new_model is not None
    assert (choice.new_model.kind, choice.new_model.parent_id, choice.new_model.data_fingerprint) == (
        "fine_tune",
        12,
        "print",
    )
    rows = choice.candidates.set_index("candidate")
    assert rows.index.tolist() == ["keep", "fine_tune", "baseline", "retrain"]
    assert rows["model_version_id"].fillna(0).to_dict() == {"keep": 12, "fine_tune": 0, "baseline": 0, "retrain": 0}
    assert rows.index[rows["is_served"]].tolist() == ["fine_tune"]
    assert rows["crps"].tolist() == pytest.approx([0.9, 0.89, 1.0, 1.0])
    assert "1.11% below that of keep over 26 holdout months" in rows.loc["keep", "reason"]
    assert rows.loc["retrain", "reason"].startswith("fine_tune is preferred to retrain")
    assert choice.reason.endswith(evaluate(score(models[1].forecaster, None, None), CONFIG).reason)
