"""Rules on price jumps that the recorded actions do not explain.

Only symbols with a jump are examined, one at a time. After each repair all rules are applied again, until none changes
anything. Jumps are measured in total returns, so that recorded splits and dividends are not jumps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from model import Floats, Ints
from model.bars.adjustment import actions_per_bar, symbol_codes, total_log_returns
from model.config import QualityConfig
from model.frames import PRICE_COLUMNS
from model.quality.actions import ROBUST, repair_dividends, usual_move
from model.quality.bars import power_of_ten
from model.quality.decisions import Moves
from model.quality.findings import Finding, Treatment


@dataclass(frozen=True)
class _History:
    """Bars and actions of one symbol, with derived series."""

    bars: pd.DataFrame
    actions: pd.DataFrame
    config: QualityConfig
    returns: Floats  # [rows] total log returns
    log_price: Floats  # [rows, 4]
    log_volume: Floats  # [rows] in shares before the first split
    accepted: Moves  # moves that the operator has accepted

    @classmethod
    def of(
        cls, bars: pd.DataFrame, actions: pd.DataFrame, config: QualityConfig, accepted: Moves | None = None
    ) -> "_History":
        volume = bars["volume"].to_numpy(np.float64)
        prices = bars[PRICE_COLUMNS].to_numpy(np.float64)
        shares = np.cumprod(actions_per_bar(bars, actions)[0])
        return cls(
            bars,
            actions,
            config,
            total_log_returns(bars, actions).to_numpy(),
            np.log(np.where(prices > 0, prices, np.nan)),
            np.log(np.where(volume > 0, volume / shares, np.nan)),
            accepted or {},
        )

    def changed(self, bars: pd.DataFrame, actions: pd.DataFrame) -> "_History":
        """Return the history with other bars or actions, and the same accepted moves."""
        return _History.of(bars, actions, self.config, self.accepted)

    def note_of(self, row: int) -> str | None:
        """Return the operator's note on an accepted move, None for any other row."""
        bar = self.bars.iloc[row]
        return self.accepted.get((bar["symbol"], bar["session"]))

    def jumps(self, smallest: float) -> Ints:
        """Return the rows with an absolute return of at least `smallest`, without accepted moves."""
        rows = np.flatnonzero(np.abs(self.returns) >= smallest)
        return (
            np.array([row for row in rows.tolist() if self.note_of(row) is None], dtype=np.int64)
            if self.accepted
            else rows
        )

    def usual(self, row: int) -> float:
        """Estimate the standard deviation of the daily returns before a row."""
        return usual_move(self.returns, row, 0, len(self.returns), self.config)

    def volume_step(self, row: int) -> float:
        """Return the log ratio of the median volume from a row on to that before it; NaN if either is unknown."""
        before = self.log_volume[max(0, row - self.config.volume_usual) : row]
        after = self.log_volume[row : row + self.config.volume_sessions]
        before, after = before[~np.isnan(before)], after[~np.isnan(after)]
        return (
            float(np.median(after) - np.median(before))
            if len(before) >= self.config.volume_sessions and len(after)
            else np.nan
        )

    def is_event(self, row: int) -> bool:
        """Return whether the volume of a row is that of an event of the market, such as a crash."""
        before = self.log_volume[max(0, row - self.config.volume_usual) : row]
        before = before[~np.isnan(before)]
        if len(before) < self.config.volume_sessions:
            return False
        return bool(self.log_volume[row] - np.median(before) >= np.log(self.config.event_volume))  # NaN: no

    def finding(self, row: int, rule: str, value: float, treatment: Treatment, reason: str) -> Finding:
        bar = self.bars.iloc[row]
        return Finding(bar["symbol"], bar["session"], rule, float(value), treatment, reason)

    def scaled(self, rows: slice, factor: float) -> "_History":
        """Multiply the prices of some rows, and divide their volume if that brings it closer to the other rows."""
        bars = self.bars.copy()
        index = bars.index[rows]
        bars.loc[index, PRICE_COLUMNS] *= factor
        outside = np.delete(self.log_volume, np.arange(len(bars))[rows])
        inside = self.log_volume[rows]
        if np.isfinite(inside).any() and np.isfinite(outside).any():
            step = float(np.nanmedian(inside) - np.nanmedian(outside))
            if abs(step - np.log(factor)) < abs(step):
                bars.loc[index, "volume"] /= factor
        return self.changed(bars, self.actions)


