"""How much each cell's own noise matters to what is asked, to first order.

Notation: f functionals (an indicator's footprint of a consumer and part, relative to its size),
t years, pairs (t, s) of years: of a year with itself a level, else a change. The share of cell
(i, j) in the variance V of a pair's functional, with a_t = row_i (column_j - shift_i) q sigma of
year t and own_ts the correlation between the years of a cell's own normals:

    level   own_tt a_t^2 / V
    change  (own_tt a_t^2 + own_ss a_s^2 - 2 own_ts a_t a_s) / V
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.kernels.arrays import F64, I64
from engine.kernels.compiling import compiled

DECADES, A_DECADE = 24, 100  # of importance from 1e-24 to 1, on a log scale, and bins in each
BINS = DECADES * A_DECADE + 1


class Asked(NamedTuple):
    """Functionals on one tile of cells.

    Attributes:
        row, column, shift: the gradients in factors, (t,rows,f), (t,columns,f), (t,rows,f).
        own: correlation of a cell's own normals between years, (t,t).
        pairs: positions of the two years, (pairs,2).
        per_variance: 1 / V, zero where nothing varies, (pairs,f).
    """

    row: F64
    column: F64
    shift: F64
    own: F64
    pairs: I64
    per_variance: F64


@compiled
def add_shares(
    asked: Asked, spreads: F64, i: I64, j: I64, lost: F64, counts: F64, bins: I64
) -> None:
    """Find each cell's largest share and add its shares to what cutting it loses.

    Args:
        spreads: q sigma of the cells in each year, (cells,t).
        i, j: rows and columns of the cells, (cells,).
        lost: sums of shares by bin of importance, (bins,pairs,f); added to.
        counts: cells in each bin; added to.
        bins: filled with the bin of each cell, (cells,).
    """
    row, column, shift, own = asked.row, asked.column, asked.shift, asked.own
    pairs, per_variance = asked.pairs, asked.per_variance
    years, functionals = row.shape[0], row.shape[2]
    slopes, shares = np.zeros((years, functionals)), np.zeros(per_variance.shape)
    for cell in range(i.size):
        a, b = i[cell], j[cell]
        for t in range(years):
            for f in range(functionals):
                slopes[t, f] = row[t, a, f] * (column[t, b, f] - shift[t, a, f]) * spreads[cell, t]
        largest = 10.0**-DECADES
        for pair in range(pairs.shape[0]):
            t, s = pairs[pair, 0], pairs[pair, 1]
            change = 1.0 if t != s else 0.0
            for f in range(functionals):
                level, other = slopes[t, f], change * slopes[s, f]
                variance = own[t, t] * level * level + own[s, s] * other * other
                variance -= 2 * own[t, s] * level * other
                shares[pair, f] = variance * per_variance[pair, f]
                largest = max(largest, shares[pair, f])
        place = min(int((np.log10(largest) + DECADES) * A_DECADE), BINS - 1)
        bins[cell] = place
        counts[place] += 1
        for pair in range(pairs.shape[0]):
            for f in range(functionals):
                lost[place, pair, f] += shares[pair, f]
