"""Rule on the unit of a source's dividends: amounts 100 times too large or too small beside its prices.

The source's adjusted closes are the evidence where they contain the dividend. Without them, a tiny dividend on a line
that is quoted in hundredths is only reported: it may be real.
"""

import numpy as np
import pandas as pd

from model.bars.adjustment import RATIO_TOLERANCE
from model.frames import ACTION_TYPES, ADJUSTED_BAR_TYPES, check_frame
from model.quality.findings import Finding, Treatment

TINY_YIELD = 3e-4
"""Dividend, as a share of the price, below which its unit is doubtful on a line quoted in hundredths."""
_FACTORS = (100.0, 0.01)
_TOLERANCE = 0.1  # log


def repair_dividend_units(
    actions: pd.DataFrame, closes: pd.DataFrame, *, is_hundredth: bool
) -> tuple[pd.DataFrame, list[Finding]]:
    """Scale the dividends of one symbol that are off by 100 from its adjusted closes, and report tiny ones.

    Args:
        actions: Frame of ACTION_TYPES of one symbol, its dividends on the basis of `closes`.
        closes: Frame of ADJUSTED_BAR_TYPES of the symbol, sorted by session.
        is_hundredth: Whether the source quotes the symbol in hundredths of its currency, such as pence.

    Returns:
        The actions with scaled dividends, and the findings.

    Raises:
        ValueError: If a column is missing or has another type.
    """
    check_frame(actions, ACTION_TYPES, "actions")
    check_frame(closes, ADJUSTED_BAR_TYPES, "closes")
    close, adjusted = closes["close"].to_numpy(np.float64), closes["adj_close"].to_numpy(np.float64)
    values, findings = actions["value"].to_numpy(np.float64).copy(), []
    rows = closes["session"].searchsorted(actions["ex_date"])
    is_usable = (actions["kind"] == "dividend").to_numpy() & (rows > 0) & (rows < len(closes))
    for place in np.flatnonzero(is_usable).tolist():
        row = rows[place]
        before, after = adjusted[row - 1] / close[row - 1], adjusted[row] / close[row]
        size, implied = values[place] / close[row - 1], 1.0 - before / after
        where = (actions["symbol"].iloc[place], actions["ex_date"].iloc[place], "dividend_unit", float(size))
        if implied > 4 * RATIO_TOLERANCE:  # False for NaN
            distances = [abs(np.log(implied / (size * factor))) for factor in _FACTORS]
            factor = _FACTORS[int(np.argmin(distances))]
            if min(distances) < _TOLERANCE:
                values[place] *= factor
                reason = f"{size:.3%} of the price, and {implied:.3%} in the adjusted closes: multiplied by {factor:g}"
                findings.append(Finding(*where, Treatment.REPAIRED, reason))
        elif is_hundredth and 0 < size < TINY_YIELD:
            reason = f"{size:.4%} of the price on a line quoted in hundredths: perhaps 100 times too small; kept"
            findings.append(Finding(*where, Treatment.KEPT, reason))
    return (actions.assign(value=values) if findings else actions), findings
