"""Candidates, registry and comparison: the rules, with a forecaster that nobody had to train."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import model.forecaster.serialization
import tasks.month.compare
import tasks.month.train
import tasks.registry
from model.config import ForecasterConfig
from model.evaluation.gate import evaluate
from model.forecaster.baseline import Baseline
from model.forecaster.features import NETWORK_INPUTS, TERMS, make_panel
from model.forecaster.forecaster import Forecaster
from model.forecaster.serialization import to_bytes
from sql.store import ModelVersion, MonthKey
from tasks.alerts.messages import damaged_model_alerts
from tasks.errors import BadRequestError, DamagedModelError, NotEnoughHistoryError
from tasks.month.check import Checked
from tasks.month.compare import compare_candidates, holdout_positions
from tasks.month.train import Candidate, Candidates, train_candidates
from tasks.plans.month import MonthPlan, PricesPlan
from tasks.registry import StoredModel, find_champion, fingerprint, make_version, restore

CONFIG = replace(ForecasterConfig(), units=2, seeds=(1,))
KEY = MonthKey(source="file", universe="test", origin_month=date(2009, 12, 1))
NOW = datetime(2010, 1, 3, tzinfo=UTC)


def make_months(count: int = 120) -> pd.DataFrame:
    """Months of two symbols up to 2009-12, as `build_months` makes them."""
    rng = np.random.default_rng(3)
    frames = []
    for symbol in ("A", "B"):
        returns = rng.normal(0.0, 0.05, count)
        close = 100 * np.exp(returns.cumsum())
        frames.append(
            pd.DataFrame(
                {
                    "symbol": symbol,
                    "month": pd.date_range(end="2009-12-01", periods=count, freq="MS"),
                    "open": close,
                    "high": close * 1.01,
                    "low": close * 0.99,
                    "close": close,
                    "volume": 1e6,
                    "log_return": [np.nan, *returns[1:]],
                    "realised_variance": 0.05**2,
                    "is_final": True,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


MONTHS = make_months()
PANEL = make_panel(MONTHS, CONFIG)


def make_forecaster(config: ForecasterConfig = CONFIG, **changes: Any) -> Forecaster:
    """A forecaster without a network, whose baseline is a Gaussian of the current volatility."""
    horizons, terms = len(config.horizons), len(TERMS)
    gaussian = np.array([-1.96, -1.64, -1.28, -0.84, -0.52, -0.25, 0.0, 0.25, 0.52, 0.84, 1.28, 1.64, 1.96])
    parts: dict[str, Any] = {
        "config": config,
        "baseline": Baseline(
            location=np.zeros(horizons),
            beta=np.zeros((horizons, terms)),
            intercept=np.zeros(horizons),
            standardised_quantiles=np.tile(gaussian, (horizons, 1)),
            outside=np.full(horizons, 0.2),
        ),
        "input_mean": np.zeros(len(NETWORK_INPUTS)),
        "input_deviation": np.ones(len(NETWORK_INPUTS)),
        "networks": (),
        "trained": pd.DataFrame({"seed": [1], "epochs": [0], "validation_loss": [1.0]}),
    }
    return Forecaster(**(parts | changes))


def make_stored(
    forecaster: Forecaster, number: int = 12, month: date = date(2009, 11, 1), **changes: Any
) -> ModelVersion:
    """A version as the database gives it back."""
    weights = to_bytes(forecaster)
    parts: dict[str, Any] = {
        "kind": "retrain",
        "trained_through": date(2006, 1, 1),
        "holdout_start": date(2006, 1, 1),
        "holdout_end": date(2009, 10, 1),
        "verdict": "baseline",
        "verdict_reason": "",
        "weights": weights,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "model_version_id": number,
        "trained_at_month": month,
        "config": json.loads(json.dumps(forecaster.config.to_dict())),
        "run_id": 3,
        "created_at": NOW,
    }
    return ModelVersion(**(parts | changes))


def make_plan(mode: str) -> MonthPlan:
    prices = PricesPlan(source_spec="file:p.csv", universe="test", instruments=(), requested_at=NOW)
    return MonthPlan(
        key=KEY,
        as_of=date(2009, 12, 31),
        known_at=NOW,
        prices=prices,
        mode=mode,  # type: ignore[arg-type]
        correction=0,
        min_coverage=0.9,
        published_run_id=None,
    )


Train = Callable[..., list[str]]


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch) -> Train:
    """Names of the candidates of a run; nothing is trained."""

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
        found = train_candidates.fn(make_plan(mode), CONFIG, Checked(MONTHS, pd.DataFrame()))
        return [each.name for each in found.models]

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


def test_train_candidates_says_what_it_cannot_keep_or_fine_tune(train: Train) -> None:
    for mode in ("keep", "fine-tune"):
        with pytest.raises(BadRequestError, match=f"no model to {mode} yet"):
            train(mode, None)
        with pytest.raises(DamagedModelError, match=f"no model left to {mode}: Model 12 is damaged"):
            train(mode, make_stored(make_forecaster(), weights=b"\x00"))


def make_candidate(name: str, holdout_start: date, number: int | None = None) -> Candidate:
    return Candidate(name, make_forecaster(), PANEL, holdout_start, holdout_start, number)


def test_judged_positions_are_new_to_every_candidate() -> None:
    """Of 120 months 15 and 12 are held back: from the 93rd (2007-10) on, to the 118th, whose next month is over."""
    keep = make_candidate("keep", date(2006, 1, 1))
    assert holdout_positions(Candidates((keep,), CONFIG, "")) == range(93, 119)
    assert PANEL.months[93] == pd.Timestamp("2007-10-01")
    late = make_candidate("keep", date(2008, 3, 1))
    newest = make_candidate("retrain", date(2007, 10, 1))
    assert holdout_positions(Candidates((late, newest), CONFIG, "")) == range(98, 119)


def test_compare_candidates_refuses_when_no_month_is_new_to_all() -> None:
    later = Candidates((make_candidate("keep", date(2010, 5, 1)),), CONFIG, "")
    with pytest.raises(NotEnoughHistoryError, match="no month that its models can be compared on"):
        compare_candidates.fn(make_plan("keep"), later)


def test_compare_candidates_stores_the_one_chosen_and_names_no_version_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Losses by hand: keep's hybrid 10 % below its baseline, fine-tune's 1 % below that, retrain's 10 % above."""
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


