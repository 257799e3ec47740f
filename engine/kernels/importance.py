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
from engine.kernels.compiling import compiled, inline

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


@inline
def _share(asked: Asked, slopes: F64, pair: int, f: int) -> float:
    t, s = asked.pairs[pair, 0], asked.pairs[pair, 1]
    own = asked.own
    variance = own[t, t] * slopes[t] * slopes[t]
    if t != s:
        variance += own[s, s] * slopes[s] * slopes[s] - 2 * own[t, s] * slopes[t] * slopes[s]
    share: float = variance * asked.per_variance[pair, f]
    return share


@inline
def _slopes(slopes: F64, asked: Asked, spreads: F64, i: I64, j: I64, cell: int, f: int) -> None:
    for t in range(spreads.shape[0]):
        difference = asked.column[t, j[cell], f] - asked.shift[t, i[cell], f]
        slopes[t] = asked.row[t, i[cell], f] * difference * spreads[t, cell]


@compiled
def add_shares(
    asked: Asked, spreads: F64, i: I64, j: I64, lost: F64, counts: F64, bins: I64
) -> None:
    """Find each cell's largest share and add its shares to what cutting it loses.

    Args:
        spreads: q sigma of the cells in each year, (t,cells).
        i, j: rows and columns of the cells, (cells,).
        lost: sums of shares by bin of importance, (pairs,f,bins); added to.
        counts: cells in each bin; added to.
        bins: filled with the bin of each cell, (cells,).
    """
    slopes = np.zeros(spreads.shape[0])
    for cell in range(i.size):
        largest = 10.0**-DECADES
        for f in range(asked.row.shape[2]):
            _slopes(slopes, asked, spreads, i, j, cell, f)
            for pair in range(asked.pairs.shape[0]):
                largest = max(largest, _share(asked, slopes, pair, f))
        place = min(int((np.log10(largest) + DECADES) * A_DECADE), BINS - 1)
        bins[cell] = place
        counts[place] += 1
        for f in range(asked.row.shape[2]):
            _slopes(slopes, asked, spreads, i, j, cell, f)
            for pair in range(asked.pairs.shape[0]):
                lost[pair, f, place] += _share(asked, slopes, pair, f)
