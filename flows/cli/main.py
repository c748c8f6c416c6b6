"""The `bellwether` program and its commands about months, backtests, replays, the paper and the service."""

import sys
from typing import Annotated, NoReturn

import typer
from rich.markup import escape

from flows.cli.alerts import alerts
from flows.cli.database import db
from flows.cli.failures import CommandGroup, run_program
from flows.cli.options import (
    AsOfOption,
    CatchUpOption,
    DueSessionsOption,
    FetchFromOption,
    FirstBarOption,
    FirstOriginOption,
    ForecastersOption,
    ForecastFileOption,
    IntervalOption,
    LastOriginOption,
    LimitOption,
    MinCoverageOption,
    ModeOption,
    PictureDirectoryOption,
    RefitOption,
    RerunOption,
    RetrainOption,
    RunArgument,
    SeedsOption,
    SourceOption,
    StuckHoursOption,
    SymbolOption,
    SymbolsOption,
    UnattendedOption,
    UniverseOption,
    VerboseOption,
    WorkersOption,
    split_list,
    to_date,
)
from flows.cli.prices import prices
from flows.cli.progress import make_console, running_flow
from flows.cli.runtime import alerting, alerting_about_check, prepare_prefect
from tasks.errors import ReplayDiffersError
from tasks.settings import get_settings

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(db, name="db")
app.add_typer(alerts, name="alerts")
app.add_typer(prices, name="prices")


@app.callback()
def _program(
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")] = False,
) -> None:
    """Forecast the next 12 months of stocks, once a month. Forecasts, scores and drift checks are in Postgres."""


def main() -> NoReturn:
    """Run the command line; every error prints one sentence and exits with its code, without a traceback."""
    sys.exit(run_program(app, sys.argv[1:]))


