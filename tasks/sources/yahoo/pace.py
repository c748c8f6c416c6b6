"""Pace of the requests to a source: limits on requests, waiting and concurrency, and a circuit breaker.

One `Pace` belongs to one source object. Every thread of every `fetch` call takes a turn from it for each attempt, so
the limits hold over all of them together. The pace is independent of the content of the requests, and its only clock is
the given `sleep`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from tasks.sources.base import Outcome, SourceOutcome

# yfinance requests a new symbol's time zone, then its prices, and repeats each request once if it is refused.
REQUESTS_PER_ATTEMPT = 4


@dataclass(frozen=True)
class Limits:
    """Limits of a source object, over all its `fetch` calls.

    Attempts: at most `attempts` for each symbol of a `fetch`. A failed symbol waits for the next round. Before the k-th
    repeat (k = 0, 1, …) all failed symbols wait together, once, for min(first_wait · 2^k, longest_wait) seconds.

    Breaker: a refusal is a rate limit, a failure with a Retry-After header, or no response at all to a symbol's first
    attempt or to a probe. The breaker opens after `refusals_to_open` refusals in a row, or after one with Retry-After.
    While it is open no symbol is requested. After min(cool_down · 2^k, longest_wait) seconds, k being the number of
    failed probes, or after Retry-After if that is longer, one symbol probes. Unless the probe is refused as well, the
    breaker closes and all symbols resume.

    Waits: all are taken from one budget of `wait_budget_seconds`, and multiplied by a random number between 0.5 and 1;
    only Retry-After is never shortened. A wait beyond the budget does not start: failed symbols are not repeated, and
    an open breaker stays open for good, without further requests.

    Requests: at most `requests_budget(symbols)` reach the chart service, yfinance's repeats included. A new symbol
    takes two, a known one takes one, and a refused attempt two.
    """

    attempts: int = 4
    first_wait_seconds: float = 2.0
    longest_wait_seconds: float = 60.0
    refusals_to_open: int = 5
    cool_down_seconds: float = 30.0
    wait_budget_seconds: float = 300.0
    requests_per_symbol: int = 4
    timeout_seconds: float = 15.0
    """Timeout of one request."""

    def requests_budget(self, symbols: int) -> int:
        """Compute the largest number of requests for so many symbols.

        It is `requests_per_symbol` for each symbol, plus all attempts of one symbol. A symbol counts each time it is
        passed to `fetch`.
        """
        return self.requests_per_symbol * symbols + self.attempts * REQUESTS_PER_ATTEMPT


class BudgetSpentError(Exception):
    """Error for a turn that the budget does not allow.

    Attributes:
        outcome: Outcome of a symbol that was never requested.
    """

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome


@dataclass
class Turn:
    """Permission for one attempt; its holder records the result in it."""

    is_probe: bool
    """True if the breaker is open, so that this attempt decides whether it closes."""
    requests: int = 0
    """Number of requests sent."""
    refusal: SourceOutcome | None = None
    """Outcome of the attempt if the source refuses requests at present; None if a failure concerns one symbol only."""
    retry_after_seconds: float = 0.0
    """Delay requested by the source; 0 if none."""


class Pace:
    """Turns for all threads of a source, under the rules of `Limits`.

    Args:
        limits: Attempts, waits and requests.
        max_at_once: Number of concurrent turns.
        sleep: Function that waits, given seconds.
        rng: Generator of the jitter of the waits.
    """

    def __init__(
        self, limits: Limits, max_at_once: int, sleep: Callable[[float], None], rng: np.random.Generator
    ) -> None:
        self._limits, self._sleep, self._rng = limits, sleep, rng
        self._places = threading.BoundedSemaphore(max_at_once)
        self._changed = threading.Condition()  # guards every attribute below
        self._seconds_left = limits.wait_budget_seconds
        self._requests_left = self._requests_budget = limits.requests_budget(0)
        self._active_turns = 0
        self._is_open = self._is_probed = self._is_shut = False
        self._refusals = 0  # in a row
        self._cool_downs = 0  # since the breaker opened
        self._retry_after_seconds = 0.0
        self._last_refusal: SourceOutcome | None = None

    def expect(self, symbols: int) -> None:
        """Extend the budget by the requests of so many symbols."""
        with self._changed:
            more = self._limits.requests_budget(symbols) - self._limits.requests_budget(0)
            self._requests_left += more
            self._requests_budget += more

    def pause(self, k: int) -> bool:
        """Wait before the k-th repeat of failed symbols; return False at once if they must not be repeated."""
        with self._changed:
            if self._is_shut or self._requests_left < REQUESTS_PER_ATTEMPT:
                return False
            if self._is_open:
                return True  # the cool-down follows
        return self._wait(self._limits.first_wait_seconds, k)

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Wait for a free place and for the breaker; a turn that probes waits for the cool-down.

        Raises:
            BudgetSpentError: if the budget of waits or of requests is spent.
        """
        with self._places:
            turn = self._admit()
            try:
                if turn.is_probe:
                    self._cool_down()
                yield turn
            finally:
                self._settle(turn)

    def _admit(self) -> Turn:
        """Reserve the requests of one attempt, once the breaker is closed or needs a probe."""
        with self._changed:
            self._changed.wait_for(self._can_decide)
            self._raise_if_shut()
            if self._requests_left < REQUESTS_PER_ATTEMPT:
                raise BudgetSpentError(Outcome.RATE_LIMITED, f"the budget of {self._requests_budget} requests is spent")
            self._requests_left -= REQUESTS_PER_ATTEMPT
            self._active_turns += 1
            self._is_probed = self._is_open
            return Turn(is_probe=self._is_open)

    def _can_decide(self) -> bool:
        """Check that no active turn can still change whether another one is admitted."""
        may_give_back = self._requests_left < REQUESTS_PER_ATTEMPT and self._active_turns > 0
        return self._is_shut or not (may_give_back or (self._is_open and self._is_probed))

    def _cool_down(self) -> None:
        with self._changed:
            k, self._cool_downs = self._cool_downs, self._cool_downs + 1
            at_least, self._retry_after_seconds = self._retry_after_seconds, 0.0
        if not self._wait(self._limits.cool_down_seconds, k, at_least):
            with self._changed:
                self._is_shut = True
                self._raise_if_shut()

    def _settle(self, turn: Turn) -> None:
        """Return the unused requests to the budget, and update the breaker."""
        with self._changed:
            self._requests_left += REQUESTS_PER_ATTEMPT - turn.requests
            self._active_turns -= 1
            if turn.is_probe:
                self._is_probed = False
            if turn.refusal is not None:
                self._last_refusal = turn.refusal
                self._refusals += 1
                self._retry_after_seconds = max(self._retry_after_seconds, turn.retry_after_seconds)
                self._is_open |= self._refusals >= self._limits.refusals_to_open or turn.retry_after_seconds > 0
            elif turn.requests > 0 and (turn.is_probe or not self._is_open):
                # An attempt that began before the breaker opened, or sent nothing, does not close it.
                self._is_open, self._refusals, self._cool_downs, self._retry_after_seconds = False, 0, 0, 0.0
            self._changed.notify_all()

    def _raise_if_shut(self) -> None:
        last = self._last_refusal
        if self._is_shut and last is not None:
            raise BudgetSpentError(
                last.outcome,
                f"the source refused {self._refusals} attempts in a row, the last for {last.symbol} ({last.reason}), "
                f"and too little of the {self._limits.wait_budget_seconds:.0f} s of waiting is left to retry",
            )

    def _wait(self, first_seconds: float, k: int, at_least_seconds: float = 0.0) -> bool:
        """Wait for the k-th time; return False at once if the budget does not cover it."""
        longest = min(first_seconds * 2.0**k, self._limits.longest_wait_seconds)
        with self._changed:
            seconds = max(longest * self._rng.uniform(0.5, 1.0), at_least_seconds)
            if seconds > self._seconds_left:
                return False
            self._seconds_left -= seconds
        self._sleep(seconds)
        return True
