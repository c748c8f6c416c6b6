"""Options that several commands share, and their choices; Typer checks the choices."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from tasks.settings import Interval, Mode

Refit = Literal["monthly", "yearly", "never"]
"""Retraining interval of a backtest; the same choices as `tasks.plans.backtest.Refit`, whose module imports Prefect."""
Role = Literal["owner", "analyst"]
"""Database logins: `owner` may write, `analyst` may read the schema `report`."""

_DAY = {"formats": ["%Y-%m-%d"], "metavar": "YYYY-MM-DD"}
_MONTH = {"formats": ["%Y-%m"], "metavar": "YYYY-MM"}

SourceOption = Annotated[
    str, typer.Option("--source", metavar="SOURCE", help="Price source: `sample`, `file:PATH` or `yahoo`.")
]
SymbolsOption = Annotated[
    str | None,
    typer.Option("--symbols", metavar="LIST", help="Symbols, separated by commas, for example `AAPL,MSFT`."),
]
UniverseOption = Annotated[
    str | None, typer.Option("--universe", metavar="FILE", help="CSV file with the column `symbol`.")
]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Show Prefect's log.")]
AsOfOption = Annotated[
    datetime | None,
    typer.Option("--as-of", help="Forecast as of this day. Default: the latest closed session.", **_DAY),
]
ModeOption = Annotated[
    Mode,
    typer.Option(
        "--mode",
        help="How the model is selected: `auto` compares all candidates; the other modes force one of them.",
    ),
]
CatchUpOption = Annotated[
    int,
    typer.Option("--catch-up", min=0, max=240, metavar="MONTHS", help="Earlier months to forecast first, 0 to 240."),
]
MinCoverageOption = Annotated[
    float,
    typer.Option(
        "--min-coverage",
        min=0.5,
        max=1.0,
        metavar="SHARE",
        help="Share of the universe that must have the month's prices, 0.5 to 1.0. Below it nothing is published.",
    ),
]
RerunOption = Annotated[bool, typer.Option("--rerun", help="Publish a correction of a month already published.")]
DueSessionsOption = Annotated[
    int,
    typer.Option(
        "--due-sessions",
        min=1,
        max=15,
        metavar="SESSIONS",
        help="A later month is overdue if it is not published this many sessions after its end, 1 to 15.",
    ),
]
UnattendedOption = Annotated[
    bool, typer.Option("--unattended", help="For cron: a run that fails before it starts also raises an alert.")
]
FetchFromOption = Annotated[
    datetime | None,
    typer.Option("--first", help="Fetch again from this day. Default: only what is missing.", **_DAY),
]
FirstBarOption = Annotated[datetime | None, typer.Option("--first", help="Earliest bar to use. Default: all.", **_DAY)]
FirstOriginOption = Annotated[datetime, typer.Option("--first-origin", help="First month to forecast from.", **_MONTH)]
LastOriginOption = Annotated[datetime, typer.Option("--last-origin", help="Last month to forecast from.", **_MONTH)]
RefitOption = Annotated[
    Refit,
    typer.Option("--refit", help="Retrain at every origin (`monthly`), at every twelfth (`yearly`) or `never`."),
]
ForecastersOption = Annotated[
    str,
    typer.Option(
        "--forecasters",
        metavar="LIST",
        help="Some of `hybrid,baseline,persistence,drift,garch,ets`. `garch` and `ets` are slow.",
    ),
]
ForecastFileOption = Annotated[
    Path | None, typer.Option("--out", metavar="FILE.parquet", help="Also write all forecasts to this file.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, max=64, metavar="N", help="Processes. Default: two, if cores and memory allow it."
    ),
]
SymbolOption = Annotated[str, typer.Option("--symbol", metavar="SYMBOL", help="Index or stock to forecast.")]
IntervalOption = Annotated[Interval, typer.Option("--interval", help="Length of a step.")]
SeedsOption = Annotated[
    int, typer.Option("--seeds", min=1, max=100, metavar="N", help="Training runs per network, 1 to 100.")
]
PictureDirectoryOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIRECTORY", help="Directory for the two pictures. Default: `paper` in the home."),
]
RunArgument = Annotated[int, typer.Argument(metavar="RUN", min=1, help="Run number, as `bellwether status` shows it.")]
RetrainOption = Annotated[
    bool,
    typer.Option("--retrain", help="Also train the model again and compare the weights. Takes minutes."),
]
StuckHoursOption = Annotated[
    int,
    typer.Option(
        "--stuck-hours", min=1, max=240, metavar="HOURS", help="Raise an alert for a run still running after this time."
    ),
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Maximum number of rows.")]
RoleOption = Annotated[Role, typer.Option("--role", help="Login: `analyst` can only read the schema `report`.")]


def split_list(text: str | None) -> list[str] | None:
    """Split a comma-separated option; None stays None."""
    return None if text is None else [item.strip() for item in text.split(",")]


def to_date(moment: datetime | None) -> date | None:
    """Convert the value of a date option; None stays None."""
    return None if moment is None else moment.date()
