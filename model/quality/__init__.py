"""Whether bars can be believed: each rule repairs, excludes, rejects or remarks, and leaves a finding.

The gate stands in front of training. `screen` runs the rules in the order in which one needs the other: bars that
contradict themselves (`bars`), then prices and actions that contradict each other (`moves`), then
what is missing or stands still. Thresholds stand beside their rules, with what was measured to choose them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import pandas as pd

from model.quality.actions import drop_repeated_dividends, repair_dividends
from model.quality.bars import (
    exclude_partial_session,
    find_gaps,
    find_stale_runs,
    find_zero_volume,
    repair_field_units,
    repair_impossible_bars,
)
from model.quality.findings import FINDING_TYPES, Finding, Treatment, findings_frame
from model.quality.moves import find_monthly_moves, repair_moves

__all__ = ["FINDING_TYPES", "RULES", "Screened", "Treatment", "screen"]

RULES = {
    "impossible_bar": "Finds prices of a bar that contradict each other (a high below the low, a close or an open "
    "outside of both) or are zero; up to 5 % high and low are widened, beyond that the open is blanked or the bar "
    "excluded, and zeros are blanked.",
    "unit_jump": "Finds prices a factor of 100 or 1000, or of a split recorded within 60 sessions, away from their "
    "neighbours; a field, a stretch that comes back or the older side is scaled, and when the newest bars changed "
    "unit less than 20 sessions ago the symbol is rejected, for either side may be wrong.",
    "repeated_dividend": "Finds a dividend within 10 % of another at most four days before it; the later is dropped.",
    "implausible_dividend": "Finds dividends of 5 % of the price or more that the price did not follow; one is divided "
    "by the split of its day or by 100 if that makes it ordinary for the symbol, else dropped; one of half the price "
    "or more that the price did follow is kept.",
    "missed_split": "Finds a lasting jump by a simple ratio with no split recorded, with the volume that goes with a "
    "split and quiet days after it, or by the ratio of a split recorded within 60 sessions; the split is added.",
    "price_spike": "Finds a move beyond 50 % and ten times the usual that the next bar undoes; the bar is excluded.",
    "unexplained_move": "Finds total returns beyond 50 % and ten times the usual (monthly bars: beyond a factor of 3) "
    "that nothing explains; they are kept.",
    "erratic": "Finds symbols with eight or more moves beyond a factor of 3, three or more of them in each direction; "
    "they are rejected.",
    "stale_run": "Finds ten or more sessions of one and the same price with no volume or always the same; a run is "
    "kept, unless it reaches the newest bar: then the symbol is rejected.",
    "gap": "Finds sessions of the calendar that a symbol lacks between two of its bars, unless most symbols lack "
    "them; they are kept, for the return after a gap spans it.",
    "zero_volume": "Finds five or more sessions without volume between others that have it; they are kept.",
    "partial_session": "Finds a newest session, no early close, with so little volume that it was downloaded during "
    "trading; its bars are excluded.",
}
"""What each rule finds, and what is done about it."""


@dataclass(frozen=True)
class Screened:
    """What the gate lets through, and why not everything."""

    bars: pd.DataFrame
    """As given, same columns, with repairs made and excluded bars gone; a new index when bars are gone."""
    actions: pd.DataFrame
    """As given, with implausible dividends repaired or gone and inferred splits added."""
    findings: pd.DataFrame
    """FINDING_TYPES, sorted by symbol, session, rule. A symbol with a rejected one is still in `bars`."""


def screen(
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    sessions: pd.DatetimeIndex,
    early_closes: pd.DatetimeIndex,
    monthly_symbols: Collection[str] = (),
) -> Screened:
    """Pass the bars and actions of one exchange's symbols through every rule.

    What is repaired, excluded or rejected depends on nothing but the frames given: screening the result again
    changes nothing. As new bars arrive, the last few old ones may be judged anew, for whether a jump comes back,
    lasts or is undone is known from what follows it; and so may a doubtful dividend, which is compared with all the
    others of its symbol.

    Args:
        bars: symbol, session, open, high, low, close (as traded, NaN = missing, close always > 0), volume (shares,
            NaN or 0 = missing); sorted by symbol and session, unique. Other columns are passed on.
        actions: symbol, ex_date, kind ("split" or "dividend"), value, as they were.
        sessions: the exchange's sessions, ascending; before its first, and when empty, no gap is found.
        early_closes: those of them that closed early.
        monthly_symbols: symbols with one bar a month; of these only `impossible_bar`, `unexplained_move` and
            `erratic` are asked.

    Returns:
        Frames of the same columns; those given are not changed, and come back themselves when nothing was.

    Raises:
        ValueError: if the bars are not sorted by symbol and session, or a session is there twice.
    """
    is_monthly = bars["symbol"].isin(list(monthly_symbols)).to_numpy()
    if not is_monthly.any():
        screened = _screen_daily(bars, actions, sessions, early_closes)
        return Screened(screened[0], screened[1], findings_frame(screened[2]))
    has_monthly = actions["symbol"].isin(list(monthly_symbols)).to_numpy()
    days, facts, found = _screen_daily(bars[~is_monthly], actions[~has_monthly], sessions, early_closes)
    months, also_found = repair_impossible_bars(bars[is_monthly])
    also_found += find_monthly_moves(months, actions[has_monthly])
    return Screened(
        pd.concat([days, months]).sort_values(["symbol", "session"], kind="stable", ignore_index=True),
        pd.concat([facts, actions[has_monthly]]).sort_values(["symbol", "ex_date"], kind="stable", ignore_index=True),
        findings_frame([*found, *also_found]),
    )


def _screen_daily(
    bars: pd.DataFrame, actions: pd.DataFrame, sessions: pd.DatetimeIndex, early_closes: pd.DatetimeIndex
) -> tuple[pd.DataFrame, pd.DataFrame, list[Finding]]:
    findings = find_gaps(bars, sessions)  # of the bars as they came: an excluded one has its own finding
    for rule in (
        partial(exclude_partial_session, early_closes=early_closes),
        repair_field_units,
        repair_impossible_bars,
    ):
        bars, found = rule(bars)
        findings += found
    actions, found = drop_repeated_dividends(actions)
    findings += found
    actions, found = repair_dividends(bars, actions)
    findings += found
    bars, actions, found = repair_moves(bars, actions)
    return bars, actions, [*findings, *found, *find_stale_runs(bars), *find_zero_volume(bars)]
