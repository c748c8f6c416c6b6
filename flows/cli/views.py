"""Output about a month, a download and a backtest: tables of forecasts, scores and problems."""

from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from tasks.report.summaries import BacktestSummary, MonthSummary, PricesSummary  # imports Prefect

_MAX_SYMBOLS = 10
_MAX_PROBLEMS = 5
_HORIZONS = (1, 3, 6, 12)
_FORECASTER_ORDER = ("served", "hybrid", "baseline", "persistence")
_STATUS_STYLES = {"ok": "green", "alarm": "bold red", "warning": "yellow", "not_enough_data": "dim"}


def show_summary(console: Console, summary: "MonthSummary", database_address: str) -> None:
    """Print a month: forecasts in prices, problems, scores, drift status and example queries."""
    from tasks.report.summaries import EXAMPLE_QUERIES  # imports Prefect

    month = f"{summary.key.origin_month:%Y-%m}"
    if summary.is_already_done:
        console.print(
            f"[bold]{month} is already published[/] for {escape(summary.key.universe)} (run {summary.run_id}). "
            "Nothing was changed. To publish a correction, use `--rerun`.\n"
        )
    console.print(escape(summary.message), highlight=False)
    console.print(_forecast_table(summary))
    shown = min(summary.forecasts["symbol"].nunique(), _MAX_SYMBOLS)
    if (hidden := summary.forecasts["symbol"].nunique() - shown) > 0:
        console.print(f"[dim]{hidden} more symbols, and all horizons: select * from report.latest_forecast[/]\n")
    _show_problems(console, summary.outcomes, "select * from report.data_quality")
    if summary.scores.empty:
        console.print("No scores yet: no forecast month has ended.\n")
    else:
        console.print(_score_table(summary.scores))
        _show_restated(console, summary.scores)
    _show_drift(console, summary.drift)
    console.print(f"\nDatabase: {escape(database_address)}", highlight=False)
    console.print(
        "Open psql with [bold]bellwether db shell[/]; other programs connect to [bold]bellwether db url[/]. Examples:\n"
    )
    for title, query in EXAMPLE_QUERIES.items():
        console.print(f"[dim]-- {title}[/]\n{escape(query)};\n", highlight=False, soft_wrap=True)


def show_prices(console: Console, summary: "PricesSummary", database_address: str) -> None:
    """Print the result of a download: stored symbols, problems and findings."""
    stored = summary.outcomes[summary.outcomes["outcome"] == "ok"]
    first, last = stored["first_session"].min(), stored["last_session"].max()
    console.print(
        f"{len(stored)} of {len(summary.outcomes)} symbols of {escape(summary.universe)} are stored, "
        f"{first:%Y-%m-%d} to {last:%Y-%m-%d}.",
        highlight=False,
    )
    _show_problems(console, summary.outcomes, "select * from ops.download order by known_at desc")
    if len(summary.findings):
        table = Table("rule", "treatment", "symbols", "findings", "example", title="Findings in the bars")
        for row in records(summary.findings):
            table.add_row(row.rule, row.treatment, f"{row.symbols}", f"{row.findings:,}", escape(row.example))
        console.print(table)
        console.print("[dim]All findings: select * from report.finding. Stored bars are never changed.[/]")
    console.print(f"\nDatabase: {escape(database_address)}", highlight=False)


def show_backtest(console: Console, summary: "BacktestSummary", database_address: str) -> None:
    """Print the scores of a backtest, over all origins and by period, and the location of its forecasts."""
    console.print(
        f"Backtest {summary.backtest_id} of {escape(summary.universe)}: {summary.symbols} symbols from "
        f"{summary.first_origin:%Y-%m} to {summary.last_origin:%Y-%m}, refit {summary.refit}.",
        highlight=False,
    )
    for period, scores in summary.scores.groupby("period", sort=False):
        console.print(_backtest_table("all origins" if period == "all" else str(period), scores))
    console.print(
        "[dim]vs persistence: 1 - CRPS / CRPS of persistence. p: one-sided Harvey-Leybourne-Newbold test of equal "
        "accuracy. All horizons: select * from report.backtest_scorecard[/]"
    )
    if summary.out is not None:
        console.print(
            f"Forecasts ({summary.forecasts:,} rows): {escape(str(summary.out))}", highlight=False, soft_wrap=True
        )
    console.print(f"Errors by month are in the database: {escape(database_address)}", highlight=False, soft_wrap=True)


