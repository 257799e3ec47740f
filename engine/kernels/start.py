"""What one year's estimate gives to the solution of its draws; computed once, before any draw.

Notation as in `engine.kernels.passes`: M0 X0 = y0 with M0 = diag(D0) - B0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray

from engine.kernels.arrays import F32, F64, I32, Bool, readonly
from engine.kernels.inverse import Inverse
from engine.kernels.perturb import Cells
from engine.kernels.streams import LANES

HEADROOM = 1.25  # of the rows u over the estimate's multipliers: what draws may add without loss
_STANDARD_ERRORS = 15.0  # of a line's own noise that its slack should survive
_LEVEL = 0.3  # of a line's usual residual, below which no slack is made
_RAISES = 4  # of the slack, each of which adds to the noise a little
IMPORTANT = 0.2  # share of the cells with which a correction is iterated
FEW = 60_000  # cells that are all important
KEEP = 2**30  # bytes of factors kept while a group is solved, if the important ones leave room
_FACTORS = 4 * LANES  # bytes a cell


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What the estimate gives to the solution of its draws.

    Attributes:
        X0, y0: solution and right-hand side of the estimate, (lines, k).
        final: sales to final demand, (lines,).
        inverse: M0^-1, as far as it matters.
        scale: size of a line's residual to the answer, (lines,): the norm is that of scale R.
        near: weights w, (lines, any number); empty where the far certificate serves.
        far: rows u and, last, v, (lines, functionals + 1); empty where the near one serves.
        counted: lines that take part, (lines,).
    """

    X0: F64
    y0: F64
    final: F64
    inverse: Inverse
    scale: F64
    near: F64
    far: F64
    counted: Bool


class Estimate:
    """The estimate's system, factorised. Solutions are NaN where it is singular.

    Args:
        B0, D0: (lines, positions) and (lines,).
        counted: lines that take part, (lines,).
    """

    def __init__(self, B0: F64, D0: F64, counted: Bool) -> None:
        self.counted = counted
        self._B0, self._D0 = B0, np.where(counted, D0, 1.0)
        self._factors = _factorised(self._system(B0, np.float64))
        self._of_magnitudes = self._factors
        if B0.min(initial=0.0) < 0:
            self._of_magnitudes = _factorised(self._system(np.abs(B0), np.float64))

    def _system(self, B: F64, kind: type[np.floating[Any]]) -> NDArray[Any]:
        """diag(D0) - B, row-major, with nothing but D0 where a line takes no part."""
        system = np.empty(B.shape, dtype=kind)
        np.negative(B, out=system, casting="same_kind")
        system[~self.counted] = 0
        system[:, ~self.counted] = 0
        system.flat[:: len(system) + 1] = self._D0 - np.where(self.counted, B.diagonal(), 0.0)
        return system

    def solve(self, y0: F64) -> F64:
        """M0 X = y0, (lines, k)."""
        return self._solved(self._factors, y0, left=False)

    def solve_left(self, g: F64) -> F64:
        """X M0 = g, transposed: (lines, k) of (positions, k)."""
        return self._solved(self._factors, g, left=True)

    def positive(self, right: F64, *, left: bool) -> F64:
        """The solution with |B0| for B0, (lines,): positive for positive `right`, where the
        spectral radius of |B0| allows."""
        return self._solved(self._of_magnitudes, right[:, None], left=left)[:, 0]

    def inverse(self) -> F32:
        """M0^-1 in float32; zero rows for lines that take no part.

        All zero where single precision finds M0 singular: then no draw is corrected, and all are
        solved directly.
        """
        system = self._system(self._B0, np.float32)
        lapack = scipy.linalg.lapack
        # As in `_factorised`: transposed, nothing is copied.
        factors, pivots, singular = lapack.sgetrf(system.T, overwrite_a=True)
        room = int(lapack.sgetri_lwork(len(system))[0])
        transposed, failed = lapack.sgetri(factors, pivots, lwork=room, overwrite_lu=True)
        inverse: F32 = transposed.T
        inverse[~self.counted if not (singular or failed) else slice(None)] = 0
        return inverse

    def _solved(self, factors: tuple[F64, I32] | None, right: F64, *, left: bool) -> F64:
        counted = self.counted[:, None]
        if factors is None:
            return np.where(counted, np.nan, 0.0) * np.ones_like(right)
        # Factors are those of the transpose, so a solution from the left is the plain one.
        solution = scipy.linalg.lu_solve(
            factors, np.where(counted, right, 0.0), trans=0 if left else 1, check_finite=False
        )
        masked: F64 = np.where(counted, solution, 0.0)
        return masked


