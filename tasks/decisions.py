"""Decisions of the operator about doubtful prices: accept, withdraw, and the command that a finding names.

A decision has a time, and a run uses those known at its `known_at`: the replay of an older run is unchanged.
"""

import getpass
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pandas as pd

from model.frames import DECISION_TYPES
from model.quality.decisions import ACCEPTED_RULES
from sql.store import Store
from tasks.database import database_errors, get_store
from tasks.errors import BadRequestError

Kind = Literal["split", "unit", "move", "history"]
"""Explanation of a doubtful price."""
_LONGEST_NOTE = 500
_SURE_RATIO = 1.2
"""Largest distance, as a factor, of a move from the whole number that it is taken for."""


@dataclass(frozen=True)
class _Doubt:
    """A finding, or a refused download, that a decision is about."""

    session: date | None
    kind: Kind
    rule: str
    value: float


def accept_command(symbol: str, kind: Kind, session: date | None = None) -> str:
    """Return the command that accepts a doubtful price, as a shell reads it."""
    place = "" if session is None else f" --session {session:%Y-%m-%d}"
    return f"bellwether prices accept {shlex.quote(symbol)}{place} --as {kind}"


def name_commands(findings: pd.DataFrame) -> pd.DataFrame:
    """Add to each rejection that a decision can lift the commands that accept it.

    Args:
        findings: Frame of FINDING_TYPES.

    Returns:
        A new frame; the given one is not changed.
    """
    is_open = (findings["treatment"] == "rejected") & findings["rule"].isin(["unexplained_move", "unit_jump"])
    if not is_open.any():
        return findings
    reasons = findings["reason"].astype(object).copy()
    for row in findings.index[is_open]:
        symbol, session = str(findings.loc[row, "symbol"]), findings.loc[row, "session"].date()
        first: Any = ACCEPTED_RULES[findings.loc[row, "rule"]]
        others = " or ".join(kind for kind in ("move", "split", "unit") if kind != first)
        reasons[row] += f". To confirm: `{accept_command(symbol, first, session)}` (or --as {others})"
    return findings.assign(reason=reasons.astype(findings["reason"].dtype))


def read_decisions(store: Store, symbols: Sequence[str], known_at: datetime) -> pd.DataFrame:
    """Read the decisions about the symbols in force at `known_at`.

    Returns:
        Frame of DECISION_TYPES, oldest first.
    """
    rows = store.read_decisions(symbols, known_at=known_at)
    notes = [
        f"accepted as {kind} by {who} on {when:%Y-%m-%d}"
        for kind, who, when in zip(rows["kind"], rows["decided_by"], rows["decided_at"], strict=True)
    ]
    return rows.assign(note=notes)[list(DECISION_TYPES)].astype(DECISION_TYPES)


def accept_prices(
    symbol: str,
    *,
    session: date | None = None,
    kind: Kind | None = None,
    ratio: str | None = None,
    note: str = "",
) -> str:
    """Accept a doubtful price of a symbol: store the operator's decision.

    Args:
        symbol: Stored symbol.
        session: Session of the finding; default: that of the only finding that rejects the symbol.
        kind: Explanation; default: the one that the finding or the refused download suggests.
        ratio: Of a split, new shares per old share, such as 4:1 or 0.25; of a unit, the factor of the earlier prices.
            Default: the ratio found.
        note: Note of the operator, at most 500 characters.

    Returns:
        One sentence with the decision.

    Raises:
        BadRequestError: if the symbol is unknown, nothing about it is doubtful, or an option is invalid.
    """
    if len(note) > _LONGEST_NOTE or "\0" in note:
        raise BadRequestError(
            f"`--note` must have at most {_LONGEST_NOTE} characters and no NUL; received {len(note)}."
        )
    store = get_store()
    with database_errors():
        instrument = _require_instrument(store, symbol)
        doubt = _find_doubt(store, symbol, session, kind)
        factor = _choose_ratio(ratio, doubt)
        decision_id = store.add_decision(
            symbol=symbol,
            session=doubt.session,
            kind=doubt.kind,
            ratio=factor,
            source=str(instrument["source"]),
            note=note,
            decided_by=_user_name(),
        )
    effect = {
        "split": f"a split of {factor or 1:.6g} new shares per old share",
        "unit": f"a change of unit: earlier prices are multiplied by {factor or 1:.6g}",
        "move": "a real move",
        "history": "the symbol's history: the next download is stored, and replaces stored bars as revisions",
    }[doubt.kind]
    place = "the refused download" if doubt.kind == "history" else f"{doubt.session:%Y-%m-%d}"
    return (
        f"Decision {decision_id}: {symbol}, {place} is accepted as {effect}. It applies from the next run on; "
        f"`bellwether prices withdraw {decision_id}` withdraws it."
    )


