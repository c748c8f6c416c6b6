"""The ensemble: its networks are trained side by side, in processes of their own, where that saves time."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from model.config import ForecasterConfig
from model.forecaster.network import Weights, load_library
from model.forecaster.training import Epoch, Trained, train_network, train_sequentially
from model.forecaster.training_set import TrainingSet
from tasks.processes import affordable_workers, worker_pool

WORTHWHILE_ROWS = 1_500_000
"""Symbol-months that a network passes over in all, from which a process of its own saves more than its start takes:
500 symbols × 400 months × 8 passes."""
_LOOK_SECONDS = 0.5


def train_ensemble(
    lesson: TrainingSet,
    config: ForecasterConfig,
    starts: Sequence[Weights | None],
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Trained]:
    """A `model.forecaster.training.Trainer`: side by side when the lesson is long and there are the cores, else in turn.

    Raises:
        BellwetherError: if a process was killed, as machines do that run out of memory.
    """
    rows = lesson.inputs.shape[0] * lesson.inputs.shape[1] * config.epochs
    is_worthwhile = rows >= WORTHWHILE_ROWS and len(config.seeds) > 1
    workers = min(affordable_workers("train"), len(config.seeds)) if is_worthwhile else 1
    if workers == 1:
        return train_sequentially(lesson, config, starts, on_epoch)
    with TemporaryDirectory(prefix="bellwether_lesson_") as name:
        directory = Path(name)
        np.savez(directory / "lesson.npz", **{each.name: getattr(lesson, each.name) for each in fields(lesson)})
        with worker_pool(workers, advice="free some and run the month again") as pool:
            futures = [
                pool.submit(train_in_worker, directory, config, seed, start)
                for seed, start in zip(config.seeds, starts, strict=True)
            ]
            _watch(futures, directory, config.seeds, on_epoch)
            return [future.result() for future in futures]


def train_in_worker(directory: Path, config: ForecasterConfig, seed: int, start: Weights | None) -> Trained:
    """Train one network on the lesson in the directory, and leave its progress there."""
    load_library()
    with np.load(directory / "lesson.npz", allow_pickle=False) as stored:
        lesson = TrainingSet(**{each.name: stored[each.name] for each in fields(TrainingSet)})
    with (directory / f"{seed}.epochs").open("w", encoding="utf-8", buffering=1) as progress:

        def on_epoch(epoch: Epoch) -> None:
            numbers = (epoch.number, epoch.train_loss, epoch.validation_loss, int(epoch.is_best))
            progress.write(" ".join(map(repr, numbers)) + "\n")

        return train_network(lesson, config, seed=seed, start=start, on_epoch=on_epoch)


def _watch(
    futures: Sequence[Future[Trained]],
    directory: Path,
    seeds: Sequence[int],
    on_epoch: Callable[[Epoch], None] | None,
) -> None:
    """Wait for all, passing on what each has written of its progress."""
    seen = dict.fromkeys(seeds, 0)
    is_running = True
    while is_running:
        is_running = bool(wait(futures, timeout=_LOOK_SECONDS).not_done)
        for seed in seeds:
            path = directory / f"{seed}.epochs"
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            lines = text[: text.rfind("\n") + 1].splitlines()  # the last may be half written
            for line in lines[seen[seed] :]:
                number, train_loss, validation_loss, is_best = line.split()
                if on_epoch is not None:
                    on_epoch(Epoch(seed, int(number), float(train_loss), float(validation_loss), is_best == "1"))
            seen[seed] = len(lines)
