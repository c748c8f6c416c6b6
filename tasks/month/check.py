"""Check: which bars can be believed, which months they make, and whether enough of the universe has its month."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import pandas as pd
from prefect import task

from model.bars.months import MONTH_COLUMNS, build_months
from model.quality import FINDING_TYPES, RULES, Treatment, screen
from tasks.calendars import month_table, sessions_between
from tasks.database import database_errors, get_store
from tasks.errors import PricesIncompleteError
from tasks.plans.month import MonthPlan
from tasks.progress import log_line
from tasks.retries import STEP
from tasks.sources.base import Outcome

OUTCOME_COLUMNS = ["symbol", "outcome", "reason", "last_session", "months"]


@dataclass(frozen=True)
class Checked:
    """Months that can be trusted, and what became of every symbol."""

    months: pd.DataFrame
    """Columns of `model.bars.months.build_months`, no later than the origin month."""
    outcomes: pd.DataFrame
    """OUTCOME_COLUMNS, one row a symbol asked for."""
    delisted: tuple[str, ...] = ()
    """Symbols believed delisted: named, and not counted as missing."""


@task(name="check", **STEP)
def check_bars(plan: MonthPlan, fetched: pd.DataFrame) -> Checked:
    """Screen the symbols' bars, build their months, and say of each symbol whether its origin month is there.

    Args:
        plan: The month.
        fetched: symbol, outcome, reason from `fetch_bars`.
    """
    symbols = list(fetched["symbol"])
    read, findings = read_months(plan, symbols)
    months, rejected = drop_rejected(read, findings)
    final = months[months["is_final"]].groupby("symbol")["month"].agg(["max", "count"])
    with database_errors():
        store = get_store()
        store.merge_findings(findings, symbols=symbols, rules=list(RULES), as_of=plan.as_of)
        known = store.read_instruments(symbols).set_index("symbol")
    rows = []
    for symbol, outcome, reason in fetched.itertuples(index=False):
        count = int(final["count"].get(symbol, 0))
        last_session = known["last_session"].get(symbol, pd.NaT)
        if symbol in rejected.index:
            row = (symbol, str(Outcome.REJECTED), rejected[symbol], last_session, count)
        elif count and final.loc[symbol, "max"] == pd.Timestamp(plan.key.origin_month):
            row = (symbol, str(Outcome.OK), reason or f"{count} complete months", last_session, count)
        elif known["status"].get(symbol) == "delisted":
            why = f"believed delisted after {last_session:%Y-%m-%d}"
            row = (symbol, str(Outcome.MISSING), f"{why}: {reason}" if reason else why, last_session, count)
        elif outcome in (Outcome.RATE_LIMITED, Outcome.SOURCE_ERROR, Outcome.REJECTED) or pd.isna(last_session):
            row = (symbol, str(Outcome.MISSING) if outcome == Outcome.OK else outcome, reason, last_session, count)
        else:
            why = (
                f"no bar on the last session of {plan.key.origin_month:%Y-%m}; the newest is of {last_session:%Y-%m-%d}"
            )
            row = (symbol, str(Outcome.STALE), f"{why}; {reason}" if reason else why, last_session, count)
        rows.append(row)
    delisted = known.index[known["status"] == "delisted"]
    return Checked(months, pd.DataFrame(rows, columns=OUTCOME_COLUMNS), tuple(delisted))


@task(name="screen", **STEP)
def screen_bars(fetched: pd.DataFrame) -> int:
    """Screen the symbols' bars outside of a month's run, and store what is found; returns how many findings."""
    symbols, now = list(fetched["symbol"]), datetime.now(UTC)
    bars = _read_bars(symbols, as_of=now.date(), known_at=now)
    with database_errors():
        get_store().merge_findings(bars.findings, symbols=symbols, rules=list(RULES))
    return len(bars.findings)


def join_checked(parts: Sequence[Checked]) -> Checked:
    """The chunks' months and outcomes as one."""
    return Checked(
        pd.concat([part.months for part in parts], ignore_index=True),
        pd.concat([part.outcomes for part in parts], ignore_index=True),
        tuple(symbol for part in parts for symbol in part.delisted),
    )


