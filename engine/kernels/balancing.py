"""Balancing a table to the margins it is to have: RAS, and GRAS where cells are negative.

With P the positive cells of a table (m,k) and N the sizes of the negative ones, the balanced
table is `r_i P_ij s_j - N_ij / (r_i s_j)`, its factors r, s > 0 found by turns: given s, the row
sums u are met where

    p r - n / r = u,    p_i = sum_j P_ij s_j,    n_i = sum_j N_ij / s_j

so that `r = (u + sqrt(u^2 + 4 p n)) / (2 p)`, and likewise the columns (Junius & Oosterhaven 2003,
Economic Systems Research 15:87; for lines with negative cells alone, and of zeros: Lenzen, Wood &
Gallego 2007, ibid. 19:461). Without negative cells it is RAS (Stone 1961). Zeros stay zero and
cells keep their signs. With z the balanced cells relative to the given ones q, `sum |q| z (ln z -
1)` is least among the tables of these margins, and it converges wherever one of them has cells of
the same signs in the same places.

Equations of docs/method.md: 2.13 and 2.14.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.kernels.arrays import F64, I64
from engine.kernels.compiling import compiled, inline

TOLERANCE = 1e-9  # of a margin, relative to the sizes of the cells that it adds up
MOST_ITERATIONS = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Balanced:
    """A table after balancing.

    Attributes:
        table: (m,k). Its row sums are met to rounding, its column sums within `deviation`.
        iterations: how often rows and columns were scaled.
        deviation: the largest distance of a column sum from its margin, relative to the sizes of
            the cells that it adds up; infinite where a margin has the sign of no cell.
        converged: whether that is within the tolerance; if not, the table is of no use.
    """

    table: F64
    iterations: int
    deviation: float
    converged: bool

    @property
    def left(self) -> float:
        """How far cells may still be from the table that meets every margin, relative; no proof.

        Factors approach theirs as a geometric series of some ratio c: from a deviation d on they
        have d / (1 - c) to go, and to come down to it took some ln(1/d) / (1 - c) iterations.
        """
        return self.iterations * self.deviation


def balance(
    table: F64,
    rows: F64,
    columns: F64,
    tolerance: float = TOLERANCE,
    most: int = MOST_ITERATIONS,
) -> Balanced:
    """The table scaled to row sums `rows`, (m,), and column sums `columns`, (k,).

    The margins must add up to the same; where they do not, or no table with cells of these signs
    has them, it does not converge. The factors alone are iterated, over the cells that are not
    zero: the table is scaled once, at the end.

    Args:
        tolerance: of a margin, relative to the sizes of the cells that it adds up.
        most: iterations after which it is given up.
    """
    cells = table != 0
    lost = (rows[~cells.any(axis=1)] != 0).any() or (columns[~cells.any(axis=0)] != 0).any()
    if lost:  # a margin of nothing but zeros
        return Balanced(table, 0, np.inf, False)
    starts = np.concatenate([[0], np.cumsum(np.count_nonzero(cells, axis=1))])
    across = np.nonzero(cells)[1]
    r, s, iterations, deviation = _factors(
        starts, across, table[cells], rows, columns, tolerance, most
    )
    if not deviation <= tolerance:
        return Balanced(table, iterations, deviation, False)
    scale = r[:, None] * s
    return Balanced(np.where(table < 0, table / scale, table * scale), iterations, deviation, True)


@inline
def _factor(p: float, n: float, margin: float) -> float:
    """The f > 0 with `p f - n / f = margin`, 1 of a line without cells; NaN where there is none.

    Of the two forms of the root the one without cancellation; the second serves p = 0 too.
    """
    if p == 0 and n == 0:
        return 1.0
    root = np.sqrt(margin * margin + 4 * p * n)
    found = (margin + root) / (2 * p) if margin >= 0 else 2 * n / (root - margin)
    return found if 0 < found < np.inf else np.nan


@compiled
def _scale_rows(
    starts: I64, across: I64, value: F64, rows: F64, r: F64, s: F64, p: F64, n: F64
) -> None:
    """Overwrite r with what meets the rows given s, and p and n of the columns given that r."""
    p[:] = 0.0
    n[:] = 0.0
    for i in range(len(rows)):
        positive, negative = 0.0, 0.0
        for cell in range(starts[i], starts[i + 1]):
            if value[cell] > 0:
                positive += value[cell] * s[across[cell]]
            else:
                negative -= value[cell] / s[across[cell]]
        r[i] = _factor(positive, negative, rows[i])
        for cell in range(starts[i], starts[i + 1]):
            if value[cell] > 0:
                p[across[cell]] += value[cell] * r[i]
            else:
                n[across[cell]] -= value[cell] / r[i]


@compiled
def _factors(
    starts: I64,
    across: I64,
    value: F64,
    rows: F64,
    columns: F64,
    tolerance: float,
    most: int,
) -> tuple[F64, F64, int, float]:
    """r and s, iterations made, and the largest deviation of a column; infinite where it is lost.

    Args:
        starts, across, value: the cells that are not zero, row by row.
    """
    r, s = np.ones(len(rows)), np.ones(len(columns))
    p, n = np.empty(len(columns)), np.empty(len(columns))
    deviation = np.inf
    for iteration in range(1, most + 1):
        _scale_rows(starts, across, value, rows, r, s, p, n)
        deviation = 0.0
        for j in range(len(columns)):
            size = p[j] * s[j] + n[j] / s[j]
            if np.isnan(size):  # a margin that cannot be met: no later iteration mends that
                return r, s, iteration, np.inf
            if size > 0:
                net = p[j] * s[j] - n[j] / s[j]
                deviation = max(deviation, abs(net - columns[j]) / size)
        if deviation <= tolerance:
            return r, s, iteration, deviation
        for j in range(len(columns)):
            s[j] = _factor(p[j], n[j], columns[j])
    return r, s, most, deviation
