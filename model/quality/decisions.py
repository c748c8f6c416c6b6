"""Decisions of the operator about doubtful prices, applied before the rules.

A decision does not change stored bars. A split is added, earlier prices of another unit are scaled, and the bars before
an accepted history are excluded, each with a finding. An accepted move is no subject of the rules on jumps; its finding
stays, see `model.quality.moves`.
"""

import numpy as np
import pandas as pd

from model.bars.adjustment import symbol_codes
from model.frames import ACTION_TYPES, PRICE_COLUMNS
from model.quality.findings import Finding, Treatment

ACCEPTED_RULES = {"unexplained_move": "move", "unit_jump": "unit", "missed_split": "split", "price_spike": "move"}
"""Rules whose findings a decision can explain, and the kind of decision that such a finding suggests."""
_NEAR_DAYS = pd.Timedelta(days=7)
_SAME_RATIO = 0.02  # log

Moves = dict[tuple[str, pd.Timestamp], str]
"""Note of each accepted move, by symbol and session."""


def apply_decisions(
    bars: pd.DataFrame, actions: pd.DataFrame, decisions: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, list[Finding]]:
    """Exclude the bars before accepted histories, add accepted splits, and scale the earlier side of a unit.

    Args:
        bars: Frame of BAR_TYPES as traded, sorted by symbol and session.
        actions: Frame of ACTION_TYPES.
        decisions: Frame of DECISION_TYPES in force, oldest first. Of several for the same session the last counts.

    Returns:
        Bars, actions and findings. The given frames are not changed.

    Raises:
        ValueError: If the bars are not sorted by symbol and session, or a session is repeated.
    """
    findings = list[Finding]()
    symbol_codes(bars)
    known = decisions[decisions["symbol"].isin(bars["symbol"].unique())].drop_duplicates(
        ["symbol", "session"], keep="last"
    )
    for row in range(len(known)):
        decision = known.iloc[row]
        symbol, session, ratio = decision["symbol"], decision["session"], float(decision["ratio"])
        if decision["kind"] == "history" and not pd.isna(session):
            is_old = ((bars["symbol"] == symbol) & (bars["session"] < session)).to_numpy()
            if is_old.any():
                first = bars.loc[is_old, "session"].iloc[0]
                reason = f"{is_old.sum()} bars before the history that begins on {session:%Y-%m-%d}: {decision['note']}"
                findings.append(
                    Finding(symbol, first, "other_history", float(is_old.sum()), Treatment.EXCLUDED, reason)
                )
                bars = bars[~is_old].reset_index(drop=True)
            actions = actions[~((actions["symbol"] == symbol) & (actions["ex_date"] < session)).to_numpy()]
        elif decision["kind"] == "split" and not _is_recorded(actions, symbol, session, ratio):
            added = pd.DataFrame([(symbol, session, "split", ratio)], columns=list(ACTION_TYPES))
            actions = pd.concat([actions, added.astype(actions.dtypes.to_dict())]) if len(actions) else added
            actions = actions.astype(ACTION_TYPES).sort_values(
                ["symbol", "ex_date", "kind"], kind="stable", ignore_index=True
            )
            reason = f"split of {ratio:.6g} new for old added: {decision['note']}"
            findings.append(Finding(symbol, session, "missed_split", ratio, Treatment.REPAIRED, reason))
        elif decision["kind"] == "unit":
            is_old = ((bars["symbol"] == symbol) & (bars["session"] < session)).to_numpy()
            bars = bars.copy()
            bars.loc[is_old, PRICE_COLUMNS] *= ratio
            is_paid = (actions["symbol"] == symbol) & (actions["kind"] == "dividend") & (actions["ex_date"] < session)
            value = actions["value"].to_numpy(np.float64)
            actions = actions.assign(value=np.where(is_paid, value * ratio, value))
            reason = f"all earlier bars multiplied by {ratio:.6g}: {decision['note']}"
            findings.append(Finding(symbol, session, "unit_jump", ratio, Treatment.REPAIRED, reason))
    return bars, actions, findings


def accepted_moves(decisions: pd.DataFrame) -> Moves:
    """Return the note of each accepted move, by symbol and session.

    Args:
        decisions: Frame of DECISION_TYPES in force, oldest first. Of several for the same session the last counts.
    """
    last = decisions.drop_duplicates(["symbol", "session"], keep="last")
    moves = last[last["kind"] == "move"]
    return dict(zip(zip(moves["symbol"], moves["session"], strict=True), moves["note"], strict=True))


def _is_recorded(actions: pd.DataFrame, symbol: str, session: pd.Timestamp, ratio: float) -> bool:
    """Return whether the source has recorded the split in the meantime, on that day or near it with that ratio."""
    splits = actions[((actions["symbol"] == symbol) & (actions["kind"] == "split")).to_numpy()]
    distance = (splits["ex_date"] - session).abs()
    is_same = np.abs(np.log(splits["value"].to_numpy(np.float64) / ratio)) < _SAME_RATIO
    return bool(((distance == pd.Timedelta(0)) | ((distance <= _NEAR_DAYS) & is_same)).any())
