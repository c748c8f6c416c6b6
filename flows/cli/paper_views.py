"""Output about the paper's experiment: errors by scaler, verdicts and pictures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.cli.views import records
from tasks.research.paper_table import paper_rows, verdict

if TYPE_CHECKING:
    from tasks.research.paper_table import PaperSummary

_SCALERS = {
    "everything": "scaler fitted on all data, as published",
    "training": "scaler fitted on the training part only",
}
_COLUMNS = ("", "published", "LSTM → GRU", "LSTM", "GRU", "linear", "persistence")
_WIDTHS = (13, 10, 19, 19, 19, 11, 11)


def show_paper(console: Console, summary: "PaperSummary", database_address: str) -> None:
    """Print the errors of each scaler with an explanation of each row, and the paths of the pictures."""
    for scaler, results in summary.results.groupby("scaler", sort=False):
        first = records(results)[0]
        console.print(
            f"\n[bold]{escape(first.symbol)}, {first.bar_interval}, {first.test_targets:,} test closes from "
            f"{first.tested_from:%Y-%m-%d}; {_SCALERS[str(scaler)]}[/]",
            highlight=False,
        )
        console.print(
            f"[dim]{first.beyond_share:.0%} of the test closes are outside the scaler's range. One scaled unit is "
            f"{first.scale_points:,.1f} points. Networks: mean ± standard deviation over seeds ({first.seeds}).[/]",
            highlight=False,
        )
        console.print(_line(_COLUMNS, "bold"))
        for row in paper_rows(results):
            console.print(_line((row.measure, *row.cells)))
            console.print(f"  [dim]{row.sentence}[/]", highlight=False)
        console.print(verdict(results), highlight=False)
    console.print()
    for picture in summary.pictures:
        console.print(f"Picture: {escape(str(picture))}", highlight=False, soft_wrap=True)
    console.print("Interpretation: docs/paper.md. All numbers: select * from report.paper_result")
    console.print(f"Database: {escape(database_address)}", highlight=False)


def _line(cells: Sequence[str], style: str = "") -> Table:
    """Lay out one line; fixed widths keep columns aligned although sentences stand between the lines."""
    line = Table.grid(padding=(0, 1))
    for position, width in enumerate(_WIDTHS):
        line.add_column(width=width, justify="left" if position == 0 else "right")
    line.add_row(*cells, style=style)
    return line