def read_months(plan: MonthPlan, symbols: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The symbols' months up to the plan's origin month, as known at its `known_at`, and what was found on the way.

    Returns:
        MONTH_COLUMNS, and the columns of FINDING_TYPES in `model.quality`.
    """
    read = _read_bars(symbols, as_of=plan.as_of, known_at=plan.known_at)
    parts = []
    for mic, bars in read.by_exchange():
        table = month_table(mic, bars["session"].min().date(), plan.as_of)
        parts.append(build_months(bars, read.actions, table, pd.Timestamp(plan.as_of), read.monthly_symbols))
    if not parts:
        empty = pd.DataFrame(columns=MONTH_COLUMNS).astype({"month": "datetime64[ns]", "is_final": bool})
        return empty, read.findings
    months = pd.concat(parts, ignore_index=True)
    return months[months["month"] <= pd.Timestamp(plan.key.origin_month)].reset_index(drop=True), read.findings


def drop_rejected(months: pd.DataFrame, findings: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """The months of `read_months` that a run may use, and the reason for every symbol that it may not, by symbol."""
    rejected = findings[findings["treatment"] == Treatment.REJECTED].groupby("symbol")["reason"].first()
    return months[~months["symbol"].isin(rejected.index)].reset_index(drop=True), rejected


def require_coverage(plan: MonthPlan, checked: Checked) -> None:
    """Stop the run when too few symbols have their month; those believed delisted are not counted.

    Raises:
        PricesIncompleteError: naming what came instead.
    """
    outcomes = checked.outcomes
    counted = outcomes[~outcomes["symbol"].isin(checked.delisted) | (outcomes["outcome"] == Outcome.OK)]
    usable = int((counted["outcome"] == Outcome.OK).sum())
    gone = f"; {len(outcomes) - len(counted)} more are believed delisted" if len(counted) < len(outcomes) else ""
    log_line("check", f"{usable} of {len(counted)} symbols have {plan.key.origin_month:%Y-%m}{gone}")
    if usable and usable >= plan.min_coverage * len(counted):
        return
    left_out = outcomes[outcomes["outcome"] != Outcome.OK]
    counts = ", ".join(f"{count} {name}" for name, count in left_out["outcome"].value_counts().items())
    first = left_out.iloc[0]
    raise PricesIncompleteError(
        f"At least {plan.min_coverage:.0%} of the universe must have {plan.key.origin_month:%Y-%m}, and "
        f"{usable} of {len(counted)} symbols do ({counts}; {first['symbol']}: {first['reason']}){gone}."
    )


@dataclass(frozen=True)
class _Read:
    """Screened bars of some symbols."""

    bars: pd.DataFrame
    actions: pd.DataFrame
    findings: pd.DataFrame
    instruments: pd.DataFrame

    @property
    def monthly_symbols(self) -> list[str]:
        """Symbols whose source has one bar a month."""
        return list(self.instruments.loc[self.instruments["bar_interval"] == "monthly", "symbol"])

    def by_exchange(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """The bars, exchange by exchange."""
        for mic, members in self.instruments.groupby("exchange_mic"):
            own = self.bars[self.bars["symbol"].isin(members["symbol"])]
            if len(own):
                yield str(mic), own


def _read_bars(symbols: Sequence[str], *, as_of: date, known_at: datetime) -> _Read:
    """Read bars and screen them, exchange by exchange: each has sessions of its own."""
    with database_errors():
        store = get_store()
        bars = store.read_bars(symbols, as_of=as_of, known_at=known_at)
        actions = store.read_actions(symbols, as_of=as_of, known_at=known_at)
        read = _Read(bars, actions, pd.DataFrame(columns=list(FINDING_TYPES)), store.read_instruments(symbols))
    screened = [
        screen(
            own.reset_index(drop=True),
            actions[actions["symbol"].isin(own["symbol"].unique())],
            *sessions_between(mic, own["session"].min().date(), as_of),
            read.monthly_symbols,
        )
        for mic, own in read.by_exchange()
    ]
    if not screened:
        return read
    return replace(
        read,
        bars=pd.concat([each.bars for each in screened], ignore_index=True),
        actions=pd.concat([each.actions for each in screened], ignore_index=True),
        findings=pd.concat([each.findings for each in screened], ignore_index=True),
    )
