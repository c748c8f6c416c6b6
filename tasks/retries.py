"""How Prefect runs a step: never cached, and retried only after an error that may pass.

Postgres knows whether a step is already done; a cache key of large frames would be slow and error-prone.
"""

import os
from typing import Any, cast

from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from tasks.errors import DatabaseUnavailableError, SourceUnavailableError

RETRIED_ERRORS = (DatabaseUnavailableError, SourceUnavailableError)
"""Errors of a server that did not respond. A fault of data, of a request or of the program is never retried."""


def is_retried(_task: Any, _run: Any, state: Any) -> bool:
    """Decide whether a failed step is retried; the signature is that of Prefect's `retry_condition_fn`."""
    return isinstance(state.result(raise_on_failure=False), RETRIED_ERRORS)


STEP: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "retries": 2,
    "retry_delay_seconds": [2, 10],
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": is_retried,
}
"""Options of every step, as in `@task(name="fetch", **STEP)`: up to two retries, after about 2 and 10 s."""


def chunk_runner() -> TaskRunner[PrefectFuture[Any]]:
    """Make the runner of steps that are mapped over chunks of symbols: a few threads for any number of chunks."""
    runner: Any = ThreadPoolTaskRunner(max_workers=min(4, (os.cpu_count() or 1) + 1))
    return cast("TaskRunner[PrefectFuture[Any]]", runner)
