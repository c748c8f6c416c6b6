"""The ensemble: the networks of one model, trained sequentially or in parallel processes, whichever is faster."""

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
"""Symbols × months × epochs of one network from which a worker process saves more time than its start takes: 500
symbols × 400 months × 8 epochs, measured on two cores."""
_POLL_SECONDS = 0.5


def train_ensemble(
    training_set: TrainingSet,
    config: ForecasterConfig,
    starts: Sequence[Weights | None],
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Trained]:
    """Train one network per seed, in parallel if the training set is large and memory allows, else sequentially.

    Implements `model.forecaster.training.Trainer`. The weights are the same either way.

    Raises:
        BellwetherError: if a worker process is killed, usually because memory ran out.
    """
    rows = training_set.inputs.shape[0] * training_set.inputs.shape[1] * config.epochs
    is_worthwhile = rows >= WORTHWHILE_ROWS and len(config.seeds) > 1
    workers = min(affordable_workers("train"), len(config.seeds)) if is_worthwhile else 1
    if workers == 1:
        return train_sequentially(training_set, config, starts, on_epoch)
    with TemporaryDirectory(prefix="bellwether-training-") as name:
        directory = Path(name)
        np.savez(
            directory / "training_set.npz",
            **{part.name: getattr(training_set, part.name) for part in fields(training_set)},
        )
        with worker_pool(workers, advice="free some memory and run the month again") as pool:
            futures = [
                pool.submit(train_in_worker, directory, config, seed, start)
                for seed, start in zip(config.seeds, starts, strict=True)
            ]
            _report_progress(futures, directory, config.seeds, on_epoch)
            return [future.result() for future in futures]


def train_in_worker(directory: Path, config: ForecasterConfig, seed: int, start: Weights | None) -> Trained:
    """Train one network on the training set in the directory, and write its progress there, one line per epoch."""
    load_library()
    with np.load(directory / "training_set.npz", allow_pickle=False) as stored:
        training_set = TrainingSet(**{part.name: stored[part.name] for part in fields(TrainingSet)})
    with (directory / f"{seed}.epochs").open("w", encoding="utf-8", buffering=1) as progress:

        def on_epoch(epoch: Epoch) -> None:
            numbers = (epoch.number, epoch.train_loss, epoch.validation_loss, int(epoch.is_best))
            progress.write(" ".join(map(repr, numbers)) + "\n")

        return train_network(training_set, config, seed=seed, start=start, on_epoch=on_epoch)


def _report_progress(
    futures: Sequence[Future[Trained]],
    directory: Path,
    seeds: Sequence[int],
    on_epoch: Callable[[Epoch], None] | None,
) -> None:
    """Call `on_epoch` for every epoch that the workers write, until all are done."""
    reported = dict.fromkeys(seeds, 0)
    is_running = True
    while is_running:
        is_running = bool(wait(futures, timeout=_POLL_SECONDS).not_done)
        for seed in seeds:
            path = directory / f"{seed}.epochs"
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            lines = text[: text.rfind("\n") + 1].splitlines()  # the last line may be incomplete
            for line in lines[reported[seed] :]:
                number, train_loss, validation_loss, is_best = line.split()
                if on_epoch is not None:
                    on_epoch(Epoch(seed, int(number), float(train_loss), float(validation_loss), is_best == "1"))
            reported[seed] = len(lines)
