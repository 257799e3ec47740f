"""Solving the systems of 64 draws at once, by corrections of the estimate's own solution.

Notation. M X = y with M = diag(D) - B, lines l, positions e, all in 64 draws (last axis). Solving
for output, B is A (or Z) and D is 1 (or x, the output); solving for multipliers, both are
transposed. X0, M0: the estimate's. g: functionals, g X is what is asked.

The cells that matter most are drawn first, and the system is solved for their errors alone; the
first pass over all cells then finds the residual of that solution, which only the other cells have
left. A correction solves M C = R = y - M X roughly: with the estimate's inverse, and iterating on
the important cells, whose factors are kept in memory. Corrections are combined so that R is
smallest in a weighted norm (GCR: Eisenstat, Elman & Schultz 1983, SIAM J. Numer. Anal. 20:345); M C
always comes from a full pass over the drawn cells in float64, and R is updated with it.

What is left is judged by `engine.kernels.certificate`, never by the residual alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.kernels.arrays import F32, F64
from engine.kernels.certificate import MOST_CORRECTIONS, Certificate
from engine.kernels.fused import Bound, changes, sweep
from engine.kernels.passes import Begun
from engine.kernels.start import Start

_INNER_STEPS = 12  # at most, within one correction
_ENOUGH = 1e-4  # reduction of the residual by the important cells, beyond which the others rule
_ENOUGH_OF_ALL = 1e-7  # the same where all cells are important: beyond it single precision rules
_STALLED = 0.5  # a correction that leaves more than this of the residual is not worth another
_FRESH = 1e-5  # of a correction's effect, at least, that must be new; the rest is rounding


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """An approximate solution in 64 draws.

    Attributes:
        X, R: solution and residual, (lines, k, 64).
        error: as asked of `refine`, (64,).
        corrections: how many were made.
    """

    X: F64
    R: F64
    error: F64
    corrections: int


@dataclass(frozen=True, slots=True, eq=False)
class Rough:
    """M with the errors of the important cells alone, which is quick to solve.

    Attributes:
        cells: their factors are kept.
        whole: whether they are all there are.
        D: change of the diagonal since the estimate, (lines, 64).
    """

    cells: Sequence[Bound]
    whole: bool
    D: F64

    def solve(self, start: Start, R: F64) -> F64:
        """C with M C = R, by iteration on the estimate's inverse, (lines, k, 64).

        The first step takes all its entries, for what the important ones miss of R would stay.
        """
        unit = unit_of(R)
        left, D = (R / unit).astype(np.float32), self.D[:, None].astype(np.float32)
        scale, counted = start.scale.astype(np.float32), start.counted[:, None, None]
        C = np.zeros_like(R)
        size = first = _norm(left, scale)
        enough = _ENOUGH_OF_ALL if self.whole else _ENOUGH
        for number in range(_INNER_STEPS):
            step = start.inverse.apply(left) if number else start.inverse.apply_whole(left)
            C += step
            left = changes(self.cells, step) - D * step
            left = np.where(counted, left, np.float32(0))
            size, last = _norm(left, scale), size
            if (size <= enough * first).all() or (size >= last).all():
                break
        return C * unit


def unit_of(R: F64) -> F64:
    """The largest size in each column and draw, so that single precision neither over- nor
    underflows."""
    largest = np.maximum(R.max(axis=0), -R.min(axis=0))
    unit: F64 = np.where(largest > 0, largest, 1.0)
    return unit


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """M X = y in 64 draws, and what helps to solve it.

    Attributes:
        B: the cells of B.
        D: (lines, 64).
        y: (lines, k, 64).
        rough: what a correction is found with.
    """

    B: Sequence[Bound]
    D: F64
    y: F64
    rough: Rough


def refine(
    system: System,
    start: Start,
    X: F64,
    begun: Begun,
    certificate: Certificate,
    error_of: Callable[[F64, F64, F64], F64],
    tolerance: float,
) -> Refined:
    """Correct a solution until its error is tolerable in every draw, or nothing is gained.

    Args:
        X: the solution that was begun with, (lines, k, 64).
        error_of: what is certified of X, R and the bound on |g (X - X*)|, (64,).
    """
    counted = start.counted[:, None, None]
    R = np.where(counted, system.y - system.D[:, None] * X + begun.applied, 0.0)
    reach = np.abs(X)  # magnitudes of all that X has been added up from since R was computed
    before: list[_Step] = []
    size, last = _norm(R, start.scale), np.full(R.shape[1:], np.inf)
    while True:
        error = error_of(X, R, certificate.bound(R, reach))
        open_ = certificate.proved & ~(error <= tolerance)
        stalled = (size > _STALLED * last)[:, open_].all()
        if stalled or len(before) == MOST_CORRECTIONS:  # none open: of nothing, all are
            return Refined(X, R, error, len(before))
        step = _orthogonal(system, start, system.rough.solve(start, R), before)
        share = _projection(R, step.MC, start.scale)
        X, R = X + share * step.C, R - share * step.MC
        reach += np.abs(share) * step.reach
        before.append(step)
        size, last = _norm(R, start.scale), size


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A correction C with M C, orthogonal in the norm to those before; (lines, k, 64) each.

    Attributes:
        reach: magnitudes of all that C was added up from.
    """

    C: F64
    MC: F64
    reach: F64


def _orthogonal(system: System, start: Start, C: F64, before: Sequence[_Step]) -> _Step:
    """A correction without what those before it have done; zero where that leaves rounding alone.

    Without this last, a draw that has reached the last digits, or a table of fewer industries than
    corrections, would go on with directions that are noise, and R would no longer be the residual.
    """
    counted = start.counted[:, None, None]
    MC = np.where(counted, system.D[:, None] * C - sweep(system.B, x=C).own, 0.0)
    reach, whole = np.abs(C), _norm(MC, start.scale)
    for old in before:
        share = _projection(MC, old.MC, start.scale)
        C, MC = C - share * old.C, MC - share * old.MC
        reach += np.abs(share) * old.reach
    fresh = _norm(MC, start.scale) > _FRESH * whole
    return _Step(np.where(fresh, C, 0.0), np.where(fresh, MC, 0.0), reach)


def _norm(R: F64 | F32, scale: F64 | F32) -> F64:
    weighted = R * scale[:, None, None]
    norm: F64 = np.sqrt(np.einsum("lkd,lkd->kd", weighted, weighted))
    return norm


def _projection(R: F64, onto: F64, scale: F64) -> F64:
    """The share of `onto` in R, (k, 64)."""
    squares = np.square(scale)[:, None, None] * onto
    length = np.einsum("lkd,lkd->kd", squares, onto)
    inner = np.einsum("lkd,lkd->kd", squares, R)
    share: F64 = np.divide(inner, length, out=np.zeros_like(inner), where=length > 0)
    return share
