"""The `bellwether` command: run a month or a backtest, see how things stand, and reach the database."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, cast, get_args

import typer
from rich.console import Console
from rich.markup import escape

from flows.cli.alerts import alerts
from flows.cli.runtime import prepare_prefect
from tasks.errors import BadRequestError, BellwetherError, ReplayDiffersError
from tasks.settings import Interval, Mode, get_settings

if TYPE_CHECKING:
    from tasks.plans.backtest import Refit  # only its name: the module waits for Prefect

app = typer.Typer(
    help="Forecasts the next 12 months of stocks, once a month, and keeps, scores and watches them in Postgres.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
db = typer.Typer(
    help="The database: embedded, started on demand; or `DATABASE_URL` when it is set.", no_args_is_help=True
)
app.add_typer(db, name="db")
app.add_typer(alerts, name="alerts")


def main() -> NoReturn:
    """Run the command line; a user's mistake is one line and an exit code, never a traceback."""
    try:
        app(standalone_mode=True)
    except BellwetherError as error:
        Console(stderr=True).print(f"[bold red]bellwether:[/] {_plain(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        Console(stderr=True).print("bellwether: interrupted; the next run completes the month")
        sys.exit(130)
    sys.exit(0)


@app.command()
def run(
    source: Annotated[str, typer.Option(help="Where the bars come from: `sample`, `file:PATH` or `yahoo`.")] = "yahoo",
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Forecast as of this day. Default: the newest closed session."),
    ] = None,
    symbols: Annotated[str | None, typer.Option(help="Symbols, separated by commas: `AAPL,MSFT`.")] = None,
    universe: Annotated[str | None, typer.Option(help="CSV file with a column `symbol`.")] = None,
    mode: Annotated[str, typer.Option(help="`auto`, or by hand `keep`, `fine-tune`, `retrain`, `baseline`.")] = "auto",
    catch_up: Annotated[
        int, typer.Option(min=0, max=240, help="Also run so many months before, so that there are errors to show.")
    ] = 0,
    rerun: Annotated[bool, typer.Option("--rerun", help="Make a correction of a month already published.")] = False,
    due_sessions: Annotated[
        int,
        typer.Option(min=1, max=15, help="The next months are overdue when not published so many sessions after them."),
    ] = 5,
    unattended: Annotated[
        bool, typer.Option("--unattended", help="Nobody watches, as in cron: a run that cannot begin is an alert, too.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show Prefect's own log.")] = False,
) -> None:
    """Forecast a month.

    Fetches new bars, trains or keeps a model, writes forecasts, scores those whose month has happened, and watches for
    drift. A month that is already published is left as it is.

    Examples:
        bellwether run --source sample --catch-up 12

        bellwether run --source file:prices.csv.gz --as-of 2018-12-18

        bellwether run --source yahoo --universe deployments/universes/us_large.csv
    """
    if mode not in get_args(Mode):
        raise BadRequestError(f"`--mode` must be one of {', '.join(get_args(Mode))}; received {mode!r}.")
    from flows.cli.views import make_console, show_summary

    console = make_console()
    with _working(console, verbose=verbose) as address:
        from flows.monthly import monthly_forecast

        summary = monthly_forecast(
            as_of=as_of.date() if as_of else None,
            source=source,
            symbols=_split(symbols),
            universe=universe,
            mode=cast(Mode, mode),
            rerun=rerun,
            catch_up=catch_up,
            due_sessions=due_sessions,
            unattended=unattended,
        )
    show_summary(console, summary, address)


@app.command()
def ingest(
    source: Annotated[str, typer.Option(help="Where the bars come from: `sample`, `file:PATH` or `yahoo`.")] = "yahoo",
    symbols: Annotated[str | None, typer.Option(help="Symbols, separated by commas: `AAPL,MSFT`.")] = None,
    universe: Annotated[str | None, typer.Option(help="CSV file with a column `symbol`.")] = None,
    first: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Fetch from this day on. Default: what is missing."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show Prefect's own log.")] = False,
) -> None:
    """Fetch and check prices, without a forecast.

    Only what is missing is fetched: run it again to go on where it stopped, or to complete symbols that failed.

    Examples:
        bellwether ingest --source yahoo --universe deployments/universes/us_large.csv

        bellwether ingest --source yahoo --symbols AAPL --first 2020-01-01

        bellwether ingest --source file:prices.csv.gz
    """
    from flows.cli.views import make_console, show_prices

    console = make_console()
    with _working(console, verbose=verbose) as address:
        from flows.ingest import ingest_prices

        summary = ingest_prices(source, _split(symbols), universe, first.date() if first else None)
    show_prices(console, summary, address)