def _factorised(system: F64) -> tuple[F64, I32] | None:
    """LU factors of the transpose, in place; None if it is singular.

    The transpose of a row-major matrix is what LAPACK factorises without a copy.
    """
    factors, pivots, singular = scipy.linalg.lapack.dgetrf(system.T, overwrite_a=True)
    return None if singular else (factors, pivots)


def near_weights(
    estimate: Estimate,
    inverse: Inverse,
    squares: scipy.sparse.csr_array,
    rest: scipy.sparse.csr_array,
    X0: F64,
    natural: F64,
) -> F64:
    """Rows w of the near certificate, (lines, 1 or 2), one for every kind of residual.

    The first suits residuals alike on all lines, such as rounding; the second what is left after
    one correction, which is large on lines where the unimportant cells are uncertain; there is
    none where all cells are important. Each line's slack is made to survive its own noise.

    Args:
        squares: (value sd)^2 of every cell, (lines, positions); `rest` of the unimportant ones.
        natural: the size of D0 on each line.
    """
    foreseen = rest @ np.square(np.abs(X0).sum(axis=1))
    left = np.sqrt(rest @ inverse.variance(foreseen))
    relative = np.divide(left, natural, out=np.zeros_like(natural), where=natural > 0)
    middle = np.median(relative[relative > 0]) if (relative > 0).any() else 1.0
    shapes = [np.ones_like(natural)]
    if left.any():
        shapes.append(relative / middle + _LEVEL)
    weights = [robust_weights(estimate, squares, natural * shape, left=False) for shape in shapes]
    return np.stack(weights, axis=1)


def robust_weights(
    estimate: Estimate, squares: scipy.sparse.csr_array, right: F64, *, left: bool
) -> F64:
    """w with `D0 w - |B0| w >= right` (from the left: of columns), raised where a line's slack
    would not survive the noise of its own cells; for the certificate of draws.
    """
    across = squares.T if left else squares
    w = estimate.positive(right, left=left)
    for _ in range(_RAISES):
        noise = np.where(estimate.counted, _STANDARD_ERRORS * np.sqrt(across @ np.square(w)), 0.0)
        if not (noise > right).any():
            break
        raised = estimate.positive(np.maximum(right, noise), left=left)
        if not (np.isfinite(raised) & (raised >= 0)).all():
            break
        right, w = np.maximum(right, noise), raised
    return w


def squared_errors(entries: Sequence[Cells]) -> scipy.sparse.csr_array:
    """(value sd)^2 of every cell, (lines, positions), sd relative to first order."""
    total = None
    for cells in entries:
        i, j = cells.positions()
        lines, positions = (i, j) if cells.by_row else (j, i)
        shape = cells.shape if cells.by_row else cells.shape[::-1]
        sd = np.sqrt(cells.variance()) * np.abs(cells.value)
        squares = np.square(sd, out=sd)
        part = scipy.sparse.csr_array((squares, (lines, positions)), shape=shape)
        total = part if total is None else total + part
    assert total is not None
    return total


