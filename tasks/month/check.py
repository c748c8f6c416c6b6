"""Check: screened bars, the months built from them, and the coverage of the universe."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import pandas as pd
from prefect import task

from model.bars.months import build_months
from model.frames import FINDING_TYPES, MONTH_TYPES
from model.quality.findings import Treatment
from model.quality.screening import RULES, screen
from tasks.calendars import month_table, sessions_between
from tasks.database import database_errors, get_store
from tasks.decisions import name_commands, read_decisions
from tasks.errors import PricesIncompleteError
from tasks.plans.month import MonthPlan
from tasks.progress import log_line
from tasks.retries import STEP
from tasks.sources.base import Outcome

_BEFORE_FIRST_BAR = pd.Timedelta(days=14)
"""Sessions before the first bar show whether it is on a session."""
HUNDREDTH_EXCHANGES = {"XLON", "XJSE", "XTAE"}
"""Exchanges that quote in pence, cents and agorot. Stored prices have the whole unit."""
OUTCOME_COLUMNS = ["symbol", "outcome", "reason", "last_session", "months"]


@dataclass(frozen=True)
class Checked:
    """Months of the accepted symbols, and the outcome of every symbol."""

    months: pd.DataFrame
    """Columns of `model.bars.months.build_months`, up to the origin month."""
    outcomes: pd.DataFrame
    """OUTCOME_COLUMNS, one row per symbol of the universe."""
    delisted: tuple[str, ...] = ()
    """Symbols with the status delisted. They do not count against the coverage."""


@task(name="check", **STEP)
def check_bars(plan: MonthPlan, fetched: pd.DataFrame) -> Checked:
    """Screen the bars of some symbols, build their months, and decide the outcome of each symbol.

    A symbol is ok if its origin month is complete. The findings of the screening are stored.

    Args:
        plan: The month.
        fetched: symbol, outcome and reason, from `fetch_bars`.

    Returns:
        Their months, outcomes and delisted symbols.
    """
    symbols = list(fetched["symbol"])
    all_months, findings = read_months(plan, symbols)
    months, rejected = drop_rejected(all_months, findings)
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
            cause = f"delisted after {last_session:%Y-%m-%d}"
            row = (symbol, str(Outcome.MISSING), f"{cause}: {reason}" if reason else cause, last_session, count)
        elif outcome in (Outcome.RATE_LIMITED, Outcome.SOURCE_ERROR, Outcome.REJECTED) or pd.isna(last_session):
            row = (symbol, str(Outcome.MISSING) if outcome == Outcome.OK else outcome, reason, last_session, count)
        else:
            cause = f"no bar on the last session of {plan.key.origin_month:%Y-%m}; newest bar {last_session:%Y-%m-%d}"
            row = (symbol, str(Outcome.STALE), f"{cause}; {reason}" if reason else cause, last_session, count)
        rows.append(row)
    delisted = known.index[known["status"] == "delisted"]
    return Checked(months, pd.DataFrame(rows, columns=OUTCOME_COLUMNS), tuple(delisted))


@task(name="screen", **STEP)
def screen_bars(fetched: pd.DataFrame) -> int:
    """Screen all stored bars of some symbols outside of a run, and store the findings.

    Args:
        fetched: symbol, outcome and reason, from `fetch_bars`.

    Returns:
        Number of findings.
    """
    symbols, now = list(fetched["symbol"]), datetime.now(UTC)
    screened = _read_screened_bars(symbols, as_of=now.date(), known_at=now)
    with database_errors():
        get_store().merge_findings(screened.findings, symbols=symbols, rules=list(RULES))
    return len(screened.findings)


def join_checked(parts: Sequence[Checked]) -> Checked:
    """Concatenate the chunks' months, outcomes and delisted symbols."""
    return Checked(
        pd.concat([part.months for part in parts], ignore_index=True),
        pd.concat([part.outcomes for part in parts], ignore_index=True),
        tuple(symbol for part in parts for symbol in part.delisted),
    )