def test_restore_gives_back_the_forecaster_of_a_version() -> None:
    stored = make_stored(make_forecaster())
    assert to_bytes(restore(stored)) == stored.weights


@pytest.mark.parametrize(
    ("damaged", "sentence"),
    [
        (
            replace(make_stored(make_forecaster()), weights=b"\x00"),
            "Model 12 is damaged: the sha256 of its weights is 6e",
        ),
        (make_stored(make_forecaster(), config={**CONFIG.to_dict(), "units": 3}), "units is not what was stored"),
        (make_stored(make_forecaster(), config={"units": 2}), "horizons, .* is not what was stored"),
        (make_stored(make_forecaster(input_mean=np.zeros(3))), "it reads 3 inputs"),
    ],
    ids=["bytes", "config", "older config", "inputs"],
)
def test_restore_refuses_by_name_what_is_damaged_or_unknown(damaged: ModelVersion, sentence: str) -> None:
    with pytest.raises(DamagedModelError, match=sentence) as refused:
        restore(damaged)
    assert str(refused.value).startswith("Model 12 ")


def test_restore_refuses_a_format_that_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(model.forecaster.serialization, "FORMAT", 1)
        stored = make_stored(make_forecaster())
    with pytest.raises(DamagedModelError, match=r"Model 12 cannot be read by this program: .* format 1 is not"):
        restore(stored)


def test_find_champion_goes_back_to_the_last_good_one(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = [make_stored(make_forecaster(), number) for number in (3, 4, 5)]
    versions[1], versions[2] = replace(versions[1], weights=b"\x00"), replace(versions[2], weights=b"\x01")

    def read_champion(key: MonthKey, refused: list[int]) -> ModelVersion | None:
        return next((each for each in reversed(versions) if each.model_version_id not in refused), None)

    monkeypatch.setattr(tasks.registry, "get_store", lambda: SimpleNamespace(read_champion=read_champion))
    champion, refused = find_champion(KEY)
    assert champion is not None
    assert champion.model_version_id == 3
    assert [each.model_version_id for each in refused] == [5, 4]
    (alert,) = damaged_model_alerts(KEY, refused, 3)
    assert alert["title"] == "Model 5, 4 of test cannot be used"
    assert "on 2010-01-03 by run 3" in alert["detail"]
    versions[0] = replace(versions[0], weights=b"\x02")
    assert find_champion(KEY)[0] is None
    assert damaged_model_alerts(KEY, (), 3) == []


def test_age_months_counts_from_the_month_of_its_run() -> None:
    stored = StoredModel(make_stored(make_forecaster(), month=date(2008, 11, 1)), make_forecaster())
    assert stored.age_months(date(2009, 12, 1)) == 13


def test_make_version_holds_the_bytes_and_their_digest() -> None:
    forecaster = make_forecaster()
    verdict = evaluate(pd.DataFrame(columns=["horizon", "origin_month", "symbol", "forecaster", "crps"]), CONFIG)
    version = make_version(
        forecaster,
        verdict,
        kind="retrain",
        parent_id=None,
        trained_through=date(2006, 1, 1),
        holdout_start=date(2006, 1, 1),
        holdout_end=date(2009, 10, 1),
        data_fingerprint="print",
    )
    assert restore(replace(version, model_version_id=1)).config == CONFIG
    assert (version.seed, version.verdict) == (1, "baseline")


def test_fingerprint_is_of_the_values_whatever_the_order() -> None:
    print_of = fingerprint(MONTHS)
    assert fingerprint(MONTHS.sample(frac=1.0, random_state=1)) == print_of
    not_final = MONTHS.tail(1).assign(month=pd.Timestamp("2010-01-01"), is_final=False)
    assert fingerprint(pd.concat([MONTHS, not_final])) == print_of
    for name in ("open", "high", "low", "close", "volume", "log_return", "realised_variance"):
        changed = MONTHS.copy()
        changed.loc[7, name] = np.nextafter(changed.loc[7, name], np.inf)
        assert fingerprint(changed) != print_of, name
    assert fingerprint(MONTHS.assign(symbol=MONTHS["symbol"].replace("B", "C"))) != print_of
