"""What the command line shows a person: progress while it works, then forecasts, scores and where to look further.

How the service stands, its alerts and what it waits for are in `service_screen`.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from tasks.report.summaries import EXAMPLE_QUERIES, BacktestSummary, MonthSummary, PricesSummary
from tasks.research.paper_table import PaperSummary, paper_rows, verdict

_SYMBOLS_SHOWN = 10
_HORIZONS_SHOWN = (1, 3, 6, 12)
_OTHERS_SHOWN = 5
_SCALERS = {
    "everything": "scale fitted on everything, as published",
    "training": "scale fitted on the training part alone",
}
_PAPER_WIDTHS = (13, 10, 19, 19, 19, 11, 11)
_STATUS_STYLES = {"ok": "green", "alarm": "bold red", "warning": "yellow", "not_enough_data": "dim"}


class ProgressScreen:
    """Shows the steps of a run as they report: a line for what is done, a bar for what takes long."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def on_progress(self, step: str, done: int, total: int) -> None:
        """Move the step's bar."""
        if step not in self._bars:
            self._bars[step] = self._progress.add_task(step, total=total)
        self._progress.update(self._bars[step], completed=done, total=total)

    def on_line(self, step: str, line: str) -> None:
        """Replace the step's bar by what it did."""
        if step in self._bars:
            self._progress.remove_task(self._bars.pop(step))
        self._progress.console.print(f"  [bold]{step:<9}[/] {escape(line)}", highlight=False, soft_wrap=True)


def make_console() -> Console:
    """A console as wide as the terminal; where there is none, wide enough for the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def show_summary(console: Console, summary: MonthSummary, database_address: str) -> None:
    """Print a month: forecasts in prices, scores beside persistence and baseline, drift, and what to try next."""
    month = f"{summary.key.origin_month:%Y-%m}"
    if summary.is_already_done:
        console.print(
            f"[bold]{month} is already done[/] for {escape(summary.key.universe)} (run {summary.run_id}): "
            "nothing was added or changed. `--rerun` makes a correction.\n"
        )
    console.print(escape(summary.message), highlight=False)
    console.print(_forecast_table(summary))
    shown = min(summary.forecasts["symbol"].nunique(), _SYMBOLS_SHOWN)
    if (hidden := summary.forecasts["symbol"].nunique() - shown) > 0:
        console.print(f"[dim]… and {hidden} more symbols, all horizons: select * from report.latest_forecast[/]\n")
    _show_others(console, summary.outcomes, "select * from report.data_quality")
    if summary.scores.empty:
        console.print("No forecast can be scored yet: none of the months forecast so far is over.\n")
    else:
        console.print(_score_table(summary.scores))
        _show_restated(console, summary.scores)
    _show_drift(console, summary.drift)
    console.print(f"\nEverything is in Postgres at {escape(database_address)}", highlight=False)
    console.print(
        "[bold]bellwether db shell[/] opens psql there; [bold]bellwether db url[/] is for other programs. Try:\n"
    )
    for what, query in EXAMPLE_QUERIES.items():
        console.print(f"[dim]-- {what}[/]\n{escape(query)};\n", highlight=False, soft_wrap=True)


def show_prices(console: Console, summary: PricesSummary, database_address: str) -> None:
    """Print what a download brought, what was found in it, and which symbols did not come."""
    came = summary.outcomes[summary.outcomes["outcome"] == "ok"]
    first, last = came["first_session"].min(), came["last_session"].max()
    console.print(
        f"{len(came)} of {len(summary.outcomes)} symbols of {escape(summary.universe)} are stored, "
        f"{first:%Y-%m-%d} to {last:%Y-%m-%d}.",
        highlight=False,
    )
    _show_others(console, summary.outcomes, "select * from ops.download order by known_at desc")
    if len(summary.findings):
        table = Table("rule", "treatment", "symbols", "findings", "for example", title="Found in the bars")
        for row in records(summary.findings):
            table.add_row(row.rule, row.treatment, f"{row.symbols}", f"{row.findings:,}", escape(row.example))
        console.print(table)
        console.print("[dim]All of them: select * from report.finding; stored bars are never changed.[/]")
    console.print(f"\nEverything is in Postgres at {escape(database_address)}", highlight=False)


def show_backtest(console: Console, summary: BacktestSummary, database_address: str) -> None:
    """Print a backtest's scores, over all origins and by period, and where its forecasts are."""
    console.print(
        f"Backtest {summary.backtest_id} of {escape(summary.universe)}: {summary.symbols} symbols from "
        f"{summary.first_origin:%Y-%m} to {summary.last_origin:%Y-%m}, refit {summary.refit}.",
        highlight=False,
    )
    for period, scores in summary.scores.groupby("period", sort=False):
        console.print(_backtest_table("all origins" if period == "all" else str(period), scores))
    console.print(
        "[dim]Vs persistence: 1 - CRPS / CRPS of the random walk. p: one-sided Harvey-Leybourne-Newbold, of being "
        "better than that forecaster by luck alone. All horizons: select * from report.backtest_scorecard[/]"
    )
    if summary.out is not None:
        console.print(
            f"{summary.forecasts:,} forecasts are in {escape(str(summary.out))}", highlight=False, soft_wrap=True
        )
    console.print(f"Errors by month are in Postgres at {escape(database_address)}", highlight=False, soft_wrap=True)


