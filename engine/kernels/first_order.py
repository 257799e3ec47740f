"""The analytic twin: gradients of a footprint, and what they make of the errors to first order.

Notation: L = (I - A)^-1; X = L y the output that a consumer requires, (n,); x industry output,
(n,); m the multipliers, m (I - A) = s, of the emissions that count, (n,); F = s X.

A part of a footprint counts the emissions of some industries only. Its gradient is that of the
whole with s, and so m, set to zero elsewhere: pass `counted`, 1 where emissions count, else 0,
and multipliers solved from `counted * s`.

For a cell of value q and relative standard deviation rsd, errors reach F to first order through
`a = (dF/dq) q rsd`. They correlate between cells and years through shared normals (see
`engine.error_model`), so that `Cov(F_t, F_s) = sum_m pi_m c_m sum_g (sum_{i in g} a_t,i)
(sum_{i in g} a_s,i)`, c_m the correlation of component m's normals between t and s, g its groups.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from engine.kernels.arrays import F64, I64, Bool
from engine.kernels.leontief import per_unit_output


@dataclass(frozen=True, slots=True, eq=False)
class Gradient:
    """Derivatives of one consumer's footprint of one stressor, or of one part of it.

    The consumer's direct emissions F_Y have derivative 1, and the purchases of a demand vector,
    which are no part of Y, have derivative m.

    Attributes:
        matrix: by cells of A or Z, (n,n).
        emissions: by emission intensities s or by emissions E, (n,).
        demand: by the cells of final demand Y, (n,r).
    """

    matrix: F64
    emissions: F64
    demand: F64


def coefficients_gradient(m: F64, X: F64, membership: F64, counted: F64) -> Gradient:
    """Gradient by A, s and Y: `dF/dA_ij = m_i X_j`, `dF/ds_j = X_j`, `dF/dy_j = m_j`.

    Args:
        membership: 1 for the columns of Y that are the consumer's own, (r,).
        counted: 1 for the industries whose emissions count, (n,).
    """
    return Gradient(np.outer(m, X), counted * X, np.outer(m, membership))


def accounts_gradient(
    m: F64, X: F64, x: F64, active: Bool, membership: F64, counted: F64
) -> Gradient:
    """Gradient by Z, E and Y, through the output x = Z 1 + Y 1 they add up to.

    With `phi_j = X_j / x_j` (zero for an inactive industry): `dF/dZ_ij = m_i (phi_j - phi_i)`,
    `dF/dE_i = phi_i`, `dF/dY_ic = m_i (1[c is the consumer's] - phi_i)`.

    Args:
        x, active: output of the industries and whether they have any, (n,).
        membership: 1 for the columns of Y that are the consumer's own, (r,).
        counted: 1 for the industries whose emissions count, (n,).
    """
    phi = per_unit_output(X, x, active)
    return Gradient(
        matrix=m[:, None] * (phi[None, :] - phi[:, None]),
        emissions=counted * phi,
        demand=m[:, None] * (membership[None, :] - phi[:, None]),
    )


def contribution(gradient: F64, value: F64, rsd: F64 | float) -> F64:
    """`a = (dF/dq) q rsd`: what one standard deviation of each cell does to F, same shapes."""
    return gradient * value * rsd


def independent_sd(*contributions: F64) -> float:
    """First-order standard deviation of F when every cell errs on its own."""
    return float(np.sqrt(sum(float(np.sum(np.square(a))) for a in contributions)))


@dataclass(frozen=True, slots=True, eq=False)
class SharedError:
    """One component of the errors of a list of cells.

    Attributes:
        weight: pi, its share of the variance of the cells' standardised error.
        group: number of the normal that a cell uses, from 0; -1 for cells it does not touch;
            (cells,).
        time_correlation: correlation of one group's normals between the two years: 1 for
            persistent errors, 0 for yearly ones.
    """

    weight: float
    group: I64
    time_correlation: float = 1.0


def covariance(first: F64, second: F64, components: Iterable[SharedError]) -> float:
    """First-order covariance of F between two years.

    Args:
        first, second: contributions a of each year, (cells,); the same cells in both, with zero
            where a year lacks one.
        components: all components of these cells. Quantities with errors of their own are
            uncorrelated, and their covariances add.
    """
    total = 0.0
    for component in components:
        touched = component.group >= 0
        groups = component.group[touched]
        sums = [np.bincount(groups, weights=a[touched]) for a in (first, second)]
        total += component.weight * component.time_correlation * float(sums[0] @ sums[1])
    return total


def variance(contributions: F64, components: Iterable[SharedError]) -> float:
    """First-order variance of F in one year, where every normal agrees with itself."""
    same_year = (replace(component, time_correlation=1.0) for component in components)
    return covariance(contributions, contributions, same_year)


def log_change_sd(
    F_s: float, F_t: float, variance_s: float, variance_t: float, covariance_st: float
) -> float:
    """First-order sd of `ln F_t - ln F_s`, both footprints positive."""
    relative = variance_s / F_s**2 + variance_t / F_t**2 - 2 * covariance_st / (F_s * F_t)
    return float(np.sqrt(max(relative, 0.0)))  # rounding may leave it below zero when all cancels


# --- the trend of an emission inventory, the case that has a guideline --------------------------
# IPCC 2006 Guidelines for National Greenhouse Gas Inventories, vol. 1, ch. 3, approach 1. Sources
# with emissions C in the base and D in the current year, (sources,), uncertainties U in percent of
# each, the same in both years. Results are in percentage points of the trend D/C - 1.


def _root_sum_of_squares(sensitivity: F64, U: F64) -> float:
    return float(np.sqrt(np.sum(np.square(sensitivity * U))))


def inventory_trend(C: F64, D: F64, U: F64, rho: float) -> float:
    """Exact propagation, each source's errors correlating by `rho` between the years.

    `U^2 [(D_i/C)^2 + (D C_i/C^2)^2 - 2 rho (D_i/C)(D C_i/C^2)]`, summed over sources.
    """
    now, base = D / C.sum(), D.sum() * C / C.sum() ** 2
    squared = np.square(now - base) + 2 * (1 - rho) * now * base
    return _root_sum_of_squares(np.sqrt(squared), U)


def ipcc_trend_uncorrelated(C: F64, D: F64, U: F64) -> float:
    """IPCC's column for uncorrelated years: type B sensitivity `|D_i/C|` times sqrt(2) U.

    It takes the base year's sensitivity to be the current year's, and so differs from
    `inventory_trend` at rho 0.
    """
    return _root_sum_of_squares(np.sqrt(2) * np.abs(D / C.sum()), U)


def ipcc_trend_correlated(C: F64, D: F64, U: F64) -> float:
    """IPCC's column for fully correlated years: type A sensitivity, by a difference of 1 %.

    The trend is recomputed with the source 1 % higher in both years; finite, so it differs from
    `inventory_trend` at rho 1.
    """
    total_C, total_D = C.sum(), D.sum()
    raised = 100 * ((0.01 * D + total_D) / (0.01 * C + total_C) - 1)
    return _root_sum_of_squares(raised - 100 * (total_D / total_C - 1), U)
