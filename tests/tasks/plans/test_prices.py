"""Plans of downloads: valid and refused requests."""

from datetime import date
from typing import Any

import pytest

from tasks.errors import BadRequestError
from tasks.plans.prices import PricesPlan, open_request_source, plan_prices
from tasks.settings import Settings
from tests.tasks.plans.conftest import NOW


def plan(settings: Settings, **changes: Any) -> PricesPlan:
    request: dict[str, Any] = {
        "source_spec": "sample",
        "symbols": None,
        "universe_file": None,
        "first": None,
        "now": NOW,
    }
    return plan_prices(settings, **(request | changes))


def test_plan_prices_of_the_sample_has_both_indices(settings: Settings) -> None:
    planned = plan(settings)
    assert (planned.source_spec, planned.universe, planned.symbols) == ("sample", "sample", ["^GSPC", "^IXIC"])
    assert (planned.requested_at, planned.first) == (NOW, None)


def test_plan_prices_refuses_a_future_first_session(settings: Settings) -> None:
    with pytest.raises(
        BadRequestError, match="must not be in the future: received 2019-01-16, and today is 2019-01-15"
    ):
        plan(settings, first=date(2019, 1, 16))
    assert plan(settings, first=date(2019, 1, 15)).first == date(2019, 1, 15)


def test_open_request_source_uses_the_settings(settings: Settings) -> None:
    assert open_request_source("yahoo", settings).kind == "yahoo"
    assert settings.cache_dir.is_dir()
    with pytest.raises(BadRequestError, match="Unknown price source 'bloomberg'"):
        open_request_source("bloomberg", settings)