def withdraw_decision(decision_id: int) -> str:
    """Withdraw a decision from now on.

    Returns:
        One sentence with the result.

    Raises:
        BadRequestError: if there is no such decision, or a download has applied it.
    """
    store = get_store()
    with database_errors():
        is_withdrawn = store.withdraw_decision(decision_id, withdrawn_by=_user_name())
        decision = store.read_decision(decision_id)
    if decision is None:
        raise BadRequestError(f"There is no decision {decision_id}; `bellwether prices list --all` lists all.")
    if not is_withdrawn and decision["applied_at"] is not None:
        raise BadRequestError(
            f"Decision {decision_id} cannot be withdrawn: the download of {decision['applied_at']:%Y-%m-%d %H:%M} UTC "
            "has replaced the stored history of "
            f"{decision['symbol']}; market.bar_revision has the earlier bars."
        )
    result = "withdrawn; the next run checks the prices without it" if is_withdrawn else "withdrawn already"
    return f"Decision {decision_id} about {decision['symbol']}: {result}."


def list_decisions(*, is_all: bool, limit: int) -> pd.DataFrame:
    """List the decisions, rows of `report.price_decision`, newest first; `is_all` includes withdrawn ones."""
    with database_errors():
        return get_store().read_report("price_decisions", is_all=is_all, limit=limit)


def _require_instrument(store: Store, symbol: str) -> dict[str, Any]:
    known = store.read_instruments([symbol.replace("\0", "")])
    if known.empty:
        raise BadRequestError(
            f"The symbol must be a stored one; {symbol[:40]!r} has no bars in this database. "
            "Fetch it first with `bellwether ingest`."
        )
    return dict(known.iloc[0])


def _find_doubt(store: Store, symbol: str, session: date | None, kind: Kind | None) -> _Doubt:
    """Find what a decision is about: a finding, or the refusal of the newest download."""
    findings = store.read_report("doubtful_findings", symbol=symbol, rules=list(ACCEPTED_RULES))
    download = store.read_last_download(symbol)
    is_refused = download is not None and download["outcome"] == "rejected" and "--as history" in download["reason"]
    if kind == "history" or (kind is None and is_refused and session is None):
        if not is_refused:
            raise BadRequestError(
                f"`--as history` needs a refused download, and the newest one of {symbol} was not refused for its "
                "history; `bellwether ingest` shows the outcome of a download."
            )
        return _Doubt(session, "history", "", np.nan)
    if session is not None:
        candidates = findings[findings["session"] == pd.Timestamp(session)]
        if candidates.empty:
            listed = ", ".join(f"{day:%Y-%m-%d}" for day in findings["session"].head(5)) or "none"
            raise BadRequestError(
                f"`--session` must be the session of a finding that a decision can explain: {symbol} has none on "
                f"{session:%Y-%m-%d} (sessions with one: {listed})."
            )
    else:
        candidates = findings[findings["treatment"] == "rejected"]
        if candidates.empty:
            raise BadRequestError(
                f"No finding rejects {symbol}, so there is nothing to accept; name a session with `--session` to "
                "explain another finding: select * from report.finding."
            )
        if len(candidates["session"].unique()) > 1:
            listed = ", ".join(f"{day:%Y-%m-%d}" for day in candidates["session"].head(5))
            raise BadRequestError(f"Several findings reject {symbol}: name one with `--session` ({listed}).")
    found = candidates.iloc[0]
    suggested: Any = ACCEPTED_RULES[found["rule"]]
    return _Doubt(found["session"].date(), kind or suggested, found["rule"], float(found["value"]))


def _choose_ratio(text: str | None, doubt: _Doubt) -> float | None:
    """Return the ratio of a split or unit: the given one, or the one that the finding shows."""
    if doubt.kind not in ("split", "unit"):
        if text is not None:
            raise BadRequestError(f"`--ratio` applies to --as split and --as unit; received --as {doubt.kind}.")
        return None
    if text is not None:
        return _parse_ratio(text)
    move = doubt.value if doubt.rule in ("unexplained_move", "price_spike") else np.log(doubt.value)
    if doubt.rule == "missed_split":
        move = -move
    # A split of n new shares per old one divides the price by n. A unit multiplies the later prices by its factor.
    size = float(np.exp(abs(move)))
    whole = 10.0 ** round(np.log10(size)) if doubt.kind == "unit" else float(round(size))
    is_sure = whole > 1 and max(size / whole, whole / size) <= _SURE_RATIO
    if doubt.kind == "split" and is_sure and whole < 3 and abs(size - whole) > 0.1 * whole:
        is_sure = False
    if not is_sure:
        raise BadRequestError(
            f"The price moved by a factor of {np.exp(move):.4g} on {doubt.session:%Y-%m-%d}, which is near no whole "
            f"ratio of a {doubt.kind}; give it with `--ratio`, such as --ratio 3:2."
        )
    return whole if (move < 0) == (doubt.kind == "split") else 1.0 / whole


def _parse_ratio(text: str) -> float:
    try:
        new, _, old = text.partition(":")
        value = float(Fraction(new.strip()) / Fraction(old.strip() or "1"))
    except (ValueError, ZeroDivisionError, OverflowError):
        value = np.nan
    if not 1e-6 <= value <= 1e6 or value == 1:
        raise BadRequestError(
            f"`--ratio` must be a positive number other than 1, or NEW:OLD such as 4:1; received {text[:40]!r}."
        )
    return value


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return f"uid {os.getuid()}"
