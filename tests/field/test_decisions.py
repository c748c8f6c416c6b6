"""Decisions of the operator about doubtful prices: from the rejection to the command, and to the next run."""

import getpass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from flows.ingest import ingest_prices
from tasks.calendars import sessions_between
from tasks.database import get_store
from tasks.decisions import read_decisions
from tests.field.conftest import WriteBars
from tests.support.commands import Bellwether
from tests.support.rows import query

DAYS = [
    f"{day:%Y-%m-%d}"
    for day in sessions_between("XNYS", pd.Timestamp("2017-01-03").date(), pd.Timestamp("2018-06-29").date())[0]
]
JUMP = DAYS[300]


def closes(factor: float) -> dict[str, float]:
    """Closes with a jump by a factor."""
    level = 20 * np.exp(np.random.default_rng(1).normal(0, 0.008, len(DAYS)).cumsum())
    return dict(zip(DAYS, np.round(np.where(np.arange(len(DAYS)) < 300, level, level * factor), 4), strict=True))


def findings(url: str) -> dict[str, tuple[str, str]]:
    rows = query(url, "select rule, treatment, reason from report.finding where symbol = 'JUMP' order by session")
    return {rule: (treatment, reason) for rule, treatment, reason in rows}


def test_rejected_move_names_the_command_that_accepts_it(
    bellwether: Bellwether, database_url: str, write_bars: WriteBars
) -> None:
    source = write_bars(closes(5.5))
    ingest_prices(source=source)
    treatment, reason = findings(database_url)["unexplained_move"]
    command = f"bellwether prices accept JUMP --session {JUMP} --as move"
    assert (treatment, f"`{command}`" in reason) == ("rejected", True)
    before = datetime.now(UTC)

    code, output, _ = bellwether(*command.split()[1:], "--note", "a [bid]")
    assert (code, "Decision 1: JUMP" in output) == (0, True)
    ingest_prices(source=source)
    treatment, reason = findings(database_url)["unexplained_move"]
    assert treatment == "kept"
    assert f"accepted as move by {getpass.getuser()}" in reason
    rows = query(
        database_url, "select symbol, session::text, kind, source, note, decided_by from report.price_decision"
    )
    assert rows == [("JUMP", JUMP, "move", "file", "a [bid]", getpass.getuser())]
    assert "a [bid]" in bellwether("prices", "list")[1]

    assert "withdrawn; the next run" in bellwether("prices", "withdraw", "1")[1]
    ingest_prices(source=source)
    assert findings(database_url)["unexplained_move"][0] == "rejected"
    # A run uses the decisions of its time: before the decision none, then one, now none.
    decided, withdrawn = query(database_url, "select decided_at, withdrawn_at from market.price_decision")[0]
    in_force = [
        len(read_decisions(get_store(), ["JUMP"], moment)) for moment in (before, decided, withdrawn, datetime.now(UTC))
    ]
    assert in_force == [0, 1, 0, 0]
    assert "withdrawn already" in bellwether("prices", "withdraw", "1")[1]


@pytest.mark.parametrize(
    ("factor", "options", "rule", "value"),
    [
        (5.5, ("--as", "split", "--ratio", "2:11"), "missed_split", 1 / 5.5),
        (5.5, ("--as", "unit", "--ratio", "5.5"), "unit_jump", 5.5),
        (1 / 5.5, ("--as", "split", "--ratio", "11:2"), "missed_split", 5.5),
    ],
)
def test_accepted_explanation_leaves_no_jump(
    bellwether: Bellwether,
    database_url: str,
    write_bars: WriteBars,
    factor: float,
    options: tuple[str, ...],
    rule: str,
    value: float,
) -> None:
    source = write_bars(closes(factor))
    ingest_prices(source=source)
    assert findings(database_url)["unexplained_move"][0] == "rejected"
    assert bellwether("prices", "accept", "JUMP", *options)[0] == 0
    ingest_prices(source=source)
    assert {name: treatment for name, (treatment, _) in findings(database_url).items()} == {rule: "repaired"}
    assert query(database_url, f"select value from report.finding where rule = '{rule}'")[0][0] == pytest.approx(value)
    # Stored bars are as the source delivered them.
    assert query(database_url, "select count(*) from market.bar_revision") == [(0,)]
    assert query(database_url, "select count(*) from market.corporate_action") == [(0,)]