def show_paper(console: Console, summary: PaperSummary, database_address: str) -> None:
    """Print the paper's experiment: each error with what it means, scaler by scaler, and where the pictures are."""
    for scaler, own in summary.results.groupby("scaler", sort=False):
        first = records(own)[0]
        console.print(
            f"\n[bold]{escape(first.symbol)}, {first.bar_interval}, {first.test_targets:,} closes from "
            f"{first.tested_from:%Y-%m-%d} on; {_SCALERS[str(scaler)]}[/]",
            highlight=False,
        )
        console.print(
            f"[dim]{first.beyond_share:.0%} of these closes lie beyond the scale, on which 1 is "
            f"{first.scale_points:,.1f} points; networks: mean ± standard deviation over seeds ({first.seeds})[/]",
            highlight=False,
        )
        console.print(_paper_line(("", "published", "LSTM → GRU", "LSTM", "GRU", "linear", "persistence"), "bold"))
        for row in paper_rows(own):
            console.print(_paper_line((row.measure, *row.cells)))
            console.print(f"  [dim]{row.sentence}[/]", highlight=False)
        console.print(verdict(own), highlight=False)
    console.print()
    for picture in summary.pictures:
        console.print(f"Picture: {escape(str(picture))}", highlight=False, soft_wrap=True)
    console.print("What to make of it: docs/paper.md. The numbers: select * from report.paper_result")
    console.print(f"Everything is in Postgres at {escape(database_address)}", highlight=False)


def _forecast_table(summary: MonthSummary) -> Table:
    table = Table(
        title=f"Value of one share bought at the close of {summary.key.origin_month:%Y-%m}, dividends reinvested "
        "(10 %, [bold]50 %[/] and 90 % quantile)",
        caption=f"Served: {summary.served}",
    )
    table.add_column("symbol")
    table.add_column("close", justify="right")
    rows = summary.forecasts[summary.forecasts["horizon"].isin(_HORIZONS_SHOWN)]
    for target in records(rows.drop_duplicates("horizon").sort_values("horizon")):
        table.add_column(
            f"{target.target_month:%Y-%m}\n{target.horizon} months".replace("1 months", "1 month"), justify="right"
        )
    for symbol, own in list(rows.groupby("symbol", sort=False))[:_SYMBOLS_SHOWN]:
        each = records(own)
        cells = [f"{_price(r.price_q10)} [bold]{_price(r.price_q50)}[/] {_price(r.price_q90)}" for r in each]
        table.add_row(escape(str(symbol)), f"{each[0].origin_close:,.2f} {each[0].currency_code}", *cells)
    return table


def _price(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.2f}"


