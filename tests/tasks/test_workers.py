"""Processes that train side by side end with the one that started them, and when nobody waits for them any more."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

import tasks.workers
from model.paper import COLUMNS, Experiment, PaperConfig, make_experiment
from tasks.errors import BellwetherError
from tasks.paper import PaperPlan, Series, train_networks
from tasks.workers import train_side_by_side

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from tasks.workers import _prepare
pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_prepare)
print(pool.submit(os.getpid).result(), flush=True)
time.sleep(60)
"""


def is_running(pid: int) -> bool:
    """Whether the process lives; one that nobody has buried yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_worker_ends_when_the_process_that_started_it_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        worker = int(starter.stdout.readline())
        assert is_running(worker)
        starter.kill()
    deadline = time.monotonic() + 20
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(worker)


TWO_SEEDS = PaperConfig(window=3, units=2, seeds=(1, 2))


@pytest.fixture
def experiment() -> Experiment:
    closes = [float(i) for i in range(20)]
    bars = pd.DataFrame({"session": pd.date_range("2000-01-01", periods=20), **dict.fromkeys(COLUMNS, closes)})
    return make_experiment(bars, TWO_SEEDS, scaler="everything")


def train_for_ever_but_seed_one(*_: Any, seed: int, **__: Any) -> int:
    """In place of a training."""
    if seed != 1:
        time.sleep(3600)
    return seed


def be_killed(*_: Any, **__: Any) -> None:
    """In place of a training."""
    os._exit(1)


def test_trainings_under_way_end_when_nobody_waits_for_them(
    monkeypatch: pytest.MonkeyPatch, experiment: Experiment
) -> None:
    monkeypatch.setattr(tasks.workers, "train_paper_network", train_for_ever_but_seed_one)
    before = set(active_children())
    results = train_side_by_side([experiment], ["gru"], TWO_SEEDS, processes=2)
    assert next(results) == 1
    results.close()
    assert set(active_children()) == before


def test_a_killed_training_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch, experiment: Experiment) -> None:
    monkeypatch.setattr(tasks.workers, "train_paper_network", be_killed)
    plan = PaperPlan(
        source_spec="sample",
        symbol="^GSPC",
        interval="daily",
        first=None,
        config=TWO_SEEDS,
        directory=Path(),
        asked_at=datetime.now(UTC),
    )
    with pytest.raises(BellwetherError, match="training processes was killed, probably for want of memory"):
        train_networks.fn(plan, Series(source="sample", bars=pd.DataFrame(), experiments=(experiment,)))
