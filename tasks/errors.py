"""Errors of the program, one class for each case that a caller handles differently.

BellwetherError               one sentence for the user, and an exit code
├── BadRequestError           the request is invalid
├── SourceUnavailableError    the price source did not respond: worth a retry
├── PricesIncompleteError     too few symbols have the origin month: publish nothing
├── NotEnoughHistoryError     too few months to train or evaluate a model
├── RunInProgressError        another process is running the same month
├── AlreadyPublishedError     another process has published the month: its publication stands
├── DamagedModelError         a stored model is unusable: use the one before, or train a new one
├── ReplayDiffersError        a replay differs from the stored forecasts
├── DeliveryFailedError       a recipient did not accept a message
├── DatabaseUnavailableError  Postgres did not respond: worth a retry
├── PrefectUnavailableError   Prefect's server did not respond
├── HomeUnusableError         `BELLWETHER_HOME` cannot be used
├── ResourcesExhaustedError   memory, disk space, threads or open files ran out
├── InterruptedByUserError    Ctrl-C
└── UnexpectedError           a fault of the program: its traceback is in a log file

A wrong argument between functions of the program is a `ValueError`. A skipped symbol is not an error but an outcome,
see `tasks.sources.base`.
"""

from typing import ClassVar


class BellwetherError(Exception):
    """Base of all errors: a sentence for the user, and the exit code of the command.

    Exit codes 1 and 2 are reserved for the interpreter and for invalid command lines.
    """

    exit_code: ClassVar[int] = 3


class BadRequestError(BellwetherError):
    """The request is invalid: an unknown symbol, a future `as_of`, a file with wrong columns."""

    exit_code = 4


class SourceUnavailableError(BellwetherError):
    """The price source did not respond: worth a retry."""

    exit_code = 5


class PricesIncompleteError(BellwetherError):
    """Too few symbols of the universe have the origin month: publish nothing."""

    exit_code = 6


class NotEnoughHistoryError(BellwetherError):
    """There are too few months to train or evaluate a model."""

    exit_code = 7


class RunInProgressError(BellwetherError):
    """Another process is running the same month."""

    exit_code = 8


class AlreadyPublishedError(BellwetherError):
    """Another process has published the month: its publication stands."""

    exit_code = 10


class DatabaseUnavailableError(BellwetherError):
    """Postgres did not respond: worth a retry."""

    exit_code = 9


class DamagedModelError(BellwetherError):
    """A stored model is unusable: use the one before it, or train a new one."""

    exit_code = 11


class ReplayDiffersError(BellwetherError):
    """A replay differs from the stored forecasts."""

    exit_code = 12


class DeliveryFailedError(BellwetherError):
    """A recipient did not accept a message that was sent by hand."""

    exit_code = 13


class UnexpectedError(BellwetherError):
    """A fault of the program. Its traceback is in a log file, see `tasks.failures.error_logs`."""

    exit_code = 14


class PrefectUnavailableError(BellwetherError):
    """Prefect's server did not respond, or a temporary one did not start."""

    exit_code = 15


class HomeUnusableError(BellwetherError):
    """`BELLWETHER_HOME` is no directory, or cannot be written."""

    exit_code = 16


class ResourcesExhaustedError(BellwetherError):
    """Memory, disk space, threads or open files ran out."""

    exit_code = 17


class InterruptedByUserError(BellwetherError):
    """The user interrupted the command."""

    exit_code = 130
