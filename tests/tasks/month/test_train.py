"""Which candidates a run prepares, by mode, age and drift."""

from collections.abc import Callable
from datetime import date
from types import SimpleNamespace

import pandas as pd
import pytest

import tasks.month.train
import tasks.registry
from sql.store import ModelVersion
from tasks.errors import BadRequestError, DamagedModelError
from tasks.month.check import Checked
from tasks.month.train import train_candidates, train_from_scratch
from tests.support.untrained import CONFIG, MONTHS, PANEL, make_forecaster, make_plan, make_stored

Train = Callable[..., list[str]]


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch) -> Train:
    """Returns the names of a run's candidates, without training."""

    def names(
        mode: str, champion: ModelVersion | None, last_retrained: date | None = None, drift: str = "ok"
    ) -> list[str]:
        store = SimpleNamespace(
            read_champion=lambda key, refused: None if refused else champion,
            read_last_retrained=lambda key: last_retrained,
            read_drift_before=lambda key: pd.DataFrame({"horizon": [1], "status": [drift]}),
        )
        for module in (tasks.registry, tasks.month.train):
            monkeypatch.setattr(module, "get_store", lambda: store)
        monkeypatch.setattr(tasks.month.train, "load_library", lambda: None)
        monkeypatch.setattr(tasks.month.train, "train", lambda panel, split, config, **_: make_forecaster(config))
        monkeypatch.setattr(tasks.month.train, "fine_tune", lambda parent, panel, split, **_: parent)
        candidates = train_candidates.fn(make_plan(mode), CONFIG, Checked(MONTHS, pd.DataFrame()))
        return [model.name for model in candidates.models]

    return names


@pytest.mark.parametrize(
    ("mode", "age", "since_retrained", "drift", "expected"),
    [
        ("auto", 1, 5, "ok", ["keep", "fine_tune"]),
        ("auto", 0, 5, "ok", ["keep"]),
        ("auto", 1, 11, "ok", ["keep", "fine_tune"]),
        ("auto", 1, 12, "ok", ["keep", "fine_tune", "retrain"]),
        ("auto", 30, 2, "ok", ["keep", "fine_tune"]),
        ("auto", 1, 2, "alarm", ["keep", "fine_tune", "retrain"]),
        ("keep", 30, 30, "alarm", ["keep"]),
        ("baseline", 30, 30, "alarm", ["keep"]),
        ("fine-tune", 0, 30, "alarm", ["fine_tune"]),
        ("retrain", 1, 1, "ok", ["retrain"]),
    ],
)
def test_train_candidates_by_mode_age_and_drift(
    train: Train, mode: str, age: int, since_retrained: int, drift: str, expected: list[str]
) -> None:
    trained = (pd.Period("2009-12", "M") - age).to_timestamp().date()
    last = (pd.Period("2009-12", "M") - since_retrained).to_timestamp().date()
    assert train(mode, make_stored(make_forecaster(), month=trained), last, drift) == expected


@pytest.mark.parametrize("mode", ["auto", "baseline", "retrain"])
def test_train_candidates_trains_the_first_model(train: Train, mode: str) -> None:
    assert train(mode, None) == ["retrain"]


def test_train_candidates_requires_a_model_to_keep_or_fine_tune(train: Train) -> None:
    for mode in ("keep", "fine-tune"):
        with pytest.raises(BadRequestError, match=f"no model to {mode} yet"):
            train(mode, None)
        with pytest.raises(DamagedModelError, match=f"no usable model to {mode}: Model 12 is damaged"):
            train(mode, make_stored(make_forecaster(), weights=b"\x00"))


@pytest.mark.parametrize(
    ("epochs", "text"),
    [
        ([0, 0], "no epoch improved the validation loss by 0.02%"),
        ([3, 0], "best epoch 3 (seed 1), none (seed 2)"),
    ],
)
def test_train_from_scratch_logs_the_best_epochs(monkeypatch: pytest.MonkeyPatch, epochs: list[int], text: str) -> None:
    trained = pd.DataFrame({"seed": [1, 2], "epochs": epochs, "validation_loss": [1.0, 1.0]})
    lines = list[tuple[str, str]]()
    monkeypatch.setattr(tasks.month.train, "train", lambda panel, split, config, **_: make_forecaster(trained=trained))
    monkeypatch.setattr(tasks.month.train, "log_line", lambda *line: lines.append(line))
    train_from_scratch(PANEL, CONFIG)
    ((step, line),) = lines
    assert step == "train"
    assert line.startswith("from scratch: 2 symbols × ")
    assert line.endswith(text)
