"""The registry: stored versions, refused ones, and fingerprints."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import model.forecaster.serialization
import tasks.registry
from model.evaluation.gate import evaluate
from model.forecaster.serialization import to_bytes
from sql.store import ModelVersion, MonthKey
from tasks.alerts.messages import damaged_model_alerts
from tasks.errors import DamagedModelError
from tasks.registry import StoredModel, find_champion, fingerprint_months, make_version, restore
from tests.support.untrained import CONFIG, KEY, MONTHS, make_forecaster, make_stored


def test_restore_returns_the_stored_forecaster() -> None:
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
        (make_stored(make_forecaster(), config=[1]), "the config stored beside its weights is no table of choices"),
        (make_stored(make_forecaster(input_mean=np.full(19, np.nan))), "cannot be read by this program: .* damaged"),
        (make_stored(make_forecaster(), config={"units": 2}), "horizons, .* is not what was stored"),
        (make_stored(make_forecaster(input_mean=np.zeros(3))), "it reads 3 inputs"),
    ],
    ids=["bytes", "config", "no config", "contents", "older config", "inputs"],
)
def test_restore_rejects_damaged_versions_by_number(damaged: ModelVersion, sentence: str) -> None:
    with pytest.raises(DamagedModelError, match=sentence) as refused:
        restore(damaged)
    assert str(refused.value).startswith("Model 12 ")


def test_restore_rejects_an_unknown_format(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(model.forecaster.serialization, "FORMAT", 1)
        stored = make_stored(make_forecaster())
    with pytest.raises(DamagedModelError, match=r"Model 12 cannot be read by this program: .* format 1 is not"):
        restore(stored)


def test_find_champion_returns_the_newest_usable_version(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_age_months_counts_from_the_run_that_trained_it() -> None:
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


def test_fingerprint_depends_on_values_and_not_on_order() -> None:
    print_of = fingerprint_months(MONTHS)
    assert fingerprint_months(MONTHS.sample(frac=1.0, random_state=1)) == print_of
    not_final = MONTHS.tail(1).assign(month=pd.Timestamp("2010-01-01"), is_final=False)
    assert fingerprint_months(pd.concat([MONTHS, not_final])) == print_of
    for name in ("open", "high", "low", "close", "volume", "log_return", "realised_variance"):
        changed = MONTHS.copy()
        changed.loc[7, name] = np.nextafter(changed.loc[7, name], np.inf)
        assert fingerprint_months(changed) != print_of, name
    assert fingerprint_months(MONTHS.assign(symbol=MONTHS["symbol"].replace("B", "C"))) != print_of
