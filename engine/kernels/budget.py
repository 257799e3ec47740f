"""What the uncertainty of a change is made of, and what it would be if one error were smaller.

To first order a change delta is a sum over cells; delta_J is the part of it that the cells of a
group J bring, and K = Cov(delta_J, delta). So what is not in J has the variance
var delta - 2 K + var delta_J, and the covariance K - var delta_J with delta_J.

Equations of docs/method.md: 4.5 to 4.9.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.kernels.arrays import F64, I64
from engine.kernels.monte_carlo import Estimate, nothing, quotient, spread, standard_error


def share(covariance: F64, variance: F64) -> F64:
    """`K / var delta`: of groups that partition the cells it adds up to one; it may be negative."""
    return quotient(covariance, variance, np.nan)


def halved(variance: F64, own: F64, covariance: F64) -> F64:
    """Variance with the group's error halved, `var delta - K + var delta_J / 4`.

    Larger than before where errors in J offset errors elsewhere (K < var delta_J / 4).
    """
    return _not_negative(variance + own / 4 - covariance)


def frozen(variance: F64, own: F64, covariance: F64) -> F64:
    """Variance without the group's error, `var delta - 2 K + var delta_J`."""
    return _not_negative(variance - 2 * covariance + own)


def lasting(variance: F64, difference: F64) -> F64:
    """Variance with the group's errors the same in both years, given the difference this makes.

    What is left of them is not nothing: a footprint that leans less on the group in one of the
    years, or a cell whose relative error changed, still moves.
    """
    return _not_negative(variance + difference)


def _not_negative(variance: F64) -> F64:
    """Rounding may leave a variance below zero where all cancels."""
    clear: F64 = np.maximum(variance, 0.0)
    return clear


# --- the variance that cells bring, of two years at once ----------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Products of two random sums over the normals of one component, one number a group of cells.

    With S_s and S_t what a normal moves in the two years (the earlier one with the sign it has in
    the change), (...): a covariance is `(1 - rho) apart + rho together` where the years' normals
    correlate by rho.

    Attributes:
        apart: `sum S_s S'_s + S_t S'_t`.
        together: `sum (S_s + S_t)(S'_s + S'_t)`.
        last: `sum S_t S'_t`.
    """

    apart: F64
    together: F64
    last: F64

    @classmethod
    def of(cls, one: F64, other: F64) -> Moments:
        """Summed over all normals; `one` and `other` are (years,rows,columns,...)."""
        both = one.sum(axis=0), other.sum(axis=0)
        ends = np.einsum("yrc...,yrc...->y...", one, other)
        return cls(ends.sum(axis=0), np.einsum("rc...,rc...->...", *both), ends[1])

    @classmethod
    def each(cls, one: F64) -> Moments:
        """Of each normal with itself, (rows,columns,...)."""
        squares = np.square(one)
        return cls(squares.sum(axis=0), np.square(one.sum(axis=0)), squares[1])

    def __add__(self, other: Moments) -> Moments:
        """Of independent parts together."""
        return Moments(
            self.apart + other.apart, self.together + other.together, self.last + other.last
        )

    def each_by(self, function: Callable[[F64], F64]) -> Moments:
        """A linear function of each."""
        return Moments(function(self.apart), function(self.together), function(self.last))

    def at(self, rho: float) -> F64:
        """The covariance where the years' normals correlate by rho."""
        covariance: F64 = (1 - rho) * self.apart + rho * self.together
        return covariance


def sums_by(values: F64, of: I64, count: int) -> F64:
    """Values added up along axis 0 by the number each has in `of`, (count, ...)."""
    out = np.zeros((count, *values.shape[1:]))
    np.add.at(out, of, values)
    return out


# --- the same, drawn ----------------------------------------------------------------------------


def ratio_of_sds(x: F64, y: F64) -> Estimate:
    """`sd(y) / sd(x)` over the same draws, on axis 0, with what the draws' scatter leaves open.

    Both sds are of draws from the same normals, and most of their scatter cancels.
    """
    if len(x) < 2:
        return nothing(x.shape[1:])
    (of_x, psi_x), (of_y, psi_y) = spread(x), spread(y)
    ratio = quotient(of_y, of_x, np.nan)
    influence = quotient(psi_y - ratio * psi_x, of_x, np.nan)
    return Estimate(ratio, standard_error(influence))
