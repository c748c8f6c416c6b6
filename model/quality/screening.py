"""Screening of bars and actions before training.

`screen` applies the rules in order: partial sessions and contradictory bars first, then dividends and price jumps,
then stale prices and missing volume. Each rule repairs, excludes, rejects or keeps the data, and leaves a finding. The
thresholds are those of `model.config.QualityConfig`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import pandas as pd

from model.config import QualityConfig
from model.frames import ACTION_TYPES, BAR_TYPES, DECISION_TYPES, check_frame
from model.quality.actions import drop_repeated_dividends, repair_dividends
from model.quality.bars import (
    exclude_partial_session,
    find_gaps,
    find_stale_runs,
    find_zero_volume,
    repair_field_units,
    repair_impossible_bars,
)
from model.quality.decisions import Moves, accepted_moves, apply_decisions
from model.quality.findings import Finding, findings_frame
from model.quality.moves import find_monthly_moves, repair_moves
from model.quality.sessions import exclude_before_first_trade, exclude_other_days

RULES = {
    "not_a_session": "Finds a bar on a day without a session of its exchange, often a copy of the bar before or after "
    "it. The bar is excluded.",
    "shifted_sessions": "Finds series whose dates are off by a day: bars on days without a session, and none after a "
    "shift. The symbol is rejected.",
    "before_first_trade": "Finds at least ten sessions of one price without volume at the start of a history. They are "
    "excluded.",
    "impossible_bar": "Finds prices of a bar that contradict each other (high below low, open or close outside of "
    "high and low) or are zero. Up to 5 %, high and low are widened; beyond 5 %, the open is blanked or the bar "
    "excluded; zeros are blanked. If most bars of a symbol contradict themselves, its columns were misread and it is "
    "rejected.",
    "unit_jump": "Finds prices off by a factor of 100 or 1000, or by the ratio of a split recorded within 60 sessions. "
    "A single price, a temporary stretch or the older side is scaled. If the unit changed less than 20 sessions ago, "
    "either side may be wrong and the symbol is rejected.",
    "repeated_dividend": "Finds a dividend within 10 % of another dividend up to four days earlier. The later one is "
    "dropped.",
    "implausible_dividend": "Finds dividends of at least 5 % of the price that the price did not follow. They are "
    "divided by the split of the day or by 100 if the result is usual for the symbol, by 100 if most dividends of a "
    "symbol quoted in hundredths are as large, and dropped otherwise. Dividends "
    "of at least half the price that the price followed are kept.",
    "missed_split": "Finds a lasting jump by a simple ratio without a recorded split, with matching volume and calm "
    "days after it, or by the ratio of a split recorded within 60 sessions. The split is added.",
    "price_spike": "Finds a move above 50 % and ten standard deviations that the next bar reverses. The bar is "
    "excluded.",
    "unexplained_move": "Finds total returns above 50 % and ten standard deviations (monthly bars: above a factor of "
    "3) without an explanation. They are kept, but "
    "a daily move by a factor of 4.5 without the volume of an event rejects the symbol.",
    "erratic": "Finds symbols with at least eight moves above a factor of 3, at least three in each direction. They "
    "are rejected.",
    "other_history": "Finds bars before a history that the operator accepted with `bellwether prices accept`. They are "
    "excluded.",
    "stale_run": "Finds at least ten sessions of the same price with missing or constant volume. They are kept, unless "
    "they include the newest bar: then the symbol is rejected.",
    "gap": "Finds sessions of the calendar missing between two bars of a symbol, unless most symbols lack them. They "
    "are kept: the return after a gap spans it.",
    "zero_volume": "Finds at least five sessions without volume between sessions with volume. They are kept.",
    "partial_session": "Finds a newest session with too little volume for a complete session, early closes aside: the "
    "download took place during trading. Its bars are excluded.",
}
"""Findings and treatment of each rule at the default thresholds."""


@dataclass(frozen=True)
class Screened:
    """Result of the screening."""

    bars: pd.DataFrame
    """Repaired bars without the excluded ones, in the columns as given; reindexed if bars were excluded."""
    actions: pd.DataFrame
    """Actions with repaired dividends and inferred splits."""
    findings: pd.DataFrame
    """Frame of FINDING_TYPES, sorted by symbol, session and rule. Rejected symbols are still in `bars`."""


def screen(
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    sessions: pd.DatetimeIndex,
    early_closes: pd.DatetimeIndex,
    monthly_symbols: Collection[str] = (),
    config: QualityConfig = QualityConfig(),
    decisions: pd.DataFrame | None = None,
    has_hundredths: bool = False,
) -> Screened:
    """Apply every rule to the bars and actions of one exchange.

    The result depends on the given frames only, and a second screening changes nothing. New bars may change the
    findings on the latest bars, because the bars after a jump decide whether it is reversed, and the findings on
    dividends, which are compared with all dividends of the symbol.

    Args:
        bars: Frame of BAR_TYPES as traded, close always above 0, sorted by symbol and session. Other columns are
            kept.
        actions: Frame of ACTION_TYPES.
        sessions: Sessions of the exchange, ascending. Gaps before the first are not found.
        early_closes: Sessions that closed early.
        monthly_symbols: Symbols with one bar a month. Only `impossible_bar`, `unexplained_move` and `erratic` apply.
        config: Thresholds of the rules.
        decisions: Frame of DECISION_TYPES, the operator's decisions in force; None: none.
        has_hundredths: Whether the exchange quotes in hundredths of its currency, such as pence.

    Returns:
        The screened frames. The given frames are not changed, and are returned as they are if nothing changes.

    Raises:
        ValueError: If a column is missing, the bars are not sorted by symbol and session, or a session is repeated.
    """
    check_frame(bars, BAR_TYPES, "bars")
    check_frame(actions, ACTION_TYPES, "actions")
    decided, accepted = list[Finding](), Moves()
    if decisions is not None and len(decisions):
        check_frame(decisions, DECISION_TYPES, "decisions")
        bars, actions, decided = apply_decisions(bars, actions, decisions)
        accepted = accepted_moves(decisions)
    is_monthly = bars["symbol"].isin(list(monthly_symbols)).to_numpy()
    if not is_monthly.any():
        bars, actions, findings = _screen_daily(
            bars, actions, sessions, early_closes, config, accepted, has_hundredths=has_hundredths
        )
        return Screened(bars, actions, findings_frame([*decided, *findings]))
    has_monthly = actions["symbol"].isin(list(monthly_symbols)).to_numpy()
    daily, repaired, findings = _screen_daily(
        bars[~is_monthly],
        actions[~has_monthly],
        sessions,
        early_closes,
        config,
        accepted,
        has_hundredths=has_hundredths,
    )
    monthly, monthly_findings = repair_impossible_bars(bars[is_monthly], config)
    monthly_findings += find_monthly_moves(monthly, actions[has_monthly], config)
    joined = pd.concat([repaired, actions[has_monthly]])
    return Screened(
        pd.concat([daily, monthly]).sort_values(["symbol", "session"], kind="stable", ignore_index=True),
        joined.sort_values(["symbol", "ex_date"], kind="stable", ignore_index=True),
        findings_frame([*decided, *findings, *monthly_findings]),
    )


def _screen_daily(
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    sessions: pd.DatetimeIndex,
    early_closes: pd.DatetimeIndex,
    config: QualityConfig,
    accepted: Moves,
    *,
    has_hundredths: bool,
) -> tuple[pd.DataFrame, pd.DataFrame, list[Finding]]:
    findings = list[Finding]()
    for rule in (
        partial(exclude_other_days, sessions=sessions, config=config),
        partial(exclude_before_first_trade, config=config),
    ):
        bars, new = rule(bars)
        findings += new
    findings += find_gaps(bars, sessions, config)  # before further exclusions: an excluded bar has its own finding
    for rule in (
        partial(exclude_partial_session, early_closes=early_closes, config=config),
        partial(repair_field_units, config=config),
        partial(repair_impossible_bars, config=config),
    ):
        bars, new = rule(bars)
        findings += new
    actions, new = drop_repeated_dividends(actions, config)
    findings += new
    actions, new = repair_dividends(bars, actions, config, has_hundredths=has_hundredths)
    findings += new
    bars, actions, new = repair_moves(bars, actions, config, accepted)
    return bars, actions, [*findings, *new, *find_stale_runs(bars, config), *find_zero_volume(bars, config)]