def test_change_of_unit_of_the_newest_bars_is_accepted(
    bellwether: Bellwether, database_url: str, write_bars: WriteBars
) -> None:
    level = closes(1.0)
    source = write_bars({day: close / (100 if day >= DAYS[-5] else 1) for day, close in level.items()})
    ingest_prices(source=source)
    treatment, reason = findings(database_url)["unit_jump"]
    assert treatment == "rejected"
    assert f"bellwether prices accept JUMP --session {DAYS[-5]} --as unit" in reason
    assert bellwether("prices", "accept", "JUMP")[0] == 0
    assert query(database_url, "select kind, ratio from market.price_decision") == [("unit", pytest.approx(0.01))]
    ingest_prices(source=source)
    assert {name: treatment for name, (treatment, _) in findings(database_url).items()} == {"unit_jump": "repaired"}


def test_refused_history_is_replaced_after_a_decision(
    bellwether: Bellwether, database_url: str, write_bars: WriteBars
) -> None:
    old, other = closes(1.0), {day: close**1.1 for day, close in closes(1.0).items()}
    ingest_prices(source=write_bars(old))
    source = write_bars(other)
    assert "rejected" in bellwether("ingest", "--source", source)[2]
    reason = query(database_url, "select reason from ops.download order by known_at desc limit 1")[0][0]
    assert "`bellwether prices accept JUMP --as history`" in reason
    assert query(database_url, "select count(*) from market.bar_revision") == [(0,)]

    assert bellwether("prices", "accept", "JUMP")[0] == 0
    assert "waits for the next download" in bellwether("prices", "list")[1]
    ingest_prices(source=source)
    rows = query(database_url, "select session::text, close from market.daily_bar")
    assert dict(rows) == pytest.approx({day: round(close, 10) for day, close in other.items()})
    assert query(database_url, "select count(*) from market.bar_revision")[0][0] > 300
    assert query(database_url, "select applied_at is not null, session from market.price_decision") == [(True, None)]
    code, _, error = bellwether("prices", "withdraw", "1")
    assert (code, "cannot be withdrawn" in error) == (4, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("NONE",), "The symbol must be a stored one; 'NONE' has no bars"),
        (("JUMP",), "No finding rejects JUMP, so there is nothing to accept"),
        (("JUMP", "--session", "2018-01-03"), "JUMP has none on 2018-01-03 (sessions with one: none)"),
        (("JUMP", "--as", "history"), "`--as history` needs a refused download"),
        (("JUMP", "--note", "x" * 501), "at most 500 characters"),
    ],
)
def test_accept_without_a_doubt_is_one_sentence(
    bellwether: Bellwether, write_bars: WriteBars, arguments: tuple[str, ...], words: str
) -> None:
    ingest_prices(source=write_bars(closes(1.0)))
    code, output, error = bellwether("prices", "accept", *arguments)
    assert (code, output) == (4, "")
    assert words in " ".join(error.split())
    assert bellwether("prices", "list")[1].strip() == "No decisions about prices."


@pytest.mark.parametrize(("ratio", "words"), [("0", "received '0'"), ("x", "received 'x'"), ("1:1", "received '1:1'")])
def test_accept_refuses_an_invalid_ratio(bellwether: Bellwether, write_bars: WriteBars, ratio: str, words: str) -> None:
    ingest_prices(source=write_bars(closes(5.5)))
    code, _, error = bellwether("prices", "accept", "JUMP", "--as", "split", "--ratio", ratio)
    assert (code, words in error) == (4, True)
    code, _, error = bellwether("prices", "accept", "JUMP", "--ratio", "2")
    assert (code, "applies to --as split and --as unit" in error) == (4, True)


def test_withdraw_refuses_an_unknown_decision(bellwether: Bellwether) -> None:
    code, _, error = bellwether("prices", "withdraw", "7")
    assert (code, "There is no decision 7" in error) == (4, True)
