"""The footprint of one table, in float64: the reference every faster path is tested against.

Notation (Miller & Blair 2009, Input-Output Analysis, 2nd ed., ch. 2 and 6):
n industries, k stressors, c consumers.

    x = Z 1 + Y 1            (n,)   output
    A = Z diag(x)^-1         (n,n)  technical coefficients
    s = E diag(x)^-1         (k,n)  emission intensities
    m (I - A) = s            (k,n)  multipliers
    (I - A) X = y            (n,c)  output required by each consumer
    F = m y = s X            (k,c)  footprint, without the consumers' direct emissions

Equations of docs/method.md: 1.1 to 1.4.
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy.linalg

from engine.kernels.arrays import F64, Bool

_ROUNDS = 2000  # at a spectral radius of 0.98 the last ones are lost in rounding


def output(Z: F64, Y: F64) -> F64:
    """Industry output `x = Z 1 + Y 1`, (n,), in the currency of `Z` (n,n) and `Y` (n,r)."""
    total: F64 = Z.sum(axis=1) + Y.sum(axis=1)
    return total


def per_unit_output(flows: F64, x: F64, active: Bool) -> F64:
    """`flows diag(x)^-1`, (m,n), with zero columns where an industry is not `active`, (n,).

    With `flows = Z` these are the technical coefficients, with `flows = E` the emission
    intensities. An industry without positive output has no production recipe: its column is zero.
    """
    scale = np.divide(1.0, x, out=np.zeros_like(x), where=active)
    quotient: F64 = flows * scale
    return quotient


def multipliers(A: F64, s: F64) -> F64:
    """Solve `m (I - A) = s` for the multipliers `m`, (k,n), never forming the inverse.

    Raises:
        numpy.linalg.LinAlgError: `I - A` is singular.
    """
    solution: F64 = scipy.linalg.solve((np.eye(A.shape[0]) - A).T, s.T).T
    return solution


def required_output(A: F64, y: F64) -> F64:
    """Solve `(I - A) X = y` for the output `X`, (n,c), that final demand `y`, (n,c), requires.

    Raises:
        numpy.linalg.LinAlgError: `I - A` is singular.
    """
    solution: F64 = scipy.linalg.solve(np.eye(A.shape[0]) - A, y)
    return solution


def both_ways(A: F64, s: F64, y: F64) -> tuple[F64, F64]:
    """Multipliers `m`, (k,n), and required output `X`, (n,c), by one factorisation.

    Uses the memory of one more matrix like `A`, (n,n).

    Raises:
        numpy.linalg.LinAlgError: `I - A` is singular.
    """
    n = len(A)
    M = np.negative(A)
    M.flat[:: n + 1] += 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scipy.linalg.LinAlgWarning)  # seen below, as no number
        factors = scipy.linalg.lu_factor(M.T, overwrite_a=True)  # (I - A)', as LAPACK stores it
        m = scipy.linalg.lu_solve(factors, s.T).T
        X = scipy.linalg.lu_solve(factors, y, trans=1)
    if not (np.isfinite(m).all() and np.isfinite(X).all()):
        raise np.linalg.LinAlgError("I - A is singular")
    return m, X


def output_by_rounds(A: F64, y: F64) -> F64:
    """The `x`, (n,), of `(I - A) x = y`, round by round: `y + A y + A^2 y + ...`.

    It takes no memory beside `A`, where `required_output` factorises copies of it (Miller & Blair
    2009, 2.4). Rounds end when one adds no more than rounding to any industry.

    Raises:
        numpy.linalg.LinAlgError: the rounds do not die out: the spectral radius is not below 1.
    """
    x, size, added = y.copy(), np.abs(y), y
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(_ROUNDS):
            added = A @ added
            x += added
            size += np.abs(added)
            if (np.abs(added) <= np.finfo(np.float64).eps / 4 * size).all():
                return x
            if not np.isfinite(added).all():
                break
    raise np.linalg.LinAlgError("the rounds of A do not die out")


def parts(s: F64, X: F64, domestic: Bool, direct: F64) -> F64:
    """Footprint by part, (k,c,4): total, domestic, foreign, direct.

    Args:
        s: emission intensities, (k,n).
        X: output required by each consumer, (n,c).
        domestic: whether industry i lies inside consumer c, (n,c).
        direct: direct emissions of the consumers, (k,c).
    """
    at_home = s @ np.where(domestic, X, 0.0)
    abroad = s @ np.where(domestic, 0.0, X)
    return np.stack([at_home + abroad + direct, at_home, abroad, direct], axis=-1)
