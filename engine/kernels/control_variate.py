"""What is known of the first order, used to steady what draws estimate; and whether it would do.

A control h has a known mean and goes along with x. With beta estimated on other draws,

    mean(x - beta (h - E h))

estimates E x without bias and with less scatter. The draws are halved, even and odd, and each half
gets its beta from the other. The gain is the variance of the plain estimate over that of the
controlled one: how many times the draws a plain estimate would need. Controls are

- the linear value L, mean zero, for means;
- G^2, mean Var G in closed form, for variances;
- 1{G < c}, mean Phi(c / sd G) since G is normal, for probabilities.

All of this holds over all draws: where any is rejected, the controls' means over the rest are not
known, and the estimate is the plain one, gain 1. Verdicts count draws and use none of this.

Whether the first order would have done is asked as in JCGM 101:2008, clause 8: do the ends of its
interval agree with those of the draws' to within a numerical tolerance?

Equations of docs/method.md: 4.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from engine.kernels.arrays import F64
from engine.kernels.monte_carlo import Estimate, mean, quotient

_FEWEST = 16  # draws in each half: fewer say too little of beta


@dataclass(frozen=True, slots=True, eq=False)
class Controlled:
    """An estimate, the standard error that the draws leave, and the gain over a plain estimate."""

    value: F64
    mcse: F64
    gain: F64


def controlled_mean(x: F64, linear: F64 | None) -> Controlled:
    """E x, (...), by the control L.

    Args:
        x: draws, (D, ...), NaN where rejected.
        linear: the linear value of x in each draw, likewise; None where it is not stored.
    """
    return _controlled(x, linear, np.zeros(x.shape[1:]))


def controlled_variance(x: F64, gaussian: F64 | None, variance: F64) -> Controlled:
    """Var x, (...), by the control G^2.

    Args:
        x: draws, (D, ...), NaN where rejected.
        gaussian: the gaussian value of x in each draw, likewise; None where it is not stored.
        variance: its variance in closed form, (...).
    """
    squares = np.full(x.shape, np.nan)
    # Each half has its own mean, so that the halves stay independent and each is unbiased.
    for part in _parts(x, gaussian):
        if len(part) >= 2:
            centred = x[part] - x[part].mean(axis=0)
            squares[part] = np.square(centred) * len(part) / (len(part) - 1)
    return _controlled(squares, None if gaussian is None else np.square(gaussian), variance)


def controlled_probability(
    x: F64, gaussian: F64 | None, threshold: F64, variance: F64
) -> Controlled:
    """P(x < 0), (...), by the control 1{G < threshold}.

    Args:
        x: draws, (D, ...), NaN where rejected.
        gaussian: the gaussian value of x in each draw, likewise; None where it is not stored.
        threshold: c such that G < c nearly says x < 0: minus the first-order mean of x, (...).
        variance: of G in closed form, (...).
    """
    below = np.where(np.isfinite(x), x < 0, np.nan)
    if gaussian is None:
        return _controlled(below, None, np.zeros(x.shape[1:]))
    t = quotient(threshold, np.sqrt(variance), np.nan)
    # Without an error G is 0 in every draw, and the control says nothing.
    known = np.where(variance > 0, ndtr(t), (threshold > 0).astype(np.float64))
    return _controlled(below, (gaussian < threshold).astype(np.float64), known)


def square_root(variance: Controlled) -> Controlled:
    """The sd from a variance; NaN where the estimate of the variance is negative."""
    sd = np.sqrt(np.where(variance.value < 0, np.nan, variance.value))
    return Controlled(sd, quotient(variance.mcse, 2 * sd, 0.0), variance.gain)


def _parts(x: F64, control: F64 | None) -> tuple[NDArray[np.intp], ...]:
    """Positions of the even and of the odd draws; of all accepted ones where control is off."""
    accepted = np.flatnonzero(np.isfinite(x).reshape(len(x), -1).all(axis=1))
    if control is None or len(accepted) < max(len(x), 2 * _FEWEST):
        return (accepted,)
    return accepted[::2], accepted[1::2]


def _controlled(x: F64, control: F64 | None, known: F64) -> Controlled:
    parts = _parts(x, control)
    if control is None or len(parts) == 1:
        plain = mean(x[parts[0]])
        return Controlled(plain.value, plain.mcse, np.ones(x.shape[1:]))
    residual = np.empty(x.shape)
    for here, elsewhere in (parts, parts[::-1]):
        beta = _slope(x[elsewhere], control[elsewhere])
        residual[here] = x[here] - beta * (control[here] - known)
    # The mean of both halves' means: they differ by one draw at most.
    value = (residual[parts[0]].mean(axis=0) + residual[parts[1]].mean(axis=0)) / 2
    before, after = x.var(axis=0), residual.var(axis=0)
    gain = np.where(before > 0, quotient(before, after, np.inf), 1.0)
    return Controlled(value, mean(residual).mcse, gain)


def _slope(x: F64, control: F64) -> F64:
    """Least-squares slope of x on the control; 0 where the control does not vary."""
    centred = control - control.mean(axis=0)
    return quotient((centred * x).sum(axis=0), np.square(centred).sum(axis=0), 0.0)


# --- whether the first order would have done ----------------------------------------------------


class Linearity(StrEnum):
    """What JCGM 101:2008, clause 8, says of the first-order interval."""

    VALIDATED = "validated"
    NOT_VALIDATED = "not validated"
    NEEDS_MORE_DRAWS = "needs more draws"
    NOT_ASSESSED = "not assessed"


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """A first-order interval held against that of the draws (JCGM 101:2008, 8.1).

    Attributes:
        tolerance: delta.
        d_low, d_high: distances of the lower and of the upper ends.
        linearity: a `Linearity` each.
    """

    tolerance: F64
    d_low: F64
    d_high: F64
    linearity: NDArray[np.str_]


def numerical_tolerance(u: F64, digits: int) -> F64:
    """`delta = 10^l / 2` for u = c 10^l, c an integer of `digits` digits (JCGM 101:2008, 7.9.2).

    NaN where u is not positive.

    >>> numerical_tolerance(np.array([0.00035, 2.0, 10.1]), 2)
    array([5.e-06, 5.e-02, 5.e-01])
    """
    positive = np.where(u > 0, u, np.nan)
    exponent = np.floor(np.log10(positive))
    rounded_up = np.round(positive / 10.0 ** (exponent - digits + 1)) >= 10.0**digits
    tolerance: F64 = 0.5 * 10.0 ** (exponent + rounded_up - digits + 1)
    return tolerance


def validate(
    y: F64, u: F64, coverage_factor: float, low: Estimate, high: Estimate, digits: int = 1
) -> Validation:
    """Compare `y -+ k u` with the ends of the draws' interval.

    Validated: both distances are within the tolerance by more than two Monte Carlo standard
    errors; not validated: one is beyond it by more than that. Otherwise draws are too few to tell
    (the clause asks for so many that this does not occur). Not assessed: there is no uncertainty.

    Args:
        y, u: first-order estimate and standard uncertainty, (...).
        coverage_factor: k.
        low, high: ends of the draws' interval of the same coverage, (...).
        digits: significant digits of u that matter.
    """
    tolerance = numerical_tolerance(u, digits)
    d_low = np.abs(y - coverage_factor * u - low.value)
    d_high = np.abs(y + coverage_factor * u - high.value)
    within = (d_low + 2 * low.mcse <= tolerance) & (d_high + 2 * high.mcse <= tolerance)
    beyond = (d_low - 2 * low.mcse > tolerance) | (d_high - 2 * high.mcse > tolerance)
    chosen: NDArray[np.str_] = np.select(
        [within, beyond, np.isnan(tolerance)],
        [
            Linearity.VALIDATED.value,
            Linearity.NOT_VALIDATED.value,
            Linearity.NOT_ASSESSED.value,
        ],
        default=Linearity.NEEDS_MORE_DRAWS.value,
    )
    return Validation(tolerance, d_low, d_high, chosen)
