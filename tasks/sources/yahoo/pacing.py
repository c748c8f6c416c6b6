"""How hard a source may be asked: a bound on requests, on waiting and on how many ask at once, and a circuit breaker.

One `Pace` belongs to one source object. Every thread of every `fetch` call takes a turn from it for each attempt, so
its bounds hold over all of them together. It knows nothing of what is asked, and no clock but the `sleep` it is given.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from tasks.sources import Outcome, SourceOutcome

# yfinance asks for a symbol's time zone, if it has not met it before, and for its prices; it repeats what is refused.
REQUESTS_PER_ATTEMPT = 4


@dataclass(frozen=True)
class Limits:
    """How long and how often a source object may try, over all its `fetch` calls.

    Attempts: at most `attempts` for each symbol of a `fetch`. What fails waits for the next pass; before the k-th
    repeat (k = 0, 1, …) all that failed wait together, once, for min(first_wait · 2^k, longest_wait) seconds.

    Breaker: a refusal is a rate limit, a failure that says how long to stay away, or no answer at all to a symbol's
    first attempt or to a probe. `refusals_to_open` in a row, or a single one that says how long, open the breaker, and
    nobody asks. After min(cool_down · 2^k, longest_wait) seconds, k being the probes that failed, or as long as the
    source said if that is longer, one symbol probes. Unless it too is refused, the breaker closes and all go on where
    they stopped.

    Waits: all are drawn from one budget of `wait_budget_seconds`, and multiplied by a random number between 0.5 and 1;
    only what the source itself asked for is never shortened. A wait beyond the budget is not begun: what failed is not
    repeated, and a breaker that cannot wait stays open for good, with no more requests.

    Requests: at most `requests_budget(symbols)` reach the chart service, yfinance's own repeats included. A new symbol
    takes two, one met before takes one, and a refused attempt two.
    """

    attempts: int = 4
    first_wait_seconds: float = 2.0
    longest_wait_seconds: float = 60.0
    refusals_to_open: int = 5
    cool_down_seconds: float = 30.0
    wait_budget_seconds: float = 300.0
    requests_per_symbol: int = 4
    timeout_seconds: float = 15.0
    """Of one request."""

    def requests_budget(self, symbols: int) -> int:
        """Most requests for so many symbols: a number each, on average, and all that one alone could need.

        A symbol counts as often as it is passed to `fetch`.
        """
        return self.requests_per_symbol * symbols + self.attempts * REQUESTS_PER_ATTEMPT


class BudgetSpentError(Exception):
    """There is no turn: the budget does not allow it.

    Attributes:
        outcome: what that makes of a symbol that was never asked for.
    """

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome


@dataclass
class Turn:
    """Leave to make one attempt; whoever has it writes down here what came of it."""

    is_probe: bool
    """Whether the breaker is open, and this attempt decides if it closes."""
    requests: int = 0
    """How many were sent."""
    refusal: SourceOutcome | None = None
    """Set when the source wants nobody to ask now, rather than having no good answer about one symbol."""
    retry_after_seconds: float = 0.0
    """How long the source said to stay away; 0 if it did not say."""


class Pace:
    """Gives turns to all threads of a source; see `Limits` for the rules.

    Args:
        limits: attempts, waits and requests.
        max_at_once: how many turns there are at any moment.
        sleep: called with the seconds to wait.
        rng: jitter of the waits.
    """

    def __init__(
        self, limits: Limits, max_at_once: int, sleep: Callable[[float], None], rng: np.random.Generator
    ) -> None:
        self._limits, self._sleep, self._rng = limits, sleep, rng
        self._places = threading.BoundedSemaphore(max_at_once)
        self._changed = threading.Condition()  # guards all that follows
        self._seconds_left = limits.wait_budget_seconds
        self._requests_left = self._requests_budget = limits.requests_budget(0)
        self._under_way = 0  # turns
        self._is_open = self._is_probed = self._is_shut = False
        self._refusals = 0  # in a row
        self._cool_downs = 0  # since the breaker opened
        self._stay_away_seconds = 0.0
        self._last_refusal: SourceOutcome | None = None

    def expect(self, symbols: int) -> None:
        """Allow for the requests of so many more symbols."""
        with self._changed:
            more = self._limits.requests_budget(symbols) - self._limits.requests_budget(0)
            self._requests_left += more
            self._requests_budget += more

    def pause(self, k: int) -> bool:
        """Wait before the k-th repeat of what failed; False, at once, if it is not to be repeated."""
        with self._changed:
            if self._is_shut or self._requests_left < REQUESTS_PER_ATTEMPT:
                return False
            if self._is_open:
                return True  # the cool-down is wait enough
        return self._wait(self._limits.first_wait_seconds, k)

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Wait for a free place and for the breaker, through its cool-down if this turn is the one that probes.

        Raises:
            BudgetSpentError: if there is nothing left to wait or to ask with.
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
        """Set aside the requests of one attempt, once the breaker is closed or wants a probe."""
        with self._changed:
            self._changed.wait_for(self._is_next)
            self._raise_if_shut()
            if self._requests_left < REQUESTS_PER_ATTEMPT:
                raise BudgetSpentError(Outcome.RATE_LIMITED, f"the budget of {self._requests_budget} requests is spent")
            self._requests_left -= REQUESTS_PER_ATTEMPT
            self._under_way += 1
            self._is_probed = self._is_open
            return Turn(is_probe=self._is_open)

    def _is_next(self) -> bool:
        """Whether it is decided what becomes of one who waits for a turn."""
        may_give_back = self._requests_left < REQUESTS_PER_ATTEMPT and self._under_way > 0
        return self._is_shut or not (may_give_back or (self._is_open and self._is_probed))

    def _cool_down(self) -> None:
        with self._changed:
            k, self._cool_downs = self._cool_downs, self._cool_downs + 1
            at_least, self._stay_away_seconds = self._stay_away_seconds, 0.0
        if not self._wait(self._limits.cool_down_seconds, k, at_least):
            with self._changed:
                self._is_shut = True
                self._raise_if_shut()

    def _settle(self, turn: Turn) -> None:
        """Take back the requests that were not sent, and let the breaker learn from the attempt."""
        with self._changed:
            self._requests_left += REQUESTS_PER_ATTEMPT - turn.requests
            self._under_way -= 1
            if turn.is_probe:
                self._is_probed = False
            if turn.refusal is not None:
                self._last_refusal = turn.refusal
                self._refusals += 1
                self._stay_away_seconds = max(self._stay_away_seconds, turn.retry_after_seconds)
                self._is_open |= self._refusals >= self._limits.refusals_to_open or turn.retry_after_seconds > 0
            elif turn.requests > 0 and (turn.is_probe or not self._is_open):
                # An attempt from before the breaker opened proves nothing about now, nor does one never made.
                self._is_open, self._refusals, self._cool_downs, self._stay_away_seconds = False, 0, 0, 0.0
            self._changed.notify_all()

    def _raise_if_shut(self) -> None:
        last = self._last_refusal
        if self._is_shut and last is not None:
            raise BudgetSpentError(
                last.outcome,
                f"the source refused {self._refusals} attempts in a row, the last for {last.symbol} ({last.reason}), "
                f"and of {self._limits.wait_budget_seconds:.0f} s of waiting too little is left to try again",
            )

    def _wait(self, first_seconds: float, k: int, at_least_seconds: float = 0.0) -> bool:
        """Wait for the k-th time; False, at once, when the budget does not cover it."""
        longest = min(first_seconds * 2.0**k, self._limits.longest_wait_seconds)
        with self._changed:
            seconds = max(longest * self._rng.uniform(0.5, 1.0), at_least_seconds)
            if seconds > self._seconds_left:
                return False
            self._seconds_left -= seconds
        self._sleep(seconds)
        return True
