"""Solving one perturbed system, with a bound on the error that the residual alone cannot give.

Notation as in `engine.kernels.leontief`. |A| is taken cell by cell; w is a positive row vector.

If w (r I - |A|) > 0 for some r <= 1, the spectral radius of |A|, hence of A, is below r, and
(I - |A|)^-1 >= 0 bounds |(I - A)^-1| cell by cell (M-matrices: Berman & Plemmons 1994, ch. 6).
For a computed X with residual R = y - (I - A) X and any row s' with |s'| <= |s| (a part's),

    |s' (X - X*)| = |s' (I - A)^-1 R| <= |s| (I - |A|)^-1 |R| <= (u + nu w) |R|,
    nu = max_j ( |s| - u (I - |A|) )_j^+ / [w (I - |A|)]_j

for any row u at all: with u the multipliers of |s| the bound is tight, with a wrong u it is merely
wide. Both residuals include what rounding may have hidden from them (Higham 2002, Accuracy and
Stability of Numerical Algorithms, section 3.5).

Equations of docs/method.md: 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from engine.kernels.arrays import F64

UNIT_ROUNDOFF = 2.0**-53


def certify_radius(A: F64, weights: F64, r_max: float) -> F64 | None:
    """Weights w > 0 with w (r_max I - |A|) > 0, which prove spectral radius < r_max, or None.

    `weights` are tried first; where they fail, the system is solved for a right-hand side of
    ones: its solution is positive exactly when the radius of |A| is below r_max.
    """
    magnitude = np.abs(A)
    if _dominates(magnitude, weights, r_max):
        return weights
    own = _row_solution(magnitude, r_max)
    return own if _dominates(magnitude, own, r_max) else None


def _row_solution(magnitude: F64, radius: float) -> F64:
    system = -magnitude
    system.flat[:: len(system) + 1] += radius
    factors, pivots, singular = scipy.linalg.lapack.dgetrf(system.T, overwrite_a=True)
    if singular:
        return np.full(len(system), np.nan)
    solution: F64 = scipy.linalg.lu_solve(
        (factors, pivots), np.ones(len(system)), check_finite=False
    )
    return solution


def _dominates(magnitude: F64, weights: F64, radius: float) -> bool:
    if not np.all(np.isfinite(weights) & (weights > 0)):
        return False
    used = weights @ magnitude
    rounding = rounding_of(len(weights) + 4) * (used + weights)
    return bool(np.all(radius * weights - used > rounding))


def rounding_of(operations: int) -> float:
    """Bound on the relative error of a sum of products that takes so many operations a term."""
    return operations * UNIT_ROUNDOFF / (1 - operations * UNIT_ROUNDOFF)


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """A solution of one system and what its error bound needs.

    Attributes:
        X: output required by each consumer, (n,c): (I - A) X = y.
        multipliers: u, multipliers of the magnitudes of the intensities, (k,n): u (I - A) = |s|.
    """

    X: F64
    multipliers: F64


def solve(A: F64, s: F64, y: F64) -> Solved:
    """Solve directly in float64, with one factorisation for output and multipliers.

    Raises:
        numpy.linalg.LinAlgError: `I - A` is singular to working precision.
    """
    # The transpose of a row-major matrix is what LAPACK factorises without a copy.
    system = -A
    system.flat[:: len(system) + 1] += 1.0
    factors = scipy.linalg.lu_factor(system.T, overwrite_a=True, check_finite=False)
    X = scipy.linalg.lu_solve(factors, y, trans=1, check_finite=False)
    return Solved(X, scipy.linalg.lu_solve(factors, np.abs(s).T, check_finite=False).T)


def error_bound(solved: Solved, A: F64, s: F64, y: F64, weights: F64) -> F64:
    """Bound, (k,c), on the error of `s' X` for s and every part s' of it.

    Args:
        solved: any approximate solution, however it was found.
        A, s, y: the system: (n,n), (k,n), (n,c).
        weights: w > 0 with w (I - |A|) > 0, (n,), as `certify_radius` returns.
    """
    magnitude, size = np.abs(A), np.abs(solved.X)
    rounding = rounding_of(len(A) + 4)
    missed = np.abs(y - solved.X + A @ solved.X)
    missed += rounding * (np.abs(y) + size + magnitude @ size)
    # Each w (I - |A|) below is computed; its own rounding is far below the slack certified.
    slack = weights - weights @ magnitude
    u = np.abs(solved.multipliers)
    passed_on = u @ magnitude
    short = np.abs(s) - u + passed_on + rounding * (np.abs(s) + u + passed_on)
    nu = np.maximum(short / slack, 0.0).max(axis=1)
    bound: F64 = (u + np.outer(nu, weights)) @ missed + rounding * (np.abs(s) @ size)
    return bound
