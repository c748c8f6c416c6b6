"""How a step of the month is run by Prefect: never cached, retried only for errors that time may mend.

Whether work is already done is a question for Postgres; a cache key of frames would be slow and could be wrong.
"""

import os
from typing import Any, cast

from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from tasks.errors import DatabaseUnavailableError, SourceUnavailableError

_WORTH_RETRYING = (DatabaseUnavailableError, SourceUnavailableError)


def _is_worth_retrying(_task: Any, _run: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), _WORTH_RETRYING)


def chunk_runner() -> TaskRunner[PrefectFuture[Any]]:
    """Threads for the steps that are mapped over chunks of symbols: a few at a time, however many chunks there are."""
    runner: Any = ThreadPoolTaskRunner(max_workers=min(4, (os.cpu_count() or 1) + 1))
    return cast("TaskRunner[PrefectFuture[Any]]", runner)


# Two more attempts, after about 2 and 10 s, when a server did not answer: `@task(name="fetch", **STEP)`.
STEP: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "retries": 2,
    "retry_delay_seconds": [2, 10],
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": _is_worth_retrying,
}