def repair_moves(
    bars: pd.DataFrame, actions: pd.DataFrame, config: QualityConfig, accepted: Moves | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, list[Finding]]:
    """Repair, exclude or report the jumps of daily bars; symbols without jumps are returned unchanged.

    Args:
        bars: Frame of BAR_TYPES, sorted by symbol and session.
        actions: Frame of ACTION_TYPES.
        config: Thresholds.
        accepted: Moves that the operator has accepted: they are reported and nothing else.

    Returns:
        Bars, actions and findings.
    """
    is_changed, parts, changed_actions, findings = False, [], [], []
    last = 0
    for start, stop, history in _with_jumps(bars, actions, config.smallest_jump, config, accepted):
        repaired, new = _repair(history)
        explained = {finding.session for finding in new}
        moves = _unexplained(repaired, config.daily_jump, config.jump_sigmas, config.rejected_move)
        unexplained = (finding for finding in moves if finding.session not in explained)
        findings += [*new, *unexplained, *_erratic(repaired)]
        if repaired is not history:
            parts += [bars.iloc[last:start], repaired.bars]
            changed_actions.append(repaired.actions)
            last, is_changed = stop, True
    if not is_changed:
        return bars, actions, findings
    changed = {part["symbol"].iloc[0] for part in parts[1::2]}
    kept = actions[~actions["symbol"].isin(changed).to_numpy()]
    changed_actions = [part for part in (kept, *changed_actions) if len(part)]
    joined = pd.concat([*parts, bars.iloc[last:]], ignore_index=True)
    return joined, _sorted(pd.concat(changed_actions)) if changed_actions else kept, findings


def find_monthly_moves(bars: pd.DataFrame, actions: pd.DataFrame, config: QualityConfig) -> list[Finding]:
    """Report the jumps of monthly bars, and reject symbols with too many of them."""
    histories = (history for _, _, history in _with_jumps(bars, actions, config.monthly_jump, config))
    return [
        finding
        for history in histories
        for finding in (
            *_unexplained(history, config.monthly_jump, 0.0, np.inf),
            *_erratic(history),
        )
    ]


def _with_jumps(
    bars: pd.DataFrame, actions: pd.DataFrame, smallest: float, config: QualityConfig, accepted: Moves | None = None
) -> Iterator[tuple[int, int, _History]]:
    """Yield [start, stop) and the history of each symbol with a jump."""
    codes, symbols = symbol_codes(bars)
    returns = total_log_returns(bars, actions).to_numpy()
    bounds = np.searchsorted(codes, np.arange(len(symbols) + 1))
    for code in np.unique(codes[np.abs(returns) >= smallest]):
        start, stop = int(bounds[code]), int(bounds[code + 1])
        symbol_actions = actions[(actions["symbol"] == symbols[code]).to_numpy()]
        moves = {place: note for place, note in (accepted or {}).items() if place[0] == symbols[code]}
        history = bars.iloc[start:stop].reset_index(drop=True)
        yield start, stop, _History.of(history, symbol_actions, config, moves)


def _repair(history: _History) -> tuple[_History, list[Finding]]:
    """Apply the rules in turn, and all of them again after each change."""
    findings: list[Finding] = []
    for _ in range(len(history.bars)):
        for rule in (_repair_stretches, _repair_units, _add_missed_splits, _exclude_spikes, _repair_dividends):
            repaired, new = rule(history)
            findings += new
            if repaired is not history:
                history = repaired
                break
        else:
            break
    # A rule that reports without a change repeats its finding in every round.
    return history, list(dict.fromkeys(findings))


