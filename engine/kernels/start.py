"""What one year's estimate gives to the solution of its draws; computed once, before any draw.

Notation as in `engine.kernels.refine`: M0 X0 = y0 with M0 = diag(D0) - B0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.linalg
import scipy.sparse

from engine.kernels.arrays import F32, F64, Bool
from engine.kernels.perturb import LOG2E, Cells
from engine.kernels.refine import Start

HEADROOM = 1.25  # of the rows u over the estimate's multipliers: what draws may add without loss
_STANDARD_ERRORS = 5.0  # of a line's own noise that its slack should survive
KEPT_SHARE = 0.08  # of the cells, at most, whose factors are kept while a group is solved
KEEP_ALL = 2**28  # bytes of factors for which all of them are kept
_FACTORS = 64 * 4  # bytes a cell


class Estimate:
    """The estimate's system, factorised.

    Args:
        B0, D0: (lines, positions) and (lines,).
        counted: lines that take part, (lines,).
    """

    def __init__(self, B0: F64, D0: F64, counted: Bool) -> None:
        both = np.outer(counted, counted)
        self.counted = counted
        self._magnitude = None if (B0 >= 0).all() else np.abs(B0) * both
        self._M0 = -B0 * both
        self._M0.flat[:: len(D0) + 1] += np.where(counted, D0, 1.0)
        self._D0 = D0
        self._factors = scipy.linalg.lu_factor(self._M0, check_finite=False)

    def solve(self, y0: F64) -> F64:
        """M0 X = y0, (lines, k)."""
        return self._masked(scipy.linalg.lu_solve(self._factors, self._masked(y0)))

    def solve_left(self, g: F64) -> F64:
        """X M0 = g, transposed: (lines, k) of (positions, k)."""
        return self._masked(scipy.linalg.lu_solve(self._factors, self._masked(g), trans=1))

    def positive(self, right: F64, *, left: bool) -> F64:
        """The solution with |B0| for B0, which is positive where `right`, (lines,), is."""
        if self._magnitude is None:
            found = self.solve_left(right[:, None]) if left else self.solve(right[:, None])
            return found[:, 0]
        system = -self._magnitude
        system.flat[:: len(system) + 1] += np.where(self.counted, self._D0, 1.0)
        solved = scipy.linalg.solve(system, self._masked(right), transposed=left)
        return self._masked(solved)

    def inverse(self) -> F32:
        """M0^-1 in float32; zero rows for lines that take no part."""
        inverse = scipy.linalg.inv(
            self._M0.astype(np.float32), overwrite_a=True, check_finite=False
        )
        inverse[~self.counted] = 0
        contiguous: F32 = np.ascontiguousarray(inverse)
        return contiguous

    def _masked(self, array: F64) -> F64:
        counted = self.counted if array.ndim == 1 else self.counted[:, None]
        masked: F64 = np.where(counted, array, 0.0)
        return masked


def near_weights(
    estimate: Estimate, inverse: F32, squares: scipy.sparse.csr_array, y_sd: F64, natural: F64
) -> F64:
    """Two rows w for the near certificate, (lines, 2), one for every kind of residual.

    The first suits residuals alike on all lines; the second those of the second correction, which
    are larger on lines with large errors. Each line's slack is made to survive its own noise.

    Args:
        squares: (value sd)^2 of every cell, (lines, positions).
        y_sd: standard deviation of the estimate's residual, (lines,).
        natural: the size of D0 X0 on each line.
    """
    spread = np.square(inverse, dtype=np.float32) @ np.square(y_sd / natural.max())
    second = np.sqrt(squares @ spread.astype(np.float64))
    relative = np.divide(second, natural, out=np.zeros_like(natural), where=natural > 0)
    middle = np.median(relative[relative > 0]) if (relative > 0).any() else 1.0
    shapes = (np.ones_like(natural), np.sqrt(relative / middle) + 1e-3)
    return np.stack([_robust(estimate, squares, natural * shape) for shape in shapes], axis=1)


def _robust(estimate: Estimate, squares: scipy.sparse.csr_array, right: F64) -> F64:
    w = estimate.positive(right, left=False)
    for _ in range(4):
        noise = _STANDARD_ERRORS * np.sqrt(squares @ np.square(w))
        if (noise <= right).all():
            break
        right = np.maximum(right, noise)
        w = estimate.positive(right, left=False)
    return w


def squared_errors(entries: Sequence[Cells]) -> scipy.sparse.csr_array:
    """(value sd)^2 of every cell, (lines, positions), sd relative to first order."""
    total = None
    for cells in entries:
        i, j = cells.positions()
        lines, positions = (i, j) if cells.by_row else (j, i)
        shape = cells.shape if cells.by_row else cells.shape[::-1]
        sd = np.abs(cells.value) * np.sqrt(np.expm1(np.square(cells.log2_sd / LOG2E)))
        part = scipy.sparse.csr_array((np.square(sd), (lines, positions)), shape=shape)
        total = part if total is None else total + part
    assert total is not None
    return total


def important(
    entries: Sequence[Cells], inverse: F32, y_sd: F64, scale: F64
) -> tuple[Cells, ...] | None:
    """The cells whose factors are worth keeping; None if all of them may be kept.

    A cell matters by what its error does, to first order, to the residual that one correction
    leaves: (value sd)^2 times the variance of the correction at its position, in the norm.
    """
    drawn = [cells for cells in entries if cells.terms]
    count = sum(len(cells.value) for cells in drawn)
    if count * _FACTORS <= KEEP_ALL:
        return None
    unit = y_sd.max() or 1.0
    spread = (np.square(inverse, dtype=np.float32) @ np.square(y_sd / unit)).astype(np.float64)
    scores = [_score(cells, spread, scale) for cells in drawn]
    wanted = int(KEPT_SHARE * count)
    threshold = np.partition(np.concatenate(scores), -wanted)[-wanted]
    return tuple(cells.only(score >= threshold) for cells, score in zip(drawn, scores, strict=True))


def _score(cells: Cells, spread: F64, scale: F64) -> F64:
    i, j = cells.positions()
    lines, positions = (i, j) if cells.by_row else (j, i)
    variance = np.expm1(np.square(cells.log2_sd / LOG2E)) * np.square(cells.value)
    score: F64 = variance * spread[positions] * np.square(scale[lines])
    return score


__all__ = ["Estimate", "Start", "important", "near_weights", "squared_errors"]
