"""Rules on moves: jumps that cannot have happened as the bars and actions tell it.

Only symbols with a jump are looked at closely, one at a time; each repair is made before the next rule looks, until
none finds anything more. A jump is judged on total returns, so that recorded splits and dividends explain themselves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from model import Floats, Ints
from model.bars.adjustment import PRICE_COLUMNS, facts_per_bar, symbol_codes, total_log_returns
from model.quality.actions import ROBUST, repair_dividends, usual_move
from model.quality.bars import power_of_ten
from model.quality.findings import Finding, Treatment

DAILY_JUMP, MONTHLY_JUMP = float(np.log(1.5)), float(np.log(3.0))
JUMP_SIGMAS = 10.0
SMALLEST_JUMP = float(np.log(1.4))  # 3:2 is the smallest split inferred; log 1.5 less its tolerance

# 4:3 and 5:4 are left out: of 253 recorded days beyond 25 %, nearly all those were bad news.
FORWARD_RATIOS = (1.5, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)
REVERSE_RATIOS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)
RATIOS = np.array([*FORWARD_RATIOS, *(1 / ratio for ratio in REVERSE_RATIOS)])
# How far the close, and a little more open, high and low, may lie from the exact ratio, in log terms. Real and near:
# STT 2009-01-20 is 0.20 from 2:1, AMD 1992-06-18 is 0.07 and NFLX 2011-10-25 0.024 from 3:2.
RATIO_TOLERANCE, NARROW_TOLERANCE, RANGE_MARGIN = 0.10, 0.02, 0.02
FIT_SIGMAS = 5.0
# Volume changes by the ratio, or not at all where a feed restates volume but not prices; ED's fall by 32 % on
# 1974-04-23 went with 1.4 more in log terms than its ratio accounts for.
VOLUME_SESSIONS, VOLUME_USUAL, VOLUME_TOLERANCE = 5, 20, 0.8
QUIET_SESSIONS, QUIET_SIGMAS = 10, 4.0  # 6.2 sigmas after that day, 1.2 to 3.9 after splits
UNDONE_SHARE = 0.5  # of the jump, by the five days before or after it
FEWEST_AFTER, SURE_RATIO = 3, 4.0  # bars after the jump that are needed, and from which ratio on they are not

NEAR_SESSIONS = 60  # how far away a recorded split explains a jump by its ratio
STRETCH_SESSIONS = 20  # longest stretch by such a ratio; longer ones are two missed splits that cancel
SETTLED_SESSIONS, USUAL_UNIT_SESSIONS = 20, 250  # a unit that lasted so long is the unit now

SPIKE_REST = 0.1  # share of a spike that the next bar may leave standing
SPIKE_REACH = 0.5  # share of it that every price of the bar has made; a wild day starts where the last one ended
ERRATIC_MOVES, ERRATIC_EACH_WAY = 8, 3  # recorded: at most 3 a symbol, 6 in the worst of the unusable, then 129


@dataclass(frozen=True)
class _History:
    """One symbol: its bars and actions, and what follows from them."""

    bars: pd.DataFrame
    actions: pd.DataFrame
    returns: Floats  # [rows] total log returns
    log_price: Floats  # [rows, 4]
    log_volume: Floats  # [rows] in shares of before the first split

    @classmethod
    def of(cls, bars: pd.DataFrame, actions: pd.DataFrame) -> "_History":
        volume = bars["volume"].to_numpy(np.float64)
        prices = bars[PRICE_COLUMNS].to_numpy(np.float64)
        shares = np.cumprod(facts_per_bar(bars, actions)[0])
        return cls(
            bars,
            actions,
            total_log_returns(bars, actions).to_numpy(),
            np.log(np.where(prices > 0, prices, np.nan)),
            np.log(np.where(volume > 0, volume / shares, np.nan)),
        )

    def jumps(self, smallest: float) -> Ints:
        """Rows whose return is at least as large, either way."""
        return np.flatnonzero(np.abs(self.returns) >= smallest)

    def usual(self, row: int) -> float:
        """Standard deviation of the daily returns before a row."""
        return usual_move(self.returns, row, 0, len(self.returns))

    def volume_step(self, row: int) -> float:
        """Log of the volume from a row on by the usual before it; NaN when either is unknown."""
        before = self.log_volume[max(0, row - VOLUME_USUAL) : row]
        after = self.log_volume[row : row + VOLUME_SESSIONS]
        before, after = before[~np.isnan(before)], after[~np.isnan(after)]
        return float(np.median(after) - np.median(before)) if len(before) >= VOLUME_SESSIONS and len(after) else np.nan

    def finding(self, row: int, rule: str, value: float, treatment: Treatment, reason: str) -> Finding:
        place = self.bars.iloc[row]
        return Finding(place["symbol"], place["session"], rule, float(value), treatment, reason)

    def scaled(self, rows: slice, factor: float) -> "_History":
        """With the prices of some rows multiplied, and their volume divided if that brings it nearer the usual."""
        bars = self.bars.copy()
        where = bars.index[rows]
        bars.loc[where, PRICE_COLUMNS] *= factor
        outside = np.delete(self.log_volume, np.arange(len(bars))[rows])
        inside = self.log_volume[rows]
        if np.isfinite(inside).any() and np.isfinite(outside).any():
            step = float(np.nanmedian(inside) - np.nanmedian(outside))
            if abs(step - np.log(factor)) < abs(step):
                bars.loc[where, "volume"] /= factor
        return _History.of(bars, self.actions)


def repair_moves(bars: pd.DataFrame, actions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, list[Finding]]:
    """Repair, exclude or remark on the jumps of daily bars; a symbol without any is passed on as it is."""
    is_changed, parts, facts, findings = False, [], [], []
    last = 0
    for start, stop, history in _with_jumps(bars, actions, SMALLEST_JUMP):
        repaired, found = _repair(history)
        judged = {each.session for each in found}
        left = (each for each in _unexplained(repaired, DAILY_JUMP, JUMP_SIGMAS) if each.session not in judged)
        findings += [*found, *left, *_erratic(repaired)]
        if repaired is not history:
            parts += [bars.iloc[last:start], repaired.bars]
            facts.append(repaired.actions)
            last, is_changed = stop, True
    if not is_changed:
        return bars, actions, findings
    changed = {part["symbol"].iloc[0] for part in parts[1::2]}
    kept = actions[~actions["symbol"].isin(changed).to_numpy()]
    facts = [part for part in (kept, *facts) if len(part)]
    together = pd.concat([*parts, bars.iloc[last:]], ignore_index=True)
    return together, _sorted(pd.concat(facts)) if facts else kept, findings


def find_monthly_moves(bars: pd.DataFrame, actions: pd.DataFrame) -> list[Finding]:
    """Remarks on the jumps of monthly bars, and the symbols that have too many of them."""
    histories = (history for _, _, history in _with_jumps(bars, actions, MONTHLY_JUMP))
    return [found for each in histories for found in (*_unexplained(each, MONTHLY_JUMP, 0.0), *_erratic(each))]


def _with_jumps(bars: pd.DataFrame, actions: pd.DataFrame, smallest: float) -> Iterator[tuple[int, int, _History]]:
    """[start, stop) and history of each symbol with a jump."""
    codes, symbols = symbol_codes(bars)
    returns = total_log_returns(bars, actions).to_numpy()
    bounds = np.searchsorted(codes, np.arange(len(symbols) + 1))
    for code in np.unique(codes[np.abs(returns) >= smallest]):
        start, stop = int(bounds[code]), int(bounds[code + 1])
        own = actions[(actions["symbol"] == symbols[code]).to_numpy()]
        yield start, stop, _History.of(bars.iloc[start:stop].reset_index(drop=True), own)


def _repair(history: _History) -> tuple[_History, list[Finding]]:
    """Every rule in turn; after a change all of them again. A change of unit that cannot be settled ends it."""
    findings: list[Finding] = []
    for _ in range(len(history.bars)):
        for rule in (_repair_stretches, _repair_units, _add_missed_splits, _exclude_spikes, _repair_dividends):
            repaired, found = rule(history)
            findings += found
            if repaired is not history:
                history = repaired
                break
        else:
            break
    # A rule that changed nothing says the same again each time round.
    return history, list(dict.fromkeys(findings))


def _repair_dividends(history: _History) -> tuple[_History, list[Finding]]:
    """Dividends again, now that the closes are repaired."""
    actions, findings = repair_dividends(history.bars, history.actions)
    is_same = actions is history.actions or actions["value"].equals(history.actions["value"])
    return history if is_same else _History.of(history.bars, actions), [] if is_same else findings


def _repair_stretches(history: _History) -> tuple[_History, list[Finding]]:
    """A stretch off by the ratio of a split recorded near it: the split was applied to it alone, or not to it."""
    for start, stop in pairwise(history.jumps(SMALLEST_JUMP)):
        if stop - start > STRETCH_SESSIONS or history.returns[start] * history.returns[stop] > 0:
            continue
        for ratio in _recorded(history, start):
            step = abs(np.log(ratio)) * np.sign(history.returns[start])
            tolerance = max(RATIO_TOLERANCE, RATIO_TOLERANCE * abs(step))
            if max(abs(history.returns[start] - step), abs(history.returns[stop] + step)) < tolerance:
                factor = float(np.exp(-step))
                reason = f"{stop - start} bars off by the ratio of a recorded split: multiplied by {factor:.6g}"
                finding = history.finding(start, "unit_jump", factor, Treatment.REPAIRED, reason)
                return history.scaled(slice(start, stop), factor), [finding]
    return history, []


def _repair_units(history: _History) -> tuple[_History, list[Finding]]:
    """Stretches in another unit, scaled to that of the newest bars when these have it for long or had it before."""
    edges, powers = _unit_edges(history)
    if not len(edges):
        return history, []
    count = len(history.bars)
    starts, stops = [0, *edges], [*edges, count]
    levels = np.append(0.0, np.cumsum(powers))
    per_bar = np.repeat(levels, np.diff([*starts, count]))
    seen, times = np.unique(per_bar[-USUAL_UNIT_SESSIONS:], return_counts=True)
    if stops[-1] - starts[-1] < SETTLED_SESSIONS and levels[-1] != seen[times.argmax()]:
        factor = 10.0 ** powers[-1]
        reason = f"the newest {stops[-1] - starts[-1]} bars are {factor:g} times the ones before: which unit is unknown"
        return history, [history.finding(edges[-1], "unit_jump", factor, Treatment.REJECTED, reason)]
    findings = []
    repaired = history
    for start, stop, level in zip(starts, stops, levels, strict=True):
        if level == levels[-1]:
            continue
        factor = float(10.0 ** (levels[-1] - level))
        repaired = repaired.scaled(slice(start, stop), factor)
        place, which = (start, f"{stop - start} bars") if start else (stop, "all bars before")
        reason = f"{which} in another unit than the newest: multiplied by {factor:g}"
        findings.append(history.finding(place, "unit_jump", factor, Treatment.REPAIRED, reason))
        if not start:
            # Their dividends were told in their unit.
            actions = repaired.actions
            is_old = (actions["kind"] == "dividend") & (actions["ex_date"] < history.bars["session"].iloc[stop])
            value = np.where(is_old, actions["value"] * factor, actions["value"])
            repaired = _History.of(repaired.bars, actions.assign(value=value))
    return repaired, findings


def _unit_edges(history: _History) -> tuple[Ints, Floats]:
    """Rows where all prices jump by a factor of 100 or 1000, and its power of ten."""
    rows = history.jumps(SMALLEST_JUMP)
    powers = power_of_ten(np.exp(history.returns[rows]))
    for number in np.flatnonzero(powers):
        row, step = rows[number], powers[number] * np.log(10)
        volume_step = history.volume_step(row)
        is_split = abs(volume_step + step) < abs(volume_step)  # NaN: no
        if is_split or not (np.abs(_distance(history, row, step)) < DAILY_JUMP).all():
            powers[number] = 0.0
    return rows[powers != 0], powers[powers != 0]


def _add_missed_splits(history: _History) -> tuple[_History, list[Finding]]:
    """A lasting jump by a recorded or simple ratio, and nothing else about the days that is unusual."""
    for row in history.jumps(SMALLEST_JUMP):
        recorded = _recorded(history, row, is_own_direction=True)
        for ratio, is_recorded in ((_nearest(history, row, recorded), True), (_nearest(history, row, RATIOS), False)):
            if not _looks_like_split(history, row, ratio, is_recorded):
                continue
            session = history.bars["session"].iloc[row]
            added = {"symbol": history.bars["symbol"].iloc[row], "ex_date": session, "kind": "split", "value": ratio}
            row_frame = pd.DataFrame([added]).astype(history.actions.dtypes.to_dict())
            actions = _sorted(pd.concat([history.actions, row_frame]) if len(history.actions) else row_frame)
            why = "as a split recorded near it" if is_recorded else "volume as a split has it, quiet days after it"
            reason = f"jump by {np.exp(history.returns[row]):.4g}, {why}: a split of {ratio:.6g} new for old added"
            finding = history.finding(row, "missed_split", ratio, Treatment.REPAIRED, reason)
            return _History.of(history.bars, actions), [finding]
    return history, []


def _looks_like_split(history: _History, row: int, ratio: float, is_recorded: bool) -> bool:
    step, usual = np.log(ratio), history.usual(row)
    tolerance = NARROW_TOLERANCE if 1 < ratio < 2 else RATIO_TOLERANCE
    if not abs(history.returns[row] + step) <= min(tolerance, FIT_SIGMAS * usual):  # NaN: no
        return False
    if not (np.abs(_distance(history, row, -step)) < tolerance + RANGE_MARGIN).all():
        return False
    before = history.returns[max(0, row - VOLUME_SESSIONS) : row]
    after = history.returns[row + 1 : row + 1 + QUIET_SESSIONS]
    if max(np.nansum(before) / step, np.nansum(after[:VOLUME_SESSIONS]) / step) > UNDONE_SHARE:
        return False  # a way there and back
    volume_step = history.volume_step(row)
    is_restated = abs(volume_step) <= VOLUME_TOLERANCE and not power_of_ten(np.array([ratio])).any()  # or a unit's
    has_volume = is_restated or abs(volume_step - step) <= VOLUME_TOLERANCE  # NaN: no
    if is_recorded:
        return has_volume or bool(np.isnan(volume_step))
    if len(after) < FEWEST_AFTER:
        return has_volume and bool(abs(step) >= np.log(SURE_RATIO))
    return has_volume and ROBUST * float(np.nanmedian(np.abs(after))) <= QUIET_SIGMAS * usual


def _exclude_spikes(history: _History) -> tuple[_History, list[Finding]]:
    """Bars whose move the next bar undoes."""
    spikes: list[int] = []
    for row in history.jumps(DAILY_JUMP):
        if row + 1 >= len(history.returns) or (spikes and row - spikes[-1] == 1):
            continue
        move, rest = history.returns[row], history.returns[row] + history.returns[row + 1]
        is_undone = abs(rest) <= SPIKE_REST * abs(move)
        is_whole = (_distance(history, row, 0.0) / move >= SPIKE_REACH).all()
        if is_undone and is_whole and abs(move) >= JUMP_SIGMAS * history.usual(row):
            spikes.append(row)
    if not spikes:
        return history, []
    findings = [
        history.finding(
            row,
            "price_spike",
            history.returns[row],
            Treatment.EXCLUDED,
            f"{np.exp(history.returns[row]):.4g} times the bar before, undone by the next",
        )
        for row in spikes
    ]
    return _History.of(history.bars.drop(index=spikes).reset_index(drop=True), history.actions), findings


def _unexplained(history: _History, smallest: float, sigmas: float) -> list[Finding]:
    """Moves that no rule and no action explains."""
    return [
        history.finding(
            row, "unexplained_move", history.returns[row], Treatment.KEPT, "no action and no rule explains it"
        )
        for row in history.jumps(smallest)
        if abs(history.returns[row]) >= sigmas * history.usual(row)
    ]


def _erratic(history: _History) -> list[Finding]:
    """One finding for a symbol that jumps up and down time and again."""
    rows = history.jumps(MONTHLY_JUMP)
    ups = int((history.returns[rows] > 0).sum())
    if len(rows) < ERRATIC_MOVES or min(ups, len(rows) - ups) < ERRATIC_EACH_WAY:
        return []
    reason = f"{ups} moves to more than three times the price and {len(rows) - ups} to less than a third"
    return [history.finding(rows[-1], "erratic", len(rows), Treatment.REJECTED, reason)]


def _distance(history: _History, row: int, step: float) -> Floats:
    """How far the known prices of a bar are, in log terms, from the close before it moved by `step`."""
    before = history.log_price[row, 3] - history.returns[row]  # in today's shares, dividend off
    prices = history.log_price[row]
    distance: Floats = prices[~np.isnan(prices)] - before - step
    return distance


def _recorded(history: _History, row: int, *, is_own_direction: bool = False) -> Floats:
    """Ratios of splits recorded near a row; for a jump, the opposite of one recorded for the day itself."""
    splits = history.actions[(history.actions["kind"] == "split").to_numpy()]
    position = history.bars["session"].searchsorted(splits["ex_date"])
    value = splits["value"].to_numpy(np.float64)
    is_near = (np.abs(position - row) <= NEAR_SESSIONS) & (np.abs(np.log(value)) >= SMALLEST_JUMP)
    if is_own_direction:
        # The price did not follow the split that is recorded for this very day: take it back.
        value = np.where(position == row, 1 / value, value)
    return np.asarray(value[is_near], dtype=np.float64)


def _nearest(history: _History, row: int, ratios: Floats) -> float:
    """The ratio that explains a jump best; NaN when there is none."""
    return float(ratios[np.abs(np.log(ratios) + history.returns[row]).argmin()]) if len(ratios) else np.nan


def _sorted(actions: pd.DataFrame) -> pd.DataFrame:
    return actions.sort_values(["symbol", "ex_date", "kind"], kind="stable", ignore_index=True)
