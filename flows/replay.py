"""The replay of a month: the run's data as it knew them, its model, its forecasts, and whether they are the same."""

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
    """Make a published run's forecasts again, from the database alone, and compare them with those stored.

    Nothing is written.

    Args:
        run_id: Number of the run, from `report.run_history`.
        retrain: Train the run's model once more as well, from the months of the run that trained it, and compare the
            weights; takes as long as the training did.

    Returns:
        What the run said and why, and every difference.

    Raises:
        BadRequestError: if there is no such run, or it published nothing.
        DamagedModelError: if its model is damaged or of another program.
    """
    store = get_store()
    run = read_stored_run(store, run_id)
    months = rebuild_months(run)
    forecasts = forecast_again(run, months)
    sha256 = None
    if retrain:
        # The model may have been kept since an earlier run, which saw other months.
        trainer = run if run.model.run_id in (None, run_id) else read_stored_run(store, run.model.run_id)
        sha256 = retrain_weights(trainer, months if trainer is run else rebuild_months(trainer))
    return compare_with_stored(run, months, forecasts, sha256)