def _repair_dividends(history: _History) -> tuple[_History, list[Finding]]:
    """Apply the rule on dividends again, to the repaired closes."""
    actions, findings = repair_dividends(history.bars, history.actions, history.config)
    is_same = actions is history.actions or actions["value"].equals(history.actions["value"])
    return history if is_same else history.changed(history.bars, actions), [] if is_same else findings


def _repair_stretches(history: _History) -> tuple[_History, list[Finding]]:
    """Scale a stretch that is off by the ratio of a split recorded near it.

    The source applied the split to this stretch alone, or to all bars except this stretch.
    """
    for start, stop in pairwise(history.jumps(history.config.smallest_jump)):
        if stop - start > history.config.stretch_sessions or history.returns[start] * history.returns[stop] > 0:
            continue
        for ratio in _recorded(history, start):
            step = abs(np.log(ratio)) * np.sign(history.returns[start])
            tolerance = max(history.config.ratio_tolerance, history.config.ratio_tolerance * abs(step))
            if max(abs(history.returns[start] - step), abs(history.returns[stop] + step)) < tolerance:
                factor = float(np.exp(-step))
                reason = f"{stop - start} bars off by the ratio of a recorded split: multiplied by {factor:.6g}"
                finding = history.finding(start, "unit_jump", factor, Treatment.REPAIRED, reason)
                return history.scaled(slice(start, stop), factor), [finding]
    return history, []


def _repair_units(history: _History) -> tuple[_History, list[Finding]]:
    """Scale stretches in another unit to the unit of the newest bars.

    The symbol is rejected if the newest bars have a new unit for fewer than `settled_sessions`.
    """
    edges, powers = _unit_edges(history)
    if not len(edges):
        return history, []
    count = len(history.bars)
    starts, stops = [0, *edges], [*edges, count]
    levels = np.append(0.0, np.cumsum(powers))
    per_bar = np.repeat(levels, np.diff([*starts, count]))
    units, counts = np.unique(per_bar[-history.config.usual_unit_sessions :], return_counts=True)
    if stops[-1] - starts[-1] < history.config.settled_sessions and levels[-1] != units[counts.argmax()]:
        factor = 10.0 ** powers[-1]
        reason = f"the newest {stops[-1] - starts[-1]} bars are {factor:g} times the earlier ones: unit unknown"
        return history, [history.finding(edges[-1], "unit_jump", factor, Treatment.REJECTED, reason)]
    findings = []
    repaired = history
    for start, stop, level in zip(starts, stops, levels, strict=True):
        if level == levels[-1]:
            continue
        factor = float(10.0 ** (levels[-1] - level))
        repaired = repaired.scaled(slice(start, stop), factor)
        row, scope = (start, f"{stop - start} bars") if start else (stop, "all earlier bars")
        reason = f"{scope} in another unit than the newest: multiplied by {factor:g}"
        findings.append(history.finding(row, "unit_jump", factor, Treatment.REPAIRED, reason))
        if not start:
            # The dividends of these bars have the same unit.
            actions = repaired.actions
            is_old = (actions["kind"] == "dividend") & (actions["ex_date"] < history.bars["session"].iloc[stop])
            value = np.where(is_old, actions["value"] * factor, actions["value"])
            repaired = history.changed(repaired.bars, actions.assign(value=value))
    return repaired, findings


def _unit_edges(history: _History) -> tuple[Ints, Floats]:
    """Return the rows where all prices jump by a factor of 100 or 1000, and the power of ten of each jump."""
    rows = history.jumps(history.config.smallest_jump)
    powers = power_of_ten(np.exp(history.returns[rows]), history.config)
    for number in np.flatnonzero(powers):
        row, step = rows[number], powers[number] * np.log(10)
        volume_step = history.volume_step(row)
        is_split = abs(volume_step + step) < abs(volume_step)  # NaN: no
        if is_split or not (np.abs(_distance(history, row, step)) < history.config.daily_jump).all():
            powers[number] = 0.0
    return rows[powers != 0], powers[powers != 0]


