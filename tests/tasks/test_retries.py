"""The retry rule of the steps, with real Prefect runs and without waiting."""

from collections.abc import Callable
from typing import Any

import pytest
from prefect import flow, task
from prefect.client.schemas.objects import State

from tasks import errors
from tasks.errors import BellwetherError, DatabaseUnavailableError, SourceUnavailableError
from tasks.retries import RETRIED_ERRORS, STEP, chunk_runner

NO_WAITING = STEP | {"retry_delay_seconds": 0, "retry_jitter_factor": None}
NEVER_RETRIED = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, BellwetherError) and kind not in RETRIED_ERRORS
]


def run_step(fail: Callable[[int], BaseException | None]) -> tuple[State[Any], int]:
    """Run a step in a flow; `fail` gives the error of each attempt, from 1. Returns the state and the attempts."""
    attempts = 0

    @task(**NO_WAITING)
    def step() -> int:
        nonlocal attempts
        attempts += 1
        if (error := fail(attempts)) is not None:
            raise error
        return attempts

    @flow
    def run() -> State[Any]:
        state: State[Any] = step(return_state=True)
        return state

    return run(return_state=True), attempts


@pytest.mark.parametrize("kind", [DatabaseUnavailableError, SourceUnavailableError])
def test_step_is_retried_twice_without_a_response(prefect_server: None, kind: type[BellwetherError]) -> None:
    state, attempts = run_step(lambda attempt: kind("No response."))
    assert attempts == 3
    assert state.is_failed()
    with pytest.raises(kind, match="No response"):
        state.result()


@pytest.mark.parametrize("kind", [DatabaseUnavailableError, SourceUnavailableError])
def test_step_completes_if_a_retry_gets_a_response(prefect_server: None, kind: type[BellwetherError]) -> None:
    state, attempts = run_step(lambda attempt: kind("No response.") if attempt < 3 else None)
    assert attempts == 3
    assert state.is_completed()


@pytest.mark.parametrize("kind", [*NEVER_RETRIED, ValueError, KeyError, OSError])
def test_step_is_never_retried_after_another_error(prefect_server: None, kind: type[Exception]) -> None:
    """Faults of data, of the request and of the program fail again in the same way."""
    state, attempts = run_step(lambda attempt: kind("A fault."))
    assert attempts == 1
    assert state.is_failed()


def test_step_stops_retrying_after_another_error(prefect_server: None) -> None:
    faults = [SourceUnavailableError("No response."), ValueError("A fault.")]
    state, attempts = run_step(lambda attempt: faults[attempt - 1])
    assert attempts == 2
    assert state.is_failed()


def test_step_options_bound_the_retries_and_never_cache(prefect_server: None) -> None:
    """The delays grow from 2 to 10 s, each up to half longer."""
    step = task(name="fetch", **STEP)(lambda: None)
    assert (step.retries, step.retry_delay_seconds, step.retry_jitter_factor) == (2, [2, 10], 0.5)
    assert step.persist_result is False
    assert len(NEVER_RETRIED) == 14


def test_step_runs_each_time_with_the_same_arguments(prefect_server: None) -> None:
    calls = []

    @task(**NO_WAITING)
    def step(value: int) -> None:
        calls.append(value)

    @flow
    def run() -> None:
        step(1)
        step(1)

    run()
    assert calls == [1, 1]


def test_chunk_runner_bounds_the_threads_of_many_chunks(prefect_server: None) -> None:
    active = most = 0

    @task(**NO_WAITING)
    def step(chunk: int) -> int:
        nonlocal active, most
        active += 1
        most = max(most, active)
        active -= 1
        return chunk

    @flow(task_runner=chunk_runner())
    def run() -> list[int]:
        results: list[int] = step.map(range(30)).result()
        return results

    assert run() == list(range(30))
    assert most <= 4