def read_months(plan: MonthPlan, symbols: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Build the symbols' months up to the origin month, from the bars known at the plan's `known_at`.

    Returns:
        MONTH_TYPES, and the columns of FINDING_TYPES in `model.frames`.
    """
    read = _read_screened_bars(symbols, as_of=plan.as_of, known_at=plan.known_at)
    parts = []
    for mic, bars in read.by_exchange():
        table = month_table(mic, bars["session"].min().date(), plan.as_of)
        parts.append(build_months(bars, read.actions, table, pd.Timestamp(plan.as_of), read.monthly_symbols))
    if not parts:
        empty = pd.DataFrame(columns=list(MONTH_TYPES)).astype({"month": "datetime64[ns]", "is_final": bool})
        return empty, read.findings
    months = pd.concat(parts, ignore_index=True)
    return months[months["month"] <= pd.Timestamp(plan.key.origin_month)].reset_index(drop=True), read.findings


def drop_rejected(months: pd.DataFrame, findings: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Drop the months of rejected symbols.

    Returns:
        The other months, and the reason of each rejection, indexed by symbol.
    """
    rejected = findings[findings["treatment"] == Treatment.REJECTED].groupby("symbol")["reason"].first()
    return months[~months["symbol"].isin(rejected.index)].reset_index(drop=True), rejected


def require_coverage(plan: MonthPlan, checked: Checked) -> None:
    """Require that enough symbols have a complete origin month; delisted symbols do not count.

    Raises:
        PricesIncompleteError: if too few have, with the counts of the other outcomes.
    """
    outcomes = checked.outcomes
    counted = outcomes[~outcomes["symbol"].isin(checked.delisted) | (outcomes["outcome"] == Outcome.OK)]
    usable = int((counted["outcome"] == Outcome.OK).sum())
    delisted = f"; delisted: {len(outcomes) - len(counted)}" if len(counted) < len(outcomes) else ""
    log_line("check", f"{plan.key.origin_month:%Y-%m} complete for {usable} of {len(counted)} symbols{delisted}")
    if usable and usable >= plan.min_coverage * len(counted):
        return
    left_out = outcomes[outcomes["outcome"] != Outcome.OK]
    counts = ", ".join(f"{count} {name}" for name, count in left_out["outcome"].value_counts().items())
    first = left_out.iloc[0]
    raise PricesIncompleteError(
        f"At least {plan.min_coverage:.0%} of the universe must have complete prices of {plan.key.origin_month:%Y-%m}: "
        f"{usable} of {len(counted)} symbols do ({counts}; first: {first['symbol']}, {first['reason']}){delisted}. "
        "Run the month again when the source has them."
    )


@dataclass(frozen=True)
class _ScreenedBars:
    """Screened bars of some symbols."""

    bars: pd.DataFrame
    actions: pd.DataFrame
    findings: pd.DataFrame
    instruments: pd.DataFrame

    @property
    def monthly_symbols(self) -> list[str]:
        """Symbols whose source has one bar per month."""
        return list(self.instruments.loc[self.instruments["bar_interval"] == "monthly", "symbol"])

    def by_exchange(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield the bars of one exchange at a time, with its MIC."""
        for mic, members in self.instruments.groupby("exchange_mic"):
            bars = self.bars[self.bars["symbol"].isin(members["symbol"])]
            if len(bars):
                yield str(mic), bars


def _read_screened_bars(symbols: Sequence[str], *, as_of: date, known_at: datetime) -> _ScreenedBars:
    """Read bars and screen them by exchange, because each exchange has its own sessions."""
    with database_errors():
        store = get_store()
        bars = store.read_bars(symbols, as_of=as_of, known_at=known_at)
        actions = store.read_actions(symbols, as_of=as_of, known_at=known_at)
        decisions = read_decisions(store, symbols, known_at)
        read = _ScreenedBars(bars, actions, pd.DataFrame(columns=list(FINDING_TYPES)), store.read_instruments(symbols))
    screened = [
        screen(
            bars.reset_index(drop=True),
            actions[actions["symbol"].isin(bars["symbol"].unique())],
            *sessions_between(mic, (bars["session"].min() - _BEFORE_FIRST_BAR).date(), as_of),
            read.monthly_symbols,
            decisions=decisions,
            has_hundredths=mic in HUNDREDTH_EXCHANGES,
        )
        for mic, bars in read.by_exchange()
    ]
    if not screened:
        return read
    return replace(
        read,
        bars=pd.concat([part.bars for part in screened], ignore_index=True),
        actions=pd.concat([part.actions for part in screened], ignore_index=True),
        findings=name_commands(pd.concat([part.findings for part in screened], ignore_index=True)),
    )