def _score_table(scores: pd.DataFrame) -> Table:
    table = Table(
        title="Scores of all forecasts whose month has happened (log return; CRPS: smaller is better)",
        caption="p: chance of being so much better, or so far off 80 %, by luck alone; none with too few months. "
        "Every column, window, model and group of symbols: docs/scores.md",
    )
    for name in ("months ahead", "forecaster"):
        table.add_column(name, no_wrap=name == "forecaster")
    numbers = "months scored", "CRPS", "vs persistence (p)", "vs baseline (p)", "80 % held (p)"
    for name in (*numbers, "direction right", "always up", "rank IC"):
        table.add_column(name, justify="right")
    everything = scores[scores["window_months"].isna() & scores["horizon"].isin(_HORIZONS_SHOWN)]
    order = {name: place for place, name in enumerate(("served", "hybrid", "baseline", "persistence"))}
    for horizon, own in everything.groupby("horizon"):
        for row in records(own.sort_values("forecaster", key=lambda names: names.map(order))):
            is_first = row.forecaster == "served"
            table.add_row(
                str(horizon) if is_first else "",
                row.forecaster,
                f"{row.months}",
                f"{row.crps:.4f}",
                _with_p(_gain(row.skill_vs_persistence), row.p_vs_persistence),
                _with_p(_gain(row.skill_vs_baseline), row.p_vs_baseline),
                _with_p(f"{row.coverage_80:.0%}", row.kupiec_p_80),
                f"{row.hit_rate:.0%}",
                f"{row.always_up_rate:.0%}",
                "" if row.rank_ic is None else f"{row.rank_ic:+.2f}",
                style="bold" if is_first else None,
            )
    return table


def _show_restated(console: Console, scores: pd.DataFrame) -> None:
    """Say so when what happened is no longer what was scored first, or is not known."""
    served = scores[scores["window_months"].isna() & (scores["forecaster"] == "served")]
    if restated := int(served["restated"].sum()):
        console.print(
            f"[yellow]{restated:,} outcomes have been restated[/] by the source since they were scored; the scores "
            "above are the first: select * from report.forecast_vs_actual where restated_at is not null",
            highlight=False,
            soft_wrap=True,
        )
    if unscored := int(served["unscored"].sum()):
        console.print(
            f"[yellow]{unscored:,} forecasts cannot be scored[/]: their symbols lack bars that can be trusted.",
            highlight=False,
            soft_wrap=True,
        )


def _backtest_table(title: str, scores: pd.DataFrame) -> Table:
    table = Table(title=f"Scores, {title} (log return; CRPS: smaller is better)")
    for name in ("months ahead", "forecaster"):
        table.add_column(name)
    numbers = "origins", "CRPS", "vs persistence", "p vs persistence", "p vs baseline", "80 % held", "95 % held"
    for name in numbers:
        table.add_column(name, justify="right")
    for horizon, own in scores[scores["horizon"].isin(_HORIZONS_SHOWN)].groupby("horizon"):
        for place, row in enumerate(records(own)):
            table.add_row(
                "" if place else str(horizon),
                row.forecaster,
                f"{row.months}",
                f"{row.crps:.4f}",
                _gain(row.skill_vs_persistence),
                _p_value(row.p_vs_persistence),
                _p_value(row.p_vs_baseline),
                f"{row.coverage_80:.1%}",
                f"{row.coverage_95:.1%}",
                style=None if place else "bold",
            )
    return table


def _p_value(p: float | None) -> str:
    return "" if p is None else f"{p:.3f}"


def _with_p(value: str, p: float | None) -> str:
    return value if p is None else f"{value} ({p:.2f})"


def _paper_line(cells: Sequence[str], style: str = "") -> Table:
    """Cells at places that are the same in every line, so that sentences fit between."""
    line = Table.grid(padding=(0, 1))
    for place, width in enumerate(_PAPER_WIDTHS):
        line.add_column(width=width, justify="left" if place == 0 else "right")
    line.add_row(*cells, style=style)
    return line


def records(frame: pd.DataFrame) -> list[Any]:
    """Rows with their columns as attributes, nulls as None."""
    return list(frame.astype(object).where(frame.notna(), None).itertuples(index=False))


def _gain(skill: float | None) -> str:
    return "" if skill is None else f"{skill:+.1%}"


def _show_others(console: Console, outcomes: pd.DataFrame, query: str) -> None:
    left_out = outcomes[outcomes["outcome"] != "ok"]
    for row in records(left_out.head(_OTHERS_SHOWN)):
        console.print(f"[yellow]{row.outcome}[/] {escape(row.symbol)}: {escape(row.reason)}", highlight=False)
    if len(left_out) > _OTHERS_SHOWN:
        console.print(f"[dim]… and {len(left_out) - _OTHERS_SHOWN} more: {query}[/]")


def _show_drift(console: Console, drift: pd.DataFrame) -> None:
    parts = []
    for row in records(drift):
        status = f"[{_STATUS_STYLES[row.status]}]{row.status.replace('_', ' ')}[/]"
        parts.append(f"{row.horizon} months ahead {status} ({row.months_used} scored)")
    console.print(f"Drift: {'; '.join(parts)}", highlight=False)
