"""Processes that train side by side: TensorFlow's seed is one a process, so trainings must not share theirs.

Not Prefect's processes, see `processes`: a training is over in half a minute, and these start without Prefect and the
database, which they would import for nothing.
"""

import os
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context, parent_process

from model.paper import Experiment, PaperConfig
from model.paper_training import PaperTrained, train_paper_network, use_one_thread
from tasks.children import ending_children, leave_interrupts


def train_side_by_side(
    experiments: Sequence[Experiment], kinds: Sequence[str], config: PaperConfig, *, processes: int
) -> Generator[PaperTrained, None, None]:
    """Train every kind of network on every experiment with every seed, and give each back when it is done.

    A training has one thread to itself: layers this narrow leave a second one idle, and its results must not depend on
    how many cores there are. Closed early, it ends those under way.

    Args:
        experiments: Windows and targets.
        kinds: Of `model.paper.NETWORKS`.
        config: Networks, optimiser and seeds.
        processes: At a time; best one a core.

    Raises:
        BrokenProcessPool: if a process was killed, as machines do that run out of memory.
    """
    jobs = [(each, kind, seed) for each in experiments for kind in kinds for seed in config.seeds]
    # Spawned: a fork of a process that has TensorFlow in it hangs.
    pool = ProcessPoolExecutor(min(processes, len(jobs)), mp_context=get_context("spawn"), initializer=_prepare)
    try:
        with ending_children():
            futures = [
                pool.submit(train_paper_network, each, config, kind=kind, seed=seed) for each, kind, seed in jobs
            ]
            for future in as_completed(futures):
                yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare() -> None:
    """Keep TensorFlow to one thread, and what its native code prints off the screen; errors travel back themselves."""
    leave_interrupts()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    use_one_thread()


def _end_with_parent() -> None:
    """End when the process that asked is gone: a killed one could not say so, and its trainings would go on."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
