"""A name that one process holds: a row of `ops.lock`, locked by an open transaction.

Advisory locks would be open to every login of the database, but readers have no right to the row. The transaction also
keeps its session behind a pooler. Postgres ends it with the connection, also if the process is killed. A thread keeps
the connection in use, so that no timeout of a firewall or load balancer ends it, and notices its loss at once.
"""

import select
import threading
from collections.abc import Callable

from psycopg2 import Error
from psycopg2.errors import LockNotAvailable
from psycopg2.extensions import connection as DriverConnection  # noqa: N812  a class under a lower-case name

from sql.queries import statement

HEARTBEAT_SECONDS = 10.0
"""Longest time without traffic on the connection of a held lock."""


class Lock:
    """A name, held until `release` by the transaction of a connection.

    Args:
        connection: A connection that nothing else uses, outside of a transaction.
        name: The name; processes that hold different names do not wait for each other.
        on_loss: Called once from another thread if the connection ends before `release`.
    """

    def __init__(self, connection: DriverConnection, name: str, *, on_loss: Callable[[], None] | None = None) -> None:
        self._connection = connection
        self._name = name
        self._on_loss = on_loss
        self._in_use = threading.Lock()
        self._is_released = threading.Event()
        self._is_lost = False
        self._thread = threading.Thread(target=self._keep_alive, name=f"lock {name}", daemon=True)

    def take(self, wait_seconds: float | None) -> bool:
        """Hold the name, and return whether it was free, after waiting for it if `wait_seconds` is given.

        Raises:
            psycopg2.Error: if the database is unreachable.
        """
        with self._connection.cursor() as cursor:
            cursor.execute(statement("add_lock"), {"name": self._name})
            self._connection.commit()
            cursor.execute(statement("use_settings"))
            try:
                if wait_seconds is None:
                    cursor.execute(statement("try_lock"), {"name": self._name})
                else:
                    milliseconds = max(1, int(wait_seconds * 1000))
                    cursor.execute("select set_config('lock_timeout', %s, true)", (str(milliseconds),))
                    cursor.execute(statement("wait_for_lock"), {"name": self._name})
                is_ours = cursor.fetchone() is not None
            except LockNotAvailable:
                is_ours = False
        if is_ours:
            self._thread.start()
        return is_ours

    def is_held(self) -> bool:
        """Return whether the connection still holds the name; sends one statement."""
        return self._ping()

    def release(self) -> None:
        """Free the name. A lost connection has freed it before."""
        self._is_released.set()
        with self._in_use:
            if not self._is_lost and not self._connection.closed:
                self._connection.rollback()

    def _keep_alive(self) -> None:
        while not self._is_released.is_set() and self._is_quiet():
            if not self._ping():
                break

    def _is_quiet(self) -> bool:
        """Wait until the next heartbeat, or until the server closes the connection; returns False after `release`."""
        waited = 0.0
        step = min(0.5, HEARTBEAT_SECONDS)  # `release` does not wait for the thread, so its socket may be closed
        while waited < HEARTBEAT_SECONDS:
            if self._is_released.wait(step):
                return False
            waited += step
            with self._in_use:
                if self._is_released.is_set():
                    return False
                if self._connection.closed:
                    return True
                poller = select.poll()
                poller.register(self._connection.fileno(), select.POLLIN)
                has_input = bool(poller.poll(0))
            if has_input:  # an idle session receives nothing but the notice of its end
                return True
        return True

    def _ping(self) -> bool:
        with self._in_use:
            if self._is_lost or self._is_released.is_set():
                return not self._is_lost
            try:
                with self._connection.cursor() as cursor:
                    cursor.execute("select 1")
            except Error:
                self._is_lost = True
        if self._is_lost and self._on_loss is not None:
            self._on_loss()
        return not self._is_lost