def residual_variance(squares: scipy.sparse.csr_array, X0: F64, of_y: F64, natural: F64) -> F64:
    """Variance of the residual that the estimate's solution leaves in a draw, (lines,).

    To first order, with the right-hand sides added up in magnitude. What one correction leaves
    also reaches lines without errors; they count as if they had a tenth of the common one.

    Args:
        of_y: variance of the right-hand side, (lines,).
        natural: the size of D0 X0 on each line, (lines,).
    """
    variance = squares @ np.square(np.abs(X0).sum(axis=1)) + of_y
    common = variance.sum() / (np.square(natural).sum() or 1.0)
    found: F64 = variance + 0.01 * common * np.square(natural)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Cells whose factors are kept while a group is solved.

    Attributes:
        cells: of each entry that is drawn, the important ones; where none is drawn, one without
            cells.
        slots: of each such entry, position in `cells` of every cell, the others' following in
            their order, (cells,); nothing where all are important.
        rows: how many more factors are kept, of the others.
        whole: whether all cells are important.
    """

    cells: tuple[Cells, ...]
    slots: tuple[I32, ...]
    rows: int
    whole: bool


def how_many_important(cells: int) -> int:
    """How many of a table's cells corrections are iterated with."""
    return max(int(IMPORTANT * cells), min(cells, FEW))


def how_many_kept(cells: int) -> int:
    """How many cells' factors of a group wait in memory, and are drawn once."""
    return max(min(cells, KEEP // _FACTORS), how_many_important(cells))


def all_important(entries: Sequence[Cells]) -> bool:
    """Whether corrections are iterated with every cell that is drawn."""
    count = sum(len(cells.value) for cells in entries if cells.drawn)
    return how_many_important(count) == count


def important(entries: Sequence[Cells], inverse: Inverse, variance: F64, scale: F64) -> Kept:
    """The cells with which corrections are iterated.

    A cell matters by what its error does, to first order, to the residual that one correction
    leaves: (value sd)^2 times the variance of the correction at its position, in the norm.

    Args:
        variance: of the residual of the estimate's solution, (lines,).
        scale: size of a line's residual to the answer, (lines,).
    """
    drawn = [cells for cells in entries if cells.drawn]
    if not drawn:
        nothing = np.zeros(len(entries[0].value), dtype=np.bool_)
        return Kept((entries[0].only(nothing),), (), 0, whole=True)
    if all_important(entries):
        return Kept(tuple(drawn), (), 0, whole=True)
    count = sum(len(cells.value) for cells in drawn)
    wanted = how_many_important(count)
    spread = inverse.variance(variance)
    scores = np.concatenate([_score(cells, spread, scale) for cells in drawn])
    ends = np.cumsum([len(cells.value) for cells in drawn])[:-1]
    chosen = np.split(_largest(scores, wanted), ends)
    return Kept(
        tuple(cells.only(own) for cells, own in zip(drawn, chosen, strict=True)),
        tuple(_slots(own) for own in chosen),
        how_many_kept(count) - wanted,
        whole=False,
    )


def _largest(scores: F64, wanted: int) -> Bool:
    """Which are the largest so many; of equal ones, the first."""
    threshold = np.partition(scores, -wanted)[-wanted]
    chosen: Bool = scores > threshold
    chosen[np.flatnonzero(scores == threshold)[: wanted - np.count_nonzero(chosen)]] = True
    return chosen


def _slots(chosen: Bool) -> I32:
    first = np.cumsum(chosen, dtype=np.int32)
    others = np.int32(np.count_nonzero(chosen)) + np.cumsum(~chosen, dtype=np.int32)
    slots: I32 = readonly(np.where(chosen, first, others) - np.int32(1))
    return slots


def _score(cells: Cells, spread: F64, scale: F64) -> F64:
    i, j = cells.positions()
    lines, positions = (i, j) if cells.by_row else (j, i)
    variance = cells.variance() * np.square(cells.value)
    score: F64 = variance * spread[positions] * np.square(scale[lines])
    return score
