"""Is a footprint falling? Slopes of ln F over the years, and how many years a decline needs.

Notation: T years t_0 < t_1 < ..., z = ln F in each, V the covariance of z (T,T), h and d the
differences of successive t and z. The model is z = a + b t + error.

Generalised least squares with an intercept is least squares on the differences,

    b = h' W d / h' W h,   var b = 1 / h' W h,   W = (Delta V Delta')^-1,   Delta z = d,

because an intercept is what differences do not see (Aitken 1935; Hamilton 1994, ch. 8). So b is
the same for V and V + c 11': an error that all years share changes no slope, and a V that is
singular for nothing but such an error needs no special case.

Equations of docs/method.md: 6.1 and 6.5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.special

from engine.kernels.arrays import F64
from engine.kernels.changes import DetectionRule

_SINGULAR = (
    1e-10  # smallest eigenvalue of Delta V Delta' over its largest, below which nothing is told
)


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


def of_differences(V: F64) -> F64:
    """Delta V Delta', the covariance of successive differences, (T-1,T-1)."""
    differences: F64 = np.diff(np.diff(V, axis=0), axis=1)
    return differences


def weakest(V_d: F64) -> tuple[float, F64]:
    """The combination of differences that varies least: its variance, and its unit vector."""
    values, vectors = scipy.linalg.eigh(V_d, subset_by_index=[0, 0])
    return float(values[0]), vectors[:, 0]


def is_singular(V_d: F64) -> bool:
    """Whether some combination of the differences has no error, so that V tells nothing."""
    eigenvalues = scipy.linalg.eigvalsh(V_d)
    return not eigenvalues[0] > _SINGULAR * eigenvalues[-1]


def hartlap(draws: int, size: int) -> float:
    """Factor on the inverse of a covariance of so many variables, estimated from D draws.

    The inverse of a sampled covariance is too large on average, and carries the factor
    (D - p - 2) / (D - 1) (Hartlap, Simon & Schneider 2007, A&A 464:399). A slope with an intercept
    rests on the inverse for the differences, so p = T - 1: h' W h is then without bias. Zero where
    the draws are too few to tell.
    """
    return max(draws - size - 2, 0) / (draws - 1)


def slope(z: F64, V: F64, years: F64, draws: int | None = None) -> Slope:
    """GLS slope of ln F over the years.

    Args:
        z: ln F, (T,), two years at least.
        V: covariance of its errors, measurement and real variability together, (T,T).
        years: (T,), ascending.
        draws: if V is estimated from so many draws; the error then allows for it (`hartlap`), and
            is infinite with too few.
    """
    h, d, V_d = np.diff(years), np.diff(z), of_differences(V)
    if is_singular(V_d):
        return Slope(np.nan, np.nan)
    weights = scipy.linalg.solve(V_d, h, assume_a="pos")
    kept = 1.0 if draws is None else hartlap(draws, len(h))
    information = float(weights @ h)
    error = (kept * information) ** -0.5 if kept else np.inf
    return Slope(float(weights @ d) / information, error)


def information_by_year(V: F64, years: F64) -> F64:
    """Information h' W h on the slope of the first 2, 3, ... T years, (T-1,); NaN if singular.

    Leading blocks of Delta V Delta' share the Cholesky factor L of the whole: with y = L^-1 h the
    information of the first so many differences is the sum of the first so many y^2.
    """
    V_d = of_differences(V)
    if is_singular(V_d):
        return np.full(len(V_d), np.nan)
    y = scipy.linalg.solve_triangular(np.linalg.cholesky(V_d), np.diff(years), lower=True)
    information: F64 = np.cumsum(np.square(y))
    return information


def power_of_slope(b: float, error: float, rule: DetectionRule) -> float:
    """Probability that a true slope b is detected in its own direction, known V."""
    from_below = rule.z_alpha - abs(b) / error
    return float(0.5 * scipy.special.erfc(from_below / 2**0.5))


def least_slope(error: F64, rule: DetectionRule, acceptance: float = 1.0) -> F64:
    """The smallest slope that is detected with the rule's power: its MDC, in log points a year.

    z_{1-alpha/2} is raised where draws were rejected (`DetectionRule.z_where_accepted`); infinite
    where no slope could be decided.
    """
    return (rule.z_where_accepted(acceptance) + rule.z_power) * error


def years_until(
    percent: float, errors: F64, rule: DetectionRule, acceptance: float = 1.0
) -> int | None:
    """Years after the first until a steady fall of so many percent a year is detected.

    Args:
        errors: standard errors of the slope after 1, 2, ... years.
        acceptance: share of the draws accepted in every year.

    Returns:
        The first year in which `-ln(1 - percent/100)` reaches `(z_{1-alpha/2} + z_power)` standard
        errors of its slope; None if that takes longer.
    """
    enough = -np.log1p(-percent / 100) >= least_slope(errors, rule, acceptance)
    return int(np.argmax(enough)) + 1 if enough.any() else None


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
        covariance: of ln F in the given years, (T+1,) to (T+1,T+1); of fewer years its leading
            block.
        most: years to look ahead; None if it takes longer.
    """
    years = np.arange(most + 1.0)
    return years_until(percent, information_by_year(covariance(years), years) ** -0.5, rule)
