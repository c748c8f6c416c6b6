"""The run's row in the ledger: its content, and the months that cannot be opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.errors import AlreadyPublishedError, RunInProgressError
from tasks.month.run import open_run
from tests.support.untrained import CONFIG, make_plan


def make_store(rows: list[dict[str, Any]], *, is_free: bool = True, published: dict[str, Any] | None = None) -> Any:
    """Make a store that appends the run's row to `rows`."""

    @contextmanager
    def hold_month(key: object, **_: object) -> Iterator[bool]:
        yield is_free

    def begin_run(key: object, **row: Any) -> int:
        rows.append(row)
        return 7

    return SimpleNamespace(hold_month=hold_month, find_published=lambda key: published, begin_run=begin_run)


def test_open_run_stores_config_parameters_and_software() -> None:
    rows = list[dict[str, Any]]()
    with open_run(make_store(rows), make_plan("auto"), CONFIG, {"source": "file:p.csv"}) as run:
        assert run.run_id == 7
    (row,) = rows
    assert row["config"] == CONFIG.to_dict()
    assert row["config"]["units"] == 2
    assert row["parameters"] == {"source": "file:p.csv"}
    assert {"python", "tensorflow", "numpy"} <= set(row["software"])


def test_open_run_rejects_a_month_in_progress() -> None:
    rows = list[dict[str, Any]]()
    with (
        pytest.raises(RunInProgressError, match=r"^The run of test for 2009-12 is in progress in another process; "),
        open_run(make_store(rows, is_free=False), make_plan("auto"), CONFIG, {}),
    ):
        pass
    assert rows == []


def test_open_run_rejects_a_month_published_in_the_meantime() -> None:
    rows = list[dict[str, Any]]()
    published = {"run_id": 3, "correction": 0}
    with (
        pytest.raises(AlreadyPublishedError, match=r"^2009-12 was published by run 3 in the meantime\.$"),
        open_run(make_store(rows, published=published), make_plan("auto"), CONFIG, {}),
    ):
        pass
    assert rows == []
