"""Monthly forecast: fetch, check, train, compare, forecast, score, check for drift, publish."""

from datetime import UTC, date, datetime
from functools import partial
from typing import Annotated

from prefect import flow, unmapped
from prefect.runtime import flow_run
from pydantic import Field

from tasks.alerts.due_months import clear_missing_month, monitor_months
from tasks.alerts.failure_hooks import alert_and_deliver, deliver_pending_alerts, is_unattended
from tasks.database import get_store
from tasks.errors import AlreadyPublishedError, BadRequestError, NotEnoughHistoryError, PricesIncompleteError
from tasks.month.check import check_bars, join_checked, require_coverage
from tasks.month.compare import compare_candidates
from tasks.month.drift import check_drift
from tasks.month.fetch import fetch_bars, split_fetched
from tasks.month.forecast import make_forecasts
from tasks.month.publish import publish_month
from tasks.month.run import open_run
from tasks.month.score import score_past_forecasts, score_restated_forecasts
from tasks.month.train import CONFIG, train_candidates
from tasks.plans.month import MonthPlan, earlier_month_ends, plan_month
from tasks.progress import log_line
from tasks.report.summaries import MonthSummary, summarise_month, summarise_published
from tasks.retries import chunk_runner
from tasks.settings import Mode, get_settings


@flow(
    name="monthly_forecast",
    task_runner=chunk_runner(),
    on_completion=[deliver_pending_alerts],
    on_failure=[alert_and_deliver],
    on_crashed=[alert_and_deliver],
    on_cancellation=[alert_and_deliver],
)
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
    """Forecast the 12 months after the last complete month, and publish, score and check the forecasts.

    Args:
        as_of: Last day whose bars are used; default: the newest closed session.
        source: `yahoo`, `file:PATH` or `sample`.
        symbols: Symbols to forecast; default: those of `universe`, else all symbols of the source.
        universe: CSV file with a column `symbol`, optionally `exchange_mic` and `currency_code`.
        mode: How the model is selected: `auto` by comparison; or always `keep` the published model, `fine-tune` it,
            `retrain` one from scratch, or publish the `baseline`.
        rerun: Publish a correction if the month is already published; otherwise such a run changes nothing. Does not
            apply to the months of `catch_up`.
        catch_up: Number of earlier months to forecast first, oldest first, each in a subflow. Published months are not
            run again; months without enough prices or history are skipped.
        min_coverage: Share of the symbols that must have the month's last session, else nothing is published.
        chunk_symbols: Symbols per task.
        due_sessions: Sessions after a month within which it must be published; later it is overdue.
        unattended: Raise an alert about every failure, also before the run has a row in the ledger. Always true for
            runs of a deployment.

    Returns:
        The published month.

    Raises:
        BellwetherError: if nothing was published; its message has the reason.
    """
    unattended = is_unattended(unattended=unattended)
    forecast = partial(
        _forecast_month_subflow if catch_up else forecast_month,
        source=source,
        symbols=symbols,
        universe=universe,
        mode=mode,
        min_coverage=min_coverage,
        chunk_symbols=chunk_symbols,
        due_sessions=due_sessions,
        unattended=unattended,
    )
    if not catch_up:
        return forecast(as_of=as_of, rerun=rerun)

    plan = _plan(
        as_of=as_of,
        source=source,
        symbols=symbols,
        universe=universe,
        mode=mode,
        rerun=rerun,
        min_coverage=min_coverage,
        due_sessions=due_sessions,
        unattended=unattended,
    )
    for month_end in earlier_month_ends(plan, catch_up):
        try:
            forecast(as_of=month_end, rerun=False)
        except (PricesIncompleteError, NotEnoughHistoryError, BadRequestError) as error:
            if unattended or isinstance(error, PricesIncompleteError):
                # An earlier month must not delay the newest one.
                log_line("warning", f"{month_end:%Y-%m} skipped: {error}")
                continue
            # An attended run fails, so that the person can request fewer months.
            raise type(error)(
                f"The {catch_up} months to catch up before {plan.key.origin_month:%Y-%m} include {month_end:%Y-%m}, "
                f"which cannot be forecast; request fewer months. {error}"
            ) from error
    return forecast(as_of=plan.as_of, rerun=rerun)


def forecast_month(
    *,
    as_of: date | None,
    source: str,
    symbols: list[str] | None,
    universe: str | None,
    mode: Mode,
    rerun: bool,
    min_coverage: float,
    chunk_symbols: int,
    due_sessions: int,
    unattended: bool,
) -> MonthSummary:
    """Forecast and publish one month, within the flow run of the caller.

    Args:
        as_of: Last day whose bars are used; None: the newest closed session.
        source: See `monthly_forecast`, also for all further arguments.
        symbols: Symbols to forecast, or None.
        universe: Universe file, or None.
        mode: How the model is selected.
        rerun: Publish a correction if the month is already published.
        min_coverage: Share of the symbols that must have the month's last session.
        chunk_symbols: Symbols per task.
        due_sessions: Sessions after a month within which it must be published.
        unattended: The run is unattended.

    Returns:
        The published month.

    Raises:
        BellwetherError: if nothing was published; its message has the reason.
    """
    store = get_store()
    plan = _plan(
        as_of=as_of,
        source=source,
        symbols=symbols,
        universe=universe,
        mode=mode,
        rerun=rerun,
        min_coverage=min_coverage,
        due_sessions=due_sessions,
        unattended=unattended,
    )
    if plan.published_run_id is not None:
        clear_missing_month(store, plan.key)
        return summarise_published(store, plan)
    try:
        with open_run(store, plan, CONFIG, flow_run.get_parameters(), is_unattended=unattended) as run:
            fetched = fetch_bars(plan.prices, chunk_symbols)
            plan = run.freeze_known_at()

            checked = join_checked(check_bars.map(unmapped(plan), split_fetched(fetched, chunk_symbols)).result())
            run.outcomes = checked.outcomes
            # A faulty symbol is left out; too many faulty symbols end the run.
            require_coverage(plan, checked)
            run.require_lock()

            candidates = train_candidates(plan, CONFIG, checked)
            run.require_lock()
            choice = compare_candidates(plan, candidates)
            forecasts = make_forecasts(plan, checked, choice)

            errors = score_past_forecasts(plan, checked)
            restated = score_restated_forecasts(plan, checked)
            drift = check_drift(plan, checked, choice, errors, CONFIG.drift)

            publish_month(run, checked, choice, forecasts, errors, restated, drift)
    except AlreadyPublishedError:  # another process published the month in the meantime
        return summarise_published(store, plan)
    return summarise_month(store, plan, run.run_id, is_already_done=False)


_forecast_month_subflow = flow(name="forecast_month", task_runner=chunk_runner())(forecast_month)


def _plan(
    *,
    as_of: date | None,
    source: str,
    symbols: list[str] | None,
    universe: str | None,
    mode: Mode,
    rerun: bool,
    min_coverage: float,
    due_sessions: int,
    unattended: bool,
) -> MonthPlan:
    """Plan a month, and monitor its universe from now on."""
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
    monitor_months(store, plan, due_sessions=due_sessions, is_unattended=unattended, is_symbol_list=symbols is not None)
    return plan
