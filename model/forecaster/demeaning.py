"""Taking what a month did to all symbols off the targets that the network learns from.

Returns of one month share the market's move and its turmoil. Left in, they are what a network finds first and learns by
heart: a few hundred months, each seen through a hundred symbols. What is left is how symbols differ, of which there is
a hundred times as much; the market's level stays with the traditional part.
"""

import numpy as np

from model import Floats

_HALF_WEIGHT_SYMBOLS = 10
"""So many symbols take half of the month's move and turmoil off, fewer less: they hardly show what is common."""


def demean_targets(centre: Floats, spread: Floats, target: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Targets less their month's median miss, and spreads times their month's turmoil, by origin and horizon.

    A miss is (target - centre) / spread; a month's turmoil is its symbols' mean absolute distance from the median miss,
    over the mean absolute miss of all months. So it is below one on average, as targets move less without the market.

    Args:
        centre: [H] of the baseline.
        spread: [N, T, H] of the baseline.
        target: [N, T, H].
        weight: [N, T, H], 0 where a target is not learnt from: it stays as it is.

    Returns:
        Targets and spreads, [N, T, H] each.
    """
    target, spread = target.copy(), spread.copy()
    for column in range(len(centre)):
        is_used = weight[..., column] > 0
        months = np.flatnonzero(is_used.any(axis=0))
        rows = [np.flatnonzero(is_used[:, month]) for month in months]
        medians, distances, misses = (np.zeros(len(months)) for _ in range(3))
        for place, (month, symbols) in enumerate(zip(months, rows, strict=True)):
            miss = (target[symbols, month, column] - centre[column]) / spread[symbols, month, column]
            medians[place] = np.median(miss)
            distances[place] = np.mean(np.abs(miss - medians[place]))
            misses[place] = np.mean(np.abs(miss))
        counts = np.array([len(symbols) for symbols in rows])
        trust = counts / (counts + _HALF_WEIGHT_SYMBOLS)
        turmoil = np.clip(distances / misses.mean(), 0.25, 4.0) ** trust
        for place, (month, symbols) in enumerate(zip(months, rows, strict=True)):
            target[symbols, month, column] -= trust[place] * medians[place] * spread[symbols, month, column]
            spread[symbols, month, column] *= turmoil[place]
    return target, spread
