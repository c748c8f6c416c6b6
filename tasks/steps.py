"""How a step of the month is run by Prefect: never cached, retried only for errors that time may mend.

Whether work is already done is a question for Postgres; a cache key of frames would be slow and could be wrong.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.cache_policies import NO_CACHE

from tasks.errors import DatabaseUnavailableError, SourceUnavailableError

_WORTH_RETRYING = (DatabaseUnavailableError, SourceUnavailableError)


def _is_worth_retrying(_task: Any, _run: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), _WORTH_RETRYING)


# Two more attempts, after about 2 and 10 s, when a server did not answer: `@task(name="fetch", **STEP)`.
STEP: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "retries": 2,
    "retry_delay_seconds": [2, 10],
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": _is_worth_retrying,
}


@contextmanager
def silence() -> Iterator[None]:
    """Keep what TensorFlow's native code prints while it is loaded, before any setting of it counts, off the screen."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