def _add_missed_splits(history: _History) -> tuple[_History, list[Finding]]:
    """Add a split for the first lasting jump by a recorded or simple ratio that looks like a split."""
    for row in history.jumps(history.config.smallest_jump):
        simple = np.array([*history.config.forward_ratios, *_reverse_ratios(history, row)])
        recorded = _recorded(history, row, is_reversible=True)
        for ratio, is_recorded in ((_nearest(history, row, recorded), True), (_nearest(history, row, simple), False)):
            if not _looks_like_split(history, row, ratio, is_recorded):
                continue
            session = history.bars["session"].iloc[row]
            added = {"symbol": history.bars["symbol"].iloc[row], "ex_date": session, "kind": "split", "value": ratio}
            row_frame = pd.DataFrame([added]).astype(history.actions.dtypes.to_dict())
            actions = _sorted(pd.concat([history.actions, row_frame]) if len(history.actions) else row_frame)
            evidence = "split recorded near it" if is_recorded else "volume matches a split, calm days after it"
            reason = f"jump by {np.exp(history.returns[row]):.4g}, {evidence}: split of {ratio:.6g} new for old added"
            finding = history.finding(row, "missed_split", ratio, Treatment.REPAIRED, reason)
            return history.changed(history.bars, actions), [finding]
    return history, []


def _reverse_ratios(history: _History, row: int) -> list[float]:
    """Return the reverse split that fits a jump, none if the prices of the bar leave several whole numbers.

    The range of the bar, widened by `reverse_ratio_sigmas` for the market's own move, must hold a single whole number.
    Up to `surest_reverse_ratio`, the number nearest to the close is taken otherwise.
    """
    distances, margin = _distance(history, row, 0.0), history.config.reverse_ratio_sigmas * history.usual(row)
    lowest, highest = np.exp(distances.min() - margin), np.exp(distances.max() + margin)
    numbers = np.arange(max(2, int(np.ceil(lowest))), int(min(highest, history.config.largest_reverse_ratio)) + 1)
    if len(numbers) == 1:
        return [1.0 / float(numbers[0])]
    nearest = round(float(np.exp(history.returns[row])))
    return [1.0 / nearest] if 2 <= nearest <= history.config.surest_reverse_ratio else []


def _looks_like_split(history: _History, row: int, ratio: float, is_recorded: bool) -> bool:
    step, usual = np.log(ratio), history.usual(row)
    tolerance = history.config.narrow_tolerance if 1 < ratio < 2 else history.config.ratio_tolerance
    if not abs(history.returns[row] + step) <= min(tolerance, history.config.fit_sigmas * usual):  # NaN: no
        return False
    if not (np.abs(_distance(history, row, -step)) < tolerance + history.config.range_margin).all():
        return False
    before = history.returns[max(0, row - history.config.volume_sessions) : row]
    after = history.returns[row + 1 : row + 1 + history.config.quiet_sessions]
    if (
        max(np.nansum(before) / step, np.nansum(after[: history.config.volume_sessions]) / step)
        > history.config.undone_share
    ):
        return False  # the jump is reversed
    volume_step = history.volume_step(row)
    is_restated = (
        abs(volume_step) <= history.config.volume_tolerance
        and not power_of_ten(np.array([ratio]), history.config).any()
    )  # not a unit
    has_volume = is_restated or abs(volume_step - step) <= history.config.volume_tolerance  # NaN: no
    if is_recorded:
        return has_volume or bool(np.isnan(volume_step))
    if len(after) < history.config.fewest_after:
        return has_volume and bool(abs(step) >= np.log(history.config.sure_ratio))
    return has_volume and ROBUST * float(np.nanmedian(np.abs(after))) <= history.config.quiet_sigmas * usual


