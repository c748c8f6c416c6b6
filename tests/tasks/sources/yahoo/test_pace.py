"""Turns, waits and the breaker of a pace, without a source and without waiting."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.sources.base import Outcome, SourceOutcome
from tasks.sources.yahoo.pace import REQUESTS_PER_ATTEMPT, BudgetSpentError, Limits, Pace

REFUSAL = SourceOutcome("X", Outcome.RATE_LIMITED, "HTTP 429: too many requests")
COOL_DOWN = Limits(cool_down_seconds=30.0, longest_wait_seconds=60.0, refusals_to_open=5, wait_budget_seconds=300.0)


def make_pace(limits: Limits = COOL_DOWN, sleep: Callable[[float], Any] = lambda _: None, at_once: int = 4) -> Pace:
    pace = Pace(limits, at_once, sleep, np.random.default_rng(1))
    pace.expect(1_000)
    return pace


def attempt(pace: Pace, *, is_refused: bool = False, retry_after_seconds: float = 0.0, requests: int = 2) -> bool:
    """Make an attempt with the given result; return whether it was a probe."""
    with pace.turn() as turn:
        turn.requests, turn.retry_after_seconds = requests, retry_after_seconds
        turn.refusal = REFUSAL if is_refused else None
        return turn.is_probe


def open_breaker(pace: Pace) -> None:
    for _ in range(COOL_DOWN.refusals_to_open):
        assert not attempt(pace, is_refused=True)


def test_pause_grows_from_the_first_wait_to_the_longest_with_jitter() -> None:
    waits: list[float] = []
    pace = make_pace(Limits(first_wait_seconds=2.0, longest_wait_seconds=5.0), waits.append)
    assert all(pace.pause(k) for k in range(4))
    for wait, longest in zip(waits, [2.0, 4.0, 5.0, 5.0], strict=True):
        assert longest / 2 <= wait <= longest
    assert len(set(waits)) == 4


def test_pause_beyond_the_budget_is_refused_at_once() -> None:
    waits: list[float] = []
    pace = make_pace(Limits(first_wait_seconds=10.0, wait_budget_seconds=4.9), waits.append)
    assert not pace.pause(0)
    assert waits == []


def test_breaker_opens_only_after_refusals_in_a_row() -> None:
    pace = make_pace()
    for _ in range(3):
        for _ in range(COOL_DOWN.refusals_to_open - 1):
            attempt(pace, is_refused=True)
        assert not attempt(pace)
    open_breaker(pace)
    assert attempt(pace), "the next one probes"


def test_breaker_cools_down_longer_after_each_failed_probe() -> None:
    waits: list[float] = []
    pace = make_pace(sleep=waits.append)
    open_breaker(pace)
    assert attempt(pace, is_refused=True)
    assert attempt(pace, is_refused=True)
    assert attempt(pace)
    assert not attempt(pace)
    open_breaker(pace)
    assert attempt(pace)
    for wait, longest in zip(waits, [30.0, 60.0, 60.0, 30.0], strict=True):
        assert longest / 2 <= wait <= longest


def test_breaker_waits_for_retry_after_once() -> None:
    """One refusal with Retry-After opens the breaker, and the delay is never shortened."""
    waits: list[float] = []
    pace = make_pace(sleep=waits.append)
    attempt(pace, is_refused=True, retry_after_seconds=120.0)
    assert attempt(pace, is_refused=True)
    assert attempt(pace)
    assert waits[0] == 120.0
    assert 30.0 <= waits[1] <= 60.0


def test_breaker_without_waits_left_stays_open() -> None:
    waits: list[float] = []
    pace = make_pace(sleep=waits.append)
    attempt(pace, is_refused=True, retry_after_seconds=301.0)
    for _ in range(2):
        with pytest.raises(BudgetSpentError, match=r"refused .*, the last for X \(HTTP 429") as error:
            attempt(pace)
        assert error.value.outcome is Outcome.RATE_LIMITED
    assert not pace.pause(0)
    assert waits == []


def test_breaker_is_not_closed_by_an_earlier_attempt() -> None:
    pace = make_pace()
    with pace.turn() as early:
        open_breaker(pace)
        early.requests = 1
    assert attempt(pace)


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_breaker_is_not_closed_by_an_interrupted_probe(fault: type[BaseException]) -> None:
    """After any interruption of the cool-down the next attempt probes, and no thread waits for ever."""
    faults = [fault]

    def interrupt_once(seconds: float) -> None:
        if faults:
            raise faults.pop()

    pace = make_pace(sleep=interrupt_once)
    open_breaker(pace)
    with pytest.raises(fault):
        attempt(pace)
    assert attempt(pace)
    assert not attempt(pace)


def test_breaker_admits_one_probe_while_all_others_wait() -> None:
    turns: list[bool] = []
    turns_when_asleep: list[int] = []
    all_started = threading.Barrier(4)

    def sleep(seconds: float) -> None:
        turns_when_asleep.append(len(turns))
        threading.Event().wait(0.05)  # a real moment, in which the others could slip through
        turns_when_asleep.append(len(turns))

    pace = make_pace(sleep=sleep)
    open_breaker(pace)

    def take_turn(number: int) -> None:
        all_started.wait()
        with pace.turn() as turn:
            turns.append(turn.is_probe)
            turn.requests = 1
            turn.refusal = REFUSAL if len(turns) == 1 else None  # the first probe fails

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take_turn, range(4)))

    assert turns_when_asleep == [0, 0, 1, 1]
    assert turns == [True, True, False, False]


def test_waiting_turns_are_refused_once_the_budget_is_spent() -> None:
    """The probe in progress decides for all threads."""
    all_started = threading.Barrier(4)
    pace = make_pace(Limits(refusals_to_open=1, wait_budget_seconds=1.0))
    attempt(pace, is_refused=True)

    def is_refused(number: int) -> bool:
        all_started.wait()
        with pytest.raises(BudgetSpentError):
            attempt(pace)
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(is_refused, range(4)))


def test_turns_are_bounded() -> None:
    pace = make_pace(at_once=3)
    inside, most = 0, 0
    lock = threading.Lock()

    def take_turn(number: int) -> None:
        nonlocal inside, most
        with pace.turn():
            with lock:
                inside += 1
                most = max(most, inside)
            threading.Event().wait(0.002)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(take_turn, range(60)))
    assert most == 3


def test_turn_is_refused_if_the_requests_left_may_not_suffice() -> None:
    limits = Limits(attempts=1, requests_per_symbol=4)
    assert limits.requests_budget(1) == 4 + REQUESTS_PER_ATTEMPT == 8
    pace = Pace(limits, 4, lambda _: None, np.random.default_rng(1))
    pace.expect(1)
    for _ in range(5):
        attempt(pace, requests=1)  # 3 are left
    assert not pace.pause(0)
    with pytest.raises(BudgetSpentError, match="the budget of 8 requests is spent"):
        attempt(pace)


def test_turn_waits_for_requests_that_others_may_return() -> None:
    pace = Pace(Limits(attempts=1), 4, lambda _: None, np.random.default_rng(1))
    pace.expect(1)
    with ThreadPoolExecutor(1) as pool:
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(pace.turn()).requests = 1
            third = pool.submit(attempt, pace)
            threading.Event().wait(0.02)
            assert not third.done()
        assert third.result(timeout=5.0) is False


STEPS = st.one_of(
    st.integers(min_value=0, max_value=8),  # pause
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.0, 7.0, 1e6]), st.integers(0, REQUESTS_PER_ATTEMPT)),  # attempt
)


@given(
    limits=st.builds(
        Limits,
        attempts=st.integers(1, 4),
        first_wait_seconds=st.floats(0.0, 100.0),
        longest_wait_seconds=st.floats(0.0, 1_000.0),
        refusals_to_open=st.integers(1, 5),
        cool_down_seconds=st.floats(0.0, 500.0),
        wait_budget_seconds=st.floats(0.0, 500.0),
        requests_per_symbol=st.integers(0, 4),
    ),
    symbols=st.integers(0, 30),
    steps=st.lists(STEPS, max_size=60),
)
@settings(max_examples=200, deadline=None)
def test_waits_and_requests_never_exceed_their_budgets(limits: Limits, symbols: int, steps: list[Any]) -> None:
    waits: list[float] = []
    requests = 0
    pace = Pace(limits, 1, waits.append, np.random.default_rng(1))
    pace.expect(symbols)
    for step in steps:
        if isinstance(step, int):
            pace.pause(step)
            continue
        is_refused, retry_after_seconds, sent = step
        try:
            attempt(pace, is_refused=is_refused, retry_after_seconds=retry_after_seconds, requests=sent)
            requests += sent
        except BudgetSpentError:
            pass
    assert sum(waits) <= limits.wait_budget_seconds * (1 + 1e-12)
    assert requests <= limits.requests_budget(symbols)
