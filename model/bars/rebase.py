"""A restated download brought to the split basis of the stored bars.

A source without published splits restates its whole history after each split. Its download then differs from the
stored bars by a factor that is constant over a stretch of bars. The factor is undone, and the splits that it reveals
are kept. Prices adjusted for dividends differ in many small steps and are refused.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pandas as pd

from model import Floats, Ints
from model.frames import ACTION_TYPES, BAR_TYPES, PRICE_COLUMNS, check_frame

SAME_FACTOR = 0.005  # largest log difference between the factors of one stretch: prices are rounded
SMALLEST_STEP = 0.03  # log; a dividend moves an adjusted price by less, a split or a spin-off by more
FEWEST_BARS = 3  # a shorter stretch is a correction of its bars, not another basis
MOST_STEPS = 5
_SAME_JUMP = 0.25  # log price; allows for the market's move on the day of the split
_LARGEST_DENOMINATOR = 100
_LARGEST_TERM = 50  # of a split without restated volume
_ROUNDING = 1e-5


@dataclass(frozen=True)
class RebasedHistory:
    """A download on the split basis of the stored bars."""

    bars: pd.DataFrame
    """The bars as given, with rebased prices and volume."""
    actions: pd.DataFrame
    """The actions as given, with rebased dividends and the inferred splits."""


def rebase_history(bars: pd.DataFrame, actions: pd.DataFrame, stored: pd.DataFrame) -> RebasedHistory | None:
    """Undo the factors by which the download of one symbol differs from its stored bars.

    Bars later than every stored bar keep the basis of the download. If that basis differs from the stored one, a
    split on the first later bar joins the two, so that no false return arises.

    Args:
        bars: Frame of BAR_TYPES of one symbol, sorted by session.
        actions: Frame of ACTION_TYPES of the download.
        stored: Stored bars of the symbol, sorted by session; session, close and volume are used.

    Returns:
        The rebased history, or None if the difference is not a small number of constant factors.

    Raises:
        ValueError: If a column is missing or has another type.
    """
    check_frame(bars, BAR_TYPES, "bars")
    check_frame(actions, ACTION_TYPES, "actions")
    check_frame(stored, BAR_TYPES, "stored", ["session", "close", "volume"])
    columns = ["session", "close", "volume"]
    both = bars[columns].merge(stored[columns], on="session", suffixes=("", "_stored"))
    both = both[(both["close"] > 0) & (both["close_stored"] > 0)]
    log_ratio = np.log((both["close_stored"] / both["close"]).to_numpy(np.float64))
    starts = _stretches(log_ratio)
    if starts is None:
        return None
    levels = np.array([np.median(part) for part in np.split(log_ratio, starts[1:])])
    if len(levels) > 1 + MOST_STEPS or (np.abs(np.diff(levels)) < SMALLEST_STEP).any():
        return None
    if not _is_split_basis(both, starts, levels):
        return None
    sessions, stored_log = both["session"].to_numpy(), np.log(both["close_stored"].to_numpy(np.float64))
    newest = stored["session"].max()

    def factor(days: pd.Series) -> Floats:
        place = np.searchsorted(sessions[starts], days.to_numpy(), side="right") - 1
        factors: Floats = np.exp(levels[np.maximum(place, 0)])
        return np.where(days.to_numpy() > newest.to_datetime64(), 1.0, factors)

    scale = factor(bars["session"])
    prices = {name: bars[name].to_numpy(np.float64) * scale for name in PRICE_COLUMNS}
    dividend = (actions["kind"] == "dividend").to_numpy()
    value = actions["value"].to_numpy(np.float64)
    rebased = actions.assign(value=np.where(dividend, value * factor(actions["ex_date"]), value))

    splits = []
    for before, start in enumerate(starts[1:]):
        step = levels[before] - levels[before + 1]
        # A jump of the stored price by the step is a split; without one, the download is not adjusted for a split.
        if abs(stored_log[start - 1] - stored_log[start] - step) < _SAME_JUMP:
            splits.append((pd.Timestamp(sessions[start]), _as_ratio(np.exp(step))))
    later = bars.loc[bars["session"] > newest, "session"]
    if len(later) and abs(levels[-1]) >= SMALLEST_STEP:
        splits.append((later.iloc[0], _as_ratio(np.exp(levels[-1]))))
    symbol = str(bars["symbol"].iloc[0])
    inferred = pd.DataFrame([(symbol, day, "split", size) for day, size in splits], columns=list(ACTION_TYPES))
    joined = pd.concat([rebased, inferred.astype(actions.dtypes.to_dict())] if len(inferred) else [rebased])
    joined = joined.drop_duplicates(["ex_date", "kind"], keep="first")
    joined = joined.sort_values(["ex_date", "kind"], ignore_index=True)
    return RebasedHistory(bars.assign(**prices, volume=bars["volume"].to_numpy(np.float64) / scale), joined)


def _is_split_basis(both: pd.DataFrame, starts: Ints, levels: Floats) -> bool:
    """Return whether every factor is one of splits, and not of a unit or a currency.

    A restatement for splits divides the volume by the factor of the price. Some sources restate prices only: then a
    ratio of small whole numbers is taken for a split, and a power of ten for a change of unit.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        volume_ratio = np.log((both["volume"] / both["volume_stored"]).to_numpy(np.float64))
    for level, part in zip(levels, np.split(volume_ratio, starts[1:]), strict=True):
        if abs(level) < SMALLEST_STEP:
            continue
        known = part[np.isfinite(part)]
        step = float(np.median(known)) if len(known) >= FEWEST_BARS else 0.0
        is_restated = abs(step - level) < abs(step)
        ratio = Fraction(float(np.exp(abs(level)))).limit_denominator(_LARGEST_TERM)
        is_simple = ratio.numerator <= _LARGEST_TERM and abs(np.log(float(ratio)) - abs(level)) < SAME_FACTOR
        is_unit = ratio in (Fraction(100), Fraction(1000))
        if not is_restated and (is_unit or not is_simple):
            return False
    return True


def _as_ratio(factor: float) -> float:
    """Return the ratio of small integers nearest to the factor, or the factor itself where none is that near.

    A spin-off has no such ratio.
    """
    ratio = float(Fraction(factor).limit_denominator(_LARGEST_DENOMINATOR))
    return ratio if abs(ratio - factor) < _ROUNDING * factor else float(factor)


def _stretches(log_ratio: Floats) -> Ints | None:
    """Return the first rows of the stretches with a constant ratio, None if there are too many.

    A single bar that is off belongs to the stretch around it.
    """
    if len(log_ratio) < FEWEST_BARS:
        return None
    starts, level, row = [0], float(np.median(log_ratio[:FEWEST_BARS])), 0
    while row < len(log_ratio):
        is_off = np.abs(log_ratio[row:] - level) > SAME_FACTOR
        # The next stretch starts at the first FEWEST_BARS consecutive bars off the level.
        runs = (
            np.lib.stride_tricks.sliding_window_view(is_off, FEWEST_BARS).all(axis=1)
            if len(is_off) >= FEWEST_BARS
            else is_off[:0]
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