@app.command()
def run(
    source: SourceOption = "yahoo",
    as_of: AsOfOption = None,
    symbols: SymbolsOption = None,
    universe: UniverseOption = None,
    mode: ModeOption = "auto",
    catch_up: CatchUpOption = 0,
    min_coverage: MinCoverageOption = 0.9,
    rerun: RerunOption = False,
    due_sessions: DueSessionsOption = 5,
    unattended: UnattendedOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Forecast a month.

    Fetches new bars, selects a model, publishes the forecasts, scores earlier ones and checks for drift. A month that
    is already published is not changed.

    For example:

        bellwether run --source sample --catch-up 12
        bellwether run --source file:prices.csv.gz --as-of 2018-12-18
        bellwether run --universe deployments/universes/us_large.csv
    """
    console = make_console()
    request = source, split_list(symbols), universe
    with alerting(request if unattended else None), running_flow(console, verbose=verbose) as address:
        from flows.monthly import monthly_forecast

        summary = monthly_forecast(
            as_of=to_date(as_of),
            source=source,
            symbols=split_list(symbols),
            universe=universe,
            mode=mode,
            rerun=rerun,
            catch_up=catch_up,
            min_coverage=min_coverage,
            due_sessions=due_sessions,
            unattended=unattended,
        )
    from flows.cli.views import show_summary

    show_summary(console, summary, address)


@app.command()
def ingest(
    source: SourceOption = "yahoo",
    symbols: SymbolsOption = None,
    universe: UniverseOption = None,
    first: FetchFromOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Fetch and check prices without a forecast.

    Only missing bars are fetched. Run the command again to resume it or to retry failed symbols.

    For example:

        bellwether ingest --universe deployments/universes/us_large.csv
        bellwether ingest --symbols AAPL --first 2020-01-01
        bellwether ingest --source file:prices.csv.gz
    """
    console = make_console()
    with running_flow(console, verbose=verbose) as address:
        from flows.ingest import ingest_prices

        summary = ingest_prices(source=source, symbols=split_list(symbols), universe=universe, first=to_date(first))
    from flows.cli.views import show_prices

    show_prices(console, summary, address)


@app.command()
def backtest(
    first_origin: FirstOriginOption,
    last_origin: LastOriginOption,
    source: SourceOption = "yahoo",
    symbols: SymbolsOption = None,
    universe: UniverseOption = None,
    refit: RefitOption = "yearly",
    forecasters: ForecastersOption = "hybrid,baseline,persistence,drift",
    out: ForecastFileOption = None,
    workers: WorkersOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Forecast from every month of a past period and score the forecasts.

    Each forecast uses only data up to its origin. The backtest compares several forecasters and publishes nothing;
    see docs/backtest.md.

    For example:

        bellwether backtest --source sample --first-origin 2008-12 --last-origin 2017-11
        bellwether backtest --first-origin 2015-12 --last-origin 2020-11 --refit never --symbols AAPL,MSFT
    """
    console = make_console()
    with running_flow(console, verbose=verbose) as address:
        from flows.backtest import backtest as run_backtest

        summary = run_backtest(
            first_origin=first_origin.date(),
            last_origin=last_origin.date(),
            source=source,
            symbols=split_list(symbols),
            universe=universe,
            refit=refit,
            forecasters=[name for name in split_list(forecasters) or [] if name],
            out=out,
            workers=workers,
        )
    from flows.cli.views import show_backtest

    show_backtest(console, summary, address)


@app.command()
def replay(run_id: RunArgument, retrain: RetrainOption = False, verbose: VerboseOption = False) -> None:
    """Explain a past run and reproduce its forecasts bit by bit.

    Reads only the database: the stored weights, and bars, splits and dividends as known at the time. Writes nothing.

    For example:

        bellwether replay 12
        bellwether replay 12 --retrain
    """
    console = make_console()
    with running_flow(console, verbose=verbose):
        from flows.replay import replay_run
        from tasks.research.replay import explain_replay, outcome_sentence

        replayed = replay_run(run_id, retrain)
    for line in explain_replay(replayed):
        console.print(escape(line), highlight=False, soft_wrap=True)
    if not replayed.is_identical:
        raise ReplayDiffersError(outcome_sentence(replayed))


@app.command()
def paper(
    source: SourceOption = "sample",
    symbol: SymbolOption = "^GSPC",
    interval: IntervalOption = "daily",
    seeds: SeedsOption = 5,
    first: FirstBarOption = None,
    out: PictureDirectoryOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Reproduce the experiment of the paper behind the project.

    Trains LSTM-GRU, LSTM and GRU on windows of 60 scaled bars. Compares their forecasts of the next close with a
    linear model and with persistence; see docs/paper.md.

    For example:

        bellwether paper
        bellwether paper --interval monthly --out pictures
        bellwether paper --source file:prices.csv.gz --symbol AAPL --seeds 3
    """
    console = make_console()
    with running_flow(console, verbose=verbose) as address:
        from flows.paper import paper as run_paper

        summary = run_paper(
            source=source,
            symbol=symbol,
            interval=interval,
            seeds=seeds,
            first=to_date(first),
            directory=None if out is None else out.absolute(),
        )
    from flows.cli.paper_views import show_paper

    show_paper(console, summary, address)


@app.command("check-service")
def check_service(stuck_hours: StuckHoursOption = 12) -> None:
    """Find killed runs and overdue months, and deliver alerts.

    For cron, once a day. Needs no Prefect server. Repeated checks send no duplicate alerts.

    For example:

        bellwether check-service --stuck-hours 6
    """
    with alerting_about_check():
        prepare_prefect(get_settings().home, log_level="CRITICAL")
        from flows.service_check import check_service as check

        summary = check.fn(stuck_hours)
    from flows.cli.service_views import show_service_check

    show_service_check(make_console(), summary)


@app.command()
def status(limit: LimitOption = 10) -> None:
    """Show recent runs, open alerts, overdue months and failing recipients.

    For example:

        bellwether status --limit 30
    """
    from flows.cli.service_views import is_notified_elsewhere, show_status
    from tasks.database import database_errors, get_store

    store = get_store()
    with database_errors():
        runs = store.read_report("run_history", limit=limit)
        open_alerts = store.read_report("alert_history", is_all=False, limit=limit)
        overdue, recipients = store.read_report("overdue"), store.read_report("recipients")
    has_recipients = get_settings().alert_urls is not None or is_notified_elsewhere(recipients)
    show_status(make_console(), runs, open_alerts, overdue, recipients, store.address, has_recipients=has_recipients)


if __name__ == "__main__":
    main()
