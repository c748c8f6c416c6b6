"""What can go wrong, where a caller acts differently.

BellwetherError               one sentence for the user, and an exit code
├── BadRequestError           the caller asked for something that cannot be
├── SourceUnavailableError    the price source did not answer: worth a retry
├── PricesIncompleteError     too few of the universe have their month: stop, publish nothing
├── NotEnoughHistoryError     too few months to train
├── RunInProgressError        another process is running the same month
├── AlreadyPublishedError     another process has published the month: what it published stands
├── DamagedModelError         a stored model cannot be used: take the one before, or train anew
├── ReplayDiffersError        a replay did not give what is stored
├── DeliveryFailedError       an address did not accept a message
└── DatabaseUnavailableError  Postgres did not answer: worth a retry

A bad argument between our own functions is a `ValueError`. A skipped symbol is no exception but an outcome, see
`tasks.sources`.
"""

from typing import ClassVar


class BellwetherError(Exception):
    """The sentence is all a user sees; `exit_code` is what the shell sees.

    Codes 1 and 2 are left to the interpreter and to wrong command lines.
    """

    exit_code: ClassVar[int] = 3


class BadRequestError(BellwetherError):
    """The caller asked for something that cannot be: unknown symbol, future as_of, a file with the wrong columns."""

    exit_code = 4


class SourceUnavailableError(BellwetherError):
    """The price source did not answer: worth a retry."""

    exit_code = 5


class PricesIncompleteError(BellwetherError):
    """Too few symbols of the universe have their month: stop, publish nothing."""

    exit_code = 6


class NotEnoughHistoryError(BellwetherError):
    """Too few months to train a model or to judge one."""

    exit_code = 7


class RunInProgressError(BellwetherError):
    """Another process is running the same month."""

    exit_code = 8


class AlreadyPublishedError(BellwetherError):
    """Another process has published the month: what it published stands."""

    exit_code = 10


class DatabaseUnavailableError(BellwetherError):
    """Postgres did not answer: worth a retry."""

    exit_code = 9


class DamagedModelError(BellwetherError):
    """A stored model cannot be used: take the one before it, or train anew."""

    exit_code = 11


class ReplayDiffersError(BellwetherError):
    """A replay did not give what is stored."""

    exit_code = 12


class DeliveryFailedError(BellwetherError):
    """An address did not accept a message that a person asked to send."""

    exit_code = 13
