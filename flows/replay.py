"""Replay of a published run: its data, its model, its forecasts, and a comparison with the stored ones."""

from prefect import flow

from tasks.database import get_store
from tasks.research.replay import (
    Replay,
    compare_with_stored,
    forecast_again,
    retrain_weights,
)
from tasks.research.stored_run import read_stored_run, rebuild_months


@flow(name="replay_run")
def replay_run(run_id: int, retrain: bool = False) -> Replay:
    """Recompute the forecasts of a published run from the database alone, and compare them with the stored ones.

    Writes nothing.

    Args:
        run_id: Id of the run, see `report.run_history`.
        retrain: Also train the run's model again, with the data of the run that trained it, and compare the weights.
            This takes as long as the training.

    Returns:
        The run's message and reason, and all differences.

    Raises:
        BadRequestError: if the run does not exist or published nothing.
        DamagedModelError: if the model is damaged or was stored by an incompatible program version.
    """
    store = get_store()
    run = read_stored_run(store, run_id)
    months = rebuild_months(run)
    forecasts = forecast_again(run, months)
    sha256 = None
    if retrain:
        # An earlier run with other data may have trained the model.
        trainer = run if run.model.run_id in (None, run_id) else read_stored_run(store, run.model.run_id)
        sha256 = retrain_weights(trainer, months if trainer is run else rebuild_months(trainer))
    return compare_with_stored(run, months, forecasts, sha256)
