"""The commands of `bellwether prices`."""

from datetime import datetime
from typing import Annotated, Literal

import typer

from flows.cli.options import LimitOption, to_date
from flows.cli.progress import make_console

prices = typer.Typer(help="Accept doubtful prices that a check or a download has rejected.", no_args_is_help=True)
Kind = Literal["split", "unit", "move", "history"]
"""The choices of `tasks.decisions.Kind`, whose module imports pandas."""


@prices.command("accept")
def prices_accept(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="Stored symbol.")],
    session: Annotated[
        datetime | None,
        typer.Option(
            "--session",
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="Session of the finding. Default: that of the only finding that rejects the symbol.",
        ),
    ] = None,
    kind: Annotated[
        Kind | None,
        typer.Option(
            "--as",
            help="Explanation: a `split`; another `unit` or currency of the earlier prices; a real `move`; "
            "`history`: the next download replaces the stored history. Default: the one that the finding suggests.",
        ),
    ] = None,
    ratio: Annotated[
        str | None,
        typer.Option(
            "--ratio",
            metavar="NEW:OLD",
            help="Of a split: new shares per old share, such as `4:1` or `1:18`. Of a unit: factor of the earlier "
            "prices, such as `0.01`. Default: the ratio found.",
        ),
    ] = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Note that is stored with the decision.")] = "",
) -> None:
    """Accept a doubtful price. The decision is stored with the user and the time, and applies from the next run on.

    Stored bars are not changed, except by `--as history`: the next download replaces them as revisions.

    For example:

        bellwether prices accept ACME
        bellwether prices accept ACME --session 2018-05-01 --as move --note "takeover bid"
        bellwether prices accept ACME --session 2018-05-01 --as split --ratio 1:18
        bellwether prices accept VOD.L --session 2018-05-01 --as unit --ratio 0.01
        bellwether prices accept ACME --as history
    """
    from tasks.decisions import accept_prices

    typer.echo(accept_prices(symbol, session=to_date(session), kind=kind, ratio=ratio, note=note))


@prices.command("list")
def prices_list(
    everything: Annotated[bool, typer.Option("--all", help="Include withdrawn decisions.")] = False,
    limit: LimitOption = 20,
) -> None:
    """List the decisions about doubtful prices, newest first.

    For example:

        bellwether prices list --all --limit 50
    """
    from flows.cli.service_views import show_decisions
    from tasks.decisions import list_decisions

    show_decisions(make_console(), list_decisions(is_all=everything, limit=limit))


@prices.command("withdraw")
def prices_withdraw(
    decision_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="Decision, as `prices list` shows it.")],
) -> None:
    """Withdraw a decision. The next run checks the prices without it; earlier runs are replayed with it.

    For example:

        bellwether prices withdraw 3
    """
    from tasks.decisions import withdraw_decision

    typer.echo(withdraw_decision(decision_id))
