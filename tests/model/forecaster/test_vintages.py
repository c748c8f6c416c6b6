"""Vintages: the newest one from before an origin, none of the future, and the files of the package."""

import hashlib
import json
import re
from dataclasses import replace
from importlib import resources

import numpy as np
import pandas as pd
import pytest

from model.config import ForecasterConfig
from model.forecaster.features import TERMS, make_panel
from model.forecaster.forecaster import train
from model.forecaster.split import split_origins
from model.forecaster.vintages import find_vintage, from_json, load_vintages, to_json
from tests.support.simulated import SMALL, simulate_months

CONFIG = ForecasterConfig()


@pytest.mark.parametrize(
    ("first_evaluated", "name"),
    [("1997-11", None), ("1997-12", "1997-12"), ("2003-11", "1997-12"), ("2008-12", "2008-12"), ("2030-01", "2018-06")],
)
def test_find_vintage_is_the_newest_from_before_the_origin(first_evaluated: str, name: str | None) -> None:
    vintage = find_vintage(pd.Timestamp(first_evaluated), CONFIG)
    assert (vintage.name if vintage else None) == name


@pytest.mark.parametrize("change", [{"uses_vintage": False}, {"quantile_levels": (0.1, 0.5, 0.9)}])
def test_find_vintage_needs_the_levels_of_the_config(change: dict[str, object]) -> None:
    assert find_vintage(pd.Timestamp("2020-01"), replace(CONFIG, **change)) is None


@pytest.mark.parametrize("has_holdout", [True, False])
def test_train_never_uses_a_vintage_of_its_future(has_holdout: bool) -> None:
    """The months end at 2003-12: without a holdout, the vintage of that month is the newest; with one, an older one."""
    months = simulate_months(symbols=3)
    panel = make_panel(months[months["month"] <= "2003-12"], SMALL)
    split = split_origins(len(panel.months), SMALL, has_holdout=has_holdout)
    forecaster = train(panel, split, SMALL)
    assert forecaster.vintage == ("1997-12" if has_holdout else "2003-12")
    if has_holdout:
        assert pd.Timestamp(forecaster.vintage) <= panel.months[split.holdout.start]


def test_train_on_months_before_the_first_vintage_uses_none() -> None:
    months = simulate_months(symbols=3)
    panel = make_panel(months[months["month"] <= "1998-12"], SMALL)
    forecaster = train(panel, split_origins(len(panel.months), SMALL), SMALL)
    assert forecaster.vintage == ""


def test_vintages_are_sound_and_in_the_order_of_time() -> None:
    vintages = load_vintages()
    assert [vintage.name for vintage in vintages] == sorted(vintage.name for vintage in vintages)
    for vintage in vintages:
        baseline = vintage.baseline
        assert baseline.beta.shape == (12, len(TERMS))
        assert np.isfinite(baseline.beta).all()
        assert (np.diff(baseline.standardised_quantiles, axis=1) > 0).all()
        assert (baseline.term_low < baseline.term_high).all()


def test_vintage_is_the_same_after_json() -> None:
    vintage = load_vintages()[0]
    restored = from_json(json.loads(json.dumps(to_json(vintage))))
    assert to_json(restored) == to_json(vintage)


@pytest.mark.parametrize("change", [{"format": 2}, {"terms": ["age"]}])
def test_from_json_refuses_another_format_or_other_terms(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must have format 1 and the terms .* Make the vintages again"):
        from_json(to_json(load_vintages()[0]) | change)


def test_card_has_the_digest_of_every_vintage() -> None:
    folder = resources.files("model.pretrained")
    card = folder.joinpath("CARD.md").read_text(encoding="utf-8")
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.name.endswith(".json")}
    listed = dict(re.findall(r"\| (\S+\.json) \|.*?\| `([0-9a-f]{64})` \|", card))
    assert listed == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    assert sum(map(len, files.values())) < 3_000_000