def _forecast_table(summary: "MonthSummary") -> Table:
    table = Table(
        title=f"Value of one share bought at the close of {summary.key.origin_month:%Y-%m}, dividends reinvested "
        "(10 %, [bold]50 %[/] and 90 % quantile)",
        caption=f"Served model: {summary.served}",
    )
    table.add_column("symbol")
    table.add_column("close", justify="right")
    rows = summary.forecasts[summary.forecasts["horizon"].isin(_HORIZONS)]
    for target in records(rows.drop_duplicates("horizon").sort_values("horizon")):
        table.add_column(
            f"{target.target_month:%Y-%m}\n{target.horizon} months".replace("1 months", "1 month"), justify="right"
        )
    for symbol, group in list(rows.groupby("symbol", sort=False))[:_MAX_SYMBOLS]:
        forecasts = records(group)
        cells = [
            f"{_price(row.price_q10)} [bold]{_price(row.price_q50)}[/] {_price(row.price_q90)}" for row in forecasts
        ]
        table.add_row(escape(str(symbol)), f"{forecasts[0].origin_close:,.2f} {forecasts[0].currency_code}", *cells)
    return table


def _price(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.2f}"


def _score_table(scores: pd.DataFrame) -> Table:
    table = Table(
        title="Scores of all past forecasts (log return; a smaller CRPS is better)",
        caption="p: one-sided test of equal accuracy, or test of 80 % coverage; empty with too few months. "
        "All columns: docs/scores.md",
    )
    for name in ("months ahead", "forecaster"):
        table.add_column(name, no_wrap=name == "forecaster")
    numbers = "months scored", "CRPS", "vs persistence (p)", "vs baseline (p)", "80 % coverage (p)"
    for name in (*numbers, "hit rate", "always-up rate", "rank IC"):
        table.add_column(name, justify="right")
    all_months = scores[scores["window_months"].isna() & scores["horizon"].isin(_HORIZONS)]
    order = {name: position for position, name in enumerate(_FORECASTER_ORDER)}
    for horizon, group in all_months.groupby("horizon"):
        for row in records(group.sort_values("forecaster", key=lambda names: names.map(order))):
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
    """Print how many outcomes were restated since they were scored, and how many cannot be scored."""
    served = scores[scores["window_months"].isna() & (scores["forecaster"] == "served")]
    if restated := int(served["restated"].sum()):
        console.print(
            f"[yellow]The source restated {restated:,} outcomes[/] after they were scored. The table shows the first "
            "scores. Restated rows: select * from report.forecast_vs_actual where restated_at is not null",
            highlight=False,
            soft_wrap=True,
        )
    if unscored := int(served["unscored"].sum()):
        console.print(
            f"[yellow]{unscored:,} forecasts cannot be scored[/]: their symbols have no reliable bars for the month.",
            highlight=False,
            soft_wrap=True,
        )


def _backtest_table(title: str, scores: pd.DataFrame) -> Table:
    table = Table(title=f"Scores, {title} (log return; a smaller CRPS is better)")
    for name in ("months ahead", "forecaster"):
        table.add_column(name)
    numbers = "origins", "CRPS", "vs persistence", "p vs persistence", "p vs baseline", "80 % coverage", "95 % coverage"
    for name in numbers:
        table.add_column(name, justify="right")
    for horizon, group in scores[scores["horizon"].isin(_HORIZONS)].groupby("horizon"):
        for position, row in enumerate(records(group)):
            table.add_row(
                "" if position else str(horizon),
                row.forecaster,
                f"{row.months}",
                f"{row.crps:.4f}",
                _gain(row.skill_vs_persistence),
                _p_value(row.p_vs_persistence),
                _p_value(row.p_vs_baseline),
                f"{row.coverage_80:.1%}",
                f"{row.coverage_95:.1%}",
                style=None if position else "bold",
            )
    return table


def _p_value(p: float | None) -> str:
    return "" if p is None else f"{p:.3f}"


def _with_p(value: str, p: float | None) -> str:
    return value if p is None else f"{value} ({p:.2f})"


def records(frame: pd.DataFrame) -> list[Any]:
    """Convert a frame to rows whose attributes are its columns; nulls become None."""
    return list(frame.astype(object).where(frame.notna(), None).itertuples(index=False))


def _gain(skill: float | None) -> str:
    return "" if skill is None else f"{skill:+.1%}"


def _show_problems(console: Console, outcomes: pd.DataFrame, query: str) -> None:
    problems = outcomes[outcomes["outcome"] != "ok"]
    for row in records(problems.head(_MAX_PROBLEMS)):
        console.print(f"[yellow]{row.outcome}[/] {escape(row.symbol)}: {escape(row.reason)}", highlight=False)
    if len(problems) > _MAX_PROBLEMS:
        console.print(f"[dim]{len(problems) - _MAX_PROBLEMS} more: {query}[/]")


def _show_drift(console: Console, drift: pd.DataFrame) -> None:
    parts = []
    for row in records(drift):
        status = f"[{_STATUS_STYLES[row.status]}]{row.status.replace('_', ' ')}[/]"
        parts.append(f"{row.horizon} months ahead {status} ({row.months_used} scored)")
    console.print(f"Drift: {'; '.join(parts)}", highlight=False)
