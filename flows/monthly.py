"""The month: fetch, check, train, compare, forecast, score, watch, publish; and tell whoever must know."""

from datetime import UTC, date, datetime
from typing import Annotated

from prefect import flow, unmapped
from prefect.runtime import flow_run
from pydantic import Field

from tasks.alerts.duty import answered_for, expect_months, is_unattended, skip_unpublishable
from tasks.database import get_store
from tasks.errors import AlreadyPublishedError
from tasks.month.check import check_bars, join_checked, require_coverage
from tasks.month.compare import compare_candidates
from tasks.month.drift import check_drift
from tasks.month.fetch import fetch_bars, split_fetched
from tasks.month.forecast import make_forecasts
from tasks.month.publish import publish_month
from tasks.month.run import open_run
from tasks.month.score import score_past_forecasts, score_restated_forecasts
from tasks.month.train import CONFIG, train_candidates
from tasks.plans.month import earlier_month_ends, plan_month
from tasks.report.summaries import MonthSummary, summarise_month, summarise_published
from tasks.retries import chunk_runner
from tasks.settings import Mode, get_settings


@flow(name="monthly_forecast", task_runner=chunk_runner())
@answered_for
def monthly_forecast(
    as_of: date | None = None,
    source: str = "yahoo",
    symbols: list[str] | None = None,
    universe: str | None = None,
    mode: Mode = "auto",
    rerun: bool = False,
    catch_up: Annotated[int, Field(ge=0, le=240)] = 0,
    min_coverage: Annotated[float, Field(ge=0.5, le=1.0)] = 0.9,
    chunk_symbols: Annotated[int, Field(ge=1, le=1000)] = 50,
    due_sessions: Annotated[int, Field(ge=1, le=15)] = 5,
    unattended: bool = False,
) -> MonthSummary:
    """Forecast the twelve months after the last complete one, and keep, score and watch the forecasts.

    Args:
        as_of: Date up to which anything may have happened; default: the newest closed session.
        source: `yahoo`, `file:PATH` or `sample`.
        symbols: Symbols to forecast; default: those of `universe`, else all that the source lists.
        universe: CSV file with a column `symbol`, optionally `exchange_mic` and `currency_code`.
        mode: `auto` has the gate choose; or `keep` the model in service, `fine-tune` it, `retrain` one from scratch, or
            serve the `baseline`.
        rerun: Make a correction when the month is already published; otherwise such a run changes nothing. Never of the
            months that `catch_up` adds.
        catch_up: So many earlier months are forecast first, oldest first; those already published stay as they are, and
            those that lack prices or history are passed over.
        min_coverage: Share of the universe that must have its month; below it nothing is published.
        chunk_symbols: Symbols fetched and checked by one task.
        due_sessions: A month of the universe is overdue when it is not published by so many sessions after it.
        unattended: Nobody watches: a run that cannot even begin is an alert, too. A deployment's runs always are.

    Returns:
        The month as its readers see it.

    Raises:
        BellwetherError: one sentence on why nothing was published.
    """
    store = get_store()
    plan = plan_month(
        store,
        get_settings(),
        CONFIG,
        source_spec=source,
        as_of=as_of,
        symbols=symbols,
        universe_file=universe,
        mode=mode,
        rerun=rerun,
        min_coverage=min_coverage,
        scheduled_for=flow_run.get_scheduled_start_time(),
        now=datetime.now(UTC),
    )
    expect_months(store, plan)
    if catch_up:
        # Each month knows what the one before it learnt, so the last one is planned anew, too.
        for day in earlier_month_ends(plan, catch_up):
            # A month of the past that cannot be made must not keep the newest from its readers.
            with skip_unpublishable(day):
                monthly_forecast(day, source, symbols, universe, mode, False, 0, min_coverage, chunk_symbols)
        return monthly_forecast(plan.as_of, source, symbols, universe, mode, rerun, 0, min_coverage, chunk_symbols)

    if plan.published_run_id is not None:
        return summarise_published(store, plan)
    try:
        with open_run(store, plan, flow_run.get_parameters(), is_unattended=is_unattended()) as run:
            fetched = fetch_bars(plan.prices, chunk_symbols)
            plan = run.freeze_known_at()
            checked = join_checked(check_bars.map(unmapped(plan), split_fetched(fetched, chunk_symbols)).result())
            run.outcomes = checked.outcomes
            # No symbol's fault stops the others; too many faults stop the month.
            require_coverage(plan, checked)

            candidates = train_candidates(plan, CONFIG, checked)
            choice = compare_candidates(plan, candidates)
            forecasts = make_forecasts(plan, checked, choice)

            errors = score_past_forecasts(plan, checked)
            restated = score_restated_forecasts(plan, checked)
            drift = check_drift(plan, checked, choice, errors)
            publish_month(run, checked, choice, forecasts, errors, restated, drift)
    except AlreadyPublishedError:
        # Another process was quicker; what it published stands.
        return summarise_published(store, plan)
    return summarise_month(store, plan, run.run_id, is_already_done=False)