@app.command()
def backtest(
    first_origin: Annotated[
        datetime, typer.Option(formats=["%Y-%m"], metavar="YYYY-MM", help="First month to forecast from.")
    ],
    last_origin: Annotated[
        datetime, typer.Option(formats=["%Y-%m"], metavar="YYYY-MM", help="Last month to forecast from.")
    ],
    source: Annotated[str, typer.Option(help="Where the bars come from: `sample`, `file:PATH` or `yahoo`.")] = "yahoo",
    symbols: Annotated[str | None, typer.Option(help="Symbols, separated by commas: `AAPL,MSFT`.")] = None,
    universe: Annotated[str | None, typer.Option(help="CSV file with a column `symbol`.")] = None,
    refit: Annotated[
        str, typer.Option(help="Train anew at every origin (`monthly`), every twelfth (`yearly`), or `never`.")
    ] = "yearly",
    forecasters: Annotated[
        str,
        typer.Option(help="Some of `hybrid,baseline,persistence,drift,garch,ets`; the last two take longer."),
    ] = "hybrid,baseline,persistence,drift",
    out: Annotated[Path | None, typer.Option(metavar="FILE.parquet", help="Also write every forecast there.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Processes at a time. Default: two, where cores and memory allow."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show Prefect's own log.")] = False,
) -> None:
    """Forecast from every month of a past span, each with what was known by then, and score it.

    Compares our forecasts with what others would have said. Publishes nothing; see docs/backtest.md.

    Examples:
        bellwether backtest --source sample --first-origin 2008-12 --last-origin 2017-11

        bellwether backtest --source file:prices.csv.gz --first-origin 2003-12 --last-origin 2017-11 --refit never

        bellwether backtest --source sample --first-origin 2008-12 --last-origin 2017-11 --out forecasts.parquet
    """
    if refit not in ("monthly", "yearly", "never"):
        raise BadRequestError(f"`--refit` must be monthly, yearly or never; received {refit!r}.")
    from flows.cli.views import make_console, show_backtest

    console = make_console()
    with _working(console, verbose=verbose) as address:
        from flows.backtest import backtest as run_backtest

        summary = run_backtest(
            first_origin=first_origin.date(),
            last_origin=last_origin.date(),
            source=source,
            symbols=_split(symbols),
            universe=universe,
            refit=cast("Refit", refit),
            forecasters=[each.strip() for each in forecasters.split(",") if each.strip()],
            out=out,
            workers=workers,
        )
    show_backtest(console, summary, address)


@app.command()
def replay(
    run_id: Annotated[int, typer.Argument(metavar="RUN", min=1, help="Number of the run, see `bellwether status`.")],
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train its model once more, too, and compare the weights: takes minutes.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show Prefect's own log.")] = False,
) -> None:
    """Say why a past run forecast what it did, and make its forecasts again to the bit.

    Uses the database alone: bars, splits and dividends as they were known then, and the stored weights. Writes nothing.

    Examples:
        bellwether replay 12

        bellwether replay 12 --retrain
    """
    from flows.cli.views import make_console

    console = make_console()
    with _working(console, verbose=verbose):
        from flows.replay import replay_run
        from tasks.research.replay import explain_replay, outcome_sentence

        replayed = replay_run(run_id, retrain)
    for line in explain_replay(replayed):
        console.print(escape(line), highlight=False, soft_wrap=True)
    if not replayed.is_identical:
        raise ReplayDiffersError(outcome_sentence(replayed))


@app.command()
def paper(
    source: Annotated[str, typer.Option(help="Where the bars come from: `sample`, `file:PATH` or `yahoo`.")] = "sample",
    symbol: Annotated[str, typer.Option(help="Index or stock to forecast.")] = "^GSPC",
    interval: Annotated[str, typer.Option(help="`daily` or `monthly`: what a step is.")] = "daily",
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Trainings of each network.")] = 5,
    first: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Use bars from this day on. Default: all.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory for the two pictures. Default: `paper` in Bellwether's home.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show Prefect's own log.")] = False,
) -> None:
    """Reproduce the paper behind the project, and what it leaves out.

    Trains LSTM-GRU, LSTM and GRU on windows of 60 scaled bars, and compares their next close with a linear model's and
    with "as before". See `docs/paper.md`.

    Examples:
        bellwether paper

        bellwether paper --interval monthly --out pictures

        bellwether paper --source file:prices.csv.gz --symbol AAPL --seeds 3
    """
    if interval not in get_args(Interval):
        raise BadRequestError(f"`--interval` must be one of {', '.join(get_args(Interval))}; received {interval!r}.")
    from flows.cli.views import make_console, show_paper

    console = make_console()
    with _working(console, verbose=verbose) as address:
        from flows.paper import paper as run_paper

        summary = run_paper(
            source, symbol, cast(Interval, interval), seeds, first.date() if first else None, out and out.absolute()
        )
    show_paper(console, summary, address)


@app.command()
def watch(
    stuck_hours: Annotated[
        int, typer.Option(min=1, max=240, help="A run that has not ended after so many hours is an alert.")
    ] = 12,
) -> None:
    """Look for killed runs and months overdue, and deliver alerts; for cron, once a day.

    Works without a Prefect server, and tells nothing twice.
    """
    prepare_prefect(get_settings().home, log_level="CRITICAL")
    from flows.cli.service_views import show_service_check
    from flows.cli.views import make_console
    from flows.service_check import check_service

    show_service_check(make_console(), check_service.fn(stuck_hours))


@app.command()
def status(limit: Annotated[int, typer.Option(min=1, help="Runs to show.")] = 10) -> None:
    """Show the last runs, open alerts, months overdue and addresses that do not answer."""
    from flows.cli.service_views import show_status
    from flows.cli.views import make_console
    from tasks.database import database_errors, get_store

    store = get_store()
    with database_errors():
        runs = store.read_report("run_history", limit=limit)
        open_alerts = store.read_report("alert_history", is_all=False, limit=limit)
        overdue, addresses = store.read_report("overdue"), store.read_report("recipients")
    has_recipients = get_settings().alert_urls is not None
    show_status(make_console(), runs, open_alerts, overdue, addresses, store.address, has_recipients=has_recipients)


@db.command("url")
def db_url(
    role: Annotated[str, typer.Option(help="`owner`, or `analyst`, who can only read the report schema.")] = "owner",
) -> None:
    """Print the database's address, password included: `psql "$(bellwether db url)"`."""
    from tasks.database import database_url

    if role not in ("owner", "analyst"):
        raise BadRequestError(f"`--role` must be owner or analyst; received {role!r}.")
    if role == "analyst":
        _ensure_current()
    typer.echo(database_url(get_settings(), role=role))


@db.command("shell", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def db_shell(context: typer.Context) -> None:
    """Open psql; what follows is passed to it: `bellwether db shell -c "select * from report.run_history"`."""
    from tasks.database import psql_command

    program, environment = psql_command(get_settings())
    os.execve(program, [program, *context.args], {**os.environ, **environment})  # noqa: S606  our own binary, no shell


@db.command("start")
def db_start() -> None:
    """Start the embedded database, and make or upgrade its schema."""
    typer.echo(f"Running at {_ensure_current()}")


@db.command("stop")
def db_stop() -> None:
    """Stop the embedded database."""
    from tasks.database import stop_database

    typer.echo("Stopped." if stop_database(get_settings()) else "It was not running.")


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring the schema and the views to the newest version; existing data stays."""
    typer.echo(f"Up to date at {_ensure_current()}")


def _ensure_current() -> str:
    """Start the database if need be, bring it up to date, and return its address without the password."""
    from tasks.database import get_store

    return get_store().address


@contextmanager
def _working(console: Console, *, verbose: bool) -> Iterator[str]:
    """Prefect and Postgres started, and progress on the screen; yields the database's address without the password."""
    prepare_prefect(get_settings().home, log_level="INFO" if verbose else "CRITICAL")
    with console.status("Starting Prefect and Postgres …"):
        # Imported here: Prefect reads its environment when it is imported, and the other commands need neither.
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

        from flows.cli.views import ProgressScreen
        from tasks.database import get_store
        from tasks.progress import listening

        address = get_store().address
    # A flow's heartbeat costs a second at its end, and a manual run is watched by its user.
    without_heartbeat = temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})
    with without_heartbeat, ProgressScreen(console) as screen, listening(screen):
        yield address


def _split(symbols: str | None) -> list[str] | None:
    return None if symbols is None else symbols.split(",")


def _plain(text: str) -> str:
    """Text on one line, its brackets not taken for markup."""
    return escape(" ".join(text.split()))
