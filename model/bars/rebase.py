"""Bring a download to the basis on which a symbol is already stored.

A source that does not publish splits restates all its prices when there was one. Beside what is stored, such a
download differs by a factor that is the same for every bar of a stretch: the factor is undone, and what it says about
splits is kept. Prices adjusted for dividends differ by many small steps, and are refused.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pandas as pd

from model import Floats, Ints
from model.bars.adjustment import ACTION_COLUMNS, PRICE_COLUMNS

SAME_FACTOR = 0.005  # bars of a stretch agree on its factor to within this: prices are rounded
SMALLEST_STEP = 0.03  # a dividend moves an adjusted price by less than this, a split or a spin-off by more
FEWEST_BARS = 3  # a shorter stretch is a correction of its bars, not another basis
MOST_STEPS = 5
_SAME_JUMP = 0.25  # of the log price: the market moves on the day of a split too
_LARGEST_DENOMINATOR = 100
_ROUNDING = 1e-5


@dataclass(frozen=True)
class RebasedHistory:
    """A download on the basis of what is stored."""

    bars: pd.DataFrame
    """As given, prices and volume brought to the basis of the stored ones."""
    actions: pd.DataFrame
    """As given, dividends on that basis too, and the splits that the download gave away."""


def rebase_history(bars: pd.DataFrame, actions: pd.DataFrame, known: pd.DataFrame) -> RebasedHistory | None:
    """Undo the factors by which one symbol's download differs from its stored bars.

    New bars, later than every stored one, stay on the download's own basis; where that differs, a split on the first
    of them joins the two, so that no return is made up.

    Args:
        bars: symbol, session, open, high, low, close, volume of one symbol, sorted by session.
        actions: symbol, ex_date, kind, value of the download.
        known: the symbol's stored bars, sorted by session.

    Returns:
        None when the two do not differ by a few factors.
    """
    both = bars[["session", "close"]].merge(known[["session", "close"]], on="session", suffixes=("", "_known"))
    both = both[(both["close"] > 0) & (both["close_known"] > 0)]
    log_ratio = np.log((both["close_known"] / both["close"]).to_numpy(np.float64))
    starts = _stretches(log_ratio)
    if starts is None:
        return None
    levels = np.array([np.median(part) for part in np.split(log_ratio, starts[1:])])
    if len(levels) > 1 + MOST_STEPS or (np.abs(np.diff(levels)) < SMALLEST_STEP).any():
        return None
    sessions, known_log = both["session"].to_numpy(), np.log(both["close_known"].to_numpy(np.float64))
    newest = known["session"].max()

    def factor(days: pd.Series) -> Floats:
        place = np.searchsorted(sessions[starts], days.to_numpy(), side="right") - 1
        found: Floats = np.exp(levels[np.maximum(place, 0)])
        return np.where(days.to_numpy() > newest.to_datetime64(), 1.0, found)

    scale = factor(bars["session"])
    prices = {name: bars[name].to_numpy(np.float64) * scale for name in PRICE_COLUMNS}
    dividend = (actions["kind"] == "dividend").to_numpy()
    value = actions["value"].to_numpy(np.float64)
    brought = actions.assign(value=np.where(dividend, value * factor(actions["ex_date"]), value))

    splits = []
    for before, start in enumerate(starts[1:]):
        step = levels[before] - levels[before + 1]
        # Where the stored price jumps by the step there was a split; where the download's does, it is unadjusted.
        if abs(known_log[start - 1] - known_log[start] - step) < _SAME_JUMP:
            splits.append((pd.Timestamp(sessions[start]), _as_ratio(np.exp(step))))
    later = bars.loc[bars["session"] > newest, "session"]
    if len(later) and abs(levels[-1]) >= SMALLEST_STEP:
        splits.append((later.iloc[0], _as_ratio(np.exp(levels[-1]))))
    symbol = str(bars["symbol"].iloc[0])
    learnt = pd.DataFrame([(symbol, day, "split", size) for day, size in splits], columns=ACTION_COLUMNS)
    facts = pd.concat([brought, learnt.astype(actions.dtypes.to_dict())] if len(learnt) else [brought])
    facts = facts.drop_duplicates(["ex_date", "kind"], keep="first").sort_values(["ex_date", "kind"], ignore_index=True)
    return RebasedHistory(bars.assign(**prices, volume=bars["volume"].to_numpy(np.float64) / scale), facts)


def _as_ratio(factor: float) -> float:
    """The ratio of small numbers that the factor is but for rounding; a spin-off's factor is none."""
    ratio = float(Fraction(factor).limit_denominator(_LARGEST_DENOMINATOR))
    return ratio if abs(ratio - factor) < _ROUNDING * factor else float(factor)


def _stretches(log_ratio: Floats) -> Ints | None:
    """First rows of the stretches over which the ratio is the same; single odd bars belong to the one around them."""
    if len(log_ratio) < FEWEST_BARS:
        return None
    starts, level, row = [0], float(np.median(log_ratio[:FEWEST_BARS])), 0
    while row < len(log_ratio):
        odd = np.abs(log_ratio[row:] - level) > SAME_FACTOR
        # The next stretch begins where so many bars in a row are off the level, and agree with one another.
        runs = (
            np.lib.stride_tricks.sliding_window_view(odd, FEWEST_BARS).all(axis=1)
            if len(odd) >= FEWEST_BARS
            else odd[:0]
        )
        if not runs.any():
            break
        row += int(runs.argmax())
        level = float(np.median(log_ratio[row : row + FEWEST_BARS]))
        if len(starts) > MOST_STEPS:
            return None
        starts.append(row)
        row += 1
    return np.array(starts, dtype=np.int64)
