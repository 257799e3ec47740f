"""Is a footprint falling? Slopes of ln F over the years, and how many years a decline needs.

Notation: T years t_0 < t_1 < ..., z = ln F in each, V the covariance of z (T,T), h and d the
differences of successive t and z. The model is z = a + b t + error.

Generalised least squares with an intercept is least squares on the differences,

    b = h' W d / h' W h,   var b = 1 / h' W h,   W = (P V P')^-1,   P z = d,

because an intercept is what differences do not see (Aitken 1935; Hamilton 1994, ch. 8). So b is
the same for V and V + c 11': an error that all years share changes no slope, and a V that is
singular for nothing but such an error needs no special case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.special

from engine.kernels.arrays import F64
from engine.kernels.changes import DetectionRule

_SINGULAR = 1e-10  # smallest eigenvalue of P V P' beside its largest, below which nothing is told


@dataclass(frozen=True, slots=True)
class Slope:
    """A slope in log points a year, and its standard error; NaN where V tells nothing."""

    value: float
    error: float


def ar1_correlation(years: F64, phi: float) -> F64:
    """Correlation phi^|t - s| between all years, (T,T); phi = 0 for independent years.

    >>> ar1_correlation(np.array([2000.0, 2001.0, 2003.0]), 0.5)[0].tolist()
    [1.0, 0.5, 0.125]
    """
    apart = np.abs(np.subtract.outer(years, years))
    correlation: F64 = np.power(phi, apart)  # 0^0 is one
    return correlation


def slope(z: F64, V: F64, years: F64, draws: int | None = None) -> Slope:
    """GLS slope of ln F over the years.

    Args:
        z: ln F, (T,), two years at least.
        V: covariance of its errors, measurement and real variability together, (T,T).
        years: (T,), ascending.
        draws: if V is estimated from so many draws, D: the inverse of a sampled covariance is too
            large on average, and carries the factor (D - p - 2) / (D - 1), p = T - 1 its size
            (Hartlap, Simon & Schneider 2007, A&A 464:399). The error is infinite with too few.
    """
    h, d = np.diff(years), np.diff(z)
    of_differences = np.diff(np.diff(V, axis=0), axis=1)
    eigenvalues = scipy.linalg.eigvalsh(of_differences)
    if not eigenvalues[0] > _SINGULAR * eigenvalues[-1]:
        return Slope(np.nan, np.nan)
    weights = scipy.linalg.solve(of_differences, h, assume_a="pos")
    kept = 1.0 if draws is None else max(draws - len(h) - 2, 0) / (draws - 1)
    information = float(weights @ h)
    error = (kept * information) ** -0.5 if kept else np.inf
    return Slope(float(weights @ d) / information, error)


def power_of_slope(b: float, error: float, rule: DetectionRule) -> float:
    """Probability that a true slope b is detected in its own direction, known V."""
    from_below = rule.z_alpha - abs(b) / error
    return float(0.5 * scipy.special.erfc(from_below / 2**0.5))


def years_to_detect(
    percent: float,
    covariance: Callable[[F64], F64],
    rule: DetectionRule,
    most: int = 100,
) -> int | None:
    """Years after the first until a steady fall of so many percent a year is detected.

    Exact for annual data: with T + 1 years the slope `-ln(1 - percent/100)` must reach
    `(z_{1-alpha/2} + z_power)` of its standard error. The monthly approximation of Weatherhead et
    al. (1998, JGR 103:17149) is not used.

    Args:
        covariance: of ln F in the given years, (T+1,) to (T+1,T+1).
        most: years to look ahead; None if it takes longer.
    """
    fall = -np.log1p(-percent / 100)
    for last in range(1, most + 1):
        years = np.arange(last + 1.0)
        found = slope(-fall * years, covariance(years), years)
        if fall >= (rule.z_alpha + rule.z_power) * found.error:
            return last
    return None