def _exclude_spikes(history: _History) -> tuple[_History, list[Finding]]:
    """Exclude bars with a move that the next bar reverses."""
    spikes: list[int] = []
    for row in history.jumps(history.config.daily_jump):
        if row + 1 >= len(history.returns) or (spikes and row - spikes[-1] == 1):
            continue
        move, remainder = history.returns[row], history.returns[row] + history.returns[row + 1]
        is_reversed = abs(remainder) <= history.config.spike_rest * abs(move)
        is_whole = (_distance(history, row, 0.0) / move >= history.config.spike_reach).all()
        if is_reversed and is_whole and abs(move) >= history.config.jump_sigmas * history.usual(row):
            spikes.append(row)
    if not spikes:
        return history, []
    findings = [
        history.finding(
            row,
            "price_spike",
            history.returns[row],
            Treatment.EXCLUDED,
            f"{np.exp(history.returns[row]):.4g} times the previous bar, reversed by the next",
        )
        for row in spikes
    ]
    return history.changed(history.bars.drop(index=spikes).reset_index(drop=True), history.actions), findings


def _unexplained(history: _History, smallest: float, sigmas: float, rejected: float) -> list[Finding]:
    """Report moves without an explanation; one of `rejected` or more, log return, needs the volume of an event."""
    findings = []
    for row in np.flatnonzero(np.abs(history.returns) >= smallest).tolist():
        move = history.returns[row]
        if (note := history.note_of(row)) is not None:
            reason = f"{np.exp(move):.4g} times the previous close: {note}"
            findings.append(history.finding(row, "unexplained_move", move, Treatment.KEPT, reason))
            continue
        if abs(move) < sigmas * history.usual(row):
            continue
        treatment, reason = Treatment.KEPT, "no action or rule explains the move"
        if abs(move) >= rejected and not history.is_event(row):
            treatment = Treatment.REJECTED
            reason = f"{np.exp(move):.4g} times the previous close, without a split, a dividend or unusual volume"
        findings.append(history.finding(row, "unexplained_move", move, treatment, reason))
    return findings


def _erratic(history: _History) -> list[Finding]:
    """Reject a symbol with many jumps in both directions."""
    rows = history.jumps(history.config.monthly_jump)
    ups = int((history.returns[rows] > 0).sum())
    if len(rows) < history.config.erratic_moves or min(ups, len(rows) - ups) < history.config.erratic_each_way:
        return []
    reason = f"{ups} rises above a factor of 3 and {len(rows) - ups} falls below a third"
    return [history.finding(rows[-1], "erratic", len(rows), Treatment.REJECTED, reason)]


def _distance(history: _History, row: int, step: float) -> Floats:
    """Return the log distances of a bar's known prices from the previous close moved by `step`."""
    before = history.log_price[row, 3] - history.returns[row]  # per share of the bar, without its dividend
    prices = history.log_price[row]
    distance: Floats = prices[~np.isnan(prices)] - before - step
    return distance


def _recorded(history: _History, row: int, *, is_reversible: bool = False) -> Floats:
    """Return the ratios of the splits recorded near a row; with `is_reversible`, a split of the row is inverted."""
    splits = history.actions[(history.actions["kind"] == "split").to_numpy()]
    position = history.bars["session"].searchsorted(splits["ex_date"])
    value = splits["value"].to_numpy(np.float64)
    is_near = (np.abs(position - row) <= history.config.near_sessions) & (
        np.abs(np.log(value)) >= history.config.smallest_jump
    )
    if is_reversible:
        # The price did not follow the split recorded for this day: the inverse cancels it.
        value = np.where(position == row, 1 / value, value)
    return np.asarray(value[is_near], dtype=np.float64)


def _nearest(history: _History, row: int, ratios: Floats) -> float:
    """Return the ratio closest to a jump; NaN without ratios."""
    return float(ratios[np.abs(np.log(ratios) + history.returns[row]).argmin()]) if len(ratios) else np.nan


def _sorted(actions: pd.DataFrame) -> pd.DataFrame:
    return actions.sort_values(["symbol", "ex_date", "kind"], kind="stable", ignore_index=True)
