"""Plans of downloads: valid and refused requests."""

from datetime import date
from typing import Any

import pandas as pd
import pytest

from sql.store import Store
from tasks.errors import BadRequestError
from tasks.plans.prices import PricesPlan, open_request_source, plan_prices
from tasks.settings import Settings
from tasks.sources.sample import SampleSource
from tests.tasks.plans.conftest import NOW


def plan(store: Store, settings: Settings, **changes: Any) -> PricesPlan:
    request: dict[str, Any] = {
        "source_spec": "sample",
        "symbols": None,
        "universe_file": None,
        "first": None,
        "now": NOW,
    }
    return plan_prices(store, settings, **(request | changes))


def store_sample(store: Store, source: str) -> None:
    fetched = SampleSource().fetch({"^GSPC": date(2018, 12, 3)}, NOW)
    store.merge_bars(
        source=source,
        instruments=fetched.instruments,
        bars=fetched.bars,
        actions=fetched.actions,
        outcomes=pd.DataFrame([("^GSPC", "ok", "")], columns=["symbol", "outcome", "reason"]),
    )


def test_plan_prices_of_the_sample_has_both_indices(store: Store, settings: Settings) -> None:
    planned = plan(store, settings)
    assert (planned.source_spec, planned.universe, planned.symbols) == ("sample", "sample", ["^GSPC", "^IXIC"])
    assert (planned.requested_at, planned.first) == (NOW, None)


def test_plan_prices_refuses_a_future_first_session(store: Store, settings: Settings) -> None:
    with pytest.raises(
        BadRequestError, match="must not be in the future: received 2019-01-16, and today is 2019-01-15"
    ):
        plan(store, settings, first=date(2019, 1, 16))
    assert plan(store, settings, first=date(2019, 1, 15)).first == date(2019, 1, 15)


def test_plan_prices_refuses_stored_bars_of_another_source(store: Store, settings: Settings) -> None:
    store_sample(store, "file")
    with pytest.raises(BadRequestError, match=r"must come from one source: those of \^GSPC .* come from 'file'"):
        plan(store, settings)
    assert plan(store, settings, symbols=["^IXIC"]).symbols == ["^IXIC"]


def test_plan_prices_accepts_stored_bars_of_the_same_source(store: Store, settings: Settings) -> None:
    store_sample(store, "sample")
    assert plan(store, settings).symbols == ["^GSPC", "^IXIC"]


def test_open_request_source_uses_the_settings(settings: Settings) -> None:
    assert open_request_source("yahoo", settings).kind == "yahoo"
    assert settings.cache_dir.is_dir()
    with pytest.raises(BadRequestError, match="Unknown price source 'bloomberg'"):
        open_request_source("bloomberg", settings)
